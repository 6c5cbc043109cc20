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
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout.files import written_aside
from sb3_breakout.replay import memory
from sb3_breakout.replay.frame_store import FrameStore, frame_shape
from sb3_breakout.replay.priorities import UnitSchedule, importance_weights, priorities_from_errors
from sb3_breakout.replay.snapshot import StreamedArray, with_suffix
from sb3_breakout.replay.sum_tree import SumTree

ALPHA_STEP = 0.01  # the tree is derived anew when alpha has moved this far
FINALS_SHARE = 1 / 50  # terminal frames expected per transition, for the memory check: lives of 50 steps


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
    it samples uniformly. Every transition has an index that is never used again, so an update that comes too late, for
    a transition overwritten since, is recognized and ignored. A transition can be sampled as soon as its n-step return is
    known: n - 1 steps after it was added, or when its episode ends.

    The observations of a batch share memory with its next observations: treat them as read-only. A batch
    stays as it is for as long as it is held. Memory is taken on the first ``add``.

    :param buffer_size: max number of transitions, over all environments
    :param observation_space: observation space, also ``Dict``
    :param action_space: action space
    :param device: PyTorch device of the samples
    :param n_envs: number of parallel environments
    :param optimize_memory_usage: not supported, since every frame is stored once already
    :param handle_timeout_termination: bootstrap from the last observation of episodes that were cut by a time limit
    :param n_stack: number of frames in an observation (of ``VecFrameStack``), on its first axis, newest last; 1 stores any
        observation as it is
    :param n_steps: steps of the return; SB3 does not pass its own ``n_steps`` on to a buffer class
    :param gamma: discount factor, the same as the algorithm's
    :param alpha: how much prioritization, in [0, 1]: a number, a pair (start, end) or an SB3 ``Schedule``
    :param beta: how much importance sampling correction, likewise
    :param eps: added to every |TD error|, in its units, so that none is never replayed
    :raises ValueError: if an argument is out of its range
    """

    actions: np.ndarray  # (rows, n_envs, action_dim)
    rewards: np.ndarray  # (rows, n_envs) float32
    dones: np.ndarray  # (rows, n_envs) bool
    timeouts: np.ndarray  # (rows, n_envs) bool: the episode was cut here and the value of what followed still counts

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
        n_steps: int = 1,
        gamma: float = 0.99,
        alpha: float | Sequence[float] | Schedule = 0.5,
        beta: float | Sequence[float] | Schedule = (0.4, 1.0),
        eps: float = 1e-6,
    ):
        if buffer_size < 1:
            raise ValueError(f"buffer_size must be at least 1, got {buffer_size}.")
        if optimize_memory_usage:
            raise ValueError(
                "optimize_memory_usage=True is not for PrioritizedReplayBuffer, which stores every frame once in any case "
                "(pass n_stack for stacked frames): leave it at False."
            )
        if n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, got {n_steps}.")
        if not 0.0 <= gamma <= 1.0:
            raise ValueError(f"gamma must lie in [0, 1], got {gamma}.")
        if not 0.0 < eps < np.inf:
            raise ValueError(f"eps must be positive and finite, got {eps}.")
        # Not ReplayBuffer's own constructor: it would set up memory for whole observations
        super(ReplayBuffer, self).__init__(buffer_size, observation_space, action_space, device, n_envs=n_envs)
        self.buffer_size = max(buffer_size // n_envs, 1)
        if self.buffer_size < n_steps:
            raise ValueError(
                f"buffer_size={buffer_size} leaves {self.buffer_size} step(s) for each of {n_envs} environment(s): "
                f"too few for returns of n_steps={n_steps}; use at least {n_steps * n_envs}."
            )
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self.n_stack = n_stack
        self.n_steps = n_steps
        self.gamma = gamma
        self.eps = eps
        self.alpha_schedule = UnitSchedule("alpha", alpha)
        self.beta_schedule = UnitSchedule("beta", beta)
        self.alpha = self.alpha_schedule(1.0)
        self.beta = self.beta_schedule(1.0)
        for name, space in self._spaces().items():
            if n_stack != 1 and not isinstance(space, spaces.Box):
                raise ValueError(f"n_stack={n_stack} needs Box observations, {name} is {space}: use n_stack=1.")
            frame_shape(get_obs_shape(space), n_stack, name)  # type: ignore[arg-type]
        self._rng: np.random.Generator | None = None
        self._step = 0  # number of the step to come; its row is `pos`
        self._forget()

    # ---------------------------------------------------------------- memory

    def _spaces(self) -> dict[str, spaces.Space]:
        if isinstance(self.observation_space, spaces.Dict):
            return dict(self.observation_space.spaces)
        return {"observation": self.observation_space}

    def _forget(self) -> None:
        """The state of a buffer without memory: nothing stored."""
        self.pos = 0
        self.full = False
        self._step = -(-self._step // self.buffer_size) * self.buffer_size  # indices given out stay out of date
        self._first_step = self._step
        self._stores: dict[str, FrameStore] = {}
        self._tree: SumTree | None = None
        self._largest_error = 1.0
        self._errors_seen = False
        self._waiting = np.zeros(self.n_envs, np.int64)  # newest transitions whose n-step return is not known yet
        self._stale_from = self._step  # the tree does not know of steps from here on ...
        self._stale_leaves: list[np.ndarray] = []  # ... nor of new errors here
        self._largest_weight = 0.0

    def reset(self) -> None:
        """Empty the buffer and give its memory back."""
        self._forget()

    def _bytes_per_transition(self) -> float:
        spaces_ = self._spaces().values()
        frames = sum(
            np.dtype(space.dtype).itemsize * int(np.prod(frame_shape(get_obs_shape(space), self.n_stack)))  # type: ignore
            for space in spaces_
        )
        action = self.action_dim * np.dtype(self._maybe_cast_dtype(self.action_space.dtype)).itemsize
        # reward, error, priority with its share of the sums, done, timeout, sampled; per frame its history and final slot
        return frames * (1.0 + FINALS_SHARE) + action + 4 + 4 + 8.6 + 3 + 5 * len(spaces_)

    def check_memory(self) -> None:
        """
        Check that the buffer, once full, fits into the memory there is. Called on the first ``add``; call it before training to
        know early. Nothing to check once memory was taken, or where the system does not tell.

        :raises ValueError: naming the size that fits
        """
        available = memory.available_bytes()
        if self._stores or available is None:
            return
        total = self.buffer_size * self.n_envs
        needed = self._bytes_per_transition() * total
        if needed > available:
            fits = int(available / self._bytes_per_transition())
            raise ValueError(
                f"A replay buffer of {total} transitions needs {needed / 1e9:.2f} GB of memory, "
                f"{available / 1e9:.2f} GB are available: the largest buffer_size that fits is {fits}."
            )

    def _allocate(self) -> None:
        self.check_memory()
        shape = (self.buffer_size, self.n_envs)
        self.actions = np.zeros((*shape, self.action_dim), dtype=self._maybe_cast_dtype(self.action_space.dtype))
        self.rewards = np.zeros(shape, np.float32)
        self.dones = np.zeros(shape, bool)
        self.timeouts = np.zeros(shape, bool)
        self._errors = np.zeros(shape, np.float32)  # |TD error|, -1 where a transition cannot be sampled
        self._sampled = np.zeros(shape, bool)
        self._tree = SumTree(self.buffer_size * self.n_envs)
        if self._rng is None:
            self._rng = np.random.default_rng(np.random.randint(0, 2**32, size=4, dtype=np.uint32))
        self._stores = {
            name: FrameStore(
                self.buffer_size, self.n_envs, get_obs_shape(space) or (1,), space.dtype, self.n_stack, name  # type: ignore
            )
            for name, space in self._spaces().items()
        }

    # ---------------------------------------------------------------- adding

    def add(
        self,
        obs: np.ndarray | dict[str, np.ndarray],  # type: ignore[override]
        next_obs: np.ndarray | dict[str, np.ndarray],  # type: ignore[override]
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
        :param infos: one per environment; ``TimeLimit.truncated`` tells that a time limit ended it
        :raises ValueError: if a stack is not a sliding window of what was added before, or a value is not finite;
            nothing is stored then
        """
        reward = np.asarray(reward, np.float32).reshape(self.n_envs)
        if not np.isfinite(reward).all():
            env = int(np.isfinite(reward).argmin())
            raise ValueError(
                f"The reward of environment {env} at step {self._step} is {reward[env]}, not finite: nothing was stored."
            )
        if not self._stores:
            self._allocate()
        step = [(store, self._as_stored(store, obs), self._as_stored(store, next_obs)) for store in self._stores.values()]
        starts = ~np.logical_and.reduce([store.continues(now) for store, now, _ in step])
        for store, now, after in step:
            store.check(now, after, starts)
        for store, now, after in step:
            store.add(now, after, starts)
        timeout = np.zeros(self.n_envs, bool)
        if self.handle_timeout_termination:
            timeout[:] = [info.get("TimeLimit.truncated", False) for info in infos]
        self._cut(starts)
        row = self.pos
        self.actions[row] = np.asarray(action).reshape(self.n_envs, self.action_dim)
        self.rewards[row] = reward
        self.dones[row] = done
        self.timeouts[row] = timeout
        self._sampled[row] = False
        self._step += 1
        self.pos += 1
        if self.pos == self.buffer_size:
            self.full = True
            self.pos = 0
        if self.n_steps == 1:
            self._errors[row] = self._largest_error
        else:
            self._errors[row] = -1.0
            self._waiting += 1
            self._release(self._waiting == self.n_steps, only_oldest=True)
            self._release(self.dones[row] | timeout)

    def _as_stored(self, store: FrameStore, obs: np.ndarray | dict[str, np.ndarray]) -> np.ndarray:
        array = np.asarray(obs[store.name] if isinstance(obs, dict) else obs, store.dtype)
        return array if array.shape[1:] == store.obs_shape else array.reshape((self.n_envs, *store.obs_shape))

    def _cut(self, starts: np.ndarray) -> None:
        """Where something else follows than was announced, the step before ends its segment and bootstraps."""
        if self._step == self._first_step or not starts.any():
            return
        before = (self._step - 1) % self.buffer_size
        cut = starts & ~self.dones[before]
        if cut.any():
            self.timeouts[before] |= cut
            self._release(cut)

    def _release(self, envs: np.ndarray, only_oldest: bool = False) -> None:
        """
        Let the newest transitions of some environments be sampled: their n-step returns are known.

        :param envs: (n_envs,) bool
        :param only_oldest: of those that wait, only the oldest
        """
        for env in np.flatnonzero(envs & (self._waiting > 0)):
            waiting = int(self._waiting[env])
            steps = np.arange(self._step - waiting, self._step - waiting + 1 if only_oldest else self._step)
            self._errors[steps % self.buffer_size, env] = self._largest_error
            self._waiting[env] -= len(steps)

    # ---------------------------------------------------------------- sampling

    def n_eligible(self) -> int:
        """:return: how many transitions, over all environments, can be sampled"""
        return self.size() * self.n_envs - int(self._waiting.sum())

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> PrioritizedReplayBufferSamples:
        """
        Draw transitions with probability proportional to their priority.

        :param batch_size: number of transitions; one can occur more than once
        :param env: normalizes observations and rewards
        :return: the batch
        :raises ValueError: if there is nothing to sample
        """
        if self._tree is None or self.n_eligible() == 0:
            raise ValueError(
                f"Nothing can be sampled yet: {self.size()} step(s) stored, {self.n_steps} needed for a return "
                "(unless an episode ends before)."
            )
        assert self._rng is not None
        self._update_tree()
        leaves = self._tree.sample(batch_size, self._rng)
        probabilities = self._tree.get(leaves) / self._tree.total
        weights, largest = importance_weights(probabilities, self.n_eligible(), self.beta)
        self._largest_weight = max(self._largest_weight, largest)
        self._sampled.reshape(-1)[leaves] = True
        lap_start = self._step - self.pos
        rows = leaves // self.n_envs
        indices = leaves + self.n_envs * np.where(rows < self.pos, lap_start, lap_start - self.buffer_size)
        return self._get_samples(indices, env, weights)

    def _get_samples(  # type: ignore[override]
        self, batch_inds: np.ndarray, env: VecNormalize | None = None, weights: np.ndarray | None = None
    ) -> PrioritizedReplayBufferSamples:
        """
        :param batch_inds: (batch,) int64 indices of transitions which are stored and eligible
        :param env: normalizes observations and rewards
        :param weights: (batch,) importance weights; 1 where not given
        :return: the batch
        """
        leaves = batch_inds % (self.buffer_size * self.n_envs)
        rewards, spans, last = self._returns(leaves, env)
        # A time limit is no end of the task: only true ends stop the bootstrap
        dones = self.dones.reshape(-1).take(last) & ~self.timeouts.reshape(-1).take(last)
        discounts = self.gamma ** spans.astype(np.float32)
        observations, next_observations = self._observations(batch_inds, spans, env)
        return PrioritizedReplayBufferSamples(
            observations=observations,
            actions=self._to_tensor(self.actions.reshape(-1, self.action_dim).take(leaves, axis=0)),
            next_observations=next_observations,
            dones=self._to_tensor(dones[:, None].astype(np.float32)),
            rewards=self._to_tensor(rewards[:, None]),
            discounts=self._to_tensor(discounts[:, None]),
            weights=self._to_tensor((np.ones(len(leaves)) if weights is None else weights)[:, None].astype(np.float32)),
            indices=batch_inds,
        )

    def _to_tensor(self, array: np.ndarray) -> th.Tensor:
        """Without a copy on the CPU."""
        tensor = th.from_numpy(array)
        return tensor if self.device.type == "cpu" else tensor.to(self.device)

    def _returns(self, leaves: np.ndarray, env: VecNormalize | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        n-step returns, as SB3's ``NStepReplayBuffer`` has them: up to the end of the episode, where it comes before.

        :param leaves: (batch,) int64 places in the flat arrays
        :param env: normalizes each reward before they are summed
        :return: (batch,) float32 returns, (batch,) int64 spans in steps, (batch,) int64 places of the last step of each
        """
        if self.n_steps == 1:
            rewards = self._normalize_reward(self.rewards.reshape(-1).take(leaves), env)
            return rewards, np.ones_like(leaves), leaves
        steps = np.arange(self.n_steps)
        places = (leaves[:, None] + steps * self.n_envs) % (self.buffer_size * self.n_envs)  # (batch, n_steps)
        ends = self.dones.reshape(-1).take(places) | self.timeouts.reshape(-1).take(places)
        ends[:, -1] = True
        last = ends.argmax(axis=1)  # (batch,)
        rewards = self._normalize_reward(self.rewards.reshape(-1).take(places), env)  # (batch, n_steps)
        powers = self.gamma ** steps[None, :].astype(np.float32)
        returns = (rewards * powers * (steps <= last[:, None])).sum(axis=1)
        return returns, last + 1, places[np.arange(len(leaves)), last]

    def _observations(self, indices: np.ndarray, spans: np.ndarray, env: VecNormalize | None) -> tuple[Any, Any]:
        """
        :param indices: (batch,) int64
        :param spans: (batch,) int64 how many steps ahead the next observations lie
        :param env: normalizes observations
        :return: observations and next observations, tensors or dicts of tensors
        """
        steps, envs = np.divmod(indices, self.n_envs) if self.n_envs > 1 else (indices, np.zeros_like(indices))
        steps = steps - self._first_step
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for name, store in self._stores.items():
            block, ahead = store.gather(steps, envs, spans, self.n_steps)
            whole = self._to_tensor(block) if env is None else block
            size = store.obs_shape[0]
            before[name], after[name] = whole[:, :size], whole[:, ahead : ahead + size]
            if not self._spaces()[name].shape and not isinstance(self._spaces()[name], spaces.Discrete):
                before[name], after[name] = before[name][:, 0], after[name][:, 0]  # Box of shape ()
        both = (before, after) if isinstance(self.observation_space, spaces.Dict) else (*before.values(), *after.values())
        if env is None:
            return both[0], both[1]
        now, then = (self._normalize_obs(obs, env) for obs in both)
        if isinstance(now, dict):
            return tuple({name: self.to_torch(array) for name, array in obs.items()} for obs in (now, then))  # type: ignore
        return self.to_torch(now), self.to_torch(then)  # type: ignore[arg-type]

    # ---------------------------------------------------------------- priorities

    def update_priorities(self, indices: np.ndarray | th.Tensor, td_errors: np.ndarray | th.Tensor) -> None:
        """
        Replace the priorities of sampled transitions; those overwritten since are left out.

        Of an index that occurs more than once the last error counts.

        :param indices: (batch,) as ``sample`` gave them
        :param td_errors: (batch,) or (batch, 1) TD errors, of which the magnitude counts
        :raises ValueError: if an error is not finite, an index was never given out or the lengths differ;
            nothing is changed then
        """
        indices = self._flat(indices).astype(np.int64, copy=False)
        errors = np.abs(self._flat(td_errors)).astype(np.float32, copy=False)
        if len(indices) != len(errors):
            raise ValueError(f"{len(indices)} indices and {len(errors)} TD errors: there must be one error per index.")
        if not len(indices):
            return
        largest = errors.max()
        if not largest < np.inf:
            wrong = int(np.isfinite(errors).argmin())
            raise ValueError(
                f"TD error {errors[wrong]} (position {wrong} of the batch) is not finite: no priority was changed. "
                "The loss has probably diverged, or a reward or observation was wrong."
            )
        if indices.min() < 0 or indices.max() >= self._step * self.n_envs:
            raise ValueError(
                f"Indices must be those of sampled transitions, in [0, {self._step * self.n_envs}): "
                f"got {indices.min()} to {indices.max()}."
            )
        leaves = indices % (self.buffer_size * self.n_envs)
        oldest = max(self._first_step, self._step - self.buffer_size) * self.n_envs
        if not self._stores:
            return
        all_errors = self._errors.reshape(-1)
        alive = (indices >= oldest) & (all_errors[leaves] >= 0.0)
        if not alive.all():
            leaves, errors = leaves[alive], errors[alive]
        all_errors[leaves] = errors
        self._stale_leaves.append(leaves)
        if len(self._stale_leaves) > 64:
            self._update_tree()
        self._largest_error = max(self._largest_error, float(largest)) if self._errors_seen else float(largest)
        self._errors_seen = True

    @staticmethod
    def _flat(values: np.ndarray | th.Tensor) -> np.ndarray:
        if isinstance(values, th.Tensor):
            values = values.detach().cpu().numpy()
        return np.asarray(values).reshape(-1)

    def _update_tree(self) -> None:
        """Bring the tree up to date with the errors, which are all it is made of."""
        assert self._tree is not None
        stale_from = max(self._stale_from - self.n_steps + 1, self._first_step)
        if self._step - stale_from >= self.buffer_size:
            self._rebuild_tree()
            return
        if self._stale_from < self._step:
            # Also the n - 1 steps before: they waited for their returns
            rows = np.arange(stale_from, self._step) % self.buffer_size
            self._stale_leaves.append((rows[:, None] * self.n_envs + np.arange(self.n_envs)).reshape(-1))
        if self._stale_leaves:
            leaves = np.concatenate(self._stale_leaves)
            self._tree.set(leaves, priorities_from_errors(self._errors.reshape(-1)[leaves], self.alpha, self.eps))
        self._stale_leaves.clear()
        self._stale_from = self._step

    def _rebuild_tree(self) -> None:
        assert self._tree is not None
        errors = self._errors[: self.size()].reshape(-1)
        self._tree.rebuild(priorities_from_errors(errors, self.alpha, self.eps))
        self._stale_leaves.clear()
        self._stale_from = self._step

    def update_schedules(self, progress_remaining: float) -> None:
        """
        Set ``alpha`` and ``beta`` to what their schedules say.

        A new alpha changes every priority, so it is taken over in steps of at least ``ALPHA_STEP``, and at the end.

        :param progress_remaining: 1 at the start of training, 0 at its end (SB3's ``_current_progress_remaining``)
        :raises ValueError: if a schedule leaves [0, 1]
        """
        alpha = self.alpha_schedule(progress_remaining)
        self.beta = self.beta_schedule(progress_remaining)
        moved = abs(alpha - self.alpha)
        if moved >= ALPHA_STEP or (moved > 0.0 and progress_remaining <= 0.0):
            self.alpha = alpha
            if self._tree is not None:
                self._rebuild_tree()

    def diagnostics(self) -> dict[str, float]:
        """
        :return: alpha, beta; quantiles of |TD error| + eps over the transitions that can be sampled; the share of these that
            ever was; the largest importance weight, before its division by the batch's largest, since the last call
        """
        facts = {"per/alpha": self.alpha, "per/beta": self.beta}
        if self._stores and self.n_eligible():
            errors = self._errors[: self.size()]
            eligible = errors >= 0.0
            quantiles = np.quantile(errors[eligible], [0.1, 0.5, 0.9, 1.0]) + self.eps
            facts |= {
                f"per/priority_{name}": float(value)
                for name, value in zip(("p10", "p50", "p90", "max"), quantiles, strict=True)
            }
            facts["per/sampled_share"] = float(self._sampled[: self.size()][eligible].mean())
            facts["per/largest_weight"] = self._largest_weight
        self._largest_weight = 0.0
        return facts

    # ---------------------------------------------------------------- keeping

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._tree is not None:
            self._update_tree()
            state = self.__dict__.copy()
            for name in ("actions", "rewards", "dones", "timeouts", "_errors", "_sampled"):
                state[name] = StreamedArray(state[name], self.size())
            state["_tree"] = StreamedArray(self._tree.leaves, self.size() * self.n_envs)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._tree is not None:
            leaves: np.ndarray = state["_tree"]
            self._tree = SumTree(len(leaves))
            self._tree.rebuild(leaves)

    def save(self, path: str | os.PathLike) -> None:
        """
        Write the buffer to a file that also SB3's ``load_replay_buffer`` reads. It appears whole or not at all, and writing
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
        :param device: where samples go; None as it was saved
        :return: the buffer
        :raises ValueError: if the file is truncated, damaged or something else than a buffer
        :raises FileNotFoundError: if there is no such file
        """
        path = with_suffix(path)
        with open(path, "rb") as file:
            try:
                buffer = pickle.load(file)
            except Exception as error:
                raise ValueError(
                    f"{path} cannot be read as a replay buffer, it is truncated or damaged: {type(error).__name__}: {error}"
                ) from error
        if not isinstance(buffer, cls):
            raise ValueError(f"{path} holds a {type(buffer).__name__}, not a {cls.__name__}.")
        if device is not None:
            buffer.device = th.device(device) if device != "auto" else buffer.device
        return buffer

    def check_valid(self) -> None:
        """Assert what must hold between two calls; for tests."""
        if self._tree is None:
            assert self._step == self._first_step
            return
        self._update_tree()
        self._tree.check_valid()
        for store in self._stores.values():
            store.check_valid()
            assert store.step == self._step - self._first_step
        assert self.pos == self._step % self.buffer_size
        assert self.full == (self._step - self._first_step >= self.buffer_size)
        errors = self._errors.reshape(-1)
        stored = self.size() * self.n_envs
        assert np.isfinite(errors).all()
        assert int((errors[:stored] >= 0.0).sum()) == self.n_eligible(), "eligible transitions miscounted"
        assert not self._tree.leaves[stored:].any(), "a place never filled has a priority"
        expected = priorities_from_errors(errors[:stored], self.alpha, self.eps)
        assert np.allclose(self._tree.leaves[:stored], expected, rtol=1e-6, atol=0.0), "a priority differs from its error"
