"""Records games of the current policy during training."""

import os
import warnings
from collections.abc import Callable

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import VecEnv

from sb3_breakout.common.arguments import check_at_least
from sb3_breakout.common.random_state import random_state_kept
from sb3_breakout.gameplay.collect.agents import describe_model
from sb3_breakout.gameplay.collect.play import play_game, recorder_of
from sb3_breakout.gameplay.dataset.indexes import rebuild_indexes
from sb3_breakout.gameplay.dataset.layout import DamagedDataset, GameplayFolder
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter


class RecordGameplayCallback(BaseCallback):
    """
    Plays one whole game at a fixed interval with the current policy (with ``predict``, as in an evaluation) in a separate
    environment, and adds it to a dataset of gameplay. Training is not affected: the state of the random number generators is
    restored.

    In RL Zoo, add it to the YAML file under ``callback:``; games are then written to ``gameplay`` in the run's log folder.
    Otherwise, pass a folder and an environment; without them (as in the Zoo's search for hyperparameters) the callback does
    nothing. A game that cannot be written, or a dataset that is damaged, causes a warning and does not stop the training.

    Before the training starts, a ``ValueError`` is raised if these games do not fit the model or cannot be recorded.

    :param every: agent steps between two games
    :param folder: folder of the dataset: new, empty, or an existing dataset to extend
    :param make_env: creates the environment to play in: one game in a ``DummyVecEnv``, with the observations of the model
    """

    def __init__(
        self,
        every: int = 50_000,
        folder: str | os.PathLike[str] | None = None,
        make_env: Callable[[], VecEnv] | None = None,
    ) -> None:
        super().__init__()
        self.every = check_at_least("every", every, 1)
        self._env: VecEnv | None = None
        self.connect(folder, make_env)

    def connect(self, folder: str | os.PathLike[str] | None, make_env: Callable[[], VecEnv] | None) -> None:
        """
        Set where games are recorded and how they are played.

        :param folder: folder of the dataset
        :param make_env: creates the environment to play in
        """
        self._folder = None if folder is None else GameplayFolder(folder)
        self._make_env = make_env

    def _init_callback(self) -> None:
        if self._folder is not None and self._make_env is not None and self._env is None:
            with random_state_kept():
                self._env = self._make_env()
            check_for_correct_spaces(self._env, self.model.observation_space, self.model.action_space)
            recorder_of(self._env)

    def _on_training_start(self) -> None:
        self._next = (self.num_timesteps // self.every + 1) * self.every

    def _on_step(self) -> bool:
        if self._folder is not None and self._env is not None and self.num_timesteps >= self._next:
            self._next = (self.num_timesteps // self.every + 1) * self.every
            with random_state_kept():
                self._record(self._folder, self._env)
        return True

    def _on_training_end(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None

    def _record(self, folder: GameplayFolder, env: VecEnv) -> None:
        about = {"name": f"{type(self.model).__name__} after {self.num_timesteps} steps", **describe_model(self.model)}
        try:
            folder.claim()
            number = max(folder.numbers(), default=0) + 1
            play_game(self.model, env, EpisodeWriter(folder.episode(number)), about, self._seed())
            rebuild_indexes(folder)
        except OSError as error:
            warnings.warn(f"A game was not recorded ({error}); training continues.", stacklevel=2)
        except DamagedDataset as error:
            warnings.warn(f"A game was recorded, but not indexed ({error}); training continues.", stacklevel=2)

    def _seed(self) -> int:
        return int(np.random.SeedSequence([self.model.seed or 0, self.num_timesteps]).generate_state(1)[0] // 2)
