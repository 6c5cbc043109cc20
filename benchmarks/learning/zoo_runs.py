"""Trainings for benchmarks, most of them by RL Zoo, local or on a cluster. Finished trainings are not repeated."""

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

RESULT = "evaluations.npz"  # marks a finished training
LOST_AT_MOST = 20  # times that one training may be lost with its node
Task = TypeVar("Task")


class Variant(NamedTuple):
    """
    A variant to train.

    :param params: RL Zoo's ``-params``
    :param algorithm: RL Zoo's ``--algo``
    :param model_class: class to use for ``algorithm``, instead of the Zoo's
    """

    params: Sequence[str] = ()
    algorithm: str = "ddqn_per"
    model_class: type | None = None


def is_finished(folder: Path) -> bool:
    """
    :param folder: folder of a training
    :return: whether the training is finished
    """
    return (folder / RESULT).exists()


def evaluations(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """
    :param folder: folder of a finished training
    :return: (evaluations,) agent steps, and (evaluations, games) scores
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
    Run the trainings that are not finished.

    :param train: called with a task and the folder of its training; must write ``RESULT`` there last
    :param jobs: tasks, and the folders of their trainings
    :param processes: number of trainings at once; each gets a fresh process, as the Zoo changes global settings
    :param cluster: address of a Ray cluster to train on instead
    :param kept: glob patterns, relative to the folder, of further files to fetch from the cluster
    :raises ClusterError: if the cluster cannot be reached
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
    Train on one CPU each. A training that is lost with its node starts again elsewhere. Files that are not kept are removed
    from the nodes.
    """
    from sb3_breakout.common.cluster import connect, ray

    connect(address, runtime_env={"py_modules": benchmarks.__path__})  # the installed package has no benchmarks
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
    """
    Train in a temporary folder.

    :return: contents of the files to keep, by name, the evaluations last
    """
    with TemporaryDirectory() as aside:
        folder = Path(aside)
        train(task, folder)
        files = [path for pattern in (*kept, RESULT) for path in sorted(folder.glob(pattern))]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def add_arguments(parser: argparse.ArgumentParser, folder: str) -> None:
    """
    Add the options that set where trainings are run and kept.

    :param parser: parser of the program
    :param folder: default folder of the trainings
    """
    parser.add_argument("--processes", type=int, default=1, help="trainings at once")
    parser.add_argument("--ray", metavar="ADDRESS", help="train on a Ray cluster: auto, HOST:PORT, ray://HOST:PORT or local")
    parser.add_argument("-f", "--folder", type=Path, default=Path(folder), help="where the trainings are kept")


def run_zoo(folder: Path, variant: Variant, arguments: str) -> None:
    """
    Run ``python -m rl_zoo3.train`` in this process, with one thread.

    :param folder: folder of the training; files of an unfinished one are removed
    :param variant: variant to train
    :param arguments: further command-line arguments, including ``--eval-freq``
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
