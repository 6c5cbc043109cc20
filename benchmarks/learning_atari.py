"""
Learning curves of Atari games from the ``monitor.csv`` files that every RL Zoo run leaves.

    python benchmarks/learning_atari.py logs/ddqn_per/BreakoutNoFrameskip-v4_1 --output curve.png

Prints, for each run, the mean raw score of the last 100 whole games at every 100k agent steps; draws the curve if asked to.
Runs of the same name (``--names``) are one training that was continued with ``-i``, in their order.
An agent step is counted as 4 emulator frames, which includes the frames of start no-ops and FIRE presses.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pictures import save
from stable_baselines3.common.monitor import load_results

FRAMES_PER_STEP = 4
WINDOW = 100
SMALLEST_WINDOW = 20  # games, where a curve begins


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
    checkpoint = re.search(r"rl_model_(\d+)_steps", origin)
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
    parser.add_argument("folders", type=Path, nargs="+", help="runs of the Zoo")
    parser.add_argument("--names", nargs="+", help="one for each run (default: their folders)")
    parser.add_argument("--every", type=int, default=100_000, help="agent steps between two columns")
    parser.add_argument("--output", type=Path, help="picture to write")
    arguments = parser.parse_args()
    names = arguments.names or [str(folder) for folder in arguments.folders]
    if len(names) != len(arguments.folders):
        parser.error(f"{len(arguments.folders)} folders but {len(names)} names")
    trainings: dict[str, list[Path]] = {}
    for name, folder in zip(names, arguments.folders, strict=True):
        trainings.setdefault(name, []).append(folder)
    curves = {name: learning_curve(folders) for name, folders in trainings.items()}
    print_table(curves, arguments.every)
    if arguments.output:
        draw(curves, command_line(arguments.folders[0])["env"], arguments.output)


if __name__ == "__main__":
    main()
