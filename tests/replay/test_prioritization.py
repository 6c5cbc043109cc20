"""Priorities, weights and schedules against hand-worked numbers; sampling frequencies against the closed form."""

import pickle
from itertools import islice

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from sb3_breakout.replay import PrioritizedReplayBuffer, priority_sampler
from sb3_breakout.replay.formulas import importance_weights, n_step_returns, priorities_from_errors
from sb3_breakout.replay.priority_sampler import PrioritySampler
from sb3_breakout.replay.schedule import ProgressSchedule
from tests.replay.streams import FrameStackStream


def filled(n: int = 50, **kwargs) -> PrioritizedReplayBuffer:
    stream = FrameStackStream(0, frame_shape=(2,))
    buffer = PrioritizedReplayBuffer(n, stream.space, spaces.Discrete(4), device="cpu", gamma=0.9, **kwargs)
    for step in islice(stream, n):
        buffer.add(*step)
    return buffer


def test_priorities_by_hand():
    """p = (|delta| + eps)^alpha"""
    errors = np.array([3.0, 0.0, 8.0], np.float32)
    np.testing.assert_allclose(priorities_from_errors(errors, 0.5, 1.0), [2.0, 1.0, 3.0])
    np.testing.assert_array_equal(priorities_from_errors(errors, 0.0, 1.0), 1.0)
    np.testing.assert_allclose(priorities_from_errors(errors, 1.0, 1e-3), [3.001, 0.001, 8.001], rtol=1e-6)


def test_importance_weights_by_hand():
    """N = 4 and P = 1/2, 1/4, 1/8 give N P = 2, 1, 1/2; to the power -1: 1/2, 1, 2; divided by the largest: 1/4, 1/2, 1."""
    weights, largest = importance_weights(np.array([0.5, 0.25, 0.125]), 4, beta=1.0)
    np.testing.assert_allclose(weights, [0.25, 0.5, 1.0])
    assert largest == pytest.approx(2.0)
    np.testing.assert_allclose(importance_weights(np.array([0.5, 0.25, 0.125]), 4, beta=0.5)[0], [0.5, 0.5**0.5, 1.0])
    np.testing.assert_array_equal(importance_weights(np.array([0.5, 0.25]), 4, beta=0.0)[0], 1.0)


def test_n_step_returns_by_hand():
    rewards = np.array([[1, 2, 4], [1, 2, 4], [1, 2, 4], [1, 2, 4]], np.float32)
    ends = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 1, 0]], bool)
    returns, spans = n_step_returns(rewards, ends, 0.5)
    np.testing.assert_array_equal(returns, [3.0, 3.0, 2.0, 1.0])
    np.testing.assert_array_equal(spans, [3, 3, 2, 1])


@pytest.mark.parametrize("alpha", [0.3, 0.6, 1.0])
def test_frequencies_and_weights_against_the_closed_form(alpha):
    buffer = filled(50, alpha=alpha, beta=0.7)
    errors = np.random.default_rng(0).exponential(size=50)
    buffer.update_priorities(np.arange(50), -errors)  # only the magnitude counts
    shares = (errors + buffer.eps) ** alpha
    shares /= shares.sum()
    counts = np.zeros(50)
    for _ in range(100):
        batch = buffer.sample(200)
        counts += np.bincount(batch.indices, minlength=50)
        weights = (50 * shares[batch.indices]) ** -0.7
        np.testing.assert_allclose(batch.weights[:, 0], weights / weights.max(), rtol=1e-5)
    np.testing.assert_allclose(counts / counts.sum(), shares, atol=4e-3)


def test_alpha_zero_is_uniform_with_weights_of_exactly_one():
    buffer = filled(50, alpha=0.0)
    buffer.update_priorities(np.arange(50), np.random.default_rng(0).exponential(size=50))
    batch = buffer.sample(500)
    np.testing.assert_array_equal(np.bincount(batch.indices), 10)
    np.testing.assert_array_equal(batch.weights, 1.0)


def test_uniform_where_nobody_updates_priorities():
    """SB3's DQN and sb3-contrib's QRDQN never update priorities, so sampling must be uniform."""
    batch = filled(50, alpha=0.6).sample(500)
    np.testing.assert_array_equal(np.bincount(batch.indices), 10)
    np.testing.assert_array_equal(batch.weights, 1.0)


@pytest.mark.parametrize("kind", ["numpy", "column", "torch"])
def test_forms_of_td_errors(kind):
    buffer = filled(4, alpha=1.0, eps=1e-9)
    errors = {
        "numpy": np.array([1.0, -2.0, 3.0, -4.0]),
        "column": np.array([[1.0], [-2.0], [3.0], [-4.0]]),
        "torch": th.tensor([[1.0], [-2.0], [3.0], [-4.0]], requires_grad=True) * 1,
    }[kind]
    buffer.update_priorities(th.arange(4) if kind == "torch" else np.arange(4), errors)
    np.testing.assert_allclose(np.bincount(buffer.sample(1000).indices), [100, 200, 300, 400], atol=1)


def test_changing_alpha_derives_every_priority_anew():
    buffer = filled(4, alpha=(0.0, 1.0), eps=1e-9)
    buffer.update_priorities(np.arange(4), np.array([1.0, 4.0, 9.0, 16.0]))
    for progress, expected in ((1.0, [1, 1, 1, 1]), (0.5, [1, 2, 3, 4]), (0.0, [1, 4, 9, 16])):
        buffer.update_schedules(progress)
        buffer.check_valid()
        assert buffer.alpha == 1.0 - progress
        counts = np.bincount(buffer.sample(3000).indices)
        np.testing.assert_allclose(counts, 3000 * np.array(expected) / sum(expected), atol=1)


def test_alpha_moves_in_coarse_steps_and_reaches_its_end():
    buffer = filled(4, alpha=(0.5, 0.6), beta=(0.4, 1.0))
    seen = []
    for progress in np.linspace(1.0, 0.0, 1001):
        buffer.update_schedules(progress)
        seen.append(buffer.alpha)
    assert 5 <= len(set(seen)) <= 12
    assert (seen[0], seen[-1], buffer.beta) == (0.5, 0.6, 1.0)


def test_new_alpha_at_a_million_transitions():
    sampler = PrioritySampler(1_000_000, 0.5, 1e-6, np.random.default_rng(0))
    errors = np.random.default_rng(0).random(1_000_000, dtype=np.float32)
    sampler.enter(np.arange(1_000_000))
    sampler.admit(np.arange(1_000_000))
    sampler.update(np.arange(1_000_000), errors)
    sampler.set_alpha(0.6)
    np.testing.assert_allclose(sampler._tree.leaves, (errors + 1e-6) ** 0.6, rtol=1e-5)
    assert sampler._tree.total == pytest.approx(sampler._tree.leaves.sum())
    sampler.check_valid()


@pytest.mark.parametrize(
    ("value", "at_start", "half_way", "at_end"),
    [
        (0.3, 0.3, 0.3, 0.3),
        (1, 1.0, 1.0, 1.0),
        ((0.4, 1.0), 0.4, 0.7, 1.0),
        ([1, 0], 1.0, 0.5, 0.0),
        ((0.4, 1.0, 0.75), 0.4, 0.8, 1.0),
        ([1.0, 0.1, 0.5], 1.0, 0.1, 0.1),
        (lambda p: p**2, 1, 0.25, 0),
    ],
)
def test_schedules(value, at_start, half_way, at_end):
    schedule = ProgressSchedule("alpha", value)
    assert (schedule(1.0), schedule(0.0)) == (at_start, at_end)
    assert schedule(0.5) == pytest.approx(half_way)
    assert (schedule(1.2), schedule(-0.3)) == (at_start, at_end)  # SB3's remaining progress can leave [0, 1]


@pytest.mark.parametrize(
    ("value", "expected"),  # expected at progress 0, 0.2, ..., 1
    [
        (3, [3, 3, 3, 3, 3, 3]),
        ((3, 1), [3, 3, 2, 2, 1, 1]),
        ([3, 1, 0.4], [3, 2, 1, 1, 1, 1]),
        ((1, 6), [1, 2, 3, 4, 5, 6]),
        (lambda remaining: 0.7 + remaining, [2, 2, 1, 1, 1, 1]),
    ],
)
def test_schedules_of_whole_numbers(value, expected):
    schedule = ProgressSchedule("n_steps", value, whole=True)
    assert [schedule(1.0 - progress) for progress in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)] == expected


def entered_with(buffer: PrioritizedReplayBuffer) -> float:
    """Add a transition and return its initial |TD error|."""
    buffer.add(*next(iter(FrameStackStream(5, frame_shape=(2,)))))
    return float(buffer._sampler.errors[buffer.pos - 1])


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_new_transitions_enter_with_the_recent_error_by_hand(scale, monkeypatch):
    """
    The 0.9 quantile of 0, 0.1, ..., 1.0 is 0.9. One outlier in eleven does not change it. With a memory of 20 errors, another
    update of 11 errors, ten times as large, counts 11/20: 0.9 + 11/20 (9 - 0.9) = 5.355.
    """
    monkeypatch.setattr(priority_sampler, "RECENT_ERRORS", 20)
    buffer = filled(11, alpha=1.0)
    assert entered_with(buffer) == 1.0
    errors = scale * np.arange(11) / 10
    buffer.update_priorities(np.arange(1, 12), errors[::-1])
    assert entered_with(buffer) == pytest.approx(0.9 * scale)
    buffer.update_priorities(np.arange(2, 13), np.where(errors == scale, 1000.0 * scale, errors))
    assert entered_with(buffer) == pytest.approx(0.9 * scale)
    buffer.update_priorities(np.arange(3, 14), 10 * errors)
    assert entered_with(buffer) == pytest.approx(5.355 * scale)
    assert buffer.diagnostics()["per/recent_error"] == pytest.approx(5.355 * scale)


def test_the_recent_error_forgets():
    """Falling errors lower the recent error. The largest error ever seen would stay at 100."""
    buffer = filled(100)
    for size in [100.0] * 50 + [0.01] * 500:
        buffer.update_priorities(np.arange(100), np.full(100, size))
    assert 0.01 < entered_with(buffer) < 100 * np.exp(-4.9) + 0.01


def test_initial_priorities_of_the_actor():
    """They apply to the newest step, to the environments given, and only until the transition is sampled."""
    stream = FrameStackStream(0, n_envs=3, frame_shape=(2,))
    buffer = PrioritizedReplayBuffer(6, stream.space, spaces.Discrete(4), device="cpu", n_envs=3, alpha=1.0, eps=1e-9)
    for step in islice(stream, 2):
        buffer.add(*step)
    buffer.set_initial_priorities(np.array([2, 0]), np.array([4.0, 3.0]))
    np.testing.assert_array_equal(buffer._sampler.errors, [1, 1, 1, 3, 1, 4])
    np.testing.assert_allclose(np.bincount(buffer.sample(1100).indices), [100, 100, 100, 300, 100, 400], atol=1)
    buffer.set_initial_priorities(np.array([0]), np.array([9.0]))
    assert buffer._sampler.errors[3] == 3.0
    buffer.add(*next(iter(stream)))
    buffer.set_initial_priorities(np.array([1]), np.array([9.0]))
    np.testing.assert_array_equal(buffer._sampler.errors, [1, 9, 1, 3, 1, 4])
    buffer.check_valid()


def test_initial_priorities_wait_for_the_return_and_survive_saving():
    stream = FrameStackStream(0, end=0.0, frame_shape=(2,))
    buffer = PrioritizedReplayBuffer(9, stream.space, spaces.Discrete(4), device="cpu", n_steps=3, gamma=0.9)
    steps = list(islice(stream, 4))
    buffer.add(*steps[0])
    buffer.set_initial_priorities(np.array([0]), np.array([0.25]))
    assert buffer.n_eligible() == 0
    buffer = pickle.loads(pickle.dumps(buffer))
    for step in steps[1:]:
        buffer.add(*step)
    assert buffer.n_eligible() == 2
    np.testing.assert_array_equal(buffer._sampler.errors[:4], [0.25, 1.0, 1.0, 1.0])
    buffer.check_valid()


def test_share_of_first_visits():
    buffer = filled(10, alpha=0.0)
    assert "per/first_visits" not in buffer.diagnostics()
    seen, first = set(), 0
    for batch_size in (3, 4, 5):
        indices = set(buffer.sample(batch_size).indices.tolist())
        first += len(indices - seen)
        seen |= indices
    assert buffer.diagnostics()["per/first_visits"] == first / 12
    assert "per/first_visits" not in buffer.diagnostics()  # reset by the last call
    while len(seen) < 10:
        seen |= set(buffer.sample(20).indices.tolist())
    buffer.diagnostics()
    buffer.sample(20)
    assert buffer.diagnostics()["per/first_visits"] == 0.0
    entered_with(buffer)
    buffer.sample(20)
    assert buffer.diagnostics()["per/first_visits"] == 1 / 20


def test_seed_of_sb3_decides_what_is_drawn():
    def draw(seed: int) -> list:
        np.random.seed(seed)  # what SB3's set_random_seed does
        return filled(50).sample(20).indices.tolist()

    assert draw(1) == draw(1) != draw(2)


def test_diagnostics():
    buffer = filled(100, alpha=0.5, beta=0.5)
    assert filled(0 + 1).diagnostics().keys() >= {"per/alpha", "per/beta"}
    errors = np.arange(100) / 10
    buffer.update_priorities(np.arange(100), errors)
    batch = buffer.sample(10)
    facts = buffer.diagnostics()
    assert facts["per/alpha"] == facts["per/beta"] == 0.5
    assert facts["per/n_steps"] == 1.0
    for name, level in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("max", 1.0)):
        assert facts[f"per/priority_{name}"] == pytest.approx(np.quantile(errors, level), abs=1e-4)
    assert facts["per/sampled_share"] == pytest.approx(len(set(batch.indices.tolist())) / 100)
    shares = np.sqrt(errors + 1e-6)
    expected = (100 * shares / shares.sum()) ** -0.5
    assert facts["per/largest_weight"] == pytest.approx(expected[batch.indices].max(), rel=1e-4)
    assert buffer.diagnostics()["per/largest_weight"] == 0.0  # reset by the last call
    assert all(isinstance(value, float) for value in facts.values())
