"""
Draw the pictures of the docs from the results kept in the repository.

    python -m benchmarks.draw                       # all of them
    python -m benchmarks.draw ablation yaml_values

No training is run. The page that shows a picture names the command that measured its results.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import trim_mean

from benchmarks.learning.atari import SCORE, kept_curve, label
from benchmarks.pictures import COLOURS, GREY, MARKERS, Estimate, count_steps, curves, forest, name_rows, picture

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CURVES = ROOT / "benchmarks" / "learning" / "curves"
RESAMPLES = 10_000  # bootstrap resamples


def results(name: str) -> pd.DataFrame:
    """
    :param name: name of a picture
    :return: table of the results that it shows
    """
    return pd.read_csv(RESULTS / f"{name}.csv", comment="#")


def trainings(*patterns: str) -> dict[str, pd.DataFrame]:
    """
    :param patterns: glob patterns of files in ``benchmarks/learning/curves``
    :return: curves, by their label in the picture
    """
    files = [file for pattern in patterns for file in sorted(CURVES.glob(pattern))]
    return {label(file.stem): kept_curve(file) for file in files}


def effects(scores: pd.DataFrame, base: str) -> list[Estimate]:
    """
    :param scores: table with columns variant, seed and score
    :param base: variant that the others are compared with
    :return: for each other variant, the difference between its interquartile mean over seeds and the base's, with the 95 %
        bootstrap interval; sorted, largest loss first
    """
    generator = np.random.default_rng(0)

    def resampled(values: np.ndarray) -> np.ndarray:
        return trim_mean(generator.choice(values, (RESAMPLES, len(values))), 0.25, axis=1)  # (RESAMPLES,)

    columns = {str(name): rows["score"].to_numpy() for name, rows in scores.groupby("variant")}
    whole = columns.pop(base)
    rows = []
    for name, values in columns.items():
        low, high = np.quantile(resampled(values) - resampled(whole), (0.025, 0.975))
        rows.append(Estimate(name, trim_mean(values, 0.25) - trim_mean(whole, 0.25), low, high))
    return sorted(rows, key=lambda row: row.value)


def ablation(path: Path) -> None:
    """:param path: file to write"""
    base, scores = "ddqn_per", results("ablation")
    whole = trim_mean(scores.loc[scores["variant"] == base, "score"], 0.25)
    rows = effects(scores, base)
    with picture(path, "MinAtar Breakout: 1-step instead of 3-step returns cost ddqn_per the most", 4.2) as axes:
        forest(axes, rows, range(len(rows)), 0, "o", "difference of the interquartile means, 95 % interval")
        name_rows(axes, [row.name for row in rows])
        for height, row in enumerate(rows):
            seeds = scores.loc[scores["variant"] == row.name, "score"] - whole
            style = {"color": GREY, "markersize": 5, "fillstyle": "none"}
            axes.plot(seeds, [height + 0.28] * len(seeds), "o", **style, label=None if height else "one seed (0 to 4)")
        axes.axvline(0.0, color=GREY, linestyle="--", linewidth=1)
        axes.set_xlabel(f"difference from the return of ddqn_per ({whole:.1f})")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)


def ablation_breakout(path: Path) -> None:
    """:param path: file to write"""
    whole = {name.replace("4 samples", "ddqn_per"): run for name, run in trainings("4_samples_seed_*.csv").items()}
    replay_and_exploration = trainings("uniform_replay_seed_*.csv", "epsilon_greedy_seed_*.csv", "no_ladder_seed_*.csv")
    returns = {
        name.replace(" step", "-step"): run for name, run in trainings("3_step_seed_*.csv", "1_step_seed_*.csv").items()
    }
    with picture(path, "Breakout: 1-step returns from the start cost ddqn_per the most", 4.4, panels=2) as panels:
        for axes, variants in zip(panels, (replay_and_exploration, returns), strict=True):
            curves(axes, whole | variants)
            axes.set(ylabel=SCORE, ylim=(0, 150), xlim=(0, 700_000))


def c51(path: Path) -> None:
    """:param path: file to write"""
    with picture(path, "Breakout: learned in a mirror, C51 gets ahead of ddqn_per") as axes:
        runs = trainings("4_samples_seed_*.csv", "c51_4_samples_*.csv", "c51_4_frames_*.csv")
        curves(
            axes,
            {
                name.replace("c51 4 samples", "C51").replace("c51", "C51").replace("4 samples", "ddqn_per"): run
                for name, run in runs.items()
            },
        )
        axes.set(ylabel=SCORE, ylim=(0, 440), xlim=(0, 2_850_000))


def deepsea(path: Path) -> None:
    """:param path: file to write"""
    runs = results("deepsea")
    names = runs["algorithm"] + ", seed " + runs["seed"].astype(str)
    with picture(path, "DeepSea, 20 by 20: only with a reward for novelty is the treasure found") as axes:
        for number, (column, label) in enumerate((("found", "first taken in training"), ("greedy", "by the greedy agent"))):
            axes.plot(runs[column], runs.index, MARKERS[number], color=COLOURS[number], markersize=7, label=label)
        for height in runs.index[runs["found"].isna()]:
            axes.text(79_000, height, "never in 80,000 steps", ha="right", va="center", color=GREY)
        name_rows(axes, names)
        axes.set_xlim(0, 80_000)
        count_steps(axes)
        axes.legend(title="treasure", loc="upper right", alignment="left")


def four_phases(path: Path) -> None:
    """:param path: file to write"""
    run = kept_curve(CURVES / "four_phases.csv")
    early = run["steps"] <= 1_571_000  # of these phases only single points were kept
    with picture(path, "A Breakout agent trained in four phases: most was gained by the third") as axes:
        curves(axes, {"last": run[~early]})
        axes.plot(run["steps"][early], run["score"][early], "o--", color=COLOURS[0], markersize=4, linewidth=1)
        for start, phase in (
            (0, "8 games"),
            (0.6e6, "lr 2.5e-4"),
            (1.571e6, "1-step returns, 32 games, lr 1e-4"),
            (3.83e6, "lr 3e-5"),
        ):
            axes.axvline(start, color=GREY, linestyle=":", linewidth=1)
            axes.text(start + 2e4, 330, phase, color=GREY, fontsize=9)
        axes.set(ylabel=SCORE, ylim=(0, 350), xlim=(0, 4.4e6))


def learning(path: Path) -> None:
    """:param path: file to write"""
    with picture(path, "Breakout from scratch: at equal steps, 4 samples per step beat 2") as axes:
        curves(axes, trainings("4_samples_seed_*.csv", "2_samples_seed_*.csv"))
        axes.set(ylabel=SCORE, ylim=(0, None), xlim=(0, None))


def original_values(path: Path) -> None:
    """:param path: file to write"""
    trained = results("original_values").groupby(["variant", "seed"], sort=False)
    runs = {f"{variant}, seed {seed}": run for (variant, seed), run in trained}
    with picture(path, "MinAtar Breakout: the original's values learn more from each step") as axes:
        curves(axes, runs, marked=True)
        axes.set(ylabel="return, near-greedy\n(mean of 20 games)", ylim=(0, None))


def overlap(path: Path) -> None:
    """:param path: file to write"""
    table = results("overlap")
    runs = {}
    for name, rows in table.groupby("variant", sort=False):
        runs[str(name)] = rows.groupby("steps")["score"].agg(score="mean", low="min", high="max").reset_index()
    with picture(path, "MinAtar Breakout: updating during the step shows no difference") as axes:
        curves(axes, runs)
        axes.set(ylabel=f"return, near-greedy\n(mean of {table['seed'].nunique()} seeds, range shaded)", ylim=(0, None))


def pong(path: Path) -> None:
    """:param path: file to write"""
    with picture(path, "Pong: from -20 to +20 points within a million agent steps") as axes:
        curves(axes, {"seed 1": results("pong")})
        axes.axvline(250_000, color=GREY, linestyle="--", linewidth=1)
        axes.text(260_000, 15, "learning rate raised\nfrom 1e-4 to 2.5e-4", color=GREY, fontsize=9)
        axes.set(ylabel=SCORE, ylim=(-21.5, 21.5), xlim=(0, 1e6))


def rgb(path: Path) -> None:
    """:param path: file to write"""
    with picture(path, "Breakout in colour at 210 x 160: past 20 points after 250,000 steps") as axes:
        curves(axes, trainings("rgb_seed_*.csv"))
        axes.set(ylabel=SCORE, ylim=(0, None), xlim=(0, None))


def rnd_breakout(path: Path) -> None:
    """:param path: file to write"""
    title = "Breakout: RND visits somewhat more states, at the same final score"
    with picture(path, title, panels=2) as (left, right):
        for number, (name, run) in enumerate(results("rnd_breakout").groupby("algorithm", sort=False)):
            style = {"color": COLOURS[number], "marker": MARKERS[number], "linestyle": ("-", "--")[number], "label": name}
            left.plot(run["steps"], run["states"] / 1000, **style)
            shift = (number - 0.5) * 3000  # so that error bars do not overlap
            right.errorbar(run["steps"] + shift, run["score"], run["deviation"], capsize=3, **style)
        left.set(ylabel="distinct states visited\n(thousands)", ylim=(0, None))
        right.set(ylabel="raw score\n(mean ± SD of 10 games)", ylim=(0, None))
        left.legend()
        for axes in (left, right):
            count_steps(axes)


def training_time(path: Path) -> None:
    """:param path: file to write"""
    shares = results("training_time").set_index("part")["share"].sort_values() * 100
    network = shares["convolutions and linear layers"] + shares["casts, activations, loss, autograd"]
    buffer = shares["sample"] + shares["priorities"] + shares["add"]
    with picture(path, f"The network takes {network:.0f} % of the training loop, the replay buffer {buffer:.0f} %") as axes:
        bars = axes.barh(shares.index, shares, color=COLOURS[0])
        axes.bar_label(bars, fmt="%.1f %%", padding=3)
        axes.set(xlabel="share of the time of the training loop, %", xlim=(0, 1.15 * shares.max()))
        axes.grid(visible=False, axis="y")


def yaml_values(path: Path) -> None:
    """:param path: file to write"""
    rows = results("yaml_values")
    base = rows[rows["key"] == "base"].iloc[0]
    rows = rows[rows["key"] != "base"]
    keys = rows.groupby("key", sort=False)["base"].first()
    with picture(path, "MinAtar Breakout: learning rate, batch and updates matter most", 7.0) as axes:
        axes.axvspan(base["low"], base["high"], color=GREY, alpha=0.15, linewidth=0)
        axes.axvline(base["score"], color=GREY, linestyle="--", linewidth=1, label="base values, 95 % interval shaded")
        for number, side in enumerate(("smaller", "larger")):
            changed = rows[(rows["value"] > rows["base"]) == bool(number)]
            estimates = [Estimate(f"{row.value:g}", row.score, row.low, row.high) for row in changed.itertuples()]
            heights = [keys.index.get_loc(key) + (-0.17, 0.17)[number] for key in changed["key"]]
            forest(axes, estimates, heights, number, "<>"[number], f"{side} value")
            for row, height in zip(estimates, heights, strict=True):
                axes.text(row.high + 0.06, height, row.name, va="center", fontsize=8.5, color=COLOURS[number])
        name_rows(axes, [f"{key} {value:g}" for key, value in keys.items()])
        axes.set_xlabel("return, interquartile mean of 3 seeds with 95 % interval")
        axes.legend(loc="lower center", bbox_to_anchor=(0.35, 1.0), ncols=3)


PICTURES: dict[str, Callable[[Path], None]] = {
    draw.__name__: draw
    for draw in (
        ablation,
        ablation_breakout,
        c51,
        deepsea,
        four_phases,
        learning,
        original_values,
        overlap,
        pong,
        rgb,
        rnd_breakout,
        training_time,
        yaml_values,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of pictures, default: all ({', '.join(PICTURES)})")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", metavar="FOLDER", help="where to write them")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(PICTURES):
        parser.error(f"there is no picture {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PICTURES:
        PICTURES[name](arguments.output / f"{name}.png")


if __name__ == "__main__":
    main()
