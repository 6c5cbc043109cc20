"""
Train on Breakout with the flags of the original system. Prints and runs the equivalent RL Zoo command.

python scripts/train_dqn.py                            prioritized Double DQN with Boltzmann exploration (ddqn_per)
python scripts/train_dqn.py --exploration_mode rnd     two agents and random network distillation (ddqn_rnd)

Every other option is RL Zoo's (python -m rl_zoo3.train --help) and is passed on.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import yaml

from sb3_breakout.registry import hyperparameter_file

ENV = "BreakoutNoFrameskip-v4"
ALGORITHM = {"temperature": "ddqn_per", "rnd": "ddqn_rnd"}
STOP = "stable_baselines3.common.callbacks.StopTrainingOnMaxEpisodes"
RECORDERS = "sb3_breakout.gameplay."  # prefix of callbacks that record gameplay


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--exploration_mode", choices=list(ALGORITHM), default="temperature")
    parser.add_argument(
        "--max_episodes",
        type=int,
        help="stop after so many episodes (lives, random play before learning included), rounded up to as many in each game",
    )
    parser.add_argument("--min_buffer", type=int, help="transitions of random play before learning starts")
    parser.add_argument(
        "--save_freq", type=int, help="agent steps between checkpoints (default: none but the best and the last)"
    )
    parser.add_argument("--no_save", action="store_true", help="record no gameplay")
    parser.add_argument("-params", "--hyperparams", nargs="+", default=[], help="hyperparameters, as in RL Zoo")
    parser.add_argument("-conf", "--conf-file", help="file of hyperparameters or preset, as in RL Zoo")
    args, others = parser.parse_known_args()
    try:
        options = zoo_options(args, others)
    except ValueError as error:
        parser.error(str(error))
    print(shlex.join(["python", "-m", "rl_zoo3.train", *options]), flush=True)

    from rl_zoo3.train import train  # a slow import

    sys.argv = ["train", *options]
    train()


def zoo_options(args: argparse.Namespace, others: list[str]) -> list[str]:
    """
    :param args: the original's flags, ``hyperparams`` and ``conf_file``
    :param others: further options of RL Zoo
    :return: the equivalent options of ``rl_zoo3.train``
    :raises ValueError: if an argument cannot be translated
    """
    algo = ALGORITHM[args.exploration_mode]
    options = ["--algo", algo, "--env", ENV, "-P"]
    if args.conf_file is not None:
        options += ["-conf", args.conf_file]
    if args.save_freq is not None:
        options += ["--save-freq", str(args.save_freq)]
    hyperparams = []
    if args.min_buffer is not None:
        hyperparams.append(f"learning_starts:{args.min_buffer}")
    if args.max_episodes is not None or args.no_save:
        hyperparams += callback_parameter(args, section(algo, args.conf_file))
    hyperparams += args.hyperparams
    return options + others + (["-params", *hyperparams] if hyperparams else [])


def callback_parameter(args: argparse.Namespace, configured: dict[str, Any]) -> list[str]:
    """
    :param args: the original's flags and ``hyperparams``
    :param configured: the hyperparameters in the YAML file
    :return: the callbacks of the YAML file, less those that record gameplay with ``--no_save``, plus the one that
        counts episodes with ``--max_episodes``; nothing if these are the file's own
    :raises ValueError: if ``-params`` has callbacks too, or there is no episode to be played
    """
    given = dict(word.split(":", 1) for word in args.hyperparams if ":" in word)
    if "callback" in given:
        raise ValueError("--max_episodes and --no_save choose the callbacks: leave callback out of -params, or them.")
    before = configured.get("callback") or []
    callbacks = before = before if isinstance(before, list) else [before]
    if args.no_save:
        callbacks = [each for each in callbacks if not callback_name(each).startswith(RECORDERS)]
    if args.max_episodes is not None:
        if args.max_episodes < 1:
            raise ValueError(f"--max_episodes must be at least 1, received {args.max_episodes}.")
        games = int(given.get("n_envs", configured.get("n_envs", 1)))
        callbacks = [*callbacks, {STOP: {"max_episodes": -(-args.max_episodes // games), "verbose": 1}}]
    return [f"callback:{callbacks}"] if callbacks != before else []


def callback_name(callback: str | dict[str, Any]) -> str:
    """
    :param callback: as RL Zoo reads it: a name, or a name with its arguments
    :return: the name
    """
    return callback if isinstance(callback, str) else next(iter(callback))


def section(algo: str, conf_file: str | None) -> dict[str, Any]:
    """
    :param algo: RL Zoo's name of the algorithm
    :param conf_file: what ``-conf`` names, if anything
    :return: the hyperparameters for Breakout in its YAML file
    :raises ValueError: if there is no such file, or nothing for Breakout in it
    """
    file = Path(hyperparameter_file(algo, conf_file))
    if not file.is_file():
        raise ValueError(f"--max_episodes and --no_save need a YAML file of hyperparameters, there is no {file}.")
    sections = yaml.safe_load(file.read_text())
    if ENV not in sections:
        raise ValueError(f"{file} has no hyperparameters for {ENV}.")
    return sections[ENV]


if __name__ == "__main__":
    main()
