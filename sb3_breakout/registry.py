"""The algorithms that we add to RL Zoo, with their classes and files: the one place to add another."""

from pathlib import Path

import sb3_breakout

# "module:class" of each algorithm, not imported, so that listing them costs nothing
ALGORITHMS = {
    "ddqn_per": "sb3_breakout.ddqn:DDQN",
    "c51_per": "sb3_breakout.ddqn:C51",
    "ddqn_rnd": "sb3_breakout.rnd:DDQNRND",
}


def hyperparameter_file(algo: str, config: str | None = None) -> str:
    """
    :param algo: a key of ``ALGORITHMS``
    :param config: value of ``-conf``: a user's file or Python package, or the bare name of one of our presets
        (``ddqn_per_original``); None for the algorithm's default hyperparameters
    :return: path of our file if ``config`` names one of ours, otherwise ``config``
    """
    if config is None:
        return str(_our_file(algo))
    preset = _our_file(config.removesuffix(".yml"))
    return str(preset) if preset.is_file() and not Path(config).exists() else config


def presets() -> list[str]:
    """:return: the bare names of our hyperparameter files"""
    return sorted(path.stem for path in installed("hyperparams").glob("*.yml"))


def installed(folder: str) -> Path:
    """
    Find a folder that comes with the package.

    :param folder: name of the folder in the checkout
    :return: path of the folder: inside the installed package, or beside the package in a checkout
    """
    package = Path(sb3_breakout.__file__).parent
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def _our_file(name: str) -> Path:
    """
    :param name: bare name of a hyperparameter file
    :return: path of the file
    """
    return installed("hyperparams") / f"{name}.yml"
