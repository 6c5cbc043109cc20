"""
What each part contributes on the real game, as an illustration: one training for each variant of ``ablation.py``.

    pip install "sb3-breakout[benchmarks]"
    python -m benchmarks.learning.ablation_breakout --output ablation_breakout.csv

Settings are those of ``hyperparams/ddqn_per.yml``, without recording. Prints the raw score of whole games while training, as
``atari.py`` does. One seed says little: the statistics are in ``ablation.py``. A finished training is not repeated: re-run the
same command to resume (an unfinished training starts again).
"""

import argparse
import functools
from pathlib import Path

import pandas as pd

from benchmarks.learning.ablation import VARIANTS
from benchmarks.learning.atari import learning_curve, print_table, thinned
from benchmarks.learning.zoo_runs import add_arguments, finish, run_zoo

ENV_ID = "BreakoutNoFrameskip-v4"
CURVE = ("zoo/*/*/*.monitor.csv", "zoo/*/*/*/args.yml")  # files that it is read from
EPSILON_FRACTION = "exploration_fraction:0.25"  # of the training, until epsilon has fallen; Boltzmann has no such key


def train(name: str, folder: Path, steps: int, seed: int) -> None:
    """
    :param name: of the variant
    :param folder: of the training
    :param steps: agent steps
    :param seed: of the training
    """
    variant = VARIANTS[name]
    recording = [] if any(param.startswith("callback:") for param in variant.params) else ["callback:None"]
    run_zoo(
        folder,
        variant._replace(params=[*variant.params, *recording, EPSILON_FRACTION]),
        f"--env {ENV_ID} --conf-file ddqn_per -n {steps} --seed {seed} --verbose 0 "
        f"--eval-freq {steps} --eval-episodes 10 --n-eval-envs 10",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150_000, help="agent steps per training")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    add_arguments(parser, "logs/ablation_breakout")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    args = parser.parse_args()

    folder = args.folder / f"{args.steps}_steps" / f"seed_{args.seed}"
    train_variant = functools.partial(train, steps=args.steps, seed=args.seed)
    finish(train_variant, [(name, folder / name) for name in args.variants], args.processes, args.ray, kept=CURVE)

    curves = {name: learning_curve([next((folder / name).glob("zoo/*/*/"))]) for name in args.variants}
    every = args.steps // 6
    print_table(curves, every)
    if args.output:
        points = [thinned(curve, every).assign(variant=name) for name, curve in curves.items()]
        pd.concat(points)[["variant", "steps", "score"]].to_csv(args.output, index=False, float_format="%.2f")


if __name__ == "__main__":
    main()
