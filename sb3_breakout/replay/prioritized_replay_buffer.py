"""Prioritized experience replay for SB3's off-policy algorithms."""

import io
import os
from collections.abc import Sequence
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout.common.arguments import check_at_least, check_positive, check_unit_interval
from sb3_breakout.common.rewards import INTRINSIC_REWARD
from sb3_breakout.common.termination import interrupts_postponed
from sb3_breakout.replay import memory, streamed_pickle
from sb3_breakout.replay.eligibility import Eligibility
from sb3_breakout.replay.priority_sampler import PrioritySampler
from sb3_breakout.replay.schedule import ProgressSchedule, ReplaySchedules
from sb3_breakout.replay.transition_store import ARRAYS, FLOAT32_MAX, PrioritizedReplayBufferSamples, TransitionStore
from sb3_breakout.replay.view import ReplayView

FORMAT = 2  # version of the saved state; others are refused


class PrioritizedReplayBuffer(ReplayBuffer):
    """
    Proportional prioritized replay with n-step returns that stores every frame once.

    Paper: Prioritized Experience Replay, https://arxiv.org/abs/1511.05952

    Drop-in for ``ReplayBuffer`` (and ``DictReplayBuffer``, ``NStepReplayBuffer``): without calls of ``update_priorities`` it
    samples uniformly. A new transition enters with the 0.9 quantile of the ``|TD errors|`` measured recently, or with one from
    the actor (:meth:`set_initial_priorities`). Further learners (:meth:`learner`) share the stored transitions.

    Indices of transitions are never reused, so a late update, for a transition overwritten since, is recognized and ignored. A
    transition can be sampled as soon as its n-step return is known: n - 1 steps after it was added, or when its episode ends.

    Attributes of a subclass are saved with the buffer.

    Observations and next observations of a batch may share memory: do not write to them. Memory for the transitions is
    allocated on the first ``add``.

    :param buffer_size: max number of transitions, over all environments
    :param observation_space: observation space, also ``Dict``
    :param action_space: action space
    :param device: PyTorch device of the samples
    :param n_envs: number of parallel environments
    :param optimize_memory_usage: not supported, since every frame is stored once already
    :param handle_timeout_termination: bootstrap from the last observation of episodes that were cut by a time limit
    :param n_stack: number of frames in an observation (of ``VecFrameStack``), on its first axis, newest last; 1 stores
        observations of any kind as they are
    :param n_steps: steps of the return, at least 1: a number, a pair (start, end), a triple (start, end, fraction of training
        by which the end is reached) or an SB3 ``Schedule``; SB3 does not pass its own ``n_steps`` on to a buffer class
    :param gamma: discount factor, the same as the algorithm's; with ``n_steps=1`` it may be None: samples then have no
        discounts, for which SB3's algorithms take their own
    :param alpha: how much prioritization, in [0, 1]: a number or a schedule, as for ``n_steps``
    :param beta: how much importance sampling correction, in [0, 1]: a number or a schedule, as for ``n_steps``
    :param eps: added to every ``|TD error|``, so that transitions without error are still replayed now and then
    :raises ValueError: if an argument is out of its range
    """

    intrinsic_rewards: np.ndarray  # (rows, n_envs) float32, if there are further learners

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
        gamma: float | None = None,
        alpha: float | Sequence[float] | Schedule = 0.5,
        beta: float | Sequence[float] | Schedule = (0.4, 1.0),
        eps: float = 1e-6,
    ):
        of_subclass = set(vars(self))
        buffer_size = check_at_least("buffer_size", buffer_size, 1)
        n_envs = check_at_least("n_envs", n_envs, 1)
        if gamma is not None:
            check_unit_interval("gamma", gamma)
        check_positive("eps", eps)
        if np.float32(eps) == 0.0:
            raise ValueError(f"eps must be above 0 in float32 too, received {eps!r}.")
        if optimize_memory_usage:
            raise ValueError(
                "optimize_memory_usage=True is not for PrioritizedReplayBuffer, which stores every frame once in any case "
                "(for stacked frames, pass n_stack): leave it at False."
            )
        capacity = max(buffer_size // n_envs, 1)
        action_dtype = self._maybe_cast_dtype(action_space.dtype)
        self.store = TransitionStore(
            capacity, n_envs, observation_space, get_action_dim(action_space), action_dtype, n_stack, gamma
        )
        # Not ReplayBuffer's own constructor: it would set up memory for whole observations
        super(ReplayBuffer, self).__init__(capacity, observation_space, action_space, device, n_envs=n_envs)
        self.optimize_memory_usage = optimize_memory_usage
        self.handle_timeout_termination = handle_timeout_termination
        self.n_stack = n_stack
        self.eps = eps
        horizon = ProgressSchedule("n_steps", n_steps, whole=True)
        self._eligibility = Eligibility(capacity, n_envs, int(horizon(1.0)))
        exponents = ProgressSchedule("alpha", alpha), ProgressSchedule("beta", beta)
        self.schedules = ReplaySchedules(self._eligibility, horizon, *exponents)
        if gamma is None and n_steps != 1:
            raise ValueError(f"n_steps={n_steps!r} needs gamma, the algorithm's discount factor: received gamma=None.")
        self.num_timesteps: int | None = None  # environment steps of the training when it was saved, if set
        self._own = ReplayView(self.store, self.schedules, eps)
        self._learners: dict[str, ReplayView] = {}
        self._of_this_class = {"_of_this_class", *ARRAYS, *vars(self)} - of_subclass

    @property
    def device(self) -> th.device:
        """Device of the samples."""
        return self.store.device

    @device.setter
    def device(self, device: th.device) -> None:
        self.store.device = device

    @property
    def gamma(self) -> float | None:
        """Discount factor, if the buffer knows it."""
        return self.store.gamma

    @gamma.setter
    def gamma(self, gamma: float) -> None:
        self.store.gamma = gamma

    @property
    def n_steps(self) -> int:
        """Current number of steps of a return."""
        return self.schedules.n_steps

    @property
    def alpha(self) -> float:
        """Current amount of prioritization."""
        return self.schedules.alpha

    @property
    def beta(self) -> float:
        """Current amount of importance sampling correction."""
        return self.schedules.beta

    def reset(self) -> None:
        """Empty the buffer and release its memory."""
        self.store.forget()
        self._eligibility.reset(self.store.step)
        for view in self._views():
            view.forget()
        self._show()

    def _show(self) -> None:
        """Set the attributes that SB3's ``ReplayBuffer`` has: ``pos``, ``full`` and the arrays."""
        self.pos, self.full = self.store.row, self.store.size() == self.buffer_size
        for name in ARRAYS:
            setattr(self, name, getattr(self.store, name))

    def learner(self, reward_mix: float, name: str = "explorer") -> ReplayView:
        """
        Create a view of the same transitions for another learner, whose rewards are ``(1 - reward_mix) * extrinsic +
        reward_mix * intrinsic``. From now on, ``add`` requires an ``"intrinsic_reward"`` in each info.

        :param reward_mix: alpha, in [0, 1]
        :param name: name of the learner; an existing name (also one from a loaded buffer) returns the same view, with the new
            ``reward_mix``
        :return: the view, with its own priorities and random numbers
        :raises ValueError: if ``reward_mix`` is not in [0, 1], or if transitions were already stored without this learner
        """
        if name not in self._learners:
            if self.store.allocated:
                raise ValueError(
                    f"{self.size() * self.n_envs} transitions were stored without learner {name!r}, so without what it needs "
                    "(intrinsic rewards, priorities): ask for it before the first add(), or empty the buffer with reset()."
                )
            self._learners[name] = ReplayView(self.store, self.schedules, self.eps, reward_mix)
        self._learners[name].reward_mix = reward_mix
        return self._learners[name]

    def _views(self) -> list[ReplayView]:
        """:return: all views, the buffer's own first"""
        return [self._own, *self._learners.values()]

    def _samplers(self) -> list[PrioritySampler]:
        return [view.sampler for view in self._views()]

    @property
    def _sampler(self) -> PrioritySampler:
        return self._own.sampler

    def check_memory(self) -> None:
        """
        Check that the buffer, once full, fits into the available memory. The first ``add`` checks this too; a call before
        training fails earlier. Nothing is checked once memory has been allocated.

        :raises ValueError: if it does not fit, naming the size that would
        """
        if not self.store.allocated:
            memory.require_for_buffer(self.store.n_places, self.store.bytes_per_transition(len(self._learners)))

    def _allocate(self) -> None:
        self.check_memory()
        self.store.allocate(with_intrinsic_rewards=bool(self._learners))
        # SB3 seeds numpy's global generator; drawing our own from it makes `seed` work. The generators of further learners are
        # spawned, so that the buffer's own does not depend on them
        rng = np.random.default_rng(np.random.randint(0, 2**32, size=4, dtype=np.uint32))
        for view, its_rng in zip(self._views(), [rng, *rng.spawn(len(self._learners))], strict=True):
            view.allocate(its_rng)
        self._eligibility.samplers = self._samplers()

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

        An observation that is not the next observation of the previous step begins a new segment, even if the previous step
        was not done (the environment was reset by hand): that step then keeps its next observation and bootstraps from it, as
        at a time limit.

        :param obs: ``(n_envs, *obs_shape)``
        :param next_obs: ``(n_envs, *obs_shape)``, the terminal observation where the episode ended
        :param action: (n_envs, action_dim) or (n_envs,)
        :param reward: (n_envs,)
        :param done: (n_envs,) whether the episode ended, for whatever reason
        :param infos: one per environment; ``TimeLimit.truncated`` marks an end by a time limit, ``intrinsic_reward`` is needed
            if there are further learners
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
        with interrupts_postponed():  # in a buffer that is saved after Ctrl-C, each step is complete or missing
            if not self.store.allocated:
                self._allocate()
                self._show()
            cut = self.store.add(obs, next_obs, action, reward, done, timeout, intrinsic_reward)
            self._eligibility.add(cut, done | timeout)
            self.pos = self.store.row
            self.full = self.full or self.pos == 0

    def _finite(self, rewards: Any, name: str) -> np.ndarray:
        """:return: (n_envs,) the rewards of a step, checked to be finite in float32"""
        rewards = np.asarray(rewards).reshape(self.n_envs)
        if not np.abs(rewards).max() <= FLOAT32_MAX:  # refuses NaN too
            env = int((np.abs(rewards) <= FLOAT32_MAX).argmin())
            raise ValueError(
                f"The {name} of environment {env} at step {self.store.step} is {rewards[env]}: nothing was stored."
            )
        return rewards

    def n_eligible(self) -> int:
        """:return: number of transitions, over all environments, that can be sampled"""
        return self._own.n_eligible()

    def sample(  # type: ignore[override]
        self, batch_size: int, env: VecNormalize | None = None
    ) -> PrioritizedReplayBufferSamples:
        """See :meth:`ReplayView.sample`."""
        return self._own.sample(batch_size, env)

    def _get_samples(  # type: ignore[override]
        self, batch_inds: np.ndarray, env: VecNormalize | None = None
    ) -> PrioritizedReplayBufferSamples:
        """
        :param batch_inds: (batch,) int64 indices of transitions that can be sampled
        :param env: normalizes observations and rewards
        :return: the batch, with weights of 1
        """
        return self.store.samples(batch_inds, self.n_steps, env)

    def set_initial_priorities(self, envs: np.ndarray, td_errors: np.ndarray) -> None:
        """See :meth:`ReplayView.set_initial_priorities`. Further learners see other rewards, so nothing changes for them."""
        self._own.set_initial_priorities(envs, td_errors)

    def update_priorities(self, indices: np.ndarray | th.Tensor, td_errors: np.ndarray | th.Tensor) -> None:
        """See :meth:`ReplayView.update_priorities`."""
        self._own.update_priorities(indices, td_errors)

    def update_schedules(self, progress_remaining: float) -> None:
        """See :meth:`ReplaySchedules.update`; ``progress_remaining`` is SB3's ``_current_progress_remaining``."""
        self.schedules.update(progress_remaining)

    def diagnostics(self) -> dict[str, float]:
        """
        :return: n_steps, alpha and beta, and what :meth:`PrioritySampler.diagnostics` returns, by log name
        """
        facts = {"n_steps": float(self.n_steps), "alpha": self.alpha, "beta": self.beta}
        if self.store.allocated:
            facts |= self._sampler.diagnostics()
        return {f"per/{name}": value for name, value in facts.items()}

    def get_state(self) -> dict[str, Any]:
        """
        The complete state in plain values, so that files remain readable after attributes are renamed. A change of these names
        or of their meaning needs another ``FORMAT``.

        :return: the state, large arrays as :class:`~sb3_breakout.replay.streamed_pickle.StreamedArray` for ``pickle``
        """
        return {
            "format": FORMAT,
            "num_timesteps": self.num_timesteps,
            "arguments": {
                "buffer_size": self.store.n_places,
                "observation_space": self.observation_space,
                "action_space": self.action_space,
                "device": str(self.device),
                "n_envs": self.n_envs,
                "handle_timeout_termination": self.handle_timeout_termination,
                "n_stack": self.n_stack,
                "gamma": self.gamma,
                "eps": self.eps,
            },
            # With cloudpickle, since pickle refers to functions by name and a lambda has none
            "schedules": cloudpickle.dumps(self.schedules.values()),
            "alpha": self.alpha,
            "beta": self.beta,
            "store": self.store.get_state(),
            "eligibility": self._eligibility.get_state(),
            "own": self._own.get_state(),
            "learners": {name: view.get_state() for name, view in self._learners.items()},
            "of_subclass": {name: value for name, value in vars(self).items() if name not in self._of_this_class},
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """
        Replace everything in this buffer by the saved state.

        :param state: what ``get_state`` returned, unpickled
        :raises ValueError: if it has another format
        """
        found = state.get("format")
        if found != FORMAT:
            raise streamed_pickle.FormatError(
                f"it was written in format {found}, this version of sb3_breakout reads format {FORMAT}. "
                "Without the file, training continues with an empty buffer."
            )
        vars(self).clear()
        PrioritizedReplayBuffer.__init__(self, **state["arguments"], **cloudpickle.loads(state["schedules"]))
        vars(self).update(state.get("of_subclass", {}))  # missing in the first files of this format
        self.num_timesteps = state["num_timesteps"]
        self.schedules.alpha, self.schedules.beta = state["alpha"], state["beta"]
        self.store.set_state(state["store"])
        self._own.set_state(state["own"])
        self._learners = {name: ReplayView(self.store, self.schedules, self.eps) for name in state["learners"]}
        for name, learner in self._learners.items():
            learner.set_state(state["learners"][name])
        self._eligibility.set_state(state["eligibility"], self._samplers())
        self._show()

    def __getstate__(self) -> dict[str, Any]:
        return self.get_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.set_state(state)

    def save(self, path: str | os.PathLike) -> None:
        """
        Write the buffer to a file that SB3's ``load_replay_buffer`` can read too. The file is written atomically, and writing
        needs memory for a few chunks only.

        :param path: the file; ``.pkl`` is appended if it has no suffix
        """
        streamed_pickle.save(self, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike | io.BufferedIOBase, device: th.device | str | None = None
    ) -> "PrioritizedReplayBuffer":
        """
        Read a buffer that ``save`` (or SB3's ``save_replay_buffer``) wrote; it continues exactly where it was.

        Like every pickle, only load it from a source you trust.

        :param path: the file; ``.pkl`` is appended if it has no suffix; or a file-like object
        :param device: device of the samples; None for the saved one
        :return: the buffer
        :raises ValueError: if the file is truncated or damaged, holds something else or another format, or does not fit into
            memory
        :raises FileNotFoundError: if there is no such file
        """
        buffer = streamed_pickle.load(path, cls)
        if device is not None:
            buffer.device = get_device(device)
        return buffer

    def check_valid(self) -> None:
        """Assert the invariants that hold between two calls; for tests."""
        assert self.pos == self.store.step % self.buffer_size
        assert self.full == (self.size() >= self.buffer_size)
        assert self.size() == self.store.size()
        self.store.check_valid()
        self._eligibility.check_valid(self.store.step, self.size() * self.n_envs)


def _intrinsic_rewards(infos: list[dict[str, Any]]) -> list[float]:
    for env, info in enumerate(infos):
        if INTRINSIC_REWARD not in info:
            raise ValueError(
                f"infos[{env}] has no {INTRINSIC_REWARD!r}, which a further learner on this buffer needs: the training "
                "environment must put it there at every step."
            )
    return [info[INTRINSIC_REWARD] for info in infos]
