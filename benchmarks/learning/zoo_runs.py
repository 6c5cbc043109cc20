"""Trainings as part of a benchmark, most of them RL Zoo's, here or on a cluster; those that are finished are not repeated."""

import argparse
import multiprocessing
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import numpy as np

import benchmarks
from sb3_breakout.common.files import atomic_write

RESULT = "evaluations.npz"  # what a finished training leaves in its folder
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
    :return: whether it has come to its end
    """
    return (folder / RESULT).exists()


def evaluations(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """
    :param folder: of a finished training
    :return: agent steps (evaluations,), and scores (evaluations, games)
    """
    with np.load(folder / RESULT) as file:
        return file["timesteps"], file["results"]


def finish(
    train: Callable[[Task, Path], None],
    jobs: Iterable[tuple[Task, Path]],
    processes: int,
    cluster: str | None = None,
    kept: Sequence[str] = (),
) -> None:
    """
    Do those trainings that are not finished.

    :param train: is called with a task and the folder of its training, where it writes ``RESULT`` last
    :param jobs: tasks, and the folders of their trainings
    :param processes: how many at once; each training has a fresh one, as the Zoo changes the settings that it reads
    :param cluster: address of a Ray cluster that trains instead
    :param kept: patterns for what else comes back from the cluster, relative to the folder
    :raises ClusterError: if there is no such cluster
    """
    missing = [(task, folder) for task, folder in jobs if not is_finished(folder)]
    if cluster and missing:
        _on_cluster(train, missing, cluster, kept)
    elif missing:
        with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=1) as pool:
            pool.starmap(train, missing, chunksize=1)


def _on_cluster(
    train: Callable[[Task, Path], None], jobs: Iterable[tuple[Task, Path]], address: str, kept: Sequence[str]
) -> None:
    """
    Train on one CPU each; a training that is lost with its node begins anew elsewhere. What is not kept of a training is
    removed from its node.
    """
    from sb3_breakout.common.cluster import connect, ray

    connect(address, runtime_env={"py_modules": benchmarks.__path__})  # the nodes have the package, not its benchmarks
    try:
        train_there = ray.remote(num_cpus=1, max_retries=LOST_AT_MOST, max_calls=1)(_train_aside)  # a fresh process each
        running = {train_there.remote(train, task, kept): folder for task, folder in jobs}
        while running:
            (done,), _ = ray.wait(list(running))
            folder = running.pop(done)
            shutil.rmtree(folder, ignore_errors=True)
            for name, content in ray.get(done).items():
                with atomic_write(folder / name) as path:
                    path.write_bytes(content)
    finally:
        ray.shutdown()


def _train_aside(train: Callable[[Task, Path], None], task: Task, kept: Sequence[str]) -> dict[str, bytes]:
    """:return: names and contents of the files to keep of a training, the evaluations last"""
    with TemporaryDirectory() as aside:
        folder = Path(aside)
        train(task, folder)
        files = [path for pattern in (*kept, RESULT) for path in sorted(folder.glob(pattern))]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def add_arguments(parser: argparse.ArgumentParser, folder: str) -> None:
    """
    Add the options that say where trainings are done and kept.

    :param parser: of a program
    :param folder: where its trainings are kept by default
    """
    parser.add_argument("--processes", type=int, default=1, help="trainings at once")
    parser.add_argument("--ray", metavar="ADDRESS", help="train on a Ray cluster: auto, HOST:PORT, ray://HOST:PORT or local")
    parser.add_argument("-f", "--folder", type=Path, default=Path(folder), help="where the trainings are kept")


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
    (scores,) = logs.rglob(RESULT)
    scores.rename(folder / RESULT)
