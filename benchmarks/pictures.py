"""The style of the benchmarks' pictures: colours, axes, forest plots and learning curves."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

# Okabe and Ito (2008): colour-blind people can tell them apart; line styles and markers differ as well
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#000000", "#56B4E9")
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v")
GREY = "#666666"
WIDTH = 7.0  # inches: text of 10 points is 14 pixels high where the picture is shown 700 pixels wide
STYLE = {
    "figure.facecolor": "white",  # whatever the theme of the page
    "figure.dpi": 150,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


class Estimate(NamedTuple):
    """
    A row of a forest plot.

    :param name: label of the row
    :param value: the estimate
    :param low: lower end of its interval
    :param high: upper end of its interval
    """

    name: str
    value: float
    low: float
    high: float


@contextmanager
def picture(path: Path, title: str, height: float = 3.6, panels: int = 1) -> Iterator[Any]:
    """
    :param path: file to write
    :param title: the message of the picture
    :param height: height in inches
    :param panels: number of panels, side by side
    :return: context with matplotlib's axes, an array of them for several panels
    """
    from matplotlib import pyplot as plt

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, panels, figsize=(WIDTH, height), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
        figure.suptitle(title, x=0.015, ha="left", fontsize=11.5, fontweight="bold")
        yield axes
        figure.savefig(path, metadata={"Software": None})
        plt.close(figure)


def count_steps(axes: Any) -> None:
    """
    Label the x-axis with agent steps, such as 500k or 2M.

    :param axes: matplotlib's axes
    """
    from matplotlib.ticker import EngFormatter

    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("agent steps")


def forest(axes: Any, rows: Sequence[Estimate], heights: Sequence[float], number: int, marker: str, label: str) -> None:
    """
    :param axes: matplotlib's axes
    :param rows: estimates with their intervals
    :param heights: positions of the rows, counted from the top
    :param number: index of the colour
    :param marker: marker of the estimates
    :param label: label in the legend
    """
    values = [row.value for row in rows]
    errors = [[row.value - row.low for row in rows], [row.high - row.value for row in rows]]
    axes.errorbar(values, heights, xerr=errors, fmt=marker, color=COLOURS[number], markersize=7, elinewidth=2, label=label)


def name_rows(axes: Any, names: Sequence[str]) -> None:
    """
    :param axes: matplotlib's axes
    :param names: names of the rows at heights 0, 1, ..., from the top
    """
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def curves(axes: Any, runs: Mapping[str, pd.DataFrame], marked: bool = False) -> None:
    """
    Draw learning curves. Runs whose names differ only in their seed have the same colour.

    :param axes: matplotlib's axes
    :param runs: tables with columns steps and score, by name; if there are columns low and high, the space between is shaded
    :param marked: whether to mark the points
    """
    settings = list(dict.fromkeys(setting_of(name) for name in runs))
    for at, (name, run) in enumerate(runs.items()):
        number = settings.index(setting_of(name)) % len(COLOURS)
        style: dict[str, Any] = {"color": COLOURS[number], "linestyle": LINES[at % len(LINES)]}
        if marked:
            style |= {"marker": MARKERS[number], "markersize": 5}
        axes.plot(run["steps"], run["score"], label=name, **style)
        if "low" in run:
            axes.fill_between(run["steps"], run["low"], run["high"], color=COLOURS[number], alpha=0.12, linewidth=0)
    count_steps(axes)
    if len(runs) > 1:
        axes.legend(handlelength=3)


def setting_of(name: str) -> str:
    """:return: the name of a run without its seed, for example ``ours`` for ``ours, seed 1``"""
    return re.sub(r",? seed \d+$", "", name)
