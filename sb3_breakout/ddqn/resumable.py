"""DQN whose files are written atomically and whose training resumes with the same random numbers."""

import inspect
import io
import pathlib
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback

from sb3_breakout.common.arguments import check_known_arguments, constructor_arguments
from sb3_breakout.common.checkpoint import atomic_open, incomplete_explained
from sb3_breakout.common.random_state import get_random_state, set_random_state
from sb3_breakout.ddqn.arguments import DDQNArguments
from sb3_breakout.ddqn.replay_buffer import load_prioritized
from sb3_breakout.replay import PrioritizedReplayBuffer

SelfResumable = TypeVar("SelfResumable", bound="ResumableDQN")


class ResumableDQN(DDQNArguments):
    """
    SB3's DQN with atomically written files. The model file also holds the state of the random number generators and of the
    exploration rule; the file of a prioritized replay buffer holds the step at which it was saved.

    Base class of :class:`~sb3_breakout.ddqn.DDQN`, not to be used on its own.
    """

    _random_state: dict[str, Any] | None = None  # of the model being saved, or of a loaded one until it learns again
    _exploration_state: dict[str, Any] | None = None  # of the model being saved or loaded

    def _setup_learn(
        self, total_timesteps: int, callback: Any = None, reset_num_timesteps: bool = True, *args: Any, **kwargs: Any
    ) -> tuple[int, BaseCallback]:
        if self._random_state is not None:
            if not reset_num_timesteps:
                self._resume_random_numbers(self._random_state)
            self._random_state = None
        return super()._setup_learn(total_timesteps, callback, reset_num_timesteps, *args, **kwargs)

    def set_random_seed(self, seed: int | None = None) -> None:
        """
        Seed the pseudo-random generators (Python, NumPy, PyTorch, gym). A loaded model then does not resume the random numbers
        it was saved with.

        :param seed: as in SB3
        """
        self._random_state = None
        super().set_random_seed(seed)

    def _setup_model(self) -> None:
        loaded = self._random_state if self._random_state and self._random_state.get("seed", self.seed) == self.seed else None
        super()._setup_model()
        self._random_state = loaded  # super()._setup_model() seeds the model, which resets it

    def _resume_random_numbers(self, random_state: dict[str, Any]) -> None:
        """Restore the generators' states; otherwise a loaded model would repeat the first random numbers of its training."""
        set_random_state(random_state)
        if self.env is not None:
            self.env.seed(int(np.random.randint(2**31)))

    def save(
        self,
        path: str | pathlib.Path | io.BufferedIOBase,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        """
        Save the model in a zip file, written atomically: if the process is killed while saving, the previous file remains.

        :param path: path to the file (".zip" is appended where there is no suffix) or a file-like object
        :param exclude: names of attributes to leave out in addition to the default ones
        :param include: names of attributes to save although they are left out by default
        """
        assert self.policy.exploration is not None
        before = self._random_state
        self._random_state = before or {"seed": self.seed, **get_random_state()}
        self._exploration_state = self.policy.exploration.get_state()
        try:
            with atomic_open(path, ".zip") as file:
                super().save(file, exclude, include)
        finally:
            self._random_state, self._exploration_state = before, None

    @classmethod
    def load(
        cls: type[SelfResumable], path: str | pathlib.Path | io.BufferedIOBase, *args: Any, **kwargs: Any
    ) -> SelfResumable:
        """
        Load the model from a zip file, as SB3's ``load``.

        :param path: path to the file (or a file-like) where to load the agent from
        :param args: see SB3's ``BaseAlgorithm.load``
        :param kwargs: keyword arguments of SB3's ``load``; those of the constructor replace the saved values
        :raises ValueError: for a keyword that the constructor does not know (SB3 would store it, unused), and for a
            truncated file
        """
        known = {*constructor_arguments(cls), *inspect.signature(DQN.load).parameters}
        check_known_arguments(kwargs, known, f"{cls.__name__}.load()")
        with incomplete_explained(path):
            try:
                return super().load(path, *args, **kwargs)
            except ValueError as error:
                if "Key explorer." not in str(error):  # the name of SB3's first unknown part
                    raise
                raise ValueError(f"{path} was saved by DDQNRND, which has two agents: load it with DDQNRND.load().") from error

    def save_replay_buffer(self, path: str | pathlib.Path | io.BufferedIOBase) -> None:
        """
        Save the replay buffer. A prioritized one is written atomically, like the model, and stores the number of steps.

        When saved from a callback, the current step is missing, since SB3 stores a step after its callbacks: 998 transitions
        at step 1,000 with two environments. The last stored step then ends a truncated episode, as when the environment is
        reset by hand.

        :param path: path to the file (".pkl" is appended where there is no suffix) or a file-like object
        """
        if isinstance(self.replay_buffer, PrioritizedReplayBuffer):
            self.replay_buffer.num_timesteps = self.num_timesteps
            if isinstance(path, (str, pathlib.Path)):
                self.replay_buffer.save(path)
                return
        super().save_replay_buffer(path)

    def load_replay_buffer(self, path: str | pathlib.Path | io.BufferedIOBase, truncate_last_traj: bool = True) -> None:
        """
        Load a replay buffer. The schedules of n_steps, alpha and beta are those of this model, not those saved with the
        buffer, and apply at once. A prioritized buffer saved at another step than the model is used unchanged, with a warning.

        :param path: path to the pickled replay buffer, or a file-like object
        :param truncate_last_traj: see SB3; only for ``HerReplayBuffer``
        :raises ValueError: if the file is truncated, or holds a replay buffer that this model cannot learn from
        """
        if isinstance(self.replay_buffer, PrioritizedReplayBuffer):
            self.replay_buffer = load_prioritized(self, self.replay_buffer, path)
            self._last_obs = None  # the environment's state does not continue the end of the buffer
        else:
            super().load_replay_buffer(path, truncate_last_traj)
