"""Misspelt hyperparameters, which RL Zoo would pass on or silently ignore, are errors that name the nearest right key."""

from collections.abc import Iterable
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from sb3_breakout.arguments import check_known_arguments, constructor_arguments, takes_any_argument

# Read by ExperimentManager itself, and by create_test_env when the saved config.yml is loaded
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
# Constructor arguments that RL Zoo passes itself, and the option that sets each
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
    :raises ValueError: if a key is read by nobody (naming the nearest right one), or only settable on the command line
    """
    given = list(given)
    for key in given:
        if key in COMMAND_LINE_ONLY:
            raise ValueError(f"{algo}: '{key}' is not a hyperparameter, use the option {COMMAND_LINE_ONLY[key]} instead.")
    if not takes_any_argument(algorithm_class):
        known = set(constructor_arguments(algorithm_class)) - COMMAND_LINE_ONLY.keys() | ZOO_KEYS
        check_known_arguments(given, known, f"{algo}: the hyperparameters")


def check_nested_arguments(algo: str, algorithm_class: type[BaseAlgorithm], hyperparams: dict[str, Any]) -> None:
    """
    Check the keys inside ``policy_kwargs`` and ``replay_buffer_kwargs``.

    :param algo: name of the algorithm in RL Zoo
    :param algorithm_class: its class
    :param hyperparams: hyperparameters as RL Zoo passes them to the constructor
    :raises ValueError: if a key is read by nobody, naming the nearest right one
    """
    receivers = {
        "policy_kwargs": _policy_class(algorithm_class, hyperparams.get("policy")),
        "replay_buffer_kwargs": hyperparams.get("replay_buffer_class") or _default_buffer(),
    }
    for key, receiver in receivers.items():
        given = hyperparams.get(key)
        if given and receiver is not None and not takes_any_argument(receiver):
            known = set(constructor_arguments(receiver)) - PASSED_BY_ALGORITHM[key]
            check_known_arguments(given, known, f"{algo}: {key}")


def _policy_class(algorithm_class: type[BaseAlgorithm], policy: Any) -> Any:
    return algorithm_class.policy_aliases.get(policy) if isinstance(policy, str) else policy


def _default_buffer() -> Any:
    from sb3_breakout.replay import PrioritizedReplayBuffer

    return PrioritizedReplayBuffer
