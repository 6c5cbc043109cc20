"""Trainings of RL Zoo as part of a benchmark."""

import sys
from pathlib import Path

import torch as th
from rl_zoo3.train import train

import sb3_breakout


def run_zoo(*arguments: str) -> Path:
    """
    What ``python -m rl_zoo3.train`` does, in this process. Once in a process: the Zoo changes the settings it reads.

    :param arguments: of the command line, with ``--algo`` and ``-f`` of a folder that no other run uses
    :return: the folder of the run
    """
    th.set_num_threads(1)
    sb3_breakout.install()
    sys.argv = ["train", *arguments]
    train()
    algorithm, logs = (arguments[arguments.index(option) + 1] for option in ("--algo", "-f"))
    (run,) = Path(logs, algorithm).iterdir()
    return run
