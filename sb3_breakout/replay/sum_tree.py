"""A sum tree whose operations all work on batches."""

import numpy as np

FAN_OUT = 16  # children of a node: one block of 16 float64 is two cache lines
TOP_SIZE = 4096  # a level this short is searched as a whole and needs no parent
JUST_BELOW_ONE = 1.0 - 2.0**-52


class SumTree:
    """
    Proportional sampling over ``capacity`` priorities: ``P(i) = p_i / sum_k p_k``.

    Paper: Prioritized Experience Replay, https://arxiv.org/abs/1511.05952 (section 3.3 and appendix B.2.1)

    ``_levels[0]`` holds the priorities in blocks of ``FAN_OUT``; an entry of ``_levels[i + 1]`` is the sum of one block of
    ``_levels[i]``, always recomputed and never adjusted by a difference, so rounding errors cannot accumulate. The last level
    is short and flat. Python loops run over levels only::

        top           [ s0 | s1 | ... ]
        _levels[1]    [ b0 b1 ... b15 ] [ b16 ... ] ...       s0 = b0 + ... + b15
        _levels[0]    [ p0 p1 ... p15 ] [ p16 ... ] ...       b0 = p0 + ... + p15

    :param capacity: number of priorities, any integer from 1
    :raises ValueError: if ``capacity`` is less than 1
    """

    def __init__(self, capacity: int):
        if capacity < 1:
            raise ValueError(f"SumTree needs a capacity of at least 1, not {capacity}.")
        self.capacity = int(capacity)
        self._levels: list[np.ndarray] = []
        size = self.capacity
        while size > TOP_SIZE:
            size = -(-size // FAN_OUT)
            self._levels.append(np.zeros((size, FAN_OUT)))
        self._top = np.zeros(size)
        self._running_top: np.ndarray | None = None  # running sums of the top, computed on demand

    @property
    def leaves(self) -> np.ndarray:
        """:return: (capacity,) float64, a view of the priorities: read it, write through ``set`` or ``rebuild``"""
        return (self._levels[0].reshape(-1) if self._levels else self._top)[: self.capacity]

    @property
    def total(self) -> float:
        """:return: the sum of all priorities"""
        return float(self._top_sums()[-1])

    def get(self, indices: np.ndarray) -> np.ndarray:
        """
        :param indices: (n,) integers in ``[0, capacity)``
        :return: (n,) float64 priorities
        """
        return self.leaves.take(indices)

    def set(self, indices: np.ndarray, priorities: np.ndarray) -> None:
        """
        Write priorities; if an index occurs more than once, its last value stays.

        :param indices: (n,) integers in ``[0, capacity)``
        :param priorities: (n,) finite, not negative
        :raises ValueError: if an index or a priority is out of range; nothing is written then
        """
        indices = np.ascontiguousarray(indices, dtype=np.int64)
        priorities = np.ascontiguousarray(priorities, dtype=np.float64)
        if indices.size == 0:
            return
        if indices.min() < 0 or indices.max() >= self.capacity:
            raise ValueError(f"Indices must lie in [0, {self.capacity}), received {indices.min()} to {indices.max()}.")
        self._check_priorities(priorities)
        self.leaves[indices] = priorities
        self._sum_up(indices)

    def rebuild(self, priorities: np.ndarray) -> None:
        """
        Replace all priorities; those beyond the given ones become 0.

        :param priorities: (n,) with n at most ``capacity``, finite, not negative
        :raises ValueError: if a priority is out of range; nothing is written then
        """
        priorities = np.ascontiguousarray(priorities, dtype=np.float64)
        self._check_priorities(priorities)
        self.leaves[: len(priorities)] = priorities
        self.leaves[len(priorities) :] = 0.0
        parents = [*(level.reshape(-1) for level in self._levels[1:]), self._top]
        for level, parent in zip(self._levels, parents, strict=False):
            parent[: len(level)] = level.sum(axis=1)
        self._running_top = None

    def find(self, prefix_sums: np.ndarray) -> np.ndarray:
        """
        Find for each value the leaf whose share of ``[0, total)`` it lies in; never a leaf with priority 0.

        :param prefix_sums: (n,) float64 in ``[0, total]``
        :return: (n,) int64 leaf indices
        :raises ValueError: if all priorities are 0
        """
        running = self._top_sums()
        if not running[-1] > 0.0:
            raise ValueError("Nothing to find in a sum tree whose priorities are all 0.")
        # The result is the first leaf whose running sum exceeds the value. A leaf of 0 never is: it does not raise the sum.
        # Rounding may put a value at or above the sum of its block, so it is clipped to just below at every level.
        rest = np.minimum(prefix_sums, running[-1] * JUST_BELOW_ONE)  # (n,)
        node = running[1:].searchsorted(rest, side="right")  # (n,)
        rest -= running.take(node)
        row_starts = np.arange(len(rest)) * (FAN_OUT + 1)
        for level in reversed(self._levels):
            sums = running_sums(level.take(node, axis=0))  # (n, FAN_OUT + 1)
            np.minimum(rest, sums[:, -1] * JUST_BELOW_ONE, out=rest)
            child = (sums[:, 1:] > rest[:, None]).argmax(axis=1)
            rest -= sums.take(row_starts + child)
            node = node * FAN_OUT + child
        return node

    def sample(self, batch_size: int, rng: np.random.Generator) -> np.ndarray:
        """
        Stratified proportional sampling: one uniform draw from each of ``batch_size`` equal shares of the total.

        :param batch_size: number of draws
        :param rng: source of randomness
        :return: (batch_size,) int64 leaf indices
        """
        strata = np.arange(batch_size) + rng.random(batch_size)
        return self.find(strata * (self.total / batch_size))

    def check_valid(self) -> None:
        """Assert that every entry is exactly the sum of its children."""
        self._check_priorities(self.leaves)
        copy = SumTree(self.capacity)
        copy.rebuild(self.leaves)
        for mine, anew in zip([*self._levels, self._top], [*copy._levels, copy._top], strict=True):
            assert np.array_equal(mine, anew), "a sum differs from its children"
        assert self._running_top is None or np.array_equal(self._running_top[1:], self._top.cumsum())

    def _sum_up(self, indices: np.ndarray) -> None:
        for depth, level in enumerate(self._levels):
            indices = indices // FAN_OUT
            parent = self._levels[depth + 1].reshape(-1) if depth + 1 < len(self._levels) else self._top
            parent[indices] = level.take(indices, axis=0).sum(axis=1)
        self._running_top = None

    def _top_sums(self) -> np.ndarray:
        if self._running_top is None:
            self._running_top = running_sums(self._top)
        return self._running_top

    @staticmethod
    def _check_priorities(priorities: np.ndarray) -> None:
        valid = (priorities >= 0.0) & (priorities < np.inf)  # NaN is neither
        if not valid.all():
            raise ValueError(f"Priorities must be finite and not negative, received {priorities[~valid][:5]}.")


def running_sums(values: np.ndarray) -> np.ndarray:
    """
    :param values: (..., n) float64
    :return: (..., n + 1) float64, the sums of the first 0 to n values
    """
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    return sums
