"""
Priorities alone: 128 indices with their importance weights out of one million priorities, then 128 new |TD errors| in.

Each peer runs the smallest public interface that does all of it; none of them holds observations.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch as th

from benchmarks.replay.peers import ALPHA, BETA, import_torchrl


class PrioritySampler(ABC):
    """Raw priorities ``abs_td``, (size,) float32, all of them set beforehand."""

    name: ClassVar[str]
    interface: ClassVar[str]

    @abstractmethod
    def __init__(self, abs_td: np.ndarray): ...

    @abstractmethod
    def sample_and_update(self, abs_td: np.ndarray) -> None:
        """Draw ``len(abs_td)`` indices and their weights, then give those indices the priorities ``abs_td``."""


class OursSampler(PrioritySampler):
    name = "sb3_breakout"
    interface = "`SumTree.sample`, `get` and `set`, with the powers and weights around them"

    def __init__(self, abs_td: np.ndarray):
        from sb3_breakout import SumTree

        self.tree = SumTree(len(abs_td))
        self.tree.rebuild(abs_td.astype(np.float64) ** ALPHA)
        self.rng = np.random.default_rng(0)

    def sample_and_update(self, abs_td: np.ndarray) -> None:
        indices = self.tree.sample(len(abs_td), self.rng)
        weights = (self.tree.get(indices) * (self.tree.capacity / self.tree.total)) ** -BETA
        weights /= weights.max()
        self.tree.set(indices, abs_td.astype(np.float64) ** ALPHA)


class CpprbSampler(PrioritySampler):
    name = "cpprb"
    interface = "`PrioritizedReplayBuffer` of one byte per transition"

    def __init__(self, abs_td: np.ndarray):
        import cpprb

        self.buffer = cpprb.PrioritizedReplayBuffer(len(abs_td), {"done": {"dtype": np.uint8}}, alpha=ALPHA)
        self.buffer.add(done=np.zeros(len(abs_td), dtype=np.uint8), priorities=abs_td)

    def sample_and_update(self, abs_td: np.ndarray) -> None:
        batch = self.buffer.sample(len(abs_td), BETA)
        self.buffer.update_priorities(batch["indexes"], abs_td)


class TianshouSampler(PrioritySampler):
    name = "Tianshou"
    interface = "`sample_indices`, `get_weight`, `update_weight` of its `PrioritizedReplayBuffer`"

    def __init__(self, abs_td: np.ndarray):
        from tianshou.data import Batch, PrioritizedReplayBuffer

        self.buffer = PrioritizedReplayBuffer(len(abs_td), alpha=ALPHA, beta=BETA)
        self.buffer.add(Batch(obs=0, act=0, rew=0.0, terminated=False, truncated=False, obs_next=0))  # an empty one refuses
        self.buffer.update_weight(np.arange(len(abs_td)), abs_td)

    def sample_and_update(self, abs_td: np.ndarray) -> None:
        indices = self.buffer.sample_indices(len(abs_td))
        weight = self.buffer.get_weight(indices)
        weight / np.max(weight)  # its own __getitem__ does this, with observations
        self.buffer.update_weight(indices, abs_td)


class TorchRLSampler(PrioritySampler):
    name = "TorchRL"
    interface = "`PrioritizedSampler` over a storage of one byte per transition"

    def __init__(self, abs_td: np.ndarray):
        data = import_torchrl()
        size = len(abs_td)
        self.sampler = data.replay_buffers.PrioritizedSampler(size, alpha=ALPHA, beta=BETA)
        self.storage = data.LazyTensorStorage(size)
        self.storage.set(range(size), th.zeros(size, dtype=th.uint8))
        self.sampler.update_priority(th.arange(size), th.from_numpy(abs_td))

    def sample_and_update(self, abs_td: np.ndarray) -> None:
        indices, _ = self.sampler.sample(self.storage, len(abs_td))
        self.sampler.update_priority(indices, th.from_numpy(abs_td))


PRIORITY_SAMPLERS: tuple[type[PrioritySampler], ...] = (OursSampler, CpprbSampler, TianshouSampler, TorchRLSampler)
