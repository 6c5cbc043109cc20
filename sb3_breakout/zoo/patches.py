"""
The patches of RL Zoo's modules, applied by ``sb3_breakout/_hook.py`` right after each has been imported.

Each one touches as little as it can, does nothing for algorithms that are not ours, and looks up everything it needs before
it changes anything: on an rl_zoo3 where something is missing it fails whole, and the hook turns that into a warning.
"""

import contextlib
import copy
import inspect
import io
import runpy
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from sb3_breakout.registry import ALGORITHMS, hyperparameter_file, load

RECORD_VIDEO = "record_video"


def patch_utils(module: ModuleType) -> None:
    """
    ``--algo`` knows our algorithms.

    :param module: ``rl_zoo3.utils``
    """
    module.ALGOS.update({name: load(algorithm.algorithm_class) for name, algorithm in ALGORITHMS.items()})


def patch_hyperparams_opt(module: ModuleType) -> None:
    """
    ``-optimize`` and ``--trial-id`` know our search spaces.

    :param module: ``rl_zoo3.hyperparams_opt``
    """
    samplers, converters = module.HYPERPARAMS_SAMPLER, module.HYPERPARAMS_CONVERTER
    samplers.update({name: load(algorithm.sampler) for name, algorithm in ALGORITHMS.items()})
    converters.update({name: load(algorithm.converter) for name, algorithm in ALGORITHMS.items()})


def patch_exp_manager(module: ModuleType) -> None:
    """
    Our algorithms find their YAML file, refuse misspelt hyperparameters, have their own callbacks, train in the class of
    vectorised environment that ``vec_env_class`` names, and go on where they were with ``-i``.

    :param module: ``rl_zoo3.exp_manager``
    """
    manager = module.ExperimentManager
    wrappers = {
        "__init__": _with_our_yaml(manager.__init__),
        "read_hyperparameters": _with_checked_names(manager.read_hyperparameters, module.ALGOS),
        "_preprocess_hyperparams": _with_checked_nested_names(manager._preprocess_hyperparams, module.ALGOS),
        "create_envs": _with_own_training_class(manager.create_envs, module.get_class_by_name),
        "create_callbacks": _with_our_callbacks(
            manager.create_callbacks, module.ProgressBarCallback, module.CheckpointCallback
        ),
        "_load_pretrained_agent": _with_checked_checkpoint(manager._load_pretrained_agent),
        "learn": _with_continued_learning(manager.learn),
    }
    for name, wrapper in wrappers.items():
        setattr(manager, name, wrapper)


def patch_cli(module: ModuleType) -> None:
    """
    ``rl_zoo3 record_video`` works like ``python -m rl_zoo3.record_video``.

    :param module: ``rl_zoo3.cli``
    """
    if hasattr(module, RECORD_VIDEO):  # it has learnt the command itself
        return
    original = module.main

    @wraps(original)
    def main() -> None:
        if sys.argv[1:2] == [RECORD_VIDEO]:
            del sys.argv[1]
            # 2.9.2 has no function to call, only a script
            runpy.run_module(f"rl_zoo3.{RECORD_VIDEO}", run_name="__main__", alter_sys=True)
            return
        try:
            original()
        except ValueError as error:
            if str(error).startswith("The script"):
                raise ValueError(f"{error} or '{RECORD_VIDEO}'") from None
            raise

    module.main = main  # type: ignore[attr-defined]


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "rl_zoo3.utils": patch_utils,
    "rl_zoo3.hyperparams_opt": patch_hyperparams_opt,
    "rl_zoo3.exp_manager": patch_exp_manager,
    "rl_zoo3.cli": patch_cli,
}


def _with_our_yaml(original: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(original)
    if not {"algo", "config"} <= signature.parameters.keys():
        raise AttributeError("ExperimentManager() has no argument 'algo' or 'config'")

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        algo, config = bound.arguments["algo"], bound.arguments.get("config")
        if algo in ALGORITHMS:
            bound.arguments["config"] = hyperparameter_file(algo, config)
        original(*bound.args, **bound.kwargs)

    return __init__


def _with_checked_names(original: Callable[..., Any], algos: dict[str, Any]) -> Callable[..., Any]:
    @wraps(original)
    def read_hyperparameters(self: Any) -> Any:
        hyperparams, saved_hyperparams = original(self)
        if self.algo in ALGORITHMS:
            from sb3_breakout.zoo.checks import check_hyperparameters

            check_hyperparameters(self.algo, algos[self.algo], hyperparams)
            if getattr(self, "trial_id", None):
                _keep_buffer_arguments_of_yaml(self, original, hyperparams, saved_hyperparams)
            _use_env_kwargs_everywhere(self, hyperparams)
        return hyperparams, saved_hyperparams

    return read_hyperparameters


def _keep_buffer_arguments_of_yaml(self: Any, read: Callable[..., Any], *loaded: dict[str, Any]) -> None:
    """
    A trial varies some of the ``replay_buffer_kwargs`` and leaves the others as the YAML file has them; loading the trial
    does the same, where RL Zoo would replace them all.

    :param self: the experiment manager
    :param read: its original ``read_hyperparameters``
    :param loaded: dictionaries of hyperparameters, with those of the trial in them
    """
    without_trial = copy.copy(self)
    without_trial.trial_id = None
    without_trial.custom_hyperparams = None
    with contextlib.redirect_stdout(io.StringIO()):
        from_yaml = read(without_trial)[0].get("replay_buffer_kwargs")
    for hyperparams in loaded:
        if isinstance(from_yaml, dict) and "replay_buffer_kwargs" not in (self.custom_hyperparams or {}):
            hyperparams["replay_buffer_kwargs"] = {**from_yaml, **hyperparams["replay_buffer_kwargs"]}


def _use_env_kwargs_everywhere(self: Any, hyperparams: dict[str, Any]) -> None:
    """
    Evaluate and record in the environment that we train in: RL Zoo hands the ``env_kwargs`` of the YAML file neither to the
    evaluation environment nor (through args.yml) to ``record_video``.

    :param self: the experiment manager
    :param hyperparams: what it has read
    """
    env_kwargs = hyperparams.get("env_kwargs")
    if not env_kwargs:
        return
    if getattr(self, "_eval_env_kwargs_args", None) is None:  # no --eval-env-kwargs
        self.eval_env_kwargs = dict(env_kwargs)
    if getattr(self.args, "env_kwargs", None) is None:  # no --env-kwargs
        self.args.env_kwargs = dict(env_kwargs)


def _with_checked_nested_names(original: Callable[..., Any], algos: dict[str, Any]) -> Callable[..., Any]:
    @wraps(original)
    def _preprocess_hyperparams(self: Any, hyperparams: dict[str, Any]) -> Any:
        if self.algo in ALGORITHMS:
            self.training_vec_env_class = hyperparams.pop("vec_env_class", None)
        lines = {}
        if self.algo in ALGORITHMS and isinstance(hyperparams.get("learning_rate"), (list, tuple)):
            lines["learning_rate"] = hyperparams.pop("learning_rate")  # DDQN's own notation, which the Zoo would refuse
        processed = original(self, hyperparams)
        processed[0].update(lines)
        if self.algo in ALGORITHMS:
            from sb3_breakout.zoo.checks import check_nested_arguments

            check_nested_arguments(self.algo, algos[self.algo], processed[0])
        return processed

    return _preprocess_hyperparams


def _with_own_training_class(original: Callable[..., Any], get_class: Callable[[str], type]) -> Callable[..., Any]:
    from stable_baselines3.common.vec_env import DummyVecEnv

    @wraps(original)
    def create_envs(self: Any, n_envs: int, eval_env: bool = False, no_log: bool = False) -> Any:
        name = getattr(self, "training_vec_env_class", None)
        if name is None or eval_env or self.vec_env_class is not DummyVecEnv:  # --vec-env subproc was asked for
            return original(self, n_envs, eval_env, no_log)
        training = copy.copy(self)
        training.vec_env_class = get_class(name)
        return original(training, n_envs, eval_env, no_log)

    return create_envs


def _with_our_callbacks(original: Callable[..., None], progress_bar: type, checkpoint: type[Any]) -> Callable[..., None]:
    @wraps(original)
    def create_callbacks(self: Any) -> None:
        original(self)
        if self.algo not in ALGORITHMS:
            return
        from sb3_breakout.gameplay.collect.callback import RecordGameplayCallback
        from sb3_breakout.rnd import DualAgentCallback
        from sb3_breakout.zoo.progress import TrainingProgressCallback
        from sb3_breakout.zoo.resuming import ReplayBufferCheckpoint

        self.callbacks = [TrainingProgressCallback() if type(each) is progress_bar else each for each in self.callbacks]
        for each in self.callbacks:
            if isinstance(each, DualAgentCallback) and each.save_path is None:
                each.save_path = self.save_path
        self.callbacks += [
            ReplayBufferCheckpoint(each.save_freq, each.save_path) for each in self.callbacks if isinstance(each, checkpoint)
        ]
        for each in self.callbacks:
            if isinstance(each, RecordGameplayCallback):
                each.connect(Path(self.save_path) / "gameplay", _maker_of_single_games(self))

    return create_callbacks


def _maker_of_single_games(self: Any) -> Callable[[], Any]:
    """
    :param self: the experiment manager
    :return: makes an environment with one game, played as in the training, that can be recorded
    """
    from stable_baselines3.common.vec_env import DummyVecEnv

    single = copy.copy(self)
    single.vec_env_class, single.verbose, single.eval_env_kwargs = DummyVecEnv, 0, self.env_kwargs
    return partial(single.create_envs, 1, eval_env=True)


def _with_checked_checkpoint(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def _load_pretrained_agent(self: Any, hyperparams: dict[str, Any], env: Any) -> Any:
        model = original(self, hyperparams, env)
        if self.algo in ALGORITHMS:
            from sb3_breakout.zoo.resuming import check_buffer_beside, check_steps_left

            check_steps_left(model, self.n_timesteps, self.trained_agent)
            check_buffer_beside(model, self.trained_agent)
        return model

    return _load_pretrained_agent


def _with_continued_learning(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def learn(self: Any, model: Any) -> None:
        if self.algo in ALGORITHMS and self.continue_training:
            from sb3_breakout.zoo.resuming import ContinuedLearning

            model = ContinuedLearning(model)
        original(self, model)

    return learn
