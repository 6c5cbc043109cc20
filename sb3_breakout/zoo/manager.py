"""
RL Zoo's experiment manager, extended for our algorithms.

``patches.py`` imports this module while ``rl_zoo3.exp_manager`` is being imported, and replaces the original class with this
one. Import it from there: ``from rl_zoo3.exp_manager import ExperimentManager``.
"""

import argparse
import contextlib
import copy
import io
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import optuna
from rl_zoo3.exp_manager import ExperimentManager
from rl_zoo3.utils import get_class_by_name
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    ProgressBarCallback,
    StopTrainingOnMaxEpisodes,
)
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from typing_extensions import override

from sb3_breakout.common.files import remove_abandoned
from sb3_breakout.common.termination import Termination
from sb3_breakout.ddqn import DDQN
from sb3_breakout.gameplay.collect.callback import RecordGameplayCallback
from sb3_breakout.registry import ALGORITHMS, hyperparameter_file
from sb3_breakout.rnd import DualAgentCallback
from sb3_breakout.zoo.checks import (
    check_command_line,
    check_complete,
    check_config,
    check_hyperparameters,
    check_learning_starts,
    check_nested_arguments,
    check_values,
)
from sb3_breakout.zoo.progress import TrainingProgressCallback, TrialProgressCallback
from sb3_breakout.zoo.resuming import (
    ContinuedLearning,
    ReplayBufferCheckpoint,
    check_buffer_beside,
    check_same_network,
    check_steps_left,
)


class Manager(ExperimentManager):
    """
    RL Zoo's experiment manager, extended for our algorithms: it finds their YAML file, refuses misspelt hyperparameters, adds
    callbacks, trains in the vectorised environment that ``vec_env_class`` names, saves when a cluster stops the training
    (SIGTERM), and resumes with ``-i``. For other algorithms, each method is RL Zoo's.

    :param args: the parsed command line
    :param algo: name of the algorithm in RL Zoo
    :param others: see RL Zoo
    :param config: value of ``-conf``, see :func:`~sb3_breakout.registry.hyperparameter_file`
    :param options: see RL Zoo
    """

    training_vec_env_class: str | None = None  # dotted name; None for that of --vec-env
    _run_is_new = False  # the folder of the training was created by this process

    def __init__(self, args: argparse.Namespace, algo: str, *others: Any, config: str | None = None, **options: Any) -> None:
        if algo in ALGORITHMS:
            config = hyperparameter_file(algo, config)
        super().__init__(args, algo, *others, config=config, **options)  # type: ignore[misc]
        self.ours = algo in ALGORITHMS
        self.termination = Termination()

    @override
    def setup_experiment(self) -> tuple[BaseAlgorithm, dict[str, Any]] | None:
        """
        :return: as in RL Zoo
        :raises SystemExit: with only the message, if a value is invalid (with ``--verbose 2``, the ``ValueError`` itself is
            raised)
        """
        if not self.ours:
            return super().setup_experiment()
        self._run_is_new = not Path(self.save_path).exists()
        with self._refusing():
            check_command_line(getattr(self.args, "n_timesteps", -1), self.save_freq)
            check_config(self.config)
            return super().setup_experiment()

    @override
    def read_hyperparameters(self) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            hyperparams, saved_hyperparams = super().read_hyperparameters()
        except KeyError as error:
            if not self.ours or error.args != ("atari",):
                raise
            game = self.env_name.gym_id
            raise ValueError(f"{self.config} must have a section {game!r} or 'atari', received neither.") from None
        if self.ours:
            check_hyperparameters(self.algo, self._algorithm_class(), hyperparams)
            check_complete(self.algo, hyperparams, self.n_timesteps)
            for each in (hyperparams, saved_hyperparams):
                check_values(self.algo, each)
                if self.storage and self.study_name and self.trial_id:  # RL Zoo has loaded a trial
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
        check_values(self.algo, processed[0])  # again, after RL Zoo has evaluated values given as Python code
        if not self.continue_training:
            check_learning_starts(self.algo, self._algorithm_class(), processed[0], self.n_timesteps)
        return processed

    @override
    def create_log_folder(self) -> None:
        super().create_log_folder()
        if self.ours:
            for run in Path(self.log_path).glob(f"{self.env_name}_*"):
                remove_abandoned(run)  # leftovers of killed saves, up to gigabytes each

    @override
    def create_callbacks(self) -> None:
        of_the_user = list(self.callbacks)
        super().create_callbacks()
        if not self.ours:
            return
        given = [each for each in self.callbacks if not (self.show_progress and type(each) is ProgressBarCallback)]
        stop = next((each for each in given if isinstance(each, StopTrainingOnMaxEpisodes)), None)
        # First, since RL Zoo ends the first callback even when a training is interrupted
        self.callbacks = [TrainingProgressCallback(stop=stop), *given] if self.show_progress else given
        for each in list(self.callbacks):
            if isinstance(each, CheckpointCallback) and each not in of_the_user:
                self.callbacks.append(ReplayBufferCheckpoint(each.save_freq, each.save_path))
            elif isinstance(each, DualAgentCallback) and each.save_path is None:
                each.save_path = self.save_path
            elif isinstance(each, RecordGameplayCallback):
                each.connect(Path(self.save_path) / "gameplay", self._maker_of_single_games())

    @override
    def create_envs(self, n_envs: int, eval_env: bool = False, no_log: bool = False) -> VecEnv:
        name = self.training_vec_env_class
        if name is None or eval_env or self.vec_env_class is not DummyVecEnv:  # --vec-env subproc was given
            return super().create_envs(n_envs, eval_env, no_log)
        training = copy.copy(self)
        training.training_vec_env_class = None
        training.vec_env_class = get_class_by_name(name)  # type: ignore[assignment]
        return training.create_envs(n_envs, eval_env, no_log)

    @override
    def _load_pretrained_agent(self, hyperparams: dict[str, Any], env: VecEnv) -> BaseAlgorithm:
        policy_kwargs = hyperparams.get("policy_kwargs")  # RL Zoo removes them
        model = super()._load_pretrained_agent(hyperparams, env)
        if isinstance(model, DDQN):
            remove_abandoned(Path(self.trained_agent).parent)
            check_steps_left(model, self.n_timesteps, self.trained_agent)
            check_buffer_beside(model, self.trained_agent)
            check_same_network(model, policy_kwargs, self.trained_agent)
        return model

    @override
    def learn(self, model: BaseAlgorithm) -> None:
        if not isinstance(model, DDQN):
            super().learn(model)
            return
        before = model.num_timesteps
        try:
            with self.termination, self._refusing(lambda: model.num_timesteps > before):
                super().learn(ContinuedLearning(model) if self.continue_training else model)  # type: ignore[arg-type]
        except (KeyboardInterrupt, EOFError, ConnectionError):
            if not self.termination.received:  # otherwise SIGTERM reached the workers of --vec-env subproc too, and first
                raise

    @override
    def save_trained_model(self, model: BaseAlgorithm) -> None:
        super().save_trained_model(model)
        self.termination.exit_if_received()

    @override
    def objective(self, trial: optuna.Trial) -> float:
        if not self.ours:
            return super().objective(trial)
        given = self.specified_callbacks or []
        one_trial = copy.copy(self)
        one_trial.specified_callbacks = [*(given if isinstance(given, list) else [given]), TrialProgressCallback(trial)]
        return super(Manager, one_trial).objective(trial)

    @contextlib.contextmanager
    def _refusing(self, has_begun: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """
        Remove the folder of a training that cannot begin, which RL Zoo would take for the latest run.

        :param has_begun: whether the training has begun; errors are then raised unchanged
        :raises SystemExit: with only the message of a ``ValueError`` (with ``--verbose 2``, the ``ValueError`` is raised)
        """
        try:
            yield
        except BaseException as error:
            if has_begun():
                raise
            if self._run_is_new:
                shutil.rmtree(self.save_path, ignore_errors=True)
            if isinstance(error, ValueError) and self.verbose <= 1:
                raise SystemExit(str(error)) from None
            raise

    def _algorithm_class(self) -> type[BaseAlgorithm]:
        return resolve_name(ALGORITHMS[self.algo])

    def _buffer_arguments(self, of_trial: dict[str, Any]) -> dict[str, Any]:
        """
        Merge the ``replay_buffer_kwargs`` of a loaded trial with those of the YAML file. A trial varies only some of them, but
        RL Zoo would replace them all.

        :param of_trial: hyperparameters, including those of the trial
        :return: the arguments of the buffer
        """
        given = of_trial["replay_buffer_kwargs"]
        without_trial = copy.copy(self)
        without_trial.trial_id = without_trial.custom_hyperparams = None
        with contextlib.redirect_stdout(io.StringIO()):
            from_yaml = ExperimentManager.read_hyperparameters(without_trial)[0].get("replay_buffer_kwargs")
        given_by_params = "replay_buffer_kwargs" in (self.custom_hyperparams or {})
        return {**from_yaml, **given} if isinstance(from_yaml, dict) and not given_by_params else given

    def _use_env_kwargs_everywhere(self, hyperparams: dict[str, Any]) -> None:
        """
        Use the training's ``env_kwargs`` for evaluation and recording too: RL Zoo passes those of the YAML file neither to the
        evaluation environment nor (through args.yml) to ``record_video``.

        :param hyperparams: the hyperparameters that were read
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
        :return: function that creates an environment with one game, played as in the training, that can be recorded
        """
        single = copy.copy(self)
        single.vec_env_class, single.verbose, single.eval_env_kwargs = DummyVecEnv, 0, self.env_kwargs
        return partial(single.create_envs, 1, eval_env=True)
