"""
``ddqn_rnd`` and ``ddqn_per`` on Breakout, with the same seed and steps: how many distinct states training visits, and how well
the (exploitation) agent plays.

    python -m benchmarks.learning.rnd_breakout --processes 2 --output rnd_breakout.csv      # 75 minutes on two cores

RL Zoo trains both with the settings in their YAML files, except that alpha falls over half of these short trainings. A state
is the newest frame, reduced to 12x12 means of 7x7 pixels in 16 levels, which show walls and paddle rather than the ball.
Scores are raw, from RL Zoo's evaluations: 10 whole games, near-greedy. For ``ddqn_rnd``, the standard deviation of the
discounted return of the scaled bonus is printed too. It is 1 if the scale is right.
"""

import argparse
from collections import deque
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.learning.zoo_runs import Variant, add_arguments, evaluations, finish, run_zoo
from sb3_breakout.common.files import atomic_write
from sb3_breakout.common.rewards import INTRINSIC_REWARD

ALGORITHMS = ("ddqn_per", "ddqn_rnd")
ENV_ID = "BreakoutNoFrameskip-v4"
EXPLORED = "explored.npy"  # file in the folder of a training
EVERY = 5000  # agent steps between two points of a curve
EVALUATE_EVERY = 25_000
DISCOUNT = 0.99  # of the bonus, RND's default
WINDOW = 10_000  # collected frames for the standard deviation


class Explored(BaseCallback):
    """
    Counts distinct states, and measures the scale of the bonus if there is one.

    :param path: file to write, (points, 3): agent steps, distinct states, standard deviation of the bonus' discounted return
        (nan without bonus)
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = Path(path)
        self.seen: set[bytes] = set()
        self.returns: deque[float] = deque(maxlen=WINDOW)
        self.curve: list[tuple[int, int, float]] = []

    def _on_training_start(self) -> None:
        self.discounted = np.zeros(self.training_env.num_envs)

    def _on_step(self) -> bool:
        frames = self.locals["new_obs"][:, -1]  # (n_envs, 84, 84), the newest of each stack
        cells = frames.reshape(-1, 12, 7, 12, 7).mean(axis=(2, 4)).astype(np.uint8) // 16
        self.seen.update(cell.tobytes() for cell in cells)
        bonus = np.array([info.get(INTRINSIC_REWARD, np.nan) for info in self.locals["infos"]])
        self.discounted = DISCOUNT * self.discounted + bonus
        self.returns.extend(self.discounted)
        if self.num_timesteps % EVERY < self.training_env.num_envs:
            self.curve.append((self.num_timesteps, len(self.seen), float(np.std(self.returns))))
            with atomic_write(self.path) as aside, open(aside, "wb") as file:
                np.save(file, np.array(self.curve))
        return True


def train(algorithm: str, folder: Path, steps: int, seed: int) -> None:
    """
    Train with RL Zoo.

    :param algorithm: one of ``ALGORITHMS``
    :param folder: folder of the training
    :param steps: agent steps to train
    :param seed: seed of the training
    """
    callbacks: list[object] = [{"benchmarks.learning.rnd_breakout.Explored": {"path": str(folder / EXPLORED)}}]
    if algorithm == "ddqn_rnd":
        dual = {"alpha_initial": 0.5, "alpha_final": 0.0, "alpha_fraction": 0.5}  # the YAML file's is for 10M steps
        callbacks.insert(0, {"sb3_breakout.rnd.DualAgentCallback": dual})
    arguments = f"--env {ENV_ID} -n {steps} --seed {seed} --eval-freq {EVALUATE_EVERY} --eval-episodes 10"
    run_zoo(folder, Variant([f"callback:{callbacks}"], algorithm), arguments)


def report(folder: Path, output: Path | None) -> None:
    """
    Print the table, and write it to a file.

    :param folder: folder of both trainings
    :param output: CSV file to write
    """
    explored = {each: np.load(folder / each / EXPLORED) for each in ALGORITHMS}
    evaluated = {each: evaluations(folder / each) for each in ALGORITHMS}
    print("| agent steps | " + " | ".join(f"{each}: states | score" for each in ALGORITHMS) + " | std of the bonus' return |")
    print("|---" * (2 + 2 * len(ALGORITHMS)) + "|")
    deviations, kept = explored["ddqn_rnd"][:, 2], []
    for at, step in enumerate(evaluated[ALGORITHMS[0]][0]):
        point = step // EVERY - 1
        cells = []
        for each in ALGORITHMS:
            games = evaluated[each][1][at]
            states, score, deviation = int(explored[each][point, 1]), games.mean(), games.std()
            cells.append(f"{states:,} | {score:.1f} ± {deviation:.1f}")
            kept.append({"algorithm": each, "steps": step, "states": states, "score": score, "deviation": deviation})
        print(f"| {step:,} | " + " | ".join(cells) + f" | {deviations[point]:.2f} |")
    deviations = deviations[2:]  # from the first full window
    print(f"Standard deviation of the bonus' discounted return: {np.nanmin(deviations):.2f} to {np.nanmax(deviations):.2f}")
    if output:
        pd.DataFrame(kept).to_csv(output, index=False, float_format="%.2f")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200_000, help="agent steps of each")
    parser.add_argument("--seed", type=int, default=0)
    add_arguments(parser, "logs/rnd_breakout")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    args = parser.parse_args()

    folder = args.folder / f"{args.steps}_steps_seed_{args.seed}"
    train_one = partial(train, steps=args.steps, seed=args.seed)
    finish(train_one, [(each, folder / each) for each in ALGORITHMS], args.processes, args.ray, kept=[EXPLORED])
    report(folder, args.output)


if __name__ == "__main__":
    main()
