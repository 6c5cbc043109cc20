"""
Does it matter that actions are chosen before the update (``overlap_updates``)? ``ddqn_per`` on MinAtar Breakout, with and
without, the same seeds.

    pip install "sb3-breakout[benchmarks]"
    python -m benchmarks.learning.overlap --keep benchmarks/learning/curves/overlap_updates.csv --output overlap_updates.png

How it is trained and measured is said in ``minatar_runs.py``. There is an update after every step of all games here, so that
no action is chosen by the newest weights. Stopped, the same command goes on.
"""

from pathlib import Path

import numpy as np
from rliable.library import get_interval_estimates

from benchmarks.learning.ablation import draw, print_table
from benchmarks.learning.minatar_runs import Runs, argument_parser
from benchmarks.learning.zoo_runs import Variant

BASE, OVERLAPPED = "ddqn_per", "ddqn_per, overlap_updates"
VARIANTS = {BASE: Variant(), OVERLAPPED: Variant(["overlap_updates:True"])}


def print_difference(runs: Runs) -> None:
    """
    Print the mean difference over the seeds, overlapped minus ordinary.

    :param runs: finished
    """
    differences = {"": (runs.scores(OVERLAPPED) - runs.scores(BASE))[:, None]}  # rliable: (runs, tasks)
    mean, interval = get_interval_estimates(differences, lambda seeds: np.array([seeds.mean()]), reps=2000)
    low, high = interval[""].ravel()
    print(f"\nMean difference: {mean[''].item():+.2f} ({low:+.2f} to {high:+.2f})")


def keep(runs: Runs, path: Path) -> None:
    """
    :param runs: finished
    :param path: CSV file to write: one row for each evaluation
    """
    rows = ["variant,seed,steps,return"]
    for name in runs.variants:
        steps, returns = runs.curves(name)
        for seed, curve in zip(runs.seeds, returns, strict=True):
            rows += [f'"{name}",{seed},{step},{mean:.2f}' for step, mean in zip(steps, curve, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def main() -> None:
    parser = argument_parser(__doc__, seeds=(0, 1, 2, 3, 4))
    parser.set_defaults(steps=30_000)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where to keep the curves")
    args = parser.parse_args()

    runs = Runs(VARIANTS, args.seeds, args.steps, args.folder)
    runs.finish(args.processes, args.ray)
    print_table(runs)
    print_difference(runs)
    if args.keep:
        keep(runs, args.keep)
    if args.output:
        draw(runs, args.output)


if __name__ == "__main__":
    main()
