"""
Many trainings on MinAtar Breakout, and their scores.

Every variant and seed is a training by RL Zoo with the settings of ``minatar_breakout.py`` and the variant's ``-params``. A
finished run is not repeated: re-run the same command to resume (an unfinished run starts again).

Score: mean return of the last three evaluations of a training, near-greedy (epsilon 0.01), MinAtar's sticky actions (0.1).
Interquartile mean over the seeds with 95 % bootstrap confidence intervals (Agarwal et al. 2021, https://arxiv.org/abs/2108.13264).
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rliable.library import get_interval_estimates
from rliable.metrics import aggregate_iqm

from benchmarks.learning.minatar_breakout import ENV_ID
from benchmarks.learning.zoo_runs import Variant, add_arguments, evaluations, finish, run_zoo

EVALUATIONS = 10  # of a training
GAMES = 20  # of an evaluation
LAST = 3  # evaluations that make the score


class Runs:
    """
    Trainings of variants with several seeds, all of the same length.

    :param variants: by name
    :param seeds: of each variant's trainings
    :param steps: agent steps of each training
    :param folder: where they are kept
    """

    def __init__(self, variants: dict[str, Variant], seeds: Sequence[int], steps: int, folder: Path) -> None:
        self.variants = variants
        self.seeds = seeds
        self.steps = steps
        self.folder = folder / f"{steps}_steps"

    def finish(self, processes: int, cluster: str | None = None) -> None:
        """
        Train what is missing.

        :param processes: how many at once
        :param cluster: address of a Ray cluster that trains instead
        """
        tasks = itertools.product(self.seeds, self.variants)
        finish(self._train, [(task, self._folder(*task)) for task in tasks], processes, cluster)

    def _train(self, task: tuple[int, str], folder: Path) -> None:
        from minatar.gym import register_envs

        register_envs()
        seed, name = task
        run_zoo(
            folder,
            self.variants[name],
            f"--env {ENV_ID} --conf-file benchmarks.learning.minatar_breakout -n {self.steps} --seed {seed} --verbose 0 "
            f"--eval-freq {self.steps // EVALUATIONS} --eval-episodes {GAMES} --n-eval-envs 10",
        )

    def _folder(self, seed: int, name: str) -> Path:
        return self.folder / "".join(letter if letter.isalnum() else "_" for letter in name) / f"seed_{seed}"

    def curves(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """
        :param name: of a variant
        :return: agent steps (evaluations,), and mean returns (seeds, evaluations)
        """
        runs = [evaluations(self._folder(seed, name)) for seed in self.seeds]
        return runs[0][0], np.stack([games.mean(axis=1) for _, games in runs])

    def scores(self, name: str) -> np.ndarray:
        """
        :param name: of a variant
        :return: scores (seeds,)
        """
        return self.curves(name)[1][:, -LAST:].mean(axis=1)

    def all_evaluations(self) -> pd.DataFrame:
        """:return: columns variant, seed, steps and score, the mean return of an evaluation"""
        rows = []
        for name in self.variants:
            steps, returns = self.curves(name)
            for seed, scores in zip(self.seeds, returns, strict=True):
                rows += [(name, seed, *point) for point in zip(steps, scores, strict=True)]
        return pd.DataFrame(rows, columns=["variant", "seed", "steps", "score"])


def interquartile_means(scores: dict[str, np.ndarray]) -> dict[str, tuple[float, float, float]]:
    """
    :param scores: name to scores (seeds,)
    :return: interquartile mean and both ends of its 95 % confidence interval
    """
    columns = {name: values[:, None] for name, values in scores.items()}  # rliable: (runs, tasks)
    means, intervals = get_interval_estimates(columns, lambda runs: np.array([aggregate_iqm(runs)]), reps=2000)
    return {name: (means[name].item(), *intervals[name].ravel().tolist()) for name in scores}


def argument_parser(description: str | None, seeds: Sequence[int]) -> argparse.ArgumentParser:
    """
    :param description: of the program
    :param seeds: default
    :return: the options that all such programs share
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50_000, help="agent steps per run")
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds)
    add_arguments(parser, "logs/minatar")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    return parser
