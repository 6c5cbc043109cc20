"""Trainings of RL Zoo as part of a benchmark, each in a process of its own; those that are finished are not repeated."""

import multiprocessing
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import numpy as np

import benchmarks
from sb3_breakout.common.files import written_aside

LOST_AT_MOST = 20  # times that a training is lost with its node
Task = TypeVar("Task")


class Variant(NamedTuple):
    """
    What is trained.

    :param params: ``-params`` of the Zoo
    :param algorithm: ``--algo``
    :param model_class: what ``algorithm`` shall stand for, if not for the Zoo's class
    """

    params: Sequence[str] = ()
    algorithm: str = "ddqn_per"
    model_class: type | None = None


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


def on_cluster(train: Callable[[tuple[Task, Path]], None], jobs: Iterable[tuple[Task, Path]], address: str) -> None:
    """
    Call ``train`` for each job on a Ray cluster, one CPU each; a training that is lost with its node begins anew elsewhere.
    Evaluations come back; whatever else a training writes stays on its node and is removed.

    :param train: what calls :func:`run_zoo`; gets a task and the folder of its training
    :param jobs: tasks, and the folders of their trainings here
    :param address: of the cluster
    :raises ClusterError: if there is no such cluster
    """
    from sb3_breakout.common.cluster import connect, ray

    connect(address, runtime_env={"py_modules": benchmarks.__path__})  # the nodes have the package, not its benchmarks
    try:
        train_there = ray.remote(num_cpus=1, max_retries=LOST_AT_MOST, max_calls=1)(_train_aside)  # a fresh process each
        running = {train_there.remote(train, task): folder for task, folder in jobs}
        while running:
            (done,), _ = ray.wait(list(running))
            folder = running.pop(done)
            with written_aside(_evaluations(folder)) as path:
                path.write_bytes(ray.get(done))
    finally:
        ray.shutdown()


def _train_aside(train: Callable[[tuple[Task, Path]], None], task: Task) -> bytes:
    """:return: content of the file with a training's evaluations"""
    with TemporaryDirectory() as aside:
        train((task, Path(aside)))
        return _evaluations(Path(aside)).read_bytes()


def run_zoo(folder: Path, variant: Variant, arguments: str) -> None:
    """
    What ``python -m rl_zoo3.train`` does, in this process, with one thread.

    :param folder: of the training; what an unfinished one left there is removed
    :param variant: what is trained
    :param arguments: else on the command line, with ``--eval-freq``
    """
    from rl_zoo3 import ALGOS
    from rl_zoo3.train import train

    import sb3_breakout

    shutil.rmtree(folder, ignore_errors=True)
    sb3_breakout.install()
    if variant.model_class:
        ALGOS[variant.algorithm] = variant.model_class
    logs = folder / "zoo"
    fixed = f"--algo {variant.algorithm} --num-threads 1 --log-interval 1000000"
    sys.argv = ["train", *fixed.split(), *arguments.split(), "-f", str(logs)]
    if variant.params:
        sys.argv += ["-params", *variant.params]
    train()
    (scores,) = logs.rglob("evaluations.npz")
    scores.rename(_evaluations(folder))


def _evaluations(folder: Path) -> Path:
    return folder / "evaluations.npz"
