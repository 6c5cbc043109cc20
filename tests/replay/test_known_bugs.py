"""
Known bugs of other prioritized or frame-sharing buffers, one test each.

A frame is a single number here, so a stack of three frames is written ``[0, 0, 7]``.
"""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback

from sb3_breakout.replay import PrioritizedReplayBuffer

THREE = spaces.Box(0, 255, (3,), np.uint8)


def make(capacity: int = 10, n_envs: int = 1, n_steps: int = 1, **kwargs) -> PrioritizedReplayBuffer:
    return PrioritizedReplayBuffer(
        capacity, THREE, spaces.Discrete(9), device="cpu", n_envs=n_envs, n_stack=3, n_steps=n_steps, gamma=0.5, **kwargs
    )


def add(buffer, obs, next_obs, done=False, reward=0.0, timeout=False):
    buffer.add(
        np.array([obs], np.uint8),
        np.array([next_obs], np.uint8),
        np.array([0]),
        np.array([reward]),
        np.array([done]),
        [{"TimeLimit.truncated": timeout}],
    )


def episode(buffer, first: int, length: int, **kwargs):
    """Add frames ``first``, ``first + 1``, ... after zero padding; rewards 1, 2, 3, ...; ``kwargs`` go to the last step."""
    frames = [0, 0, *range(first, first + length + 1)]
    for step in range(length):
        end = kwargs if step == length - 1 else {}
        add(buffer, frames[step : step + 3], frames[step + 1 : step + 4], reward=step + 1.0, **end)


def stacks(buffer, *indices):
    batch = buffer._get_samples(np.array(indices))
    return batch.observations.tolist(), batch.next_observations.tolist()


def test_stack_does_not_cross_an_episode_start():
    buffer = make()
    episode(buffer, 1, 3, done=True)
    episode(buffer, 21, 2)
    assert stacks(buffer, 3, 4)[0] == [[0, 0, 21], [0, 21, 22]]


def test_padding_is_zeros_as_the_policy_sees_it():
    """Some frame stacks pad with copies of the first frame instead."""
    buffer = make()
    episode(buffer, 7, 1)
    assert stacks(buffer, 0) == ([[0, 0, 7]], [[0, 7, 8]])


def test_terminal_frame_survives_the_automatic_reset():
    """next_obs of the last step ends with its own frame 4, not with frame 21 of the next episode."""
    buffer = make()
    episode(buffer, 1, 3, done=True)
    episode(buffer, 21, 2)
    assert stacks(buffer, 2)[1] == [[2, 3, 4]]


def test_timeout_is_no_terminal():
    buffer = make()
    episode(buffer, 1, 2, done=True, timeout=True)
    episode(buffer, 11, 2, done=True)
    assert buffer._get_samples(np.arange(4)).dones[:, 0].tolist() == [0, 0, 0, 1]
    assert stacks(buffer, 1)[1] == [[1, 2, 3]]


def test_no_stale_frames_after_the_ring_wrapped():
    """The oldest transitions still have their two previous frames, which belong to transitions that have been overwritten."""
    buffer = make(capacity=4)
    episode(buffer, 1, 30)
    assert buffer.size() == 4
    assert stacks(buffer, 26, 27, 28, 29) == (
        [[25, 26, 27], [26, 27, 28], [27, 28, 29], [28, 29, 30]],
        [[26, 27, 28], [27, 28, 29], [28, 29, 30], [29, 30, 31]],
    )


def test_n_step_return_stops_at_a_terminal():
    buffer = make(n_steps=3)
    episode(buffer, 1, 4, done=True)  # rewards 1, 2, 3, 4
    episode(buffer, 21, 4)
    batch = buffer._get_samples(np.arange(4))
    assert batch.rewards[:, 0].tolist() == [1 + 1 + 0.75, 2 + 1.5 + 1, 3 + 2, 4]
    assert batch.discounts[:, 0].tolist() == [0.125, 0.125, 0.25, 0.5]
    assert batch.dones[:, 0].tolist() == [0, 1, 1, 1]
    assert batch.next_observations.tolist() == [[2, 3, 4], [3, 4, 5], [3, 4, 5], [3, 4, 5]]


def test_n_step_return_bootstraps_at_a_timeout():
    buffer = make(n_steps=3)
    episode(buffer, 1, 2, done=True, timeout=True)
    episode(buffer, 21, 4)
    batch = buffer._get_samples(np.arange(2))
    assert batch.rewards[:, 0].tolist() == [2, 2]
    assert batch.discounts[:, 0].tolist() == [0.25, 0.5]
    assert not batch.dones.any()
    assert batch.next_observations.tolist() == [[1, 2, 3], [1, 2, 3]]


def test_n_step_return_after_an_environment_was_reset_by_hand():
    """A reset without ``done`` must still end the return, and bootstrap."""
    buffer = make(n_steps=3)
    episode(buffer, 1, 2)
    assert buffer.n_eligible() == 0
    episode(buffer, 21, 3)
    batch = buffer._get_samples(np.arange(3))
    assert batch.rewards[:, 0].tolist() == [2, 2, 1 + 1 + 0.75]
    assert batch.discounts[:, 0].tolist() == [0.25, 0.5, 0.125]
    assert not batch.dones.any()
    assert batch.next_observations.tolist() == [[1, 2, 3], [1, 2, 3], [22, 23, 24]]


def test_truncation_without_done_ends_the_return():
    """As in SB3's NStepReplayBuffer. The frame stack continues across it."""
    buffer = make(n_steps=2)
    add(buffer, [0, 0, 1], [0, 1, 2], reward=1.0, timeout=True)
    add(buffer, [0, 1, 2], [1, 2, 3], reward=1.0)
    add(buffer, [1, 2, 3], [2, 3, 4], reward=1.0, done=True)
    batch = buffer._get_samples(np.arange(3))
    assert batch.rewards[:, 0].tolist() == [1, 1.5, 1]
    assert batch.dones[:, 0].tolist() == [0, 1, 1]
    assert batch.observations.tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3]]
    assert batch.next_observations.tolist() == [[0, 1, 2], [2, 3, 4], [2, 3, 4]]


def test_a_lost_life_that_does_not_clear_the_stack():
    """After done, the next observation continues the stack: its frames reach back across the end of the episode."""
    buffer = make(n_steps=2)
    episode(buffer, 1, 2, done=True)
    add(buffer, [1, 2, 3], [2, 3, 4])
    add(buffer, [2, 3, 4], [3, 4, 5])
    assert stacks(buffer, 1, 2) == ([[0, 1, 2], [1, 2, 3]], [[1, 2, 3], [3, 4, 5]])
    assert buffer._get_samples(np.arange(3)).dones[:, 0].tolist() == [1, 1, 0]


def test_n_step_return_waits_at_the_write_pointer():
    """The newest n - 1 transitions can be sampled only once their rewards are known, or once their episode has ended."""
    buffer = make(capacity=6, n_steps=3)
    episode(buffer, 1, 10)
    assert buffer.n_eligible() == 4
    assert set(buffer.sample(200).indices.tolist()) == {4, 5, 6, 7}
    add(buffer, [9, 10, 11], [10, 11, 12], done=True)
    assert set(buffer.sample(200).indices.tolist()) == {5, 6, 7, 8, 9, 10}


def test_every_environment_is_sampled():
    buffer = PrioritizedReplayBuffer(40, THREE, spaces.Discrete(9), device="cpu", n_envs=4)
    for step in range(10):
        obs = np.full((4, 3), step, np.uint8) + np.arange(4, dtype=np.uint8)[:, None] * 50
        buffer.add(obs, obs + 1, np.arange(4), np.arange(4.0), np.zeros(4, bool), [{}] * 4)
    batch = buffer.sample(4000)
    np.testing.assert_array_equal(np.bincount(batch.actions[:, 0]), [1000] * 4)
    np.testing.assert_array_equal(batch.observations[:, 0] // 50, batch.actions[:, 0])
    np.testing.assert_array_equal(batch.rewards, batch.actions)


def test_duplicate_indices_in_one_update():
    """The last error counts, and the sums stay correct. (Sums updated by differences would count every duplicate.)"""
    buffer = make(alpha=1.0, eps=1e-9)
    episode(buffer, 1, 3)
    buffer.update_priorities(np.array([0, 1, 1, 2, 1]), np.array([1.0, 50.0, 7.0, 1.0, 2.0]))
    buffer.check_valid()
    counts = np.bincount(buffer.sample(4000).indices)
    np.testing.assert_allclose(counts, [1000, 2000, 1000], atol=1)


@pytest.mark.parametrize("capacity", [1, 2, 3, 7, 13])
def test_capacity_one_or_no_power_of_two(capacity):
    buffer = make(capacity=capacity)
    for number in range(3 * capacity + 1):
        add(buffer, [0, 0, number + 1], [0, number + 1, 99], done=True, reward=number)
        buffer.check_valid()
        batch = buffer.sample(64)
        newest = set(range(max(number + 1 - capacity, 0), number + 1))
        assert set(batch.indices.tolist()) == newest
        np.testing.assert_array_equal(batch.rewards[:, 0], batch.indices)
        np.testing.assert_array_equal(batch.observations[:, 2], batch.indices + 1)


def test_alpha_is_applied_once_to_new_transitions():
    """New transitions get |TD error| 16, hence priority 4. Applying alpha twice, as in sqrt(max p^alpha), would give 2."""
    buffer = make(alpha=0.5, eps=1e-9)
    episode(buffer, 1, 2)
    buffer.update_priorities(np.array([0, 1]), np.array([-16.0, 4.0]))
    add(buffer, [1, 2, 3], [2, 3, 4])
    counts = np.bincount(buffer.sample(10_000).indices)
    np.testing.assert_allclose(counts, [4000, 2000, 4000], atol=1)


def test_late_update_does_not_hit_the_transition_stored_there_since():
    buffer = make(capacity=3, alpha=1.0)
    episode(buffer, 1, 3)
    late = buffer.sample(16).indices
    episode(buffer, 51, 3)  # overwrites the first three
    assert set(late.tolist()) == {0, 1, 2} and set(buffer.sample(16).indices.tolist()) == {3, 4, 5}
    buffer.update_priorities(np.array([3, 4, 5]), np.array([1.0, 1.0, 1.0]))
    buffer.update_priorities(late, np.where(late == 0, 1000.0, 1.0))
    buffer.check_valid()
    np.testing.assert_allclose(np.bincount(buffer.sample(3000).indices)[3:], 1000, atol=1)


def test_indices_from_before_a_reset_are_late_too():
    buffer = make()
    episode(buffer, 1, 3)
    late = buffer.sample(4).indices
    buffer.reset()
    buffer.update_priorities(late, np.full(4, 1000.0))
    assert (buffer.size(), buffer.pos, buffer.n_eligible()) == (0, 0, 0)
    episode(buffer, 51, 3)
    buffer.update_priorities(late, np.array([1000.0, 1.0, 1.0, 1.0]))
    batch = buffer.sample(30)
    assert set(batch.observations[:, 2].tolist()) == {51, 52, 53}
    np.testing.assert_array_equal(batch.weights, 1.0)
    buffer.check_valid()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf"), 1e39])
def test_nan_or_inf_does_not_poison_the_tree(wrong):
    buffer = make()
    episode(buffer, 1, 5)
    for errors in (np.array([1.0, wrong]), th.tensor([[1.0], [wrong]])):
        with pytest.raises(ValueError, match="is not finite: no priority was changed"):
            buffer.update_priorities(np.array([1, 2]), errors)
    buffer.check_valid()
    np.testing.assert_array_equal(buffer.sample(64).weights, 1.0)
    add(buffer, [4, 5, 6], [5, 6, 7])
    np.testing.assert_array_equal(buffer.sample(64).weights, 1.0)  # inf was not kept as the recent error


def test_beta_reaches_one_when_learning_goes_on():
    """beta follows SB3's remaining progress, which reaches 0 in each learn(), also with reset_num_timesteps=False."""
    from stable_baselines3 import DQN

    model = DQN(
        "MlpPolicy",
        "CartPole-v1",
        replay_buffer_class=PrioritizedReplayBuffer,
        replay_buffer_kwargs={"beta": (0.4, 1.0)},
        buffer_size=200,
        learning_starts=1000,
        device="cpu",
    )
    seen = []

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            model.replay_buffer.update_schedules(model._current_progress_remaining)
            seen.append(model.replay_buffer.beta)
            return True

        def _on_training_end(self) -> None:
            model.replay_buffer.update_schedules(model._current_progress_remaining)
            seen.append(model.replay_buffer.beta)

    for total in (40, 40):
        model.learn(total, callback=Watch(), reset_num_timesteps=False)
        assert seen[-1] == 1.0
        assert model.replay_buffer.beta == 1.0
    assert min(seen) == pytest.approx(0.4)
    model.replay_buffer.update_schedules(-0.1)  # SB3's remaining progress can fall below 0
    assert model.replay_buffer.beta == 1.0
