"""
One adapter per replay buffer: how each is built, fed, sampled and updated.

Every peer holds the same number of the same transitions, delivers (batch, 8, 84, 84) uint8 torch tensors on the CPU,
and is configured as its own documentation advises for stacked frames (``config`` says how).
A peer that is not installed raises ImportError in its constructor and is left out of the table.
"""

import os
import sys
from abc import ABC, abstractmethod
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer as UniformReplayBuffer

from benchmarks.replay.streams import N_STACK, SIDE, Step

ALPHA, BETA = 0.5, 0.4
ROW = N_STACK * SIDE * SIDE
OBSERVATION_SPACE = spaces.Box(0, 255, shape=(N_STACK, SIDE, SIDE), dtype=np.uint8)
ACTION_SPACE = spaces.Discrete(4)


class Peer(ABC):
    """A buffer fed with one step of ``n_envs`` environments at a time."""

    name: ClassVar[str]
    package: ClassVar[str]
    config: ClassVar[str]
    n_envs: ClassVar[int] = 1

    @abstractmethod
    def __init__(self, size: int): ...

    @abstractmethod
    def add(self, step: Step) -> None:
        """Store one transition of every environment."""

    @abstractmethod
    def sample(self, batch_size: int) -> tuple[th.Tensor, ...]:
        """Deliver observations, next observations, actions, rewards, dones (and weights) as torch tensors."""

    def update(self, td_errors: np.ndarray) -> None:  # noqa: B027 (a uniform buffer has no priorities)
        """Update the priorities of the last batch. ``td_errors`` is (batch,) float32."""

    @classmethod
    def version(cls) -> str:
        try:
            return version(cls.package)
        except PackageNotFoundError:
            return "not installed"


class StableBaselines3(Peer):
    name, package = "SB3 uniform", "stable-baselines3"
    config = "`ReplayBuffer`, default settings (no priorities)"

    def __init__(self, size: int):
        self.buffer = UniformReplayBuffer(size, OBSERVATION_SPACE, ACTION_SPACE, device="cpu", n_envs=self.n_envs)

    def add(self, step: Step) -> None:
        self.buffer.add(step.obs, step.next_obs, step.action, step.reward, step.done, step.infos)

    def sample(self, batch_size: int) -> tuple[th.Tensor, ...]:
        batch = self.buffer.sample(batch_size)
        return batch.observations, batch.next_observations, batch.actions, batch.rewards, batch.dones


class StableBaselines3NStep(StableBaselines3):
    name = "SB3 uniform, 3-step"
    config = "`NStepReplayBuffer(n_steps=3)`"

    def __init__(self, size: int):
        self.buffer = NStepReplayBuffer(size, OBSERVATION_SPACE, ACTION_SPACE, device="cpu", n_steps=3)


class StableBaselines3Envs(StableBaselines3):
    name = "SB3 uniform, 8 envs"
    config = "`ReplayBuffer(n_envs=8)`"
    n_envs = 8


class Ours(Peer):
    name, package = "sb3_breakout", "sb3-breakout"
    config = "`PrioritizedReplayBuffer(n_stack=8)`"
    n_steps: ClassVar[int] = 1

    def __init__(self, size: int):
        from sb3_breakout import PrioritizedReplayBuffer

        self.buffer = PrioritizedReplayBuffer(
            size,
            OBSERVATION_SPACE,
            ACTION_SPACE,
            device="cpu",
            n_envs=self.n_envs,
            n_stack=N_STACK,
            n_steps=self.n_steps,
            gamma=0.99,
            alpha=ALPHA,
            beta=BETA,
        )

    def add(self, step: Step) -> None:
        self.buffer.add(step.obs, step.next_obs, step.action, step.reward, step.done, step.infos)

    def sample(self, batch_size: int) -> tuple[th.Tensor, ...]:
        batch: Any = self.buffer.sample(batch_size)
        self.indices = batch.indices
        return batch.observations, batch.next_observations, batch.actions, batch.rewards, batch.dones, batch.weights

    def update(self, td_errors: np.ndarray) -> None:
        self.buffer.update_priorities(self.indices, td_errors)


class OursNStep(Ours):
    name = "sb3_breakout, 3-step"
    config = "`PrioritizedReplayBuffer(n_stack=8, n_steps=3)`"
    n_steps = 3


class OursEnvs(Ours):
    name = "sb3_breakout, 8 envs"
    config = "`PrioritizedReplayBuffer(n_stack=8, n_envs=8)`"
    n_envs = 8


class Cpprb(Peer):
    name, package = "cpprb", "cpprb"
    config = "`PrioritizedReplayBuffer`, full stacks"
    compression: ClassVar[dict[str, str]] = {}
    stack_last: ClassVar[bool] = False

    def __init__(self, size: int):
        import cpprb

        shape = (SIDE, SIDE, N_STACK) if self.stack_last else (N_STACK, SIDE, SIDE)
        fields: dict[str, dict[str, Any]] = {
            "obs": {"shape": shape, "dtype": np.uint8},
            "act": {"dtype": np.int64},
            "rew": {},
            "done": {},
        }
        if not self.compression:
            fields["next_obs"] = fields["obs"]
        self.buffer = cpprb.PrioritizedReplayBuffer(size, fields, alpha=ALPHA, **self.compression)

    def _stored(self, stacks: np.ndarray) -> np.ndarray:
        return stacks.transpose(0, 2, 3, 1) if self.stack_last else stacks

    def _delivered(self, stacks: np.ndarray) -> th.Tensor:
        tensor = th.from_numpy(stacks)
        return tensor.permute(0, 3, 1, 2) if self.stack_last else tensor

    def add(self, step: Step) -> None:
        self.buffer.add(
            obs=self._stored(step.obs),
            next_obs=self._stored(step.next_obs),
            act=step.action,
            rew=step.reward,
            done=step.done,
        )
        if self.compression and step.done[0]:
            self.buffer.on_episode_end()

    def sample(self, batch_size: int) -> tuple[th.Tensor, ...]:
        batch = self.buffer.sample(batch_size, BETA)
        self.indices = batch["indexes"]
        scalars = (th.from_numpy(batch[key]) for key in ("act", "rew", "done", "weights"))
        return (self._delivered(batch["obs"]), self._delivered(batch["next_obs"]), *scalars)

    def update(self, td_errors: np.ndarray) -> None:
        self.buffer.update_priorities(self.indices, td_errors)


class CpprbNextOf(Cpprb):
    name = "cpprb, next_of"
    config = '`PrioritizedReplayBuffer(next_of="obs")`'
    compression: ClassVar[dict[str, str]] = {"next_of": "obs"}


class CpprbCompressed(Cpprb):
    name = "cpprb, compressed"
    config = (
        '`PrioritizedReplayBuffer(next_of="obs", stack_compress="obs")`, stack axis last as it requires, delivered as a view'
    )
    compression: ClassVar[dict[str, str]] = {"next_of": "obs", "stack_compress": "obs"}
    stack_last = True


class Tianshou(Peer):
    name, package = "Tianshou", "tianshou"
    config = "`PrioritizedReplayBuffer(stack_num=8, ignore_obs_next=True, save_only_last_obs=True)`, as its Atari examples"

    def __init__(self, size: int):
        from tianshou.data import Batch, PrioritizedReplayBuffer

        self.batch_type = Batch
        self.buffer = PrioritizedReplayBuffer(
            size, alpha=ALPHA, beta=BETA, stack_num=N_STACK, ignore_obs_next=True, save_only_last_obs=True
        )

    def add(self, step: Step) -> None:
        timeout = step.infos[0].get("TimeLimit.truncated", False)
        self.buffer.add(
            self.batch_type(
                obs=step.obs[0],
                act=step.action[0],
                rew=step.reward[0],
                terminated=step.done[0] and not timeout,
                truncated=timeout,
                obs_next=step.next_obs[0],
            )
        )

    def sample(self, batch_size: int) -> tuple[th.Tensor, ...]:
        batch, self.indices = self.buffer.sample(batch_size)
        fields = (batch.obs, batch.obs_next, batch.act, batch.rew, batch.terminated, batch.weight)
        return tuple(th.from_numpy(field) for field in fields)

    def update(self, td_errors: np.ndarray) -> None:
        self.buffer.update_weight(self.indices, td_errors)


def import_torchrl() -> ModuleType:
    """
    TorchRL's replay buffers.

    Its wheels are compiled against one version of torch each and fail to load beside another because of functions
    the segment trees never call; bound lazily, they load. A wheel that matches loads either way.
    """
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_LAZY)
    try:
        import torchrl._torchrl
    finally:
        sys.setdlopenflags(flags)
    import torchrl.data

    return torchrl.data


class TorchRL(Peer):
    name, package = "TorchRL", "torchrl"
    config = (
        "`ReplayBuffer(LazyTensorStorage, PrioritizedSampler)`, a stack as one row (torch gathers rows faster than images)"
    )

    def __init__(self, size: int):
        data = import_torchrl()
        from tensordict import TensorDict

        self.tensordict_type = TensorDict
        sampler = data.replay_buffers.PrioritizedSampler(size, alpha=ALPHA, beta=BETA)
        self.buffer = data.ReplayBuffer(storage=data.LazyTensorStorage(size), sampler=sampler)

    def add(self, step: Step) -> None:
        self.buffer.add(
            self.tensordict_type(
                {
                    "obs": th.from_numpy(step.obs).reshape(ROW),
                    "next_obs": th.from_numpy(step.next_obs).reshape(ROW),
                    "act": th.from_numpy(step.action)[0],
                    "rew": th.from_numpy(step.reward)[0],
                    "done": th.from_numpy(step.done)[0],
                },
                batch_size=[],
            )
        )

    def sample(self, batch_size: int) -> tuple[th.Tensor, ...]:
        batch, info = self.buffer.sample(batch_size, return_info=True)
        self.indices = info["index"]
        stacks = (batch[key].view(-1, N_STACK, SIDE, SIDE) for key in ("obs", "next_obs"))
        return (*stacks, batch["act"], batch["rew"], batch["done"], info["priority_weight"])

    def update(self, td_errors: np.ndarray) -> None:
        self.buffer.update_priority(self.indices, th.from_numpy(td_errors))


PEERS: tuple[type[Peer], ...] = (
    StableBaselines3,
    Ours,
    Cpprb,
    CpprbNextOf,
    CpprbCompressed,
    Tianshou,
    TorchRL,
    StableBaselines3NStep,
    OursNStep,
    StableBaselines3Envs,
    OursEnvs,
)
