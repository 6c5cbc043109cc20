"""
What each part contributes on Breakout: one training for each variant of ``hyperparams/ddqn_per.yml``.

    python -m benchmarks.learning.ablation_breakout --output ablation_breakout.csv

Each training is the first part of the training in the YAML file, with its schedules, but records no gameplay. Prints the raw
scores of whole games during training, as ``atari.py`` does. One seed says little; for statistics see ``ablation.py``. Finished
trainings are not repeated: re-run the same command to resume (an unfinished training starts again).
"""

import argparse
import functools
from pathlib import Path

import pandas as pd
from stable_baselines3.common.callbacks import BaseCallback

from benchmarks.learning.atari import learning_curve, print_table, thinned
from benchmarks.learning.zoo_runs import Variant, add_arguments, finish, run_zoo

ENV_ID = "BreakoutNoFrameskip-v4"
CURVE = ("zoo/*/*/*.monitor.csv", "zoo/*/*/*/args.yml")  # files that a learning curve is read from
EVERY = 100_000  # agent steps between two points of a curve
VARIANTS = {
    "ddqn_per": Variant(),
    "uniform replay": Variant(["replay_buffer_kwargs:dict(alpha=0.0)"]),
    # Epsilon falls over 250,000 steps, a fraction of the YAML's 10 million
    "epsilon-greedy": Variant(["exploration:'epsilon_greedy'", "exploration_fraction:0.025", "exploration_final_eps:0.01"]),
    "without the ladder": Variant(["ladder_epsilon:0.0"]),
    "3-step": Variant(["n_steps:3"]),
    "1-step": Variant(["n_steps:1"]),
    "c51_per": Variant(algorithm="c51_per"),
    "c51_per without the mirror": Variant(["mirrored_actions:None"], algorithm="c51_per"),
}


class StopAfter(BaseCallback):
    """
    Ends a training early, without shortening its schedules.

    :param steps: agent steps after which to end
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def _on_step(self) -> bool:
        return self.num_timesteps < self.steps


def train(name: str, folder: Path, steps: int, seed: int) -> None:
    """
    :param name: name of the variant
    :param folder: folder of the training
    :param steps: agent steps to train
    :param seed: seed of the training
    """
    variant = VARIANTS[name]
    stop = f"callback:[{{'benchmarks.learning.ablation_breakout.StopAfter':{{'steps':{steps}}}}}]"
    run_zoo(
        folder,
        variant._replace(params=[*variant.params, stop]),
        f"--env {ENV_ID} --seed {seed} --verbose 0 --eval-freq {steps} --eval-episodes 10 --n-eval-envs 10",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=700_000, help="agent steps per training")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    add_arguments(parser, "logs/ablation_breakout")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    args = parser.parse_args()

    folder = args.folder / f"{args.steps}_steps" / f"seed_{args.seed}"
    train_variant = functools.partial(train, steps=args.steps, seed=args.seed)
    finish(train_variant, [(name, folder / name) for name in args.variants], args.processes, args.ray, kept=CURVE)

    curves = {name: learning_curve([next((folder / name).glob("zoo/*/*/"))]) for name in args.variants}
    print_table(curves, EVERY)
    if args.output:
        points = [thinned(curve, EVERY).assign(variant=name) for name, curve in curves.items()]
        pd.concat(points)[["variant", "steps", "score"]].to_csv(args.output, index=False, float_format="%.2f")


if __name__ == "__main__":
    main()
