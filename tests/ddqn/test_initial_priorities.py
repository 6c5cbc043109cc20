"""Initial priorities computed by the actor: hand-worked, and recomputed from the networks after a whole training."""

from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout import DDQN, PrioritizedReplayBuffer
from sb3_breakout.ddqn.initial_priorities import ActorTDErrors
from tests.ddqn.environments import Corridor

SETTINGS: dict[str, Any] = dict(learning_starts=40, buffer_size=2000, batch_size=16, train_freq=4, seed=0, gamma=0.5)


def test_by_hand() -> None:
    """
    Environments 0 and 3 continue: 1 + 0.5 * 6 - 2 = 2 and 0 + 0.5 * 4 - 3 = -1. Environment 1 terminates: 1 - 5 = -4.
    Environment 2 is truncated by a time limit, so its TD error is unknown.
    """
    actor = ActorTDErrors(0.5)
    q_before = np.array([[2.0, 9.0], [0.0, 5.0], [1.0, 1.0], [3.0, 0.0]], np.float32)
    q_after = np.array([[6.0, 1.0], [7.0, 7.0], [7.0, 7.0], [0.0, 4.0]], np.float32)
    envs, errors = actor.acted(q_before, np.array([0, 1, 0, 0]))
    assert len(envs) == len(errors) == 0
    infos = [{}, {"TimeLimit.truncated": False}, {"TimeLimit.truncated": True}, {}]
    actor.stored(np.array([1.0, 1.0, 1.0, 0.0]), np.array([False, True, True, False]), infos)
    envs, errors = actor.acted(q_after, np.array([0, 0, 0, 0]))
    np.testing.assert_array_equal(envs, [0, 1, 3])
    np.testing.assert_array_equal(errors, [2.0, 4.0, 1.0])


def test_random_steps_and_steps_never_stored_are_unknown() -> None:
    actor = ActorTDErrors(0.5)
    q_values, action = np.array([[1.0, 2.0]]), np.array([0])
    step: tuple[Any, Any, Any] = np.ones(1), np.zeros(1, bool), [{}]
    actor.stored(*step)  # a random action, without Q-values
    assert len(actor.acted(q_values, action)[0]) == 0
    assert len(actor.acted(q_values, action)[0]) == 0  # the step above was never stored: a callback ended the rollout
    actor.stored(*step)
    actor.stored(*step)  # again a random action
    assert actor.acted(q_values, action)[1] == 1.0 + 0.5 * 2.0 - 1.0


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("normalize", [False, True])
def test_in_training(n_steps: int, normalize: bool) -> None:
    """
    Updates are switched off, so the network never changes. Each transition must then be stored with the network's one-step
    |TD error|. It is unknown for the prefill, for time limits and for the newest step; they get the recent error, 1.
    """
    env: Any = make_vec_env(Corridor, n_envs=3)
    if normalize:
        env = VecNormalize(env, norm_obs=False, gamma=0.5)
        env.ret_rms.var = np.array(4.0)
        env.training = False
    random = dict(exploration="epsilon_greedy", exploration_final_eps=1.0)
    model = DDQN("MlpPolicy", env, n_steps=n_steps, initial_priorities="td_error", **SETTINGS, **random)
    model.train = lambda *args, **kwargs: None  # type: ignore[method-assign]
    model.learn(600)
    buffer = model.replay_buffer
    assert isinstance(buffer, PrioritizedReplayBuffer)
    errors = buffer._sampler.errors[:600].reshape(200, 3)
    batch = buffer.store.samples(np.arange(600), n_steps=1, env=env if normalize else None)
    with th.no_grad():
        target = batch.rewards + 0.5 * (1 - batch.dones) * model.q_net(batch.next_observations).max(dim=1, keepdim=True).values
        expected = (target - model.q_net(batch.observations).gather(1, batch.actions)).abs().numpy().reshape(200, 3)
    known = ~buffer.timeouts[:200]
    known[:14] = False  # the prefill: 42 steps of three environments
    known[-1] = False
    np.testing.assert_allclose(errors[known], expected[known], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(errors[~known], 1.0)
    assert buffer.dones[:200][known].any() and buffer.timeouts[:200].any()


def test_learns_and_goes_on(tmp_path: Any) -> None:
    model = DDQN("MlpPolicy", Corridor(), initial_priorities="td_error", **SETTINGS | dict(train_freq=1, n_steps=1)).learn(300)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    loaded = DDQN.load(tmp_path / "model", env=Corridor())
    assert loaded.initial_priorities == "td_error"
    loaded.load_replay_buffer(tmp_path / "buffer")
    loaded.learn(100, reset_num_timesteps=False).learn(100)  # resets the environment: no error across the gap
    loaded.replay_buffer.check_valid()  # type: ignore[union-attr]
