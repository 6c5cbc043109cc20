"""
CartPole-v1 in RL Zoo: train with the shipped hyperparameters, then evaluate the final model (not the best one).

    python -m benchmarks.learning.cartpole --seeds 0 1 2 3 4

Prints one row per seed, and how many seeds reach a mean return of 475 over 100 episodes.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import gymnasium as gym
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from sb3_breakout import DDQN

SOLVED = 475.0


def train(seed: int, params: list[str], folder: Path) -> Path:
    """
    :param seed: seed of the run
    :param params: hyperparameters to change
    :param folder: RL Zoo's log folder
    :return: the final model
    """
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", "ddqn_per", "--env", "CartPole-v1", "--device", "cpu"]
    command += ["--seed", str(seed), "--eval-freq", "-1", "--num-threads", "1", "--verbose", "0", "-f", str(folder)]
    command += ["-params", *params] if params else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "ddqn_per" / "CartPole-v1_1" / "CartPole-v1.zip"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--params", nargs="+", default=[], metavar="NAME:VALUE", help="as -params of RL Zoo")
    arguments = parser.parse_args()

    solved = 0
    print("| seed | steps | mean of the final model | std |\n|---|---|---|---|")
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            model = DDQN.load(train(seed, arguments.params, Path(folder)))
        env = Monitor(gym.make("CartPole-v1"))
        env.reset(seed=1000 + seed)
        mean, std = evaluate_policy(model, env, n_eval_episodes=arguments.episodes, deterministic=True)
        solved += mean >= SOLVED
        print(f"| {seed} | {model.num_timesteps} | {mean:.1f} | {std:.1f} |", flush=True)
    print(f"\n{solved} of {len(arguments.seeds)} seeds reach a mean of {SOLVED:.0f} over {arguments.episodes} episodes.")


if __name__ == "__main__":
    main()
