"""Trainings of RL Zoo as part of a benchmark, each in a process of its own; those that are finished are not repeated."""

import multiprocessing
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

Task = TypeVar("Task")


def is_finished(folder: Path) -> bool:
    """
    :param folder: of a training
    :return: whether :func:`run_zoo` has come to its end there
    """
    return _evaluations(folder).exists()


def evaluations(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """
    :param folder: of a finished training
    :return: agent steps (evaluations,), and scores (evaluations, games)
    """
    with np.load(_evaluations(folder)) as file:
        return file["timesteps"], file["results"]


def in_processes(train: Callable[[Task], None], tasks: Iterable[Task], processes: int) -> None:
    """
    Call ``train`` for each task, in a fresh process each: the Zoo changes the settings that it reads.

    :param train: what calls :func:`run_zoo`
    :param tasks: what it is called with
    :param processes: how many at once
    """
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=1) as pool:
        pool.map(train, tasks, chunksize=1)


def run_zoo(folder: Path, arguments: str, params: Iterable[str] = ()) -> None:
    """
    What ``python -m rl_zoo3.train`` does, in this process, with one thread.

    :param folder: of the training; what an unfinished one left there is removed
    :param arguments: of the command line, with ``--eval-freq``
    :param params: after ``-params``
    """
    from rl_zoo3.train import train

    import sb3_breakout

    shutil.rmtree(folder, ignore_errors=True)
    sb3_breakout.install()
    logs = folder / "zoo"
    sys.argv = ["train", *arguments.split(), *f"--num-threads 1 --log-interval 1000000 -f {logs}".split()]
    if params:
        sys.argv += ["-params", *params]
    train()
    (scores,) = logs.rglob("evaluations.npz")
    scores.rename(_evaluations(folder))


def _evaluations(folder: Path) -> Path:
    return folder / "evaluations.npz"
