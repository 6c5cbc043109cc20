"""Random sequences of operations: equal to a naive buffer, and bit for bit equal to SB3's own buffers."""

import pickle
from itertools import islice
from typing import Any
from unittest import mock

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer

from sb3_breakout.replay import PrioritizedReplayBuffer
from tests.replay.oracle import Oracle
from tests.replay.streams import FrameStackStream

GAMMA = 0.97
FIELDS = ("observations", "actions", "next_observations", "dones", "rewards", "discounts")
FRAMES = {"grey": ((1, 2, 3), np.uint8), "rgb": ((3, 2, 2), np.uint8), "vector": ((2,), np.float32)}


def make(stream: FrameStackStream, capacity: int, n_steps: Any, **kwargs) -> PrioritizedReplayBuffer:
    return PrioritizedReplayBuffer(
        capacity * stream.n_envs,
        stream.space,
        spaces.Discrete(4),
        device="cpu",
        n_envs=stream.n_envs,
        n_stack=stream.n_stack,
        n_steps=n_steps,
        gamma=GAMMA,
        **kwargs,
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_operations_against_the_oracle(seed):
    """After any sequence of operations, both have the same eligible transitions, priorities and contents."""
    rng = np.random.default_rng(seed)
    n_envs, n_stack, n_steps = int(rng.choice([1, 2, 3])), int(rng.choice([1, 4])), int(rng.choice([1, 3, 5]))
    capacity = int(rng.integers(n_steps, 14))
    frame_shape, dtype = FRAMES[rng.choice(list(FRAMES))]
    stream = FrameStackStream(seed, n_envs, n_stack, frame_shape, dtype, end=rng.choice([0.05, 0.3]), restart=0.04)
    alpha = float(rng.choice([0.0, 0.5, 1.0]))
    buffer = make(stream, capacity, n_steps, alpha=alpha)
    oracle = Oracle(capacity, n_envs, n_steps, GAMMA)
    old_indices = np.zeros(0, np.int64)
    for step in islice(stream, 4 * capacity + 8):
        buffer.add(*step)
        oracle.add(step)
        if rng.random() < 0.3:
            _set_initial(buffer, oracle, rng)
        if rng.random() < 0.4:
            continue
        eligible = oracle.eligible()
        assert buffer.n_eligible() == len(eligible)
        buffer.check_valid()
        if not eligible:
            with pytest.raises(ValueError, match="Nothing can be sampled yet"):
                buffer.sample(1)
            continue
        batch = buffer.sample(int(rng.integers(1, 9)))
        assert set(batch.indices.tolist()) <= set(eligible)
        oracle.sampled |= set(batch.indices.tolist())
        if rng.random() < 0.3:
            _set_initial(buffer, oracle, rng)  # ignored for transitions that have just been sampled
            continue
        for row, index in enumerate(batch.indices.tolist()):
            expected = oracle.transition(index)
            for field in FIELDS[:4]:
                np.testing.assert_array_equal(getattr(batch, field)[row], expected[field], err_msg=field)
            for field in FIELDS[4:]:
                np.testing.assert_allclose(getattr(batch, field)[row], expected[field], rtol=1e-5, err_msg=field)
        priorities = {index: (oracle.errors[index] + buffer.eps) ** alpha for index in eligible}
        weights = np.array([len(eligible) * priorities[i] / sum(priorities.values()) for i in batch.indices]) ** -buffer.beta
        np.testing.assert_allclose(batch.weights[:, 0], weights / weights.max(), rtol=1e-4)
        # New errors for this batch and for an older one, much of which has been overwritten
        indices = np.concatenate((batch.indices, old_indices))
        errors = rng.normal(size=len(indices)).astype(np.float32)
        buffer.update_priorities(indices, errors)
        oracle.update(indices, errors)
        if rng.random() < 0.3:
            old_indices = batch.indices


def _set_initial(buffer: PrioritizedReplayBuffer, oracle: Oracle, rng: np.random.Generator) -> None:
    envs = rng.permutation(buffer.n_envs)[: rng.integers(0, buffer.n_envs + 1)]
    errors = rng.exponential(size=len(envs)).astype(np.float32)
    buffer.set_initial_priorities(envs, errors)
    oracle.set_initial(envs, errors)


@pytest.mark.parametrize("seed", range(16))
def test_n_steps_changes_at_any_moment(seed):
    """
    n changes to random values from 1 to 6 during three laps of the ring. Eligible transitions and their contents must equal
    those of a buffer that had this n from the start. This holds for a second learner too, and after saving and loading.
    """
    rng = np.random.default_rng(seed)
    n_envs, n_stack = int(rng.choice([1, 3])), int(rng.choice([1, 4]))
    capacity = int(rng.integers(6, 14))
    stream = FrameStackStream(
        seed, n_envs, n_stack, *FRAMES[rng.choice(list(FRAMES))], end=rng.choice([0.05, 0.3]), restart=0.04
    )
    buffer = make(stream, capacity, lambda remaining: 1 + 5 * remaining, alpha=1.0)
    learner = buffer.learner(0.5)
    oracle = Oracle(capacity, n_envs, 6, GAMMA)
    for step in islice(stream, 3 * capacity):
        for info in step.infos:
            info["intrinsic_reward"] = float(rng.normal())
        buffer.add(*step)
        oracle.add(step)
        if rng.random() < 0.5:
            oracle.n_steps = int(rng.integers(1, 7))
            learner.update_schedules((oracle.n_steps - 1) / 5)
            assert buffer.n_steps == oracle.n_steps and type(buffer.n_steps) is int
        if rng.random() < 0.3:
            _set_initial(buffer, oracle, rng)
        if rng.random() < 0.2:
            buffer = pickle.loads(pickle.dumps(buffer))
            learner = buffer.learner(0.5)
        buffer.check_valid()
        eligible = oracle.eligible()
        places = np.array(eligible, np.int64) % (capacity * n_envs)
        for view, sampler in zip((buffer, learner), buffer._samplers(), strict=True):
            assert view.n_eligible() == len(eligible)
            np.testing.assert_array_equal(np.flatnonzero(sampler.eligible), np.sort(places))
        if not eligible:
            continue
        np.testing.assert_allclose(buffer._sampler.errors[places], [oracle.errors[index] for index in eligible], rtol=1e-6)
        batch = buffer._get_samples(np.array(eligible, np.int64))
        for row, index in enumerate(eligible):
            for field, expected in oracle.transition(index).items():
                np.testing.assert_allclose(getattr(batch, field)[row], expected, rtol=1e-5, err_msg=field)
        assert set(learner.sample(9).indices.tolist()) <= set(eligible)
        indices = buffer.sample(5).indices
        oracle.sampled |= set(indices.tolist())
        errors = rng.normal(size=5).astype(np.float32)
        buffer.update_priorities(indices, errors)
        oracle.update(indices, errors)


def test_a_longer_return_keeps_the_priority_until_it_is_known():
    """A transition loses eligibility when n rises from 1 to 3. Two steps later it returns, with the error it had before."""
    stream = FrameStackStream(0, end=0.0)
    buffer = make(stream, 10, lambda remaining: 1 if remaining > 0.5 else 3, alpha=1.0)
    steps = list(islice(stream, 6))
    for step in steps[:4]:
        buffer.add(*step)
    buffer.update_priorities(np.array([3]), np.array([7.0]))
    buffer.update_schedules(0.2)
    buffer.update_priorities(np.array([3]), np.array([9.0]))  # from a batch sampled before: ignored
    assert buffer.n_eligible() == 2
    buffer.add(*steps[4])
    assert buffer.n_eligible() == 3
    buffer.add(*steps[5])
    assert buffer.n_eligible() == 4 and buffer._sampler.errors[3] == 7.0
    buffer.update_schedules(1.0)
    assert buffer.n_eligible() == 6


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize("n_stack", [1, 4])
@pytest.mark.parametrize("n_steps", [1, 3, 5])
@pytest.mark.parametrize("frames", FRAMES)
def test_bit_equal_to_sb3_over_three_laps(n_envs, n_stack, n_steps, frames):
    """All transitions whose n-step return is known, with terminal observations and timeouts."""
    capacity = 11
    stream = FrameStackStream(n_envs + n_steps, n_envs, n_stack, *FRAMES[frames], end=0.2)
    ours = make(stream, capacity, n_steps)
    kwargs = {"n_steps": n_steps, "gamma": GAMMA} if n_steps > 1 else {}
    theirs = (NStepReplayBuffer if n_steps > 1 else ReplayBuffer)(
        capacity * n_envs, stream.space, spaces.Discrete(4), device="cpu", n_envs=n_envs, **kwargs
    )
    oracle = Oracle(capacity, n_envs, n_steps, GAMMA)
    for number, step in enumerate(islice(stream, 3 * capacity + 7)):
        ours.add(*step)
        theirs.add(*step)
        oracle.add(step)
        assert (ours.pos, ours.full, ours.size()) == (theirs.pos, theirs.full, theirs.size())
        indices = np.array(oracle.eligible(), np.int64)
        if number % 4 or not len(indices):
            continue
        batch = ours._get_samples(indices)
        with mock.patch("numpy.random.randint", return_value=indices % n_envs):  # SB3 draws the environments at random
            expected = theirs._get_samples(indices // n_envs % capacity)
        for field in FIELDS if n_steps > 1 else FIELDS[:5]:
            mine, its = getattr(batch, field), getattr(expected, field)
            assert mine.dtype == its.dtype, field
            np.testing.assert_array_equal(mine, its, err_msg=field)
    assert number > 3 * capacity


def test_without_timeout_handling_every_end_is_terminal():
    stream = FrameStackStream(0, n_envs=2, timeout=1.0)
    ours, theirs = (
        make(stream, 20, 1, handle_timeout_termination=False),
        ReplayBuffer(40, stream.space, spaces.Discrete(4), device="cpu", n_envs=2, handle_timeout_termination=False),
    )
    for step in islice(stream, 20):
        ours.add(*step)
        theirs.add(*step)
    np.testing.assert_array_equal(ours._get_samples(np.arange(40)).dones[:, 0], theirs.dones.reshape(-1))
    assert theirs.dones.any()
