"""
Start-up of a training: ``python -m benchmarks.training.startup``.

Runs ``rl_zoo3 train`` with ``ddqn_per`` and with SB3's ``dqn`` in turns, with one environment and the same few updates each.
This compares imports, the Zoo's set-up and the first steps, not the number of games.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

ALGORITHMS = ("dqn", "ddqn_per")


def train(algorithm: str, env: str, steps: int) -> np.ndarray:
    """
    :param algorithm: RL Zoo's name of the algorithm
    :param env: id of the environment
    :param steps: agent steps
    :return: processor and wall seconds of a training
    """
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", algorithm, "--env", env, "-n", str(steps)]
    command += ["--eval-freq", "-1", "-params", "n_envs:1", "callback:None"]
    command += ["learning_starts:32", "train_freq:16", "gradient_steps:1"]
    with tempfile.TemporaryDirectory() as logs:
        before, start = children(), time.perf_counter()
        subprocess.run([*command, "-f", logs], check=True, stdout=subprocess.DEVNULL)
        return np.array([children() - before, time.perf_counter() - start])


def children() -> float:
    """:return: processor seconds of the child processes that have ended"""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="CartPole-v1")
    parser.add_argument("--steps", type=int, default=64, help="more than 32, when the updates start")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    seconds = np.array([[train(name, args.env, args.steps) for name in ALGORITHMS] for _ in range(args.rounds)])
    print("| | processor time, s | wall, s |\n| --- | --- | --- |")
    for name, (processor, wall) in zip(ALGORITHMS, np.median(seconds, axis=0), strict=True):
        print(f"| {name} | {processor:.2f} | {wall:.2f} |")
    low, median, high = np.quantile(seconds[:, 1, 0] / seconds[:, 0, 0], [0.25, 0.5, 0.75])
    print(f"processor time, ddqn_per ÷ dqn: {median:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
