"""
What each ingredient buys: ``ddqn_per`` on MinAtar Breakout, whole and with one ingredient taken out or exchanged.

    pip install "sb3-breakout[benchmarks]"
    python -m benchmarks.learning.ablation --output ablation.png

How it is trained and measured is said in ``minatar_runs.py``. Stopped, the same command goes on.
"""

from pathlib import Path

from benchmarks.learning.minatar_breakout import SingleDQN
from benchmarks.learning.minatar_runs import Runs, argument_parser, interquartile_means
from benchmarks.learning.zoo_runs import Variant
from benchmarks.pictures import save

UNIFORM = "replay_buffer_kwargs:dict(alpha=0.0)"
EPSILON = "exploration:'epsilon_greedy'"
RND = [
    "vec_env_wrapper:'sb3_breakout.rnd.RNDRewardWrapper'",
    "callback:[{'sb3_breakout.rnd.DualAgentCallback':{'alpha_initial':0.5,'alpha_final':0.0,'alpha_fraction':0.1}}]",
]
VARIANTS = {
    "ddqn_per": Variant(),
    "uniform replay": Variant([UNIFORM]),
    "no Double Q": Variant(model_class=SingleDQN),
    "1-step": Variant(["n_steps:1"]),
    "epsilon-greedy": Variant([EPSILON]),
    "raw temperature": Variant(["temperature_scale:'raw'"]),
    "with RND (ddqn_rnd)": Variant(RND, algorithm="ddqn_rnd"),
    "DQN (none of them)": Variant([UNIFORM, "n_steps:1", EPSILON], model_class=SingleDQN),
}


def print_table(runs: Runs) -> None:
    """
    :param runs: finished
    """
    scores = {name: runs.scores(name) for name in runs.variants}
    print("| variant | IQM | 95 % interval | scores by seed |")
    print("|---|---|---|---|")
    for name, (mean, low, high) in interquartile_means(scores).items():
        print(f"| {name} | {mean:.1f} | {low:.1f} to {high:.1f} | {', '.join(f'{score:.1f}' for score in scores[name])} |")


def draw(runs: Runs, path: Path) -> None:
    """
    :param runs: finished
    :param path: picture to write
    """
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5))
    for name in runs.variants:
        runs.draw(name, axes, label=name, linewidth=2 if name == "ddqn_per" else 1)
    title = f"MinAtar Breakout, number of seeds: {len(runs.seeds)}"
    axes.set(xlabel="agent steps", ylabel="return, near-greedy, interquartile mean", title=title)
    save(figure, path)


def train_and_report(runs: Runs, processes: int, cluster: str | None, output: Path | None) -> None:
    """
    Train what is missing; print the table, draw the curves.

    :param runs: finished or not
    :param processes: how many at once
    :param cluster: address of a Ray cluster that trains instead
    :param output: picture to write
    """
    runs.finish(processes, cluster)
    print_table(runs)
    if output:
        draw(runs, output)


def main() -> None:
    parser = argument_parser(__doc__, seeds=(0, 1, 2, 3, 4))
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    args = parser.parse_args()

    runs = Runs({name: VARIANTS[name] for name in args.variants}, args.seeds, args.steps, args.folder)
    train_and_report(runs, args.processes, args.ray, args.output)


if __name__ == "__main__":
    main()
