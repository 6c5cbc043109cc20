"""
Discounted returns and Q-values of a Breakout agent: what C51's ``v_max`` must cover, and the error of the Q-values.

    python -m benchmarks.learning.returns rl-trained-agents/ddqn_per/BreakoutNoFrameskip-v4_1/BreakoutNoFrameskip-v4.zip

The agent plays near-greedily. A return sums clipped rewards and ends with the life, as in training. Prints quantiles over all
agent steps except the last ones, whose returns are not yet known.
"""

import argparse
from pathlib import Path

import numpy as np
import torch as th

from sb3_breakout import DDQN
from sb3_breakout.evaluation import env_for

QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99, 1.0)
UNKNOWN = 300  # last steps: gamma^300 is 5 %, so later rewards hardly count


def play(model: DDQN, steps: int, n_games: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """
    :param model: the agent
    :param steps: agent steps in each environment; a new game follows one that ends
    :param n_games: number of environments
    :param seed: seed of the games
    :return: discounted returns and largest Q-values, each (steps - UNKNOWN, n_games)
    """
    env = env_for(model, n_envs=n_games, seed=seed)
    observations = env.reset()
    q_values, rewards, ends = [], [], []
    for _ in range(steps):
        q_values.append(model.policy.q_values(observations).max(axis=1))  # type: ignore[arg-type, union-attr, operator]
        actions, _ = model.predict(observations, deterministic=False)  # type: ignore[arg-type]
        observations, reward, dones, _ = env.step(actions)
        rewards.append(np.sign(reward))
        ends.append(dones)
    env.close()
    returns = np.zeros((steps + 1, n_games))
    for step in reversed(range(steps)):
        returns[step] = rewards[step] + model.gamma * returns[step + 1] * ~ends[step]
    known = slice(0, steps - UNKNOWN)
    return returns[known], np.array(q_values)[known]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", type=Path, help="model file")
    parser.add_argument("--steps", type=int, default=1_500, help="agent steps of each game")
    parser.add_argument("--games", type=int, default=12, help="games at once")
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()

    model = DDQN.load(args.agent)
    model.set_random_seed(args.seed)
    returns, q_values = play(model, args.steps, args.games, args.seed)
    print("| | mean | " + " | ".join(f"{quantile:.0%}" for quantile in QUANTILES) + " |\n|---|---|" + "---|" * len(QUANTILES))
    for name, values in (("discounted return", returns), ("largest Q-value", q_values)):
        row = [values.mean(), *np.quantile(values, QUANTILES)]
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in row) + " |")


if __name__ == "__main__":
    th.set_num_threads(1)
    main()
