"""Prioritized experience replay for SB3's off-policy algorithms."""

import os
import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.preprocessing import get_obs_shape
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout.common.rewards import INTRINSIC_REWARD, mixed_rewards
from sb3_breakout.files import written_aside
from sb3_breakout.replay import memory
from sb3_breakout.replay.formulas import n_step_returns
from sb3_breakout.replay.frame_store import FrameStore, frame_shape
from sb3_breakout.replay.priority_sampler import PrioritySampler
from sb3_breakout.replay.schedule import ProgressSchedule
from sb3_breakout.replay.streamed_pickle import StreamedArray, with_suffix
from sb3_breakout.replay.view import ReplayView

ALPHA_STEP = 0.01  # all priorities are derived anew when alpha has moved this far
FINALS_SHARE = 1 / 50  # terminal frames expected per transition, for the memory check: lives of 50 steps
FLOAT32_MAX = float(np.finfo(np.float32).max)
BYTES_BESIDE = 30  # per transition: reward, ends, |TD error|, priority and its share of the sums, bookkeeping of a frame
BYTES_PER_LEARNER = 19  # per transition: intrinsic reward, and another |TD error|, priority, its share of the sums, two flags


class PrioritizedReplayBufferSamples(NamedTuple):
    """What ``sample`` gives: SB3's fields first, in SB3's order."""

    observations: th.Tensor | dict[str, th.Tensor]
    actions: th.Tensor
    next_observations: th.Tensor | dict[str, th.Tensor]
    dones: th.Tensor
    rewards: th.Tensor
    discounts: th.Tensor  # (batch, 1) float32, gamma^k of the value that is bootstrapped from
    weights: th.Tensor  # (batch, 1) float32 importance weights
    indices: np.ndarray  # (batch,) int64, for update_priorities


class PrioritizedReplayBuffer(ReplayBuffer):
    """
    Proportional prioritized replay with n-step returns that stores every frame once.

    Paper: Prioritized Experience Replay, https://arxiv.org/abs/1511.05952

    Drop-in for ``ReplayBuffer`` (and ``DictReplayBuffer``, ``NStepReplayBuffer``): where nobody calls ``update_priorities``
    it samples uniformly. A new transition enters with the 0.9 quantile of the |TD errors| measured recently, or with what the
    actor says (:meth:`set_initial_priorities`). Further learners (:meth:`learner`) share what is stored.

    Every transition has an index that is never used again, so an update that comes too late, for a transition overwritten
    since, is recognized and ignored. A transition can be sampled as soon as its n-step return is known: n - 1 steps after
    it was added, or when its episode ends.

    A batch stays as it is for as long as it is held, but its observations and next observations may share memory: do not write
    to them. Memory for the transitions is taken on the first ``add``.

    :param buffer_size: max number of transitions, over all environments
    :param observation_space: observation space, also ``Dict``
    :param action_space: action space
    :param device: PyTorch device of the samples
    :param n_envs: number of parallel environments
    :param optimize_memory_usage: not supported, since every frame is stored once already
    :param handle_timeout_termination: bootstrap from the last observation of episodes that were cut by a time limit
    :param n_stack: number of frames in an observation (of ``VecFrameStack``), on its first axis, newest last; 1 stores any
        observation as it is
    :param n_steps: steps of the return, at least 1: a number, a pair (start, end), a triple (start, end, fraction of training
        by which the end is reached) or an SB3 ``Schedule``; SB3 does not pass its own ``n_steps`` on to a buffer class
    :param gamma: discount factor, the same as the algorithm's
    :param alpha: how much prioritization, in [0, 1]: a number or a schedule, likewise
    :param beta: how much importance sampling correction, likewise
    :param eps: added to every |TD error|, so that also transitions without any are replayed now and then
    :raises ValueError: if an argument is out of its range
    """

    actions: np.ndarray  # (rows, n_envs, action_dim)
    rewards: np.ndarray  # (rows, n_envs) float32
    dones: np.ndarray  # (rows, n_envs) bool
    timeouts: np.ndarray  # (rows, n_envs) bool: the episode was cut here and the value of what followed still counts
    intrinsic_rewards: np.ndarray  # (rows, n_envs) float32, where there are further learners

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: th.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        n_stack: int = 1,
        n_steps: int | Sequence[float] | Schedule = 1,
        gamma: float = 0.99,
        alpha: float | Sequence[float] | Schedule = 0.5,
        beta: float | Sequence[float] | Schedule = (0.4, 1.0),
        eps: float = 1e-6,
    ):
        _check_arguments(buffer_size, gamma, eps, optimize_memory_usage)
        # Not ReplayBuffer's own constructor: it would set up memory for whole observations
        super(ReplayBuffer, self).__init__(buffer_size, observation_space, action_space, device, n_envs=n_envs)
        self.buffer_size = max(buffer_size // n_envs, 1)
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self.n_stack = n_stack
        self.gamma = gamma
        self.eps = eps
        self.n_steps_schedule = ProgressSchedule("n_steps", n_steps, whole=True)
        self.alpha_schedule = ProgressSchedule("alpha", alpha)
        self.beta_schedule = ProgressSchedule("beta", beta)
        self._check_horizon(self.n_steps_schedule(0.0))
        self._check_horizon(self.n_steps_schedule(1.0))
        self.n_steps = int(self.n_steps_schedule(1.0))
        self.alpha = self.alpha_schedule(1.0)
        self.beta = self.beta_schedule(1.0)
        for name, space in self._spaces().items():
            if n_stack != 1 and not isinstance(space, spaces.Box):
                raise ValueError(f"n_stack={n_stack} needs Box observations, but {name} is {space}: use n_stack=1.")
            frame_shape(_array_shape(space), n_stack, name)
        self._step = 0  # number of the step to come
        self._learners: dict[str, ReplayView] = {}
        self._forget()

    def _forget(self) -> None:
        """Nothing is stored and no memory taken."""
        self.pos = 0
        self.full = False
        self._step = -(-self._step // self.buffer_size) * self.buffer_size  # indices given out before stay out of date
        self._first_step = self._step
        self._running = np.zeros(self.n_envs, np.int64)  # steps of the episode that has not ended yet, or been cut
        self._stores: dict[str, FrameStore] = {}
        self._sampler: PrioritySampler | None = None
        for learner in self._learners.values():
            learner.sampler = None

    def reset(self) -> None:
        """Empty the buffer and give its memory back."""
        self._forget()

    def learner(self, reward_mix: float, name: str = "explorer") -> ReplayView:
        """
        A view for another learner of the same transitions, whose rewards are ``(1 - reward_mix) * extrinsic + reward_mix *
        intrinsic``. From now on ``add`` wants an ``"intrinsic_reward"`` in each info.

        :param reward_mix: alpha, in [0, 1]
        :param name: tells learners apart; for a name known already (also from before the buffer was saved) it is the same
            view, with the new ``reward_mix``
        :return: the view, with its own priorities and random numbers
        :raises ValueError: if ``reward_mix`` is not in [0, 1], or there are transitions that the learner has no priorities for
        """
        if name not in self._learners:
            if self._stores:
                raise ValueError(
                    f"{self.size() * self.n_envs} transitions were stored without learner {name!r}, so without what it needs "
                    "(intrinsic rewards, priorities): ask for it before the first add(), or empty the buffer with reset()."
                )
            self._learners[name] = ReplayView(self, reward_mix)
        self._learners[name].reward_mix = reward_mix
        return self._learners[name]

    def _samplers(self) -> list[PrioritySampler]:
        """:return: of all learners, the buffer's own first; empty before the first ``add``"""
        samplers = (self._sampler, *(learner.sampler for learner in self._learners.values()))
        return [sampler for sampler in samplers if sampler is not None]

    # ---------------------------------------------------------------- memory

    def _spaces(self) -> dict[str, spaces.Space]:
        if isinstance(self.observation_space, spaces.Dict):
            return dict(self.observation_space.spaces)
        return {"observation": self.observation_space}

    def check_memory(self) -> None:
        """
        Check that the buffer, once full, fits into the memory there is. Done on the first ``add`` too; called before training
        it tells early. Nothing is checked once memory was taken, or where the system does not tell how much there is.

        :raises ValueError: naming the size that fits
        """
        available = memory.available_bytes()
        if self._stores or available is None:
            return
        frames = sum(
            int(np.prod(frame_shape(_array_shape(space), self.n_stack))) * np.dtype(space.dtype).itemsize
            for space in self._spaces().values()
        )
        action = self.action_dim * np.dtype(self._maybe_cast_dtype(self.action_space.dtype)).itemsize
        each = frames * (1.0 + FINALS_SHARE) + action + BYTES_BESIDE + BYTES_PER_LEARNER * len(self._learners)
        total = self.buffer_size * self.n_envs
        if each * total > available:
            raise memory.NotEnoughMemoryError(
                f"A replay buffer of {total} transitions needs {each * total / 1e9:.2f} GB of memory, "
                f"{available / 1e9:.2f} GB are available: the largest buffer_size that fits is {int(available / each)}."
            )

    def _allocate(self) -> None:
        self.check_memory()
        shape = (self.buffer_size, self.n_envs)
        self.actions = np.zeros((*shape, self.action_dim), dtype=self._maybe_cast_dtype(self.action_space.dtype))
        self.rewards = np.zeros(shape, np.float32)
        self.dones = np.zeros(shape, bool)
        self.timeouts = np.zeros(shape, bool)
        # SB3 seeds numpy's global generator; drawing our own from it makes `seed` work
        rng = np.random.default_rng(np.random.randint(0, 2**32, size=4, dtype=np.uint32))
        self._sampler = PrioritySampler(self.buffer_size * self.n_envs, self.alpha, self.eps, rng)
        if self._learners:
            self.intrinsic_rewards = np.zeros(shape, np.float32)
        # Spawned, the generators of further learners leave the buffer's own as it is without them
        for learner, own_rng in zip(self._learners.values(), rng.spawn(len(self._learners)), strict=True):
            learner.sampler = PrioritySampler(self.buffer_size * self.n_envs, self.alpha, self.eps, own_rng)
        self._stores = {
            name: FrameStore(self.buffer_size, self.n_envs, _array_shape(space), space.dtype, self.n_stack, name)
            for name, space in self._spaces().items()
        }

    # ---------------------------------------------------------------- adding

    def add(
        self,
        obs: np.ndarray | dict[str, np.ndarray],
        next_obs: np.ndarray | dict[str, np.ndarray],
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """
        Store one step of every environment.

        An observation that is not the next observation of the step before begins a new segment, also where the
        step before was not done (the environment was reset by hand): that step then keeps its next observation and
        bootstraps from it, as at a time limit.

        :param obs: (n_envs, *obs_shape)
        :param next_obs: (n_envs, *obs_shape), the terminal observation where the episode ended
        :param action: (n_envs, action_dim) or (n_envs,)
        :param reward: (n_envs,)
        :param done: (n_envs,) whether the episode ended, for whatever reason
        :param infos: one per environment; ``TimeLimit.truncated`` tells that a time limit ended it, ``intrinsic_reward`` is
            needed where there are further learners
        :raises ValueError: if a stack is not a sliding window of what was added before, or an observation is NaN, or a reward
            not finite, or an intrinsic reward is missing; nothing is stored then
        """
        reward = self._finite(reward, "reward")
        intrinsic_reward = self._finite(_intrinsic_rewards(infos), "intrinsic reward") if self._learners else None
        action = np.asarray(action).reshape(self.n_envs, self.action_dim)
        done = np.asarray(done, bool).reshape(self.n_envs)
        timeout = np.zeros(self.n_envs, bool)
        if self.handle_timeout_termination:
            timeout[:] = [info.get("TimeLimit.truncated", False) for info in infos]
        if not self._stores:
            self._allocate()
        starts = self._add_observations(obs, next_obs)
        self._cut(starts)
        row = self.pos
        self.actions[row] = action
        self.rewards[row] = reward
        self.dones[row] = done
        self.timeouts[row] = timeout
        if intrinsic_reward is not None:
            self.intrinsic_rewards[row] = intrinsic_reward
        self._step += 1
        self.pos += 1
        if self.pos == self.buffer_size:
            self.full = True
            self.pos = 0
        self._admit(row, done | timeout)

    def _finite(self, rewards: Any, name: str) -> np.ndarray:
        """:return: (n_envs,) the rewards of a step, which must be finite in float32"""
        rewards = np.asarray(rewards).reshape(self.n_envs)
        if not np.abs(rewards).max() <= FLOAT32_MAX:  # NaN is not either
            env = int((np.abs(rewards) <= FLOAT32_MAX).argmin())
            raise ValueError(f"The {name} of environment {env} at step {self._step} is {rewards[env]}: nothing was stored.")
        return rewards

    def _add_observations(
        self, obs: np.ndarray | dict[str, np.ndarray], next_obs: np.ndarray | dict[str, np.ndarray]
    ) -> np.ndarray:
        """:return: (n,) int64, environments whose observations are not the next observations of the step before"""
        steps = [
            (store, store.as_stored(_of(obs, name)), store.as_stored(_of(next_obs, name)))
            for name, store in self._stores.items()
        ]
        starts = [store.window.starts(now) for store, now, _ in steps]
        where = starts[0] if len(starts) == 1 else np.unique(np.concatenate(starts))
        for store, now, after in steps:
            store.window.check(now, after, where, self._step)
        for store, now, after in steps:
            store.add(now, after, where)
        return where

    def _cut(self, starts: np.ndarray) -> None:
        """Where something else follows than was announced, the step before ends its segment and bootstraps."""
        if self._step == self._first_step or not len(starts):
            return
        before = (self._step - 1) % self.buffer_size
        cut = starts[~self.dones[before, starts]]
        self.timeouts[before, cut] = True
        self._release(cut)

    def _admit(self, row: int, ends: np.ndarray) -> None:
        """
        Take over the step just stored; a transition waits until its n-step return is known.

        :param row: where it was stored
        :param ends: (n_envs,) bool, where it ended an episode
        """
        for sampler in self._samplers():
            sampler.enter(np.arange(row * self.n_envs, (row + 1) * self.n_envs))
        self._running += 1
        known = np.flatnonzero(self._running >= self.n_steps)  # environments where one more return is known now
        if len(known):
            self._make_eligible((self._step - self.n_steps) % self.buffer_size * self.n_envs + known)
        if ends.any():
            self._release(np.flatnonzero(ends))

    def _waiting(self, n_steps: int) -> np.ndarray:
        """:return: (n_envs,) int64, how many of the newest transitions have no return over ``n_steps`` yet"""
        return np.minimum(self._running, n_steps - 1)

    def _release(self, envs: np.ndarray) -> None:
        """
        All transitions of some environments that wait can be sampled from now on: their segment has ended.

        :param envs: (n,) int64
        """
        waiting = self._waiting(self.n_steps)
        for env in envs:
            self._make_eligible(self._newest(env, 0, waiting[env]))
        self._running[envs] = 0

    def _newest(self, env: int | np.integer, first: int, last: int) -> np.ndarray:
        """:return: (last - first,) int64, places of an environment's newest transitions but for the ``first`` newest ones"""
        return np.arange(self._step - last, self._step - first) % self.buffer_size * self.n_envs + env

    def _make_eligible(self, places: np.ndarray) -> None:
        """
        Transitions can be sampled from now on, by every learner.

        :param places: (n,) int64, no place twice
        """
        for sampler in self._samplers():
            sampler.admit(places)

    def _set_n_steps(self, n_steps: int) -> None:
        """
        Returns are put together when they are sampled, so another horizon only changes which of them are known: a shorter one
        admits transitions that waited for the rest of theirs, a longer one withdraws those that now wait for more.

        :param n_steps: steps of the return, at least 1
        :raises ValueError: if the buffer cannot hold as many
        """
        self._check_horizon(n_steps)
        before, after = self._waiting(self.n_steps), self._waiting(n_steps)
        for env in np.flatnonzero(before > after):
            self._make_eligible(self._newest(env, after[env], before[env]))
        for env in np.flatnonzero(before < after):
            for sampler in self._samplers():
                sampler.withdraw(self._newest(env, before[env], after[env]))
        self.n_steps = n_steps

    def _check_horizon(self, n_steps: float) -> None:
        if n_steps > self.buffer_size:
            raise ValueError(
                f"buffer_size={self.buffer_size * self.n_envs} leaves {self.buffer_size} step(s) to each of {self.n_envs} "
                f"environment(s), too few for returns over n_steps={n_steps:g}: it must be at least "
                f"{n_steps * self.n_envs:g}."
            )

    # ---------------------------------------------------------------- sampling

    def n_eligible(self) -> int:
        """:return: how many transitions, over all environments, can be sampled"""
        return self._sampler.n_eligible if self._sampler is not None else 0

    def sample(  # type: ignore[override]
        self, batch_size: int, env: VecNormalize | None = None
    ) -> PrioritizedReplayBufferSamples:
        """
        Draw transitions with probability proportional to their priority.

        :param batch_size: number of transitions; one can occur more than once
        :param env: normalizes observations and rewards
        :return: the batch
        :raises ValueError: if there is nothing to sample
        """
        return self.sample_for(self._sampler, batch_size, env)

    def sample_for(
        self,
        sampler: PrioritySampler | None,
        batch_size: int,
        env: VecNormalize | None = None,
        reward_mix: float | None = None,
    ) -> PrioritizedReplayBufferSamples:
        """
        What ``sample`` does, for one of the learners.

        :param sampler: the priorities to draw by
        :param batch_size: number of transitions
        :param env: normalizes observations and extrinsic rewards
        :param reward_mix: share of the intrinsic reward, in [0, 1]; None for extrinsic rewards as they are
        :return: the batch
        :raises ValueError: if there is nothing to sample
        """
        if sampler is None or sampler.n_eligible == 0:
            raise ValueError(
                f"Nothing can be sampled yet: {self.size()} step(s) are stored and a return takes {self.n_steps}, "
                "unless an episode ends before."
            )
        places, weights = sampler.sample(batch_size, self.beta)
        # Back to the running number of each step; rows from `pos` on are one lap behind
        lap_start = self._step - self.pos
        laps = np.where(places < self.pos * self.n_envs, lap_start, lap_start - self.buffer_size)
        return self._get_samples(places + laps * self.n_envs, env, weights, reward_mix)

    def _get_samples(  # type: ignore[override]
        self,
        batch_inds: np.ndarray,
        env: VecNormalize | None = None,
        weights: np.ndarray | None = None,
        reward_mix: float | None = None,
    ) -> PrioritizedReplayBufferSamples:
        """
        :param batch_inds: (batch,) int64 indices of transitions that can be sampled
        :param env: normalizes observations and rewards
        :param weights: (batch,) importance weights; 1 where not given
        :param reward_mix: share of the intrinsic reward; None for extrinsic rewards as they are
        :return: the batch
        """
        places = batch_inds % (self.buffer_size * self.n_envs)
        rewards, spans, last = self._returns(places, env, reward_mix)
        # A time limit is no end of the task: only true ends stop the bootstrap
        dones = self.dones.reshape(-1).take(last) & ~self.timeouts.reshape(-1).take(last)
        discounts = self.gamma ** spans.astype(np.float32)
        observations, next_observations = self._observations(batch_inds, spans, env)
        if weights is None:
            weights = np.ones(len(places))
        return PrioritizedReplayBufferSamples(
            observations=observations,
            actions=self._to_tensor(self.actions.reshape(-1, self.action_dim).take(places, axis=0)),
            next_observations=next_observations,
            dones=self._to_tensor(dones[:, None].astype(np.float32)),
            rewards=self._to_tensor(rewards[:, None]),
            discounts=self._to_tensor(discounts[:, None]),
            weights=self._to_tensor(weights[:, None].astype(np.float32)),
            indices=batch_inds,
        )

    def _to_tensor(self, array: np.ndarray) -> th.Tensor:
        """Without a copy on the CPU."""
        tensor = th.from_numpy(array)
        return tensor if self.device.type == "cpu" else tensor.to(self.device)

    def _returns(
        self, places: np.ndarray, env: VecNormalize | None, reward_mix: float | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        :param places: (batch,) int64 places in the flat arrays
        :param env: normalizes each reward before they are summed
        :param reward_mix: share of the intrinsic reward in each reward before they are summed; None for none
        :return: (batch,) float32 n-step returns, (batch,) int64 steps that each spans, (batch,) int64 place of its last step
        """
        if self.n_steps == 1:
            return self._rewards_at(places, env, reward_mix), np.ones_like(places), places
        horizon = np.arange(self.n_steps) * self.n_envs
        ahead = (places[:, None] + horizon) % (self.buffer_size * self.n_envs)  # (batch, n_steps)
        ends = self.dones.reshape(-1).take(ahead) | self.timeouts.reshape(-1).take(ahead)
        rewards = self._rewards_at(ahead, env, reward_mix)
        returns, spans = n_step_returns(rewards, ends, self.gamma)
        return returns, spans, ahead[np.arange(len(places)), spans - 1]

    def _rewards_at(self, places: np.ndarray, env: VecNormalize | None, reward_mix: float | None) -> np.ndarray:
        """:return: float32 rewards of single steps, in the shape of ``places``"""
        rewards = self._normalize_reward(self.rewards.reshape(-1).take(places), env)
        if reward_mix is None:
            return rewards
        return mixed_rewards(rewards, self.intrinsic_rewards.reshape(-1).take(places), reward_mix)

    def _observations(self, indices: np.ndarray, spans: np.ndarray, env: VecNormalize | None) -> tuple[Any, Any]:
        """
        :param indices: (batch,) int64
        :param spans: (batch,) int64 how many steps ahead the next observations lie
        :param env: normalizes observations
        :return: observations and next observations, tensors or dicts of tensors
        """
        steps, envs = np.divmod(indices, self.n_envs) if self.n_envs > 1 else (indices, np.zeros_like(indices))
        steps = steps - self._first_step
        pairs: dict[str, tuple[Any, Any]] = {}
        for name, store in self._stores.items():
            block, ahead = store.gather(steps, envs, spans, self.n_steps)
            size = store.obs_shape[0]
            whole = self._to_tensor(block) if env is None else block
            pairs[name] = whole[:, :size], whole[:, ahead : ahead + size]
        if not isinstance(self.observation_space, spaces.Dict):
            now, after = pairs["observation"]
        else:
            now, after = ({name: pair[i] for name, pair in pairs.items()} for i in (0, 1))
        return (now, after) if env is None else (self._normalized(now, env), self._normalized(after, env))

    def _normalized(self, obs: Any, env: VecNormalize) -> Any:
        normalized = self._normalize_obs(obs, env)
        if isinstance(normalized, dict):
            return {name: self.to_torch(array) for name, array in normalized.items()}
        return self.to_torch(normalized)

    # ---------------------------------------------------------------- priorities

    def set_initial_priorities(self, envs: np.ndarray, td_errors: np.ndarray) -> None:
        """
        What the actor knows of the newest step: |TD errors| in place of the recent ones that its transitions entered with
        (Ape-X, https://arxiv.org/abs/1803.00933). A transition that was sampled meanwhile keeps its priority. Further
        learners see other rewards; nothing changes for them.

        :param envs: (n,) int64 environments that it knows the error of, none twice
        :param td_errors: (n,) their |TD errors|
        :raises ValueError: if an error is negative or not finite, an environment does not exist or the lengths differ; nothing
            is changed then
        """
        if len(envs) != len(td_errors):
            raise ValueError(f"{len(envs)} environments and {len(td_errors)} TD errors: there must be one error for each.")
        known = (td_errors >= 0.0) & (td_errors <= FLOAT32_MAX)  # NaN is neither
        if not known.all():
            wrong = int(known.argmin())
            raise ValueError(
                f"The initial |TD error| of environment {envs[wrong]} is {td_errors[wrong]}, it must be finite and not "
                "negative: no priority was changed."
            )
        if len(envs) and not 0 <= envs.min() <= envs.max() < self.n_envs:
            raise ValueError(f"Environments must be in [0, {self.n_envs}), got {envs.min()} to {envs.max()}.")
        if self._sampler is not None:
            places = (self._step - 1) % self.buffer_size * self.n_envs + envs
            self._sampler.suggest(places, td_errors.astype(np.float32))

    def update_priorities(self, indices: np.ndarray | th.Tensor, td_errors: np.ndarray | th.Tensor) -> None:
        """
        Replace the priorities of sampled transitions; those overwritten since are left out.

        Of an index that occurs more than once the last error counts.

        :param indices: (batch,) as ``sample`` gave them
        :param td_errors: (batch,) or (batch, 1) TD errors, of which the magnitude counts
        :raises ValueError: if an error is not finite, an index was never given out or the lengths differ;
            nothing is changed then
        """
        self.update_priorities_of(self._sampler, indices, td_errors)

    def update_priorities_of(
        self, sampler: PrioritySampler | None, indices: np.ndarray | th.Tensor, td_errors: np.ndarray | th.Tensor
    ) -> None:
        """
        What ``update_priorities`` does, for one of the learners.

        :param sampler: the priorities to change
        :param indices: (batch,) as ``sample`` gave them
        :param td_errors: (batch,) or (batch, 1)
        :raises ValueError: see ``update_priorities``
        """
        indices = _flat(indices).astype(np.int64, copy=False)
        errors = np.abs(_flat(td_errors))
        if len(indices) != len(errors):
            raise ValueError(f"{len(indices)} indices and {len(errors)} TD errors: there must be one error per index.")
        if not len(indices):
            return
        if not errors.max() <= FLOAT32_MAX:  # NaN is not either
            wrong = int((errors <= FLOAT32_MAX).argmin())
            raise ValueError(
                f"TD error {errors[wrong]} (position {wrong} of the batch) is not finite: no priority was changed. "
                "The loss has probably diverged, or a reward or observation was wrong."
            )
        end = self._step * self.n_envs
        if indices.min() < 0 or indices.max() >= end:
            raise ValueError(
                f"Indices must be those of sampled transitions, in [0, {end}), got {indices.min()} to {indices.max()}."
            )
        oldest = max(self._first_step, self._step - self.buffer_size) * self.n_envs
        if indices.min() < oldest:
            alive = indices >= oldest
            indices, errors = indices[alive], errors[alive]
        if sampler is not None:
            sampler.update(indices % (self.buffer_size * self.n_envs), errors.astype(np.float32, copy=False))

    def update_schedules(self, progress_remaining: float) -> None:
        """
        Set ``n_steps``, ``alpha`` and ``beta`` to what their schedules say.

        A new ``n_steps`` holds for every return sampled from now on. Transitions whose longer return is not known yet wait for
        it, with the priority they have; those that waited only for the rest of a longer one can be sampled at once.
        A new alpha changes every priority, so it is taken over in steps of at least ``ALPHA_STEP``, and at the end.

        :param progress_remaining: 1 at the start of training, 0 at its end (SB3's ``_current_progress_remaining``)
        :raises ValueError: if a schedule leaves its range
        """
        self._set_n_steps(int(self.n_steps_schedule(progress_remaining)))
        alpha = self.alpha_schedule(progress_remaining)
        self.beta = self.beta_schedule(progress_remaining)
        moved = abs(alpha - self.alpha)
        if moved >= ALPHA_STEP or (moved > 0.0 and progress_remaining <= 0.0):
            self.alpha = alpha
            for sampler in self._samplers():
                sampler.set_alpha(alpha)

    def diagnostics(self) -> dict[str, float]:
        """
        :return: n_steps, alpha and beta; the |TD error| that new transitions enter with; quantiles of |TD error| + eps over
            the transitions that can be sampled, the share of them that ever was; and since the last call the share of draws
            that were the first of their transition, and the largest importance weight before its division by the largest of
            its batch
        """
        facts = {"n_steps": float(self.n_steps), "alpha": self.alpha, "beta": self.beta}
        if self._sampler is not None:
            facts |= self._sampler.diagnostics()
        return {f"per/{name}": value for name, value in facts.items()}

    # ---------------------------------------------------------------- keeping

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._stores:
            intrinsic = ["intrinsic_rewards"] if self._learners else []
            for name in ("actions", "rewards", "dones", "timeouts", *intrinsic):
                state[name] = StreamedArray(state[name], self.size())
        return state

    def save(self, path: str | os.PathLike) -> None:
        """
        Write the buffer to a file that also SB3's ``load_replay_buffer`` reads. It appears whole or not at all, and writing it
        needs memory for a few chunks only.

        :param path: the file; ``.pkl`` is added where there is no suffix
        """
        with written_aside(with_suffix(path)) as aside, open(aside, "wb") as file:
            pickle.dump(self, file, protocol=pickle.HIGHEST_PROTOCOL)

    @classmethod
    def load(cls, path: str | os.PathLike, device: th.device | str | None = None) -> "PrioritizedReplayBuffer":
        """
        Read a buffer that ``save`` (or SB3's ``save_replay_buffer``) wrote; it goes on exactly where it was.

        Like every pickle, only to be read from a source you trust.

        :param path: the file; ``.pkl`` is added where there is no suffix
        :param device: where samples go; None for where they went
        :return: the buffer
        :raises ValueError: if the file is truncated, damaged, no buffer, or too large for the memory there is
        :raises FileNotFoundError: if there is no such file
        """
        path = with_suffix(path)
        with open(path, "rb") as file:
            try:
                buffer = pickle.load(file)
            except memory.NotEnoughMemoryError as error:
                raise ValueError(f"{path} cannot be loaded: {error}") from error
            except Exception as error:  # damaged bytes can make pickle raise nearly anything
                raise ValueError(
                    f"{path} cannot be read as a replay buffer, it is truncated or damaged ({type(error).__name__}: {error})."
                ) from error
        if not isinstance(buffer, cls):
            raise ValueError(f"{path} holds a {type(buffer).__name__}, not a {cls.__name__}.")
        if device is not None:
            buffer.device = get_device(device)
        return buffer

    def check_valid(self) -> None:
        """Assert what must hold between two calls; for tests."""
        stored = self._step - self._first_step
        assert self.pos == self._step % self.buffer_size
        assert self.full == (stored >= self.buffer_size)
        if self._sampler is None:
            assert stored == 0
            return
        for sampler in self._samplers():
            sampler.check_valid()
            assert sampler.n_eligible == self.size() * self.n_envs - self._waiting(self.n_steps).sum()
        for store in self._stores.values():
            store.check_valid()
            assert store.step == stored


def _check_arguments(buffer_size: int, gamma: float, eps: float, optimize_memory_usage: bool) -> None:
    if buffer_size < 1:
        raise ValueError(f"buffer_size must be at least 1, got {buffer_size}.")
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma must lie in [0, 1], got {gamma}.")
    if not 0.0 < eps < np.inf:
        raise ValueError(f"eps must be positive and finite, got {eps}.")
    if optimize_memory_usage:
        raise ValueError(
            "optimize_memory_usage=True is not for PrioritizedReplayBuffer, which stores every frame once in any case "
            "(for stacked frames, pass n_stack): leave it at False."
        )


def _array_shape(space: spaces.Space) -> tuple[int, ...]:
    """:return: shape of one observation as it is stored, with at least one axis"""
    shape = get_obs_shape(space)
    if isinstance(shape, dict):
        raise ValueError(f"A Dict within a Dict of observations cannot be stored: {space}. Flatten it first.")
    return shape or (1,)


def _of(obs: np.ndarray | dict[str, np.ndarray], name: str) -> np.ndarray:
    return obs[name] if isinstance(obs, dict) else obs


def _intrinsic_rewards(infos: list[dict[str, Any]]) -> list[float]:
    for env, info in enumerate(infos):
        if INTRINSIC_REWARD not in info:
            raise ValueError(
                f"infos[{env}] has no {INTRINSIC_REWARD!r}, which a further learner on this buffer needs: the training "
                "environment must put it there at every step."
            )
    return [info[INTRINSIC_REWARD] for info in infos]


def _flat(values: np.ndarray | th.Tensor) -> np.ndarray:
    if isinstance(values, th.Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values).reshape(-1)
