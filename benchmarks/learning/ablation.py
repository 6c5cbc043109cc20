"""
What each part contributes: ``ddqn_per`` on MinAtar Breakout, complete and with one part removed or replaced.

    pip install "sb3-breakout[benchmarks]"
    python -m benchmarks.learning.ablation --output ablation.csv

``minatar_runs.py`` explains training and scores. Re-run the same command to resume.
"""

import pandas as pd

from benchmarks.learning.minatar_breakout import SingleDQN
from benchmarks.learning.minatar_runs import Runs, argument_parser, interquartile_means
from benchmarks.learning.zoo_runs import Variant

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
    :param runs: finished trainings
    """
    scores = {name: runs.scores(name) for name in runs.variants}
    print("| variant | IQM | 95 % interval | scores by seed |")
    print("|---|---|---|---|")
    for name, (mean, low, high) in interquartile_means(scores).items():
        print(f"| {name} | {mean:.1f} | {low:.1f} to {high:.1f} | {', '.join(f'{score:.1f}' for score in scores[name])} |")


def main() -> None:
    parser = argument_parser(__doc__, seeds=(0, 1, 2, 3, 4))
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    args = parser.parse_args()

    runs = Runs({name: VARIANTS[name] for name in args.variants}, args.seeds, args.steps, args.folder)
    runs.finish(args.processes, args.ray)
    print_table(runs)
    if args.output:
        scores = [(name, *pair) for name in runs.variants for pair in zip(runs.seeds, runs.scores(name), strict=True)]
        pd.DataFrame(scores, columns=["variant", "seed", "score"]).to_csv(args.output, index=False, float_format="%.2f")


if __name__ == "__main__":
    main()
