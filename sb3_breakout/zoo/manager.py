"""
RL Zoo's experiment manager, extended for our algorithms.

``patches.py`` imports this file while ``rl_zoo3.exp_manager`` is imported, and puts the class in the place of the original:
import it from there, ``from rl_zoo3.exp_manager import ExperimentManager``.
"""

import argparse
import contextlib
import copy
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rl_zoo3.exp_manager import ExperimentManager
from rl_zoo3.utils import get_class_by_name
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, ProgressBarCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from typing_extensions import override

from sb3_breakout.ddqn import DDQN
from sb3_breakout.gameplay.callback import RecordGameplayCallback
from sb3_breakout.registry import ALGORITHMS, hyperparameter_file, load
from sb3_breakout.rnd import DualAgentCallback
from sb3_breakout.zoo.checks import check_hyperparameters, check_nested_arguments
from sb3_breakout.zoo.progress import TrainingProgressCallback
from sb3_breakout.zoo.resuming import ContinuedLearning, ReplayBufferCheckpoint, check_buffer_beside, check_steps_left


class Manager(ExperimentManager):
    """
    Our algorithms find their YAML file, refuse misspelt hyperparameters, have their own callbacks, train in the class of
    vectorised environment that ``vec_env_class`` names, and go on where they were with ``-i``. For every other algorithm,
    each method is RL Zoo's.

    :param args: the command line
    :param algo: name of the algorithm in RL Zoo
    :param others: see RL Zoo
    :param config: what ``-conf`` names, see :func:`~sb3_breakout.registry.hyperparameter_file`
    :param options: see RL Zoo
    """

    training_vec_env_class: str | None = None  # dotted name; None for that of --vec-env

    def __init__(self, args: argparse.Namespace, algo: str, *others: Any, config: str | None = None, **options: Any) -> None:
        if algo in ALGORITHMS:
            config = hyperparameter_file(algo, config)
        super().__init__(args, algo, *others, config=config, **options)  # type: ignore[misc]
        self.ours = algo in ALGORITHMS

    @override
    def read_hyperparameters(self) -> tuple[dict[str, Any], dict[str, Any]]:
        hyperparams, saved_hyperparams = super().read_hyperparameters()
        if self.ours:
            check_hyperparameters(self.algo, self._algorithm_class(), hyperparams)
            if self.trial_id:
                for each in (hyperparams, saved_hyperparams):
                    each["replay_buffer_kwargs"] = self._buffer_arguments(each)
            self._use_env_kwargs_everywhere(hyperparams)
        return hyperparams, saved_hyperparams

    @override
    def _preprocess_hyperparams(
        self, hyperparams: dict[str, Any]
    ) -> tuple[dict[str, Any], Callable | None, list[BaseCallback], Callable | None]:
        if not self.ours:
            return super()._preprocess_hyperparams(hyperparams)
        self.training_vec_env_class = hyperparams.pop("vec_env_class", None)
        line = {}
        if isinstance(hyperparams.get("learning_rate"), (list, tuple)):
            line["learning_rate"] = hyperparams.pop("learning_rate")  # DDQN's own notation, which RL Zoo would refuse
        processed = super()._preprocess_hyperparams(hyperparams)
        processed[0].update(line)
        check_nested_arguments(self.algo, self._algorithm_class(), processed[0])
        return processed

    @override
    def create_callbacks(self) -> None:
        super().create_callbacks()
        if not self.ours:
            return
        self.callbacks = [TrainingProgressCallback() if type(each) is ProgressBarCallback else each for each in self.callbacks]
        for each in list(self.callbacks):
            if isinstance(each, CheckpointCallback):
                self.callbacks.append(ReplayBufferCheckpoint(each.save_freq, each.save_path))
            elif isinstance(each, DualAgentCallback) and each.save_path is None:
                each.save_path = self.save_path
            elif isinstance(each, RecordGameplayCallback):
                each.connect(Path(self.save_path) / "gameplay", self._maker_of_single_games())

    @override
    def create_envs(self, n_envs: int, eval_env: bool = False, no_log: bool = False) -> VecEnv:
        name = self.training_vec_env_class
        if name is None or eval_env or self.vec_env_class is not DummyVecEnv:  # --vec-env subproc was asked for
            return super().create_envs(n_envs, eval_env, no_log)
        training = copy.copy(self)
        training.training_vec_env_class = None
        training.vec_env_class = get_class_by_name(name)  # type: ignore[assignment]
        return training.create_envs(n_envs, eval_env, no_log)

    @override
    def _load_pretrained_agent(self, hyperparams: dict[str, Any], env: VecEnv) -> BaseAlgorithm:
        model = super()._load_pretrained_agent(hyperparams, env)
        if isinstance(model, DDQN):
            check_steps_left(model, self.n_timesteps, self.trained_agent)
            check_buffer_beside(model, self.trained_agent)
        return model

    @override
    def learn(self, model: BaseAlgorithm) -> None:
        if isinstance(model, DDQN) and self.continue_training:
            model = ContinuedLearning(model)  # type: ignore[assignment]
        super().learn(model)

    def _algorithm_class(self) -> type[BaseAlgorithm]:
        return load(ALGORITHMS[self.algo].algorithm_class)

    def _buffer_arguments(self, of_trial: dict[str, Any]) -> dict[str, Any]:
        """
        A trial varies some of the ``replay_buffer_kwargs`` and leaves the others as the YAML file has them; loading the trial
        does the same, where RL Zoo would replace them all.

        :param of_trial: hyperparameters with those of the trial in them
        :return: the arguments of the buffer
        """
        given = of_trial["replay_buffer_kwargs"]
        if "replay_buffer_kwargs" in (self.custom_hyperparams or {}):
            return given
        without_trial = copy.copy(self)
        without_trial.trial_id = without_trial.custom_hyperparams = None
        with contextlib.redirect_stdout(io.StringIO()):
            from_yaml, _ = ExperimentManager.read_hyperparameters(without_trial)
        return {**(from_yaml.get("replay_buffer_kwargs") or {}), **given}

    def _use_env_kwargs_everywhere(self, hyperparams: dict[str, Any]) -> None:
        """
        Evaluate and record in the environment that we train in: RL Zoo hands the ``env_kwargs`` of the YAML file neither to
        the evaluation environment nor (through args.yml) to ``record_video``.

        :param hyperparams: what has been read
        """
        env_kwargs = hyperparams.get("env_kwargs")
        if not env_kwargs:
            return
        if self._eval_env_kwargs_args is None:  # no --eval-env-kwargs
            self.eval_env_kwargs = dict(env_kwargs)
        if getattr(self.args, "env_kwargs", None) is None:  # no --env-kwargs
            self.args.env_kwargs = dict(env_kwargs)

    def _maker_of_single_games(self) -> Callable[[], VecEnv]:
        """
        :return: makes an environment with one game, played as in the training, that can be recorded
        """
        single = copy.copy(self)
        single.vec_env_class, single.verbose, single.eval_env_kwargs = DummyVecEnv, 0, self.env_kwargs
        return partial(single.create_envs, 1, eval_env=True)
