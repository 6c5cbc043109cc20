"""The sum tree against plain NumPy."""

import numpy as np
import pytest

from sb3_breakout.replay import SumTree, sum_tree

CAPACITIES = [1, 2, 3, 16, 17, 257, 1000, 4096, 4097, 65_537, 70_000]


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_random_writes_against_numpy(capacity):
    """Leaves, sums and searches agree for any capacity, powers of two or not, full nodes or not."""
    rng = np.random.default_rng(capacity)
    tree, naive = SumTree(capacity), np.zeros(capacity)
    for size in (1, 1, 7, 128, 128, 1000):
        indices = rng.integers(0, capacity, size)
        priorities = rng.random(size) * (rng.random(size) < 0.7)
        tree.set(indices, priorities)
        for index, priority in zip(indices, priorities, strict=True):  # the last of a repeated index counts
            naive[index] = priority
        np.testing.assert_array_equal(tree.leaves, naive)
        np.testing.assert_array_equal(tree.get(indices), naive[indices])
        assert tree.total == pytest.approx(naive.sum(), rel=1e-12)
        tree.check_valid()
    if naive.any():
        values = np.concatenate((rng.random(500) * tree.total, [0.0, tree.total]))
        found, running = tree.find(values), naive.cumsum()
        assert (naive[found] > 0.0).all()
        tolerance = 1e-9 * tree.total
        assert (running[found] >= values - tolerance).all()
        assert ((running - naive)[found] <= values + tolerance).all()


@pytest.mark.parametrize("capacity", [1, 5, 100, 5000])
@pytest.mark.parametrize("place", ["first", "last", "middle"])
def test_nothing_or_everything_never_hits_an_empty_leaf(capacity, place):
    """At 0, at the total and at the floats next to them, the only leaf that is not empty is found."""
    only = {"first": 0, "last": capacity - 1, "middle": capacity // 2}[place]
    tree = SumTree(capacity)
    tree.set(np.array([only]), np.array([0.3]))
    values = np.array([0.0, -0.0, 5e-324, 0.1, np.nextafter(0.3, 0.0), 0.3, np.nextafter(0.3, 1.0)])
    np.testing.assert_array_equal(tree.find(values), only)


@pytest.mark.parametrize("top_size", [1, 4096])  # the most levels possible, and two
def test_rounding_never_hits_an_empty_leaf(top_size, monkeypatch):
    """
    Very unequal priorities, with values at and next to the end of every node.

    A node's sum and the running sum of its children are added up in different orders, so their last bits may differ. A value
    between the two must find the last child that is not empty, not the first child.
    """
    monkeypatch.setattr(sum_tree, "TOP_SIZE", top_size)
    rng = np.random.default_rng(0)
    priorities = 10.0 ** rng.uniform(-6, 6, 70_000) * (rng.random(70_000) < 0.3)
    priorities[::16] = 0.0  # the first child of every node
    tree = SumTree(70_000)
    tree.rebuild(priorities)
    running = priorities.cumsum()
    for edges in (tree._top_sums()[1:], running[15::16], running):
        for values in (edges, np.nextafter(edges, 0.0), np.nextafter(edges, np.inf)):
            found = tree.find(values)
            assert (priorities[found] > 0.0).all()
            tolerance = 1e-9 * tree.total
            assert (running[found] >= np.minimum(values, running[-1]) - tolerance).all()
            assert ((running - priorities)[found] <= values + tolerance).all()


def test_sums_do_not_drift():
    """Sums updated by differences would keep the rounding errors of 1e15 for ever; recomputed sums do not."""
    tree = SumTree(5000)
    rng = np.random.default_rng(0)
    for _ in range(200):
        indices = rng.integers(0, 5000, 64)
        tree.set(indices, rng.random(64) * 1e15)
        tree.set(indices, np.full(64, 1e-3))
    written = np.flatnonzero(tree.leaves)
    assert tree.total == pytest.approx(len(written) * 1e-3, rel=1e-12)


def test_float32_would_lose_small_priorities():
    tree = SumTree(20_000)
    tree.rebuild(np.full(20_000, 1e-3))
    tree.set(np.array([0]), np.array([1e5]))
    assert tree.total == pytest.approx(1e5 + 19_999e-3, rel=1e-12)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, -1e-9])
def test_a_wrong_priority_is_refused_before_anything_is_written(wrong):
    tree = SumTree(5000)
    tree.rebuild(np.linspace(0.0, 1.0, 5000))
    before = tree.leaves.copy()
    with pytest.raises(ValueError, match="finite and not negative"):
        tree.set(np.array([1, 2, 3]), np.array([0.5, wrong, 0.5]))
    with pytest.raises(ValueError, match="finite and not negative"):
        tree.rebuild(np.array([0.5, wrong]))
    np.testing.assert_array_equal(tree.leaves, before)
    tree.check_valid()
    tree.set(np.array([1]), np.array([-0.0]))  # -0.0 is accepted as 0


@pytest.mark.parametrize("indices", [[-1], [10], [0, 10]])
def test_indices_out_of_range(indices):
    tree = SumTree(10)
    with pytest.raises(ValueError, match=r"\[0, 10\)"):
        tree.set(np.array(indices), np.ones(len(indices)))
    assert tree.total == 0.0


def test_bad_capacity_and_empty_tree():
    with pytest.raises(ValueError, match="capacity of at least 1, not 0"):
        SumTree(0)
    with pytest.raises(ValueError, match="all 0"):
        SumTree(3).sample(1, np.random.default_rng(0))


def test_one_draw_from_each_stratum():
    """With as many equal priorities as draws, each is drawn exactly once."""
    tree = SumTree(700)
    tree.rebuild(np.ones(700))
    np.testing.assert_array_equal(tree.sample(700, np.random.default_rng(0)), np.arange(700))


def test_frequencies_are_proportional():
    """P(i) = p_i / sum p. Counts of stratified draws are closer to it than those of independent draws."""
    rng = np.random.default_rng(0)
    priorities = rng.random(5000) * (rng.random(5000) < 0.5)
    tree = SumTree(5000)
    tree.rebuild(priorities)
    draws = np.concatenate([tree.sample(128, rng) for _ in range(2000)])
    counts = np.bincount(draws, minlength=5000)
    expected = priorities / priorities.sum() * len(draws)
    some = expected > 0.0
    assert not counts[~some].any()
    chi2 = ((counts[some] - expected[some]) ** 2 / expected[some]).sum() / some.sum()
    assert 0.8 < chi2 < 1.2  # 1 +- 0.03 for independent draws


def test_rebuild_equals_writing_one_by_one():
    rng = np.random.default_rng(0)
    priorities = rng.random(4500)
    tree, other = SumTree(5000), SumTree(5000)
    tree.set(np.arange(5000), np.ones(5000))
    tree.rebuild(priorities)
    for start in range(0, 4500, 100):
        other.set(np.arange(start, start + 100), priorities[start : start + 100])
    assert tree.total == other.total
    np.testing.assert_array_equal(tree.leaves, other.leaves)
