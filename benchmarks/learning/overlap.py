"""
Does it matter that actions are chosen before the update (``overlap_updates``)? ``ddqn_per`` on MinAtar Breakout with and
without it, with the same seeds.

    pip install "sb3-breakout[benchmarks]"
    python -m benchmarks.learning.overlap --output overlap_updates.csv

``minatar_runs.py`` explains training and scores. Updates follow every step of the games, so that with ``overlap_updates`` no
action is chosen by the newest weights. Re-run the same command to resume.
"""

import numpy as np
from rliable.library import get_interval_estimates

from benchmarks.learning.ablation import print_table
from benchmarks.learning.minatar_runs import Runs, argument_parser
from benchmarks.learning.zoo_runs import Variant

BASE, OVERLAPPED = "ddqn_per", "ddqn_per, overlap_updates"
VARIANTS = {BASE: Variant(), OVERLAPPED: Variant(["overlap_updates:True"])}


def print_difference(runs: Runs) -> None:
    """
    Print the mean difference between scores of the same seed, and its 95 % bootstrap interval.

    :param runs: finished trainings
    """
    differences = {"": (runs.scores(OVERLAPPED) - runs.scores(BASE))[:, None]}  # rliable: (runs, tasks)
    mean, interval = get_interval_estimates(differences, lambda seeds: np.array([seeds.mean()]), reps=2000)
    low, high = interval[""].ravel()
    print(f"\nWith overlap_updates, by seed: {mean[''].item():+.2f} ({low:+.2f} to {high:+.2f})")


def main() -> None:
    parser = argument_parser(__doc__, seeds=(0, 1, 2, 3, 4))
    parser.set_defaults(steps=30_000)
    args = parser.parse_args()

    runs = Runs(VARIANTS, args.seeds, args.steps, args.folder)
    runs.finish(args.processes, args.ray)
    print_table(runs)
    print_difference(runs)
    if args.output:
        runs.all_evaluations().to_csv(args.output, index=False, float_format="%.2f")


if __name__ == "__main__":
    main()
