"""
DeepSea: does exploration by Random Network Distillation find what epsilon-greedy does not?

    python -m benchmarks.learning.rnd_deepsea --output deepsea.csv

A diver starts in the upper left corner of a square grid and sinks by one row per step, to the left or to the right. Which
action means right is drawn at random for every cell. A step to the right costs 0.01 / size, and only ``size`` of them in a
row lead to the treasure, worth 1. Random play finds it in one of 2^size dives ("deep sea", Osband et al. 2019,
https://arxiv.org/abs/1908.03568).

``ddqn_rnd`` and ``ddqn_per``, both with epsilon-greedy exploration, train with the same hyperparameters for the same number of
steps. A seed counts as solved if the greedy exploitation agent takes the treasure at the end. Every seed has its own map.
Finished trainings are not repeated: re-run the same command to resume.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pandas as pd
import torch as th
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from benchmarks.learning.zoo_runs import RESULT, add_arguments, finish
from sb3_breakout import DDQN, DDQNRND, DualAgentCallback, RNDRewardWrapper
from sb3_breakout.common.files import atomic_write

N_ENVS = 4  # they differ only by random actions, so more would mostly repeat each other
SOLVED = 0.9
HYPERPARAMETERS: dict[str, Any] = dict(
    learning_rate=1e-3,
    buffer_size=20_000,
    learning_starts=1000,
    batch_size=64,
    train_freq=1,
    gradient_steps=2,
    n_steps=1,
    target_update_interval=160,
    exploration="epsilon_greedy",
    exploration_fraction=0.01,
    exploration_final_eps=0.1,  # tries both actions where the bonus has vanished
    replay_buffer_kwargs=dict(alpha=0.5, beta=0.0),
    policy_kwargs=dict(net_arch=[64]),
    device="cpu",
)
ALPHA: dict[str, Any] = dict(alpha_initial=1.0, alpha_final=0.1, alpha_fraction=1.0)
BONUS: dict[str, Any] = dict(learning_rate=1e-3, update_proportion=1.0, batch_size=4, gamma=0.9)
COLUMNS = (
    "algorithm",
    "seed",
    "solved",
    "return at the end",
    "cells visited",
    "treasure first taken in training, step",
    "by the greedy agent, step",
    "processor seconds",
)


class DeepSea(gym.Env):
    """
    The observation is the one-hot (size * size,) cell of the diver.

    :param size: number of rows, of columns and of steps per dive
    :param seed: seed of the map of actions that go right
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.right = np.random.default_rng(seed).integers(0, 2, (size, size))  # (row, column): action that goes right
        self.observation_space = spaces.Box(0.0, 1.0, (size * size,), np.float32)
        self.action_space = spaces.Discrete(2)

    def _observe(self) -> np.ndarray:
        cell = np.zeros(self.size * self.size, np.float32)
        if self.row < self.size:
            cell[self.row * self.size + self.column] = 1.0
        return cell

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.row = self.column = 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        reward = 0.0
        if action == self.right[self.row, self.column]:
            treasure = self.row == self.column == self.size - 1
            reward = float(treasure) - 0.01 / self.size
            self.column = min(self.column + 1, self.size - 1)
        else:
            self.column = max(self.column - 1, 0)
        self.row += 1
        return self._observe(), reward, self.row == self.size, False, {}


class Watch(BaseCallback):
    """
    Evaluates the greedy agent at intervals, and counts the cells visited in training.

    :param env: environment of the evaluations
    :param every: agent steps between two evaluations
    """

    def __init__(self, env: DeepSea, every: int) -> None:
        super().__init__()
        self.env, self.every = env, every
        self.visited = np.zeros(env.observation_space.shape, bool)
        self.found: int | None = None  # agent steps until the treasure was first taken in training
        self.curve: list[tuple[int, float, int]] = []  # agent steps, greedy return, cells visited

    def _on_step(self) -> bool:
        self.visited |= (self.locals["new_obs"] > 0.0).any(axis=0)
        if self.found is None and self.locals["rewards"].max() > SOLVED:
            self.found = self.num_timesteps
        if self.num_timesteps % self.every < self.training_env.num_envs:
            self.curve.append((self.num_timesteps, self.greedy_return(), int(self.visited.sum())))
        return True

    def greedy_return(self) -> float:
        """:return: undiscounted return of a dive of the greedy agent"""
        (observation, _), total, done = self.env.reset(), 0.0, False
        while not done:
            action, _ = self.model.predict(observation, deterministic=True)
            observation, reward, done, _, _ = self.env.step(int(action))
            total += reward
        return total


class Run(NamedTuple):
    """
    One training.

    :param algorithm: ``ddqn_rnd`` or ``ddqn_per``
    :param seed: seed of the training and of the map
    :param curve: (evaluations, 3): agent steps, greedy return, cells visited
    :param found: agent steps until the treasure was first taken in training; None for never
    :param seconds: processor time
    """

    algorithm: str
    seed: int
    curve: np.ndarray
    found: int | None
    seconds: float


def train(task: tuple[str, int], folder: Path, size: int, steps: int) -> None:
    """
    :param task: algorithm and seed
    :param folder: folder of the training
    :param size: size of the grid
    :param steps: agent steps to train
    """
    algorithm, seed = task
    th.set_num_threads(1)
    started = time.process_time()
    env: VecEnv = DummyVecEnv([lambda: DeepSea(size, seed)] * N_ENVS)
    watch = Watch(DeepSea(size, seed), every=steps // 50)
    callbacks: list[BaseCallback] = [watch]
    model: DDQN
    if algorithm == "ddqn_rnd":
        model = DDQNRND("MlpPolicy", RNDRewardWrapper(env, **BONUS), seed=seed, **HYPERPARAMETERS)
        callbacks.append(DualAgentCallback(**ALPHA))
    else:
        model = DDQN("MlpPolicy", env, seed=seed, **HYPERPARAMETERS)
    model.learn(steps, callback=callbacks, log_interval=10**9)
    with atomic_write(folder / RESULT) as path, open(path, "wb") as file:
        np.savez(file, curve=watch.curve, found=watch.found or -1, seconds=time.process_time() - started)


def finished_run(task: tuple[str, int], folder: Path) -> Run:
    """
    :param task: algorithm and seed
    :param folder: folder of the training
    :return: the results that :func:`train` wrote there
    """
    with np.load(folder / RESULT) as file:
        found = int(file["found"])
        return Run(*task, file["curve"], found if found > 0 else None, float(file["seconds"]))


def figures(run: Run) -> dict[str, Any]:
    """
    :param run: finished training
    :return: row of the CSV file; ``found`` and ``greedy`` are the agent steps until the treasure was first taken in training
        and by the greedy agent, None for never
    """
    greedy = run.curve[run.curve[:, 1] > SOLVED, 0]
    _, last, cells = run.curve[-1]
    return {
        "algorithm": run.algorithm,
        "seed": run.seed,
        "return": last,
        "cells": int(cells),
        "found": run.found,
        "greedy": int(greedy[0]) if len(greedy) else None,
        "seconds": round(run.seconds),
    }


def row(run: Run) -> str:
    """:return: line of the printed table"""
    algorithm, seed, last, cells, found, greedy, seconds = figures(run).values()
    solved = "yes" if last > SOLVED else "no"
    cell = (algorithm, seed, solved, f"{last:.3f}", cells, found or "never", greedy or "never", seconds)
    return f"| {' | '.join(map(str, cell))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=20)
    parser.add_argument("--steps", type=int, default=80_000, help="agent steps per run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--algorithms", nargs="+", default=["ddqn_rnd", "ddqn_per"], choices=["ddqn_rnd", "ddqn_per"])
    add_arguments(parser, "logs/rnd_deepsea")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    arguments = parser.parse_args()

    folder = arguments.folder / f"size_{arguments.size}_{arguments.steps}_steps"
    jobs = [((each, seed), folder / each / f"seed_{seed}") for each in arguments.algorithms for seed in arguments.seeds]
    train_one = partial(train, size=arguments.size, steps=arguments.steps)
    finish(train_one, jobs, arguments.processes, arguments.ray)

    runs = [finished_run(*job) for job in jobs]
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for run in runs:
        print(row(run))
    for algorithm in arguments.algorithms:
        own = [run for run in runs if run.algorithm == algorithm]
        print(f"{algorithm}: {sum(run.curve[-1, 1] > SOLVED for run in own)} of {len(own)} seeds solved")
    if arguments.output:
        pd.DataFrame([figures(run) for run in runs]).to_csv(arguments.output, index=False, float_format="%.3f")


if __name__ == "__main__":
    main()
