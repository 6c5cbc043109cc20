"""
The effect of each value in the YAML file: ``ddqn_per`` on MinAtar Breakout, one value changed at a time.

    pip install "sb3-breakout[benchmarks]"
    python -m benchmarks.learning.yaml_values --output yaml_values.csv

``minatar_runs.py`` explains training and scores. Re-run the same command to resume.
"""

from collections.abc import Sequence

import pandas as pd

from benchmarks.learning.minatar_runs import Runs, argument_parser, interquartile_means
from benchmarks.learning.zoo_runs import Variant

BASE = "ddqn_per"  # name of the unchanged variant
# key in the YAML file: (value of the base variant, other values)
VALUES: dict[str, tuple[float, Sequence[float]]] = {
    "learning_rate": (2.5e-4, (1e-4, 1e-3)),
    "batch_size": (32, (8, 128)),
    "gradient_steps": (2, (1, 8)),
    "target_update_interval": (1000, (200, 5000)),
    "n_steps": (3, (1, 10)),
    "gamma": (0.99, (0.95, 0.997)),
    "alpha": (0.5, (0.0, 0.9)),
    "beta": (0.4, (0.0, 1.0)),  # start value; beta ends at 1
    "buffer_size": (100_000, (5_000,)),
    "learning_starts": (2000, (200, 10_000)),
    "max_grad_norm": (1.0, (0.1, 10.0)),
    "temperature_min": (0.05, (0.01, 0.3)),
    "temperature_slowdown": (3.0, (0.3, 30.0)),
}


def name_of(key: str, value: float) -> str:
    """:return: the name of the variant with this value"""
    return f"{key} {value:g}"


def variant(key: str, value: float) -> Variant:
    """:return: ``ddqn_per`` with this value changed"""
    if key in ("alpha", "beta"):
        alpha, start = (value, VALUES["beta"][0]) if key == "alpha" else (VALUES["alpha"][0], value)
        return Variant([f"replay_buffer_kwargs:dict(alpha={alpha},beta=({start},1.0))"])
    return Variant([f"{key}:{value}"])


def print_table(runs: Runs, keys: Sequence[str]) -> None:
    """
    :param runs: finished trainings
    :param keys: keys whose values were changed
    """
    means = interquartile_means({name: runs.scores(name) for name in runs.variants})
    cells = {name: f"{mean:.1f} ({low:.1f} to {high:.1f})" for name, (mean, low, high) in means.items()}
    print(f"{BASE}: {cells[BASE]}\n")
    print("| key | value | IQM (95 % interval) | base value | value | IQM (95 % interval) |")
    print("|---|---|---|---|---|---|")
    for key in keys:
        base, others = VALUES[key]
        lower, higher = ([value for value in others if (value > base) == above] for above in (False, True))
        sides = [f"{value[0]:g} | {cells[name_of(key, value[0])]}" if value else " | " for value in (lower, higher)]
        print(f"| `{key}` | {sides[0]} | {base:g} | {sides[1]} |")


def scores(runs: Runs, keys: Sequence[str]) -> pd.DataFrame:
    """
    :param runs: finished trainings
    :param keys: keys whose values were changed
    :return: a row for each variant, with columns key (``base`` for the unchanged one), base, value, score (interquartile
        mean), low and high (its interval)
    """
    means = interquartile_means({name: runs.scores(name) for name in runs.variants})
    rows: list[tuple[str | float | None, ...]] = [("base", None, None, *means[BASE])]
    rows += [(key, VALUES[key][0], value, *means[name_of(key, value)]) for key in keys for value in VALUES[key][1]]
    return pd.DataFrame(rows, columns=["key", "base", "value", "score", "low", "high"])


def main() -> None:
    parser = argument_parser(__doc__, seeds=(0, 1, 2))
    parser.add_argument("--keys", nargs="+", choices=list(VALUES), default=list(VALUES), metavar="KEY")
    args = parser.parse_args()

    changed = {name_of(key, value): variant(key, value) for key in args.keys for value in VALUES[key][1]}
    runs = Runs({BASE: Variant(), **changed}, args.seeds, args.steps, args.folder)
    runs.finish(args.processes, args.ray)
    print_table(runs, args.keys)
    if args.output:
        scores(runs, args.keys).to_csv(args.output, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
