"""Which algorithms we add to RL Zoo, and where their parts are: the one place to add another."""

from dataclasses import dataclass
from pathlib import Path

import sb3_breakout


@dataclass(frozen=True)
class Algorithm:
    """
    What RL Zoo needs to know about an algorithm; its parts are named, not imported, so that listing them costs nothing.

    :param algorithm_class: ``"module:class"`` of the algorithm
    :param sampler: ``"module:function"`` which samples hyperparameters for an Optuna trial
    :param converter: ``"module:function"`` which turns the parameters of a finished trial into hyperparameters
    """

    algorithm_class: str
    sampler: str
    converter: str


ALGORITHMS = {
    "ddqn_per": Algorithm(
        algorithm_class="sb3_breakout.ddqn:DDQN",
        sampler="sb3_breakout.zoo.search_space:sample_ddqn_per_params",
        converter="sb3_breakout.zoo.search_space:convert_ddqn_per_params",
    ),
    "c51_per": Algorithm(
        algorithm_class="sb3_breakout.ddqn:C51",
        sampler="sb3_breakout.zoo.search_space:sample_ddqn_per_params",
        converter="sb3_breakout.zoo.search_space:convert_ddqn_per_params",
    ),
    "ddqn_rnd": Algorithm(
        algorithm_class="sb3_breakout.rnd:DDQNRND",
        sampler="sb3_breakout.zoo.search_space:sample_ddqn_per_params",
        converter="sb3_breakout.zoo.search_space:convert_ddqn_per_params",
    ),
}


def hyperparameter_file(algo: str, config: str | None = None) -> str:
    """
    :param algo: a key of ``ALGORITHMS``
    :param config: what ``-conf`` names: a file or Python package of the user's, or one of our presets by its bare name
        (``ddqn_per_original``); None for the algorithm's default hyperparameters
    :return: path of our file where ours is meant, else ``config``
    """
    if config is None:
        return str(_our_file(algo))
    preset = _our_file(config.removesuffix(".yml"))
    return str(preset) if preset.is_file() and not Path(config).exists() else config


def presets() -> list[str]:
    """:return: the bare names of our files of hyperparameters"""
    return sorted(path.stem for path in installed("hyperparams").glob("*.yml"))


def installed(folder: str) -> Path:
    """
    :param folder: name of a folder of the checkout that comes with the package
    :return: its path: inside the installed package, or beside the package in a checkout
    """
    package = Path(sb3_breakout.__file__).parent
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def _our_file(name: str) -> Path:
    """
    :param name: bare name of a file of hyperparameters
    :return: its path
    """
    return installed("hyperparams") / f"{name}.yml"
