"""Checks before training of input that RL Zoo would pass on, silently ignore or fail on later. Errors name a correct value."""

import inspect
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from stable_baselines3.common.base_class import BaseAlgorithm

from sb3_breakout.common.arguments import (
    check_at_least,
    check_known_arguments,
    constructor_arguments,
    did_you_mean,
    takes_any_argument,
)
from sb3_breakout.registry import presets

# Keys read by ExperimentManager itself, and by create_test_env when the saved config.yml is loaded
ZOO_KEYS = frozenset(
    {
        "callback",
        "env_kwargs",
        "env_wrapper",
        "frame_stack",
        "monitor_kwargs",
        "n_envs",
        "n_timesteps",
        "normalize",
        "vec_env_class",
        "vec_env_wrapper",
    }
)
COUNTS = frozenset({"frame_stack", "n_envs", "n_timesteps"})
# Constructor arguments that RL Zoo passes itself, with the option that sets each
COMMAND_LINE_ONLY = {"env": "--env", "tensorboard_log": "-tb", "verbose": "--verbose", "seed": "--seed", "device": "--device"}
# Constructor arguments of a policy or buffer that the algorithm passes itself
PASSED_BY_ALGORITHM = {
    "policy_kwargs": {"observation_space", "action_space", "lr_schedule", "n_atoms", "v_min", "v_max"},
    "replay_buffer_kwargs": {"buffer_size", "observation_space", "action_space", "device", "n_envs", "optimize_memory_usage"},
}


def check_hyperparameters(algo: str, algorithm_class: type[BaseAlgorithm], given: Iterable[str]) -> None:
    """
    :param algo: name of the algorithm in RL Zoo
    :param algorithm_class: its class
    :param given: keys of the hyperparameters, from YAML and ``-params`` together
    :raises ValueError: if nothing reads a key (naming the most similar valid one), or it belongs elsewhere
    """
    given = list(given)
    for key in given:
        if key in COMMAND_LINE_ONLY:
            raise ValueError(f"{algo}: '{key}' is not a hyperparameter, use the option {COMMAND_LINE_ONLY[key]} instead.")
    if not takes_any_argument(algorithm_class):
        known = set(constructor_arguments(algorithm_class)) - COMMAND_LINE_ONLY.keys() | ZOO_KEYS
        for nested, receiver in _receivers(algorithm_class, {"policy": "CnnPolicy"}).items():
            for key in set(given) & _arguments_to_set(nested, receiver) - known:
                raise ValueError(f'{algo}: {key!r} is an argument of {nested}: -params {nested}:"dict({key}=...)".')
        check_known_arguments(given, known, f"{algo}: the hyperparameters")


def check_complete(algo: str, given: Iterable[str], n_timesteps: int) -> None:
    """
    :param algo: name of the algorithm in RL Zoo
    :param given: keys of the hyperparameters, from YAML and ``-params`` together
    :param n_timesteps: value of ``-n``, -1 if it was not given
    :raises ValueError: if a key is missing that RL Zoo needs
    """
    for key in ("policy",) if n_timesteps > 0 else ("policy", "n_timesteps"):
        if key not in given:
            raise ValueError(f"{algo}: the hyperparameters must include {key}, received {', '.join(sorted(given)) or 'none'}.")


def check_command_line(n_timesteps: int, save_freq: int) -> None:
    """
    :param n_timesteps: value of ``-n``, -1 if it was not given
    :param save_freq: value of ``--save-freq``
    :raises ValueError: if RL Zoo would treat a value as not given
    """
    if n_timesteps != -1:
        check_at_least("-n", n_timesteps, 1)
    if save_freq == 0:
        raise ValueError("--save-freq must be at least 1, or -1 for no checkpoints, received 0.")


def check_config(config: str) -> None:
    """
    :param config: value of ``-conf``, see :func:`~sb3_breakout.registry.hyperparameter_file`
    :raises ValueError: if there is no such file or Python package, naming our presets, or the file is not a YAML mapping
    """
    names_a_file = config.endswith((".yml", ".yaml", ".py"))
    exists = Path(config).is_file() if names_a_file else _is_module(config)
    if not exists:
        names = presets()
        raise ValueError(
            f"-conf: there is no file, Python package or preset {config!r}{did_you_mean(config, names)}. "
            f"Presets: {', '.join(names)}."
        )
    if config.endswith((".yml", ".yaml")):
        _check_yaml(config)


def _check_yaml(path: str) -> None:
    try:
        sections = yaml.safe_load(Path(path).read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"-conf: {path} is not valid YAML: {error}") from None
    if not isinstance(sections, dict) or not all(isinstance(section, dict) for section in sections.values()):
        raise ValueError(f"-conf: {path} must map names of environments to hyperparameters, received {sections!r:.80}.")


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # the parent package does not exist
        return False


def check_learning_starts(
    algo: str, algorithm_class: type[BaseAlgorithm], hyperparams: dict[str, Any], n_timesteps: int
) -> None:
    """
    :param algo: name of the algorithm in RL Zoo
    :param algorithm_class: its class, with a default for ``learning_starts``
    :param hyperparams: hyperparameters as RL Zoo passes them to the constructor
    :param n_timesteps: environment steps of a training that starts from scratch
    :raises ValueError: if the training would end before the first update
    """
    signatures = (inspect.signature(base).parameters for base in algorithm_class.__mro__)
    default = next(parameters["learning_starts"].default for parameters in signatures if "learning_starts" in parameters)
    learning_starts = check_at_least(f"{algo}: learning_starts", hyperparams.get("learning_starts", default), 0)
    if n_timesteps <= learning_starts:
        raise ValueError(
            f"{algo}: a training of {n_timesteps} steps would learn nothing, as learning starts after "
            f"learning_starts={learning_starts}. Give a larger -n (or n_timesteps in the YAML file), or "
            "-params learning_starts: with a smaller number."
        )


def check_values(algo: str, hyperparams: dict[str, Any]) -> None:
    """
    :param algo: name of the algorithm in RL Zoo
    :param hyperparams: hyperparameters, from YAML and ``-params`` together; counts given as ``2.0`` become ``2``
    :raises ValueError: for an invalid count, or a number that YAML has read as text
    """
    for key in COUNTS & hyperparams.keys():
        if hyperparams[key] is not None:
            hyperparams[key] = check_at_least(f"{algo}: {key}", hyperparams[key], 1)
    for key in hyperparams.keys() - ZOO_KEYS:
        _check_no_number_is_text(f"{algo}: {key}", hyperparams[key])


def _check_no_number_is_text(name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_no_number_is_text(f"{name}: {key}", inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check_no_number_is_text(name, inner)
    elif isinstance(value, str) and _is_number(value):
        raise ValueError(f"{name} is the text {value!r} (so YAML reads 1e-4): write !!float {value} for the number.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_nested_arguments(algo: str, algorithm_class: type[BaseAlgorithm], hyperparams: dict[str, Any]) -> None:
    """
    Check the keys inside ``policy_kwargs`` and ``replay_buffer_kwargs``.

    :param algo: name of the algorithm in RL Zoo
    :param algorithm_class: its class
    :param hyperparams: hyperparameters as RL Zoo passes them to the constructor
    :raises ValueError: if nothing reads a key, naming the most similar valid one, or they are not dictionaries
    """
    for key, receiver in _receivers(algorithm_class, hyperparams).items():
        given = hyperparams.get(key)
        if given is not None and not isinstance(given, dict):
            raise ValueError(f"{algo}: {key} must be a dictionary of arguments, received {given!r}.")
        if given and receiver is not None and not takes_any_argument(receiver):
            check_known_arguments(given, _arguments_to_set(key, receiver), f"{algo}: {key}")


def _receivers(algorithm_class: type[BaseAlgorithm], hyperparams: dict[str, Any]) -> dict[str, Any]:
    """
    :param algorithm_class: the algorithm
    :param hyperparams: its hyperparameters
    :return: names of the hyperparameters that hold nested arguments, with the class that receives these
    """
    from sb3_breakout.replay import PrioritizedReplayBuffer

    policy = hyperparams.get("policy")
    return {
        "policy_kwargs": algorithm_class.policy_aliases.get(policy) if isinstance(policy, str) else policy,
        "replay_buffer_kwargs": hyperparams.get("replay_buffer_class") or PrioritizedReplayBuffer,
    }


def _arguments_to_set(nested: str, receiver: Any) -> set[str]:
    """:return: arguments of a policy or buffer that the algorithm does not pass itself"""
    return set(constructor_arguments(receiver)) - PASSED_BY_ALGORITHM[nested]
