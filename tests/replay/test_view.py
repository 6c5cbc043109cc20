"""A second learner on one buffer: the same transitions, but its own rewards, priorities and random numbers."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from sb3_breakout.common.rewards import mixed_rewards
from sb3_breakout.replay import PrioritizedReplayBuffer, ReplayView, memory
from tests.replay.streams import FrameStackStream, Step
from tests.replay.test_save_and_load import assert_same, make


def with_bonus(stream: FrameStackStream, value: float | None = None) -> Iterator[Step]:
    """The stream with an intrinsic reward in each info, random if no value is given."""
    rng = np.random.default_rng(5)
    for step in stream:
        for info in step.infos:
            info["intrinsic_reward"] = float(rng.random()) if value is None else value
        yield step


def fill(buffer: PrioritizedReplayBuffer, stream: FrameStackStream, count: int, value: float | None = None) -> list[Step]:
    steps = list(islice(with_bonus(stream, value), count))
    for step in steps:
        buffer.add(*step)
    return steps


@pytest.mark.parametrize(("n_steps", "n_envs"), [(1, 1), (3, 1), (3, 4)])
def test_each_step_of_a_return_is_mixed(n_steps: int, n_envs: int) -> None:
    """Samples equal those of a buffer that stores the mixed rewards, in streams with timeouts and terminations."""
    alpha = 0.3
    buffer, oracle = (make(FrameStackStream(7, n_envs), n_steps, capacity=64) for _ in range(2))
    learner = buffer.learner(alpha)
    for step in fill(buffer, FrameStackStream(7, n_envs), 60):
        bonus = [info["intrinsic_reward"] for info in step.infos]
        oracle.add(*step[:3], mixed_rewards(np.float32(step.reward), np.float32(bonus), alpha), *step[4:])
    batch = learner.sample(200)
    expected = oracle._get_samples(batch.indices)
    np.testing.assert_allclose(batch.rewards, expected.rewards, rtol=1e-5, atol=1e-6)
    for field in ("observations", "actions", "next_observations", "dones", "discounts"):
        np.testing.assert_array_equal(getattr(batch, field), getattr(expected, field))


def test_todays_mix_and_not_that_of_recording() -> None:
    stream = FrameStackStream(0)
    buffer = make(stream, n_steps=1, capacity=20)
    learner = buffer.learner(0.9)
    steps = fill(buffer, stream, 15)
    extrinsic = np.array([step.reward[0] for step in steps])
    intrinsic = np.array([step.infos[0]["intrinsic_reward"] for step in steps])
    for alpha in (0.9, 0.5, 0.0, 1.0):
        learner.reward_mix = alpha
        batch = learner.sample(30)
        expected = ((1.0 - alpha) * extrinsic + alpha * intrinsic)[batch.indices]
        np.testing.assert_allclose(batch.rewards[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_the_buffers_own_samples_know_nothing_of_it() -> None:
    """The buffer's own samples do not depend on whether there is a second learner, nor on the bonus."""
    batches = []
    for learner, value in ((False, 0.0), (True, 0.0), (True, 1e6)):
        np.random.seed(3)
        buffer = make(FrameStackStream(1, 2))
        view = buffer.learner(0.5) if learner else buffer
        fill(buffer, FrameStackStream(1, 2), 12, value)
        batches.append([])
        for _ in range(5):
            other = view.sample(9) if learner else None
            if other is not None:
                view.update_priorities(other.indices, other.rewards)
            batches[-1].append(buffer.sample(9))
            buffer.update_priorities(batches[-1][-1].indices, batches[-1][-1].rewards)
        buffer.check_valid()
    assert_same(batches[0], batches[1])
    assert_same(batches[0], batches[2])


def test_priorities_are_each_learners_own() -> None:
    stream = FrameStackStream(0)
    buffer = make(stream, n_steps=1, capacity=50, alpha=1.0)
    learner = buffer.learner(0.5)
    fill(buffer, stream, 50)
    indices = np.arange(50)
    learner.update_priorities(indices, np.where(indices == 7, 1.0, 0.0))
    buffer.update_priorities(indices, np.where(indices == 9, 1.0, 0.0))
    assert (learner.sample(40).indices == 7).mean() > 0.9
    assert (buffer.sample(40).indices == 9).mean() > 0.9


def test_schedules_reach_every_learner() -> None:
    stream = FrameStackStream(0)
    buffer = make(stream, alpha=(0.9, 0.1))
    learner = buffer.learner(0.5)
    fill(buffer, stream, 10)
    learner.update_schedules(0.0)
    assert learner.sampler is not None and learner.sampler.alpha == buffer.alpha == pytest.approx(0.1)
    buffer.check_valid()


@pytest.mark.parametrize("count", [9, 40])  # before and after the ring wraps
def test_saved_and_loaded_it_goes_on_exactly(tmp_path: Path, count: int) -> None:
    stream = FrameStackStream(2, 2)
    buffer = make(stream)
    learner = buffer.learner(0.4)
    fill(buffer, stream, count)
    learner.update_priorities(learner.sample(20).indices, np.arange(20.0))
    buffer.save(tmp_path / "buffer")
    loaded = PrioritizedReplayBuffer.load(tmp_path / "buffer")
    view = loaded.learner(0.4)
    assert_same([learner.sample(8) for _ in range(10)], [view.sample(8) for _ in range(10)])
    for each in (buffer, loaded):
        fill(each, FrameStackStream(9, 2), 5)
        each.check_valid()
    assert_same([learner.sample(8)], [view.sample(8)])


def test_emptied_and_filled_again() -> None:
    stream = FrameStackStream(0)
    buffer = make(stream)
    learner = buffer.learner(0.5)
    fill(buffer, stream, 10)
    buffer.reset()
    with pytest.raises(ValueError, match="Nothing can be sampled yet"):
        learner.sample(3)
    fill(buffer, stream, 10)
    assert learner.sample(3).rewards.shape == (3, 1)
    buffer.check_valid()


def test_missing_intrinsic_reward() -> None:
    stream = FrameStackStream(0, 2)
    buffer = make(stream)
    buffer.learner(0.5)
    steps = list(islice(with_bonus(stream), 3))
    buffer.add(*steps[0])
    del steps[1].infos[1]["intrinsic_reward"]
    with pytest.raises(ValueError, match=r"infos\[1\] has no 'intrinsic_reward'.*at every step"):
        buffer.add(*steps[1])
    steps[1].infos[1]["intrinsic_reward"] = float("nan")
    with pytest.raises(ValueError, match="intrinsic reward of environment 1 at step 1 is nan: nothing was stored"):
        buffer.add(*steps[1])
    assert buffer.size() == 1


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_mix_outside_of_its_range(alpha: float) -> None:
    buffer = make(FrameStackStream(0))
    with pytest.raises(ValueError, match=r"reward_mix must be a number in \[0, 1\]"):
        buffer.learner(alpha)
    learner = buffer.learner(0.5)
    with pytest.raises(ValueError, match=r"reward_mix must be a number in \[0, 1\]"):
        learner.reward_mix = alpha


def test_learner_that_comes_too_late() -> None:
    stream = FrameStackStream(0)
    buffer = make(stream)
    buffer.add(*next(iter(stream)))
    with pytest.raises(ValueError, match="1 transitions were stored without learner 'explorer'"):
        buffer.learner(0.5)


def test_the_same_name_is_the_same_learner() -> None:
    buffer = make(FrameStackStream(0))
    learner = buffer.learner(0.5)
    assert isinstance(learner, ReplayView)
    assert buffer.learner(0.25) is learner and learner.reward_mix == 0.25
    assert buffer.learner(0.5, name="other") is not learner


def resident(buffer: PrioritizedReplayBuffer) -> int:
    """Bytes of all arrays in a buffer."""
    arrays, seen, todo = 0, set(), [vars(buffer)]
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, np.ndarray):
            arrays += each.nbytes if each.base is None else 0
        elif isinstance(each, dict):
            todo += each.values()
        elif isinstance(each, (list, tuple)):
            todo += each
        elif type(each).__module__.startswith("sb3_breakout"):
            todo.append(vars(each))
    return arrays


def test_memory_grows_by_two_percent_at_most() -> None:
    """With frames of the real size. The estimate in ``check_memory()`` grows by no more than that either."""
    sizes, needed = [], []
    for learners in (0, 1):
        stream = FrameStackStream(0, n_stack=8, frame_shape=(1, 84, 84))
        buffer = make(stream, capacity=200)
        for number in range(learners):
            buffer.learner(0.5, name=str(number))
        with pytest.MonkeyPatch.context() as patch, pytest.raises(memory.NotEnoughMemoryError) as error:
            patch.setattr(memory, "available_bytes", lambda: 1_000_000)
            buffer.check_memory()
        needed.append(1_000_000 / float(str(error.value).rstrip(".").split()[-1]))
        fill(buffer, stream, 50)
        sizes.append(resident(buffer))
    assert 1.0 < sizes[1] / sizes[0] <= 1.02
    assert 1.0 <= needed[1] / needed[0] <= 1.02


def test_spaces_without_stacks() -> None:
    buffer = PrioritizedReplayBuffer(10, spaces.Box(-1.0, 1.0, (3,)), spaces.Discrete(2), device="cpu")
    learner = buffer.learner(1.0)
    zeros = np.zeros((1, 3), np.float32)
    buffer.add(zeros, zeros + 1.0, np.ones(1), np.ones(1), np.zeros(1), [{"intrinsic_reward": 0.25}])
    assert learner.sample(1).rewards.item() == 0.25 and buffer.sample(1).rewards.item() == 1.0
