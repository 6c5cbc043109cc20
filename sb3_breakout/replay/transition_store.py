"""Stores single steps and assembles n-step transitions from them."""

from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_obs_shape
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout.common.rewards import mixed_rewards
from sb3_breakout.replay.formulas import n_step_returns
from sb3_breakout.replay.frame_store import FrameStore, frame_shape
from sb3_breakout.replay.streamed_pickle import StreamedArray

FLOAT32_MAX = float(np.finfo(np.float32).max)
NO_STEPS = np.zeros((0, 0))
FINALS_SHARE = 1 / 50  # terminal frames expected per transition, for the memory check: lives of 50 steps
BYTES_BESIDE = 30  # per transition: reward, ends, |TD error|, priority and its share of the sums, bookkeeping of a frame
BYTES_PER_LEARNER = 19  # per transition: intrinsic reward, and another |TD error|, priority, its share of the sums, two flags
ARRAYS = ("actions", "rewards", "dones", "timeouts", "intrinsic_rewards")


class PrioritizedReplayBufferSamples(NamedTuple):
    """A batch from ``sample``: SB3's fields first, in SB3's order."""

    observations: th.Tensor | dict[str, th.Tensor]
    actions: th.Tensor
    next_observations: th.Tensor | dict[str, th.Tensor]
    dones: th.Tensor
    rewards: th.Tensor
    discounts: th.Tensor | None  # (batch, 1) float32, gamma^k of the bootstrapped value; None if the buffer has no gamma
    weights: th.Tensor  # (batch, 1) float32 importance weights
    indices: np.ndarray  # (batch,) int64, for update_priorities


class TransitionStore:
    """
    The last ``capacity`` steps of several environments, with every frame stored once.

    The index of a transition is ``step * n_envs + env``, counting all steps ever stored; it is never reused. The place of a
    transition in the arrays is ``index % n_places``, so a later transition overwrites it.

    :param capacity: number of steps to hold per environment
    :param n_envs: number of environments
    :param observation_space: observation space, also ``Dict``
    :param action_dim: number of components of an action
    :param action_dtype: data type of actions
    :param n_stack: number of frames in an observation, on its first axis, newest last; 1 stores observations of any kind as
        they are
    :param gamma: discount factor; None is for returns over one step alone
    :raises ValueError: if ``n_stack`` does not fit the observations
    """

    device: th.device  # of the samples
    actions: np.ndarray  # (capacity, n_envs, action_dim)
    rewards: np.ndarray  # (capacity, n_envs) float32
    dones: np.ndarray  # (capacity, n_envs) bool
    timeouts: np.ndarray  # (capacity, n_envs) bool: the episode was cut here, but its return still bootstraps
    intrinsic_rewards: np.ndarray  # (capacity, n_envs) float32, empty without further learners

    def __init__(
        self,
        capacity: int,
        n_envs: int,
        observation_space: spaces.Space,
        action_dim: int,
        action_dtype: Any,
        n_stack: int,
        gamma: float | None,
    ):
        self.capacity = capacity
        self.n_envs = n_envs
        self.n_places = capacity * n_envs
        self.observation_space = observation_space
        self.action_dim = action_dim
        self.action_dtype = np.dtype(action_dtype)
        self.n_stack = n_stack
        self.gamma = gamma
        for name, space in self._spaces().items():
            if n_stack != 1 and not isinstance(space, spaces.Box):
                raise ValueError(f"n_stack={n_stack} needs Box observations, but {name} is {space}: use n_stack=1.")
            frame_shape(_array_shape(space), n_stack, name)
        self.step = 0  # number of the next step
        self.forget()

    def forget(self) -> None:
        """Forget all steps and release the memory."""
        self.step = -(-self.step // self.capacity) * self.capacity  # so that old indices stay out of date
        self.first_step = self.step
        self.frames: dict[str, FrameStore] = {}
        for name in ARRAYS:
            setattr(self, name, NO_STEPS)

    def _spaces(self) -> dict[str, spaces.Space]:
        if isinstance(self.observation_space, spaces.Dict):
            return dict(self.observation_space.spaces)
        return {"observation": self.observation_space}

    # ---------------------------------------------------------------- memory

    @property
    def allocated(self) -> bool:
        """Whether memory has been allocated."""
        return bool(self.frames)

    def bytes_per_transition(self, n_learners: int) -> float:
        """
        :param n_learners: number of further learners
        :return: memory in bytes per transition, once the store is full
        """
        frames = sum(
            int(np.prod(frame_shape(_array_shape(space), self.n_stack))) * np.dtype(space.dtype).itemsize
            for space in self._spaces().values()
        )
        action = self.action_dim * self.action_dtype.itemsize
        return frames * (1.0 + FINALS_SHARE) + action + BYTES_BESIDE + BYTES_PER_LEARNER * n_learners

    def allocate(self, with_intrinsic_rewards: bool) -> None:
        """
        Allocate memory.

        :param with_intrinsic_rewards: whether each step has an intrinsic reward
        """
        shape = (self.capacity, self.n_envs)
        self.actions = np.zeros((*shape, self.action_dim), self.action_dtype)
        self.rewards = np.zeros(shape, np.float32)
        self.dones = np.zeros(shape, bool)
        self.timeouts = np.zeros(shape, bool)
        if with_intrinsic_rewards:
            self.intrinsic_rewards = np.zeros(shape, np.float32)
        self.frames = {name: self._frame_store(name) for name in self._spaces()}

    def _frame_store(self, name: str, state: dict[str, Any] | None = None) -> FrameStore:
        space = self._spaces()[name]
        return FrameStore(self.capacity, self.n_envs, _array_shape(space), space.dtype, self.n_stack, name, state)

    # ---------------------------------------------------------------- indices and places

    def size(self) -> int:
        """:return: how many steps of each environment are stored"""
        return min(self.step - self.first_step, self.capacity)

    @property
    def row(self) -> int:
        """Row of the arrays where the next step will be stored."""
        return self.step % self.capacity

    @property
    def oldest(self) -> int:
        """Index of the oldest transition stored."""
        return max(self.first_step, self.step - self.capacity) * self.n_envs

    @property
    def newest(self) -> int:
        """Index of the transition of environment 0 in the newest step."""
        return (self.step - 1) * self.n_envs

    @property
    def end(self) -> int:
        """The first index that has not been given out yet."""
        return self.step * self.n_envs

    def places_of(self, indices: np.ndarray) -> np.ndarray:
        """
        :param indices: int64 indices of transitions
        :return: int64 places, in the same shape
        """
        return indices % self.n_places

    def indices_at(self, places: np.ndarray) -> np.ndarray:
        """
        :param places: (n,) int64 places of transitions
        :return: (n,) int64 their indices
        """
        row = self.row
        lap = self.end - row * self.n_envs  # index of place 0 in this lap; places from the next row on are one lap behind
        return places + np.where(places < row * self.n_envs, lap, lap - self.n_places)

    # ---------------------------------------------------------------- adding

    def add(
        self,
        obs: np.ndarray | dict[str, np.ndarray],
        next_obs: np.ndarray | dict[str, np.ndarray],
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        timeout: np.ndarray,
        intrinsic_reward: np.ndarray | None,
    ) -> np.ndarray:
        """
        Store one step of every environment.

        :param obs: ``(n_envs, *obs_shape)``
        :param next_obs: ``(n_envs, *obs_shape)``, the terminal observation where the episode ended
        :param action: (n_envs, action_dim)
        :param reward: (n_envs,) finite
        :param done: (n_envs,) bool, whether the episode ended, for whatever reason
        :param timeout: (n_envs,) bool, whether a time limit ended it
        :param intrinsic_reward: (n_envs,) finite; None if they are not stored
        :return: (n,) int64, environments whose episode was cut: it had not ended with the previous step, but the new
            observation is not the one that step announced. The previous step then bootstraps from its announced observation
        :raises ValueError: if observations could not be reproduced; nothing is stored then
        """
        cut = self._cut(self._add_observations(obs, next_obs, done))
        row = self.row
        self.actions[row] = action
        self.rewards[row] = reward
        self.dones[row] = done
        self.timeouts[row] = timeout
        if intrinsic_reward is not None:
            self.intrinsic_rewards[row] = intrinsic_reward
        self.step += 1
        return cut

    def _add_observations(
        self, obs: np.ndarray | dict[str, np.ndarray], next_obs: np.ndarray | dict[str, np.ndarray], ended: np.ndarray
    ) -> np.ndarray:
        """:return: (n,) int64, environments whose observations are not the next observations of the previous step"""
        steps = [
            (store, store.as_stored(_of(obs, name)), store.as_stored(_of(next_obs, name)))
            for name, store in self.frames.items()
        ]
        starts = [store.window.starts(now) for store, now, _ in steps]
        where = starts[0] if len(starts) == 1 else np.unique(np.concatenate(starts))
        for store, now, after in steps:
            store.window.check(now, after, where, ended, self.step)
        for store, now, after in steps:
            store.add(now, after, where)
        return where

    def _cut(self, starts: np.ndarray) -> np.ndarray:
        if self.step == self.first_step or not len(starts):
            return starts[:0]
        before = (self.step - 1) % self.capacity
        cut = starts[~self.dones[before, starts]]
        self.timeouts[before, cut] = True
        return cut

    # ---------------------------------------------------------------- sampling

    def samples(
        self,
        indices: np.ndarray,
        n_steps: int,
        env: VecNormalize | None = None,
        weights: np.ndarray | None = None,
        reward_mix: float | None = None,
    ) -> PrioritizedReplayBufferSamples:
        """
        :param indices: (batch,) int64 indices of transitions whose return over ``n_steps`` is known
        :param n_steps: steps of the return
        :param env: normalizes observations and extrinsic rewards
        :param weights: (batch,) importance weights; None for 1
        :param reward_mix: share of the intrinsic reward, in [0, 1]; None for extrinsic rewards as they are
        :return: the transitions
        """
        places = self.places_of(indices)
        rewards, spans, last = self._returns(places, n_steps, env, reward_mix)
        # A time limit does not end the task: only true ends stop the bootstrap
        dones = self.dones.reshape(-1).take(last) & ~self.timeouts.reshape(-1).take(last)
        discounts = None if self.gamma is None else self._to_tensor(self.gamma ** spans[:, None].astype(np.float32))
        observations, next_observations = self._observations(indices, spans, n_steps, env)
        if weights is None:
            weights = np.ones(len(places))
        return PrioritizedReplayBufferSamples(
            observations=observations,
            actions=self._to_tensor(self.actions.reshape(-1, self.action_dim).take(places, axis=0)),
            next_observations=next_observations,
            dones=self._to_tensor(dones[:, None].astype(np.float32)),
            rewards=self._to_tensor(rewards[:, None]),
            discounts=discounts,
            weights=self._to_tensor(weights[:, None].astype(np.float32)),
            indices=indices,
        )

    def _to_tensor(self, array: np.ndarray) -> th.Tensor:
        """Convert without a copy on the CPU."""
        tensor = th.from_numpy(array)
        return tensor if self.device.type == "cpu" else tensor.to(self.device)

    def _returns(
        self, places: np.ndarray, n_steps: int, env: VecNormalize | None, reward_mix: float | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        :return: (batch,) float32 n-step returns, (batch,) int64 number of steps that each spans, (batch,) int64 place of its
            last step
        """
        if n_steps == 1:
            return self._rewards_at(places, env, reward_mix), np.ones_like(places), places
        ahead = (places[:, None] + np.arange(n_steps) * self.n_envs) % self.n_places  # (batch, n_steps)
        ends = self.dones.reshape(-1).take(ahead) | self.timeouts.reshape(-1).take(ahead)
        rewards = self._rewards_at(ahead, env, reward_mix)
        assert self.gamma is not None
        returns, spans = n_step_returns(rewards, ends, self.gamma)
        return returns, spans, ahead[np.arange(len(places)), spans - 1]

    def _rewards_at(self, places: np.ndarray, env: VecNormalize | None, reward_mix: float | None) -> np.ndarray:
        """:return: float32 rewards of single steps, in the shape of ``places``"""
        rewards = self.rewards.reshape(-1).take(places)
        if env is not None:
            rewards = env.normalize_reward(rewards).astype(np.float32)
        if reward_mix is None:
            return rewards
        return mixed_rewards(rewards, self.intrinsic_rewards.reshape(-1).take(places), reward_mix)

    def _observations(self, indices: np.ndarray, spans: np.ndarray, n_steps: int, env: VecNormalize | None) -> tuple[Any, Any]:
        """:return: observations and next observations, tensors or dicts of tensors"""
        steps, envs = np.divmod(indices, self.n_envs) if self.n_envs > 1 else (indices, np.zeros_like(indices))
        steps = steps - self.first_step
        now, after = {}, {}
        for name, store in self.frames.items():
            block, ahead = store.gather(steps, envs, spans, n_steps)
            size = store.obs_shape[0]
            whole: Any = self._to_tensor(block) if env is None else block
            parts = whole[:, :size], whole[:, ahead : ahead + size]
            if isinstance(whole, th.Tensor) and whole.dtype != th.uint8:  # a user's own extractor may call view()
                parts = parts[0].contiguous(), parts[1].contiguous()
            now[name], after[name] = parts
        return self._as_observations(now, env), self._as_observations(after, env)

    def _as_observations(self, parts: dict[str, Any], env: VecNormalize | None) -> Any:
        obs = parts if isinstance(self.observation_space, spaces.Dict) else parts["observation"]
        if env is None:
            return obs
        normalized = env.normalize_obs(obs)
        if isinstance(normalized, dict):
            return {name: th.tensor(array, device=self.device) for name, array in normalized.items()}
        return th.tensor(normalized, device=self.device)

    # ---------------------------------------------------------------- saving

    def get_state(self) -> dict[str, Any]:
        """:return: the state, for ``pickle``"""
        return {
            "step": self.step,
            "first_step": self.first_step,
            "arrays": {name: StreamedArray(getattr(self, name), self.size()) for name in ARRAYS},
            "frames": {name: store.get_state() for name, store in self.frames.items()},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """
        :param state: what ``get_state`` returned, unpickled
        """
        self.step, self.first_step = state["step"], state["first_step"]
        for name in ARRAYS:
            setattr(self, name, state["arrays"][name])
        self.frames = {name: self._frame_store(name, frames) for name, frames in state["frames"].items()}

    def check_valid(self) -> None:
        """Assert the invariants that hold between two calls."""
        for store in self.frames.values():
            store.check_valid()
            assert store.step == self.step - self.first_step


def _array_shape(space: spaces.Space) -> tuple[int, ...]:
    """:return: shape of one observation as it is stored, with at least one axis"""
    shape = get_obs_shape(space)
    if isinstance(shape, dict):
        raise ValueError(f"A Dict within a Dict of observations cannot be stored: {space}. Flatten it first.")
    return shape or (1,)


def _of(obs: np.ndarray | dict[str, np.ndarray], name: str) -> np.ndarray:
    return obs[name] if isinstance(obs, dict) else obs
