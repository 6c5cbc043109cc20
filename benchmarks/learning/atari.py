"""
Learning curves of Atari games from the ``monitor.csv`` files that every RL Zoo run leaves.

    python -m benchmarks.learning.atari logs/ddqn_per/BreakoutNoFrameskip-v4_1 --output curve.png
    python -m benchmarks.learning.atari logs/ddqn_per/BreakoutNoFrameskip-v4_1 --names seed_1 --keep benchmarks/learning/curves
    python -m benchmarks.learning.atari benchmarks/learning/curves/*.csv --output docs/breakout.png

Prints, for each run, the mean raw score of the last 100 whole games at every 100k agent steps; draws the curve if asked to.
Runs of the same name (``--names``) are one training that was continued with ``-i``, in their order. ``--keep`` writes a small
CSV file for each name: the commands, the processor, and the curve; it is read back like a run.
An agent step is counted as 4 emulator frames, which includes the frames of start no-ops and FIRE presses.
"""

import argparse
import platform
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch as th
import yaml
from stable_baselines3.common.monitor import load_results

from benchmarks.pictures import save
from sb3_breakout.common.torch_utils import bfloat16_is_fast

FRAMES_PER_STEP = 4
WINDOW = 100
SMALLEST_WINDOW = 20  # games, where a curve begins
KEPT_EVERY = 10_000  # agent steps between two rows of a kept curve


def command_line(folder: Path) -> dict[str, Any]:
    """
    :param folder: a run of the Zoo
    :return: the options that it was started with
    """
    (file,) = folder.glob("*/args.yml")
    return dict(yaml.unsafe_load(file.read_text()))


def started_at(folder: Path, before: float) -> float:
    """
    :param folder: a run of the Zoo
    :param before: agent steps of the run before it
    :return: agent steps that it goes on from: of a checkpoint, or of the final model of the run before it
    """
    origin = command_line(folder)["trained_agent"]
    checkpoint = re.search(r"_(\d+)_steps", origin)
    return float(checkpoint[1]) if checkpoint else before if origin else 0.0


def learning_curve(folders: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """
    :param folders: runs of the Zoo, each continuing the one before it
    :return: agent steps at the end of each game, and the mean raw score of the last ``WINDOW`` games
    """
    steps, scores = np.zeros(0), np.zeros(0)
    for folder in folders:
        games = load_results(str(folder))  # of all environments, in the order of their ends
        start = started_at(folder, before=steps[-1] if len(steps) else 0.0)
        kept = steps <= start  # what came after a checkpoint did not happen for the run that goes on from it
        steps = np.concatenate((steps[kept], start + games["l"].cumsum() / FRAMES_PER_STEP))
        scores = np.concatenate((scores[kept], games["r"]))
    return steps, pd.Series(scores).rolling(WINDOW, min_periods=SMALLEST_WINDOW).mean().to_numpy()


def as_typed(folder: Path) -> str:
    """
    :param folder: a run of the Zoo
    :return: the command that started it
    """
    options = command_line(folder)
    command = ["python", "-m", "rl_zoo3.train", "--algo", options["algo"], "--env", options["env"]]
    command += ["-n", str(options["n_timesteps"]), "--seed", str(options["seed"])]
    if options["trained_agent"]:
        command += ["-i", Path(options["trained_agent"]).name]
    if options["hyperparams"]:
        command += ["-params", *(f"{name}:{value!r}" for name, value in options["hyperparams"].items())]
    return shlex.join(command)


def processor() -> str:
    """:return: what this machine computes with, as far as it matters to speed"""
    bfloat16 = "with" if bfloat16_is_fast(th.device("cpu")) else "without"
    return f"{platform.machine()} {th.backends.cpu.get_cpu_capability()}, {bfloat16} bfloat16"


def keep(name: str, folders: Sequence[Path], target: Path) -> None:
    """
    :param name: of the training; the file is named after it
    :param folders: its runs
    :param target: folder to write to
    """
    steps, means = learning_curve(folders)
    marks = np.arange(KEPT_EVERY, steps[-1] + 1, KEPT_EVERY)
    rows = np.searchsorted(steps, marks, side="right") - 1
    known = (rows >= 0) & ~np.isnan(means[rows])
    lines = [f"# {as_typed(folder)}" for folder in folders]
    lines += [f"# {processor()}", "steps,score"]
    lines += [f"{mark},{means[row]:.2f}" for mark, row in zip(marks[known], rows[known], strict=True)]
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.csv").write_text("\n".join(lines) + "\n")


def kept_curve(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """
    :param file: what :func:`keep` wrote
    :return: as :func:`learning_curve`
    """
    curve = pd.read_csv(file, comment="#")
    return curve["steps"].to_numpy(), curve["score"].to_numpy()


def curve_of(folders: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """
    :param folders: runs of one training, or the file where its curve is kept
    :return: as :func:`learning_curve`
    """
    return kept_curve(folders[0]) if folders[0].suffix == ".csv" else learning_curve(folders)


def print_table(curves: dict[str, tuple[np.ndarray, np.ndarray]], every: int) -> None:
    """
    :param curves: name of the run to its curve
    :param every: agent steps between two columns
    """
    longest = max(steps[-1] for steps, _ in curves.values())
    marks = np.arange(every, longest + 1, every)
    print("| run |" + "".join(f" {mark / 1000:.0f}k |" for mark in marks) + " last |")
    print("|---|" + "---|" * (len(marks) + 1))
    for name, (steps, means) in curves.items():
        within = [steps[0] <= mark <= steps[-1] + every / 20 for mark in marks]
        cells = [f"{means[steps <= mark][-1]:.1f}" if there else "" for mark, there in zip(marks, within, strict=True)]
        print(f"| {name} | " + " | ".join([*cells, f"{means[-1]:.1f} at {steps[-1] / 1000:.0f}k"]) + " |")


def draw(curves: dict[str, tuple[np.ndarray, np.ndarray]], game: str, path: Path) -> None:
    """
    :param curves: name of the run to its curve
    :param game: above the picture
    :param path: picture to write
    """
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for name, (steps, means) in curves.items():
        axes.plot(steps, means, label=name)
    axes.set(xlabel="agent steps", ylabel=f"raw score, mean of the last {WINDOW} games", title=game)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="runs of the Zoo, or kept curves")
    parser.add_argument("--game", default="BreakoutNoFrameskip-v4", help="title of the picture")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to keep the curves")
    parser.add_argument("--names", nargs="+", help="one for each run (default: their folders)")
    parser.add_argument("--every", type=int, default=100_000, help="agent steps between two columns")
    parser.add_argument("--output", type=Path, help="picture to write")
    arguments = parser.parse_args()
    names = arguments.names or [folder.stem if folder.suffix == ".csv" else str(folder) for folder in arguments.folders]
    if len(names) != len(arguments.folders):
        parser.error(f"{len(arguments.folders)} folders but {len(names)} names")
    trainings: dict[str, list[Path]] = {}
    for name, folder in zip(names, arguments.folders, strict=True):
        trainings.setdefault(name, []).append(folder)
    if arguments.keep:
        for name, folders in trainings.items():
            keep(name, folders, arguments.keep)
    curves = {name: curve_of(folders) for name, folders in trainings.items()}
    print_table(curves, arguments.every)
    if arguments.output:
        draw(curves, arguments.game, arguments.output)


if __name__ == "__main__":
    main()
