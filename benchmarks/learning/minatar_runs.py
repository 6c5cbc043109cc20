"""
Trainings on MinAtar Breakout with several variants and seeds, and their scores.

Each variant is trained by RL Zoo with each seed, with the settings of ``minatar_breakout.py`` and the variant's ``-params``.
Finished runs are not repeated: re-run the same command to resume (an unfinished run starts again).

A score is the mean return of a training's last three evaluations, near-greedy (epsilon 0.01) with MinAtar's sticky actions
(0.1). Variants are summarized by the interquartile mean over seeds with its 95 % bootstrap confidence interval (Agarwal et
al. 2021, https://arxiv.org/abs/2108.13264).
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

EVALUATIONS = 10  # per training
GAMES = 20  # per evaluation
LAST = 3  # evaluations that the score is the mean of


class Runs:
    """
    Trainings of several variants with several seeds, all of the same length.

    :param variants: variants, by name
    :param seeds: seeds of each variant
    :param steps: agent steps of each training
    :param folder: folder of the trainings
    """

    def __init__(self, variants: dict[str, Variant], seeds: Sequence[int], steps: int, folder: Path) -> None:
        self.variants = variants
        self.seeds = seeds
        self.steps = steps
        self.folder = folder / f"{steps}_steps"

    def finish(self, processes: int, cluster: str | None = None) -> None:
        """
        Run the missing trainings.

        :param processes: number of trainings at once
        :param cluster: address of a Ray cluster to train on instead
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
        :param name: name of a variant
        :return: agent steps of the evaluations (evaluations,), and mean returns (seeds, evaluations)
        """
        runs = [evaluations(self._folder(seed, name)) for seed in self.seeds]
        return runs[0][0], np.stack([games.mean(axis=1) for _, games in runs])

    def scores(self, name: str) -> np.ndarray:
        """
        :param name: name of a variant
        :return: (seeds,) scores
        """
        return self.curves(name)[1][:, -LAST:].mean(axis=1)

    def all_evaluations(self) -> pd.DataFrame:
        """:return: a row for each evaluation, with columns variant, seed, steps and score (its mean return)"""
        rows = []
        for name in self.variants:
            steps, returns = self.curves(name)
            for seed, scores in zip(self.seeds, returns, strict=True):
                rows += [(name, seed, *point) for point in zip(steps, scores, strict=True)]
        return pd.DataFrame(rows, columns=["variant", "seed", "steps", "score"])


def interquartile_means(scores: dict[str, np.ndarray]) -> dict[str, tuple[float, float, float]]:
    """
    :param scores: (seeds,) scores, by name
    :return: interquartile mean and both ends of its 95 % confidence interval, by name
    """
    columns = {name: values[:, None] for name, values in scores.items()}  # rliable: (runs, tasks)
    means, intervals = get_interval_estimates(columns, lambda runs: np.array([aggregate_iqm(runs)]), reps=2000)
    return {name: (means[name].item(), *intervals[name].ravel().tolist()) for name in scores}


def argument_parser(description: str | None, seeds: Sequence[int]) -> argparse.ArgumentParser:
    """
    :param description: description of the program
    :param seeds: default seeds
    :return: parser with the options that all programs of this kind share
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50_000, help="agent steps per run")
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds)
    add_arguments(parser, "logs/minatar")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    return parser
