"""Which algorithms we add to RL Zoo, and where their classes and files are: the one place to add another."""

from pathlib import Path

import sb3_breakout

# "module:class" of each algorithm, named and not imported, so that listing them costs nothing
ALGORITHMS = {
    "ddqn_per": "sb3_breakout.ddqn:DDQN",
    "c51_per": "sb3_breakout.ddqn:C51",
    "ddqn_rnd": "sb3_breakout.rnd:DDQNRND",
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
