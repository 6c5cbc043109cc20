"""
What each ingredient buys: ``ddqn_per`` on MinAtar Breakout, whole and with one ingredient taken out or exchanged.

    pip install "sb3-breakout[benchmarks]"
    python benchmarks/ablation.py --output ablation.png

Every variant and seed is a training by RL Zoo, with settings from ``ablation_settings.py`` and the ``-params`` below. A run
that is finished is not repeated: stopped, the same command goes on (an unfinished run begins anew).

Score: mean return of the last three evaluations of a training, near-greedy (epsilon 0.01), MinAtar's sticky actions (0.1).
Interquartile mean over the seeds with 95 % bootstrap confidence intervals (Agarwal et al. 2021, https://arxiv.org/abs/2108.13264).
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pictures import save
from rliable.library import get_interval_estimates
from rliable.metrics import aggregate_iqm
from zoo_runs import evaluations, in_processes, is_finished, run_zoo

EVALUATIONS = 10  # of a training
GAMES = 20  # of an evaluation
LAST = 3  # evaluations that make the score

UNIFORM = "replay_buffer_kwargs:dict(alpha=0.0)"
EPSILON = "exploration:'epsilon_greedy'"
RAW = "temperature_scale:'raw'"
RND = [
    "vec_env_wrapper:'sb3_breakout.rnd.RNDRewardWrapper'",
    "callback:[{'sb3_breakout.rnd.DualAgentCallback':{'alpha_initial':0.5,'alpha_final':0.0,'alpha_fraction':0.1}}]",
]
VARIANTS: dict[str, tuple[str, list[str]]] = {  # name to algorithm and -params
    "ddqn_per": ("ddqn_per", []),
    "uniform replay": ("ddqn_per", [UNIFORM]),
    "no Double Q": ("single_dqn", []),
    "1-step": ("ddqn_per", ["n_steps:1"]),
    "epsilon-greedy": ("ddqn_per", [EPSILON]),
    "raw temperature": ("ddqn_per", [RAW]),
    "with RND (ddqn_rnd)": ("ddqn_rnd", RND),
    "DQN (none of them)": ("single_dqn", [UNIFORM, "n_steps:1", EPSILON]),
}


def folder_of(logs: Path, variant: str, seed: int) -> Path:
    """:return: the log folder of a run"""
    return logs / "".join(letter if letter.isalnum() else "_" for letter in variant) / f"seed_{seed}"


def train(task: tuple[str, int], logs: Path, steps: int) -> None:
    """
    Train one variant with one seed, in a process of its own.

    :param task: variant, seed
    :param logs: folder of the ablation
    :param steps: agent steps
    """
    from ablation_settings import ENV_ID, SingleDQN
    from minatar.gym import register_envs
    from rl_zoo3 import ALGOS

    register_envs()
    ALGOS["single_dqn"] = SingleDQN
    variant, seed = task
    algorithm, params = VARIANTS[variant]
    run_zoo(
        folder_of(logs, variant, seed),
        f"--algo {algorithm} --env {ENV_ID} --conf-file ablation_settings -n {steps} --seed {seed} --verbose 0 "
        f"--eval-freq {steps // EVALUATIONS} --eval-episodes {GAMES} --n-eval-envs 10",
        params,
    )


def curves(logs: Path, variant: str, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """
    :return: agent steps (evaluations,), and mean returns (seeds, evaluations)
    """
    runs = [evaluations(folder_of(logs, variant, seed)) for seed in seeds]
    return runs[0][0], np.stack([games.mean(axis=1) for _, games in runs])


def interquartile_means(scores: dict[str, np.ndarray]) -> dict[str, tuple[float, float, float]]:
    """
    :param scores: name to scores (seeds,)
    :return: interquartile mean and both ends of its 95 % confidence interval
    """
    columns = {name: values[:, None] for name, values in scores.items()}  # rliable: (runs, tasks)
    means, intervals = get_interval_estimates(columns, lambda runs: np.array([aggregate_iqm(runs)]), reps=2000)
    return {name: (means[name].item(), *intervals[name].ravel().tolist()) for name in scores}


def print_table(scores: dict[str, np.ndarray]) -> None:
    """
    :param scores: variant to scores (seeds,)
    """
    print("| variant | IQM | 95 % interval | scores by seed |")
    print("|---|---|---|---|")
    for name, (mean, low, high) in interquartile_means(scores).items():
        print(f"| {name} | {mean:.1f} | {low:.1f} to {high:.1f} | {', '.join(f'{score:.1f}' for score in scores[name])} |")


def draw(logs: Path, variants: Sequence[str], seeds: Sequence[int], path: Path) -> None:
    """
    :param path: picture to write
    """
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5))
    for variant in variants:
        steps, returns = curves(logs, variant, seeds)
        means = interquartile_means({str(step): returns[:, at] for at, step in enumerate(steps)})
        middle, low, high = np.array(list(means.values())).T
        (line,) = axes.plot(steps, middle, label=variant, linewidth=2 if variant == "ddqn_per" else 1)
        axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.1)
    axes.set(
        xlabel="agent steps", ylabel="return, near-greedy, interquartile mean", title=f"MinAtar Breakout, {len(seeds)} seeds"
    )
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50_000, help="agent steps per run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("-f", "--folder", type=Path, default=Path("logs/ablation"), help="where the runs are kept")
    parser.add_argument("--output", type=Path, help="picture to write")
    args = parser.parse_args()

    logs = args.folder / f"{args.steps}_steps"
    tasks = [(variant, seed) for seed in args.seeds for variant in args.variants]
    missing = [task for task in tasks if not is_finished(folder_of(logs, *task))]
    in_processes(partial(train, logs=logs, steps=args.steps), missing, args.processes)
    print_table({name: curves(logs, name, args.seeds)[1][:, -LAST:].mean(axis=1) for name in args.variants})
    if args.output:
        draw(logs, args.variants, args.seeds, args.output)


if __name__ == "__main__":
    main()
