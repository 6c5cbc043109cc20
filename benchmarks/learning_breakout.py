"""
Learning curves of Breakout from the ``monitor.csv`` files that every RL Zoo run leaves.

    python benchmarks/learning_breakout.py logs/ddqn_per/BreakoutNoFrameskip-v4_1 --output curve.png

Prints, for each run, the mean raw score of the last 100 whole games at every 100k agent steps; draws the curve if asked to.
An agent step is counted as 4 emulator frames, which includes the frames of start no-ops and FIRE presses.
"""

import argparse
from pathlib import Path

import numpy as np
from pictures import save
from stable_baselines3.common.monitor import load_results

FRAMES_PER_STEP = 4
WINDOW = 100


def learning_curve(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """
    :param folder: a run of the Zoo
    :return: agent steps at the end of each game, and the mean raw score of the last ``WINDOW`` games, or of all so far
    """
    games = load_results(str(folder))  # of all environments, in the order of their ends
    steps = games["l"].to_numpy().cumsum() / FRAMES_PER_STEP
    means = games["r"].rolling(WINDOW, min_periods=1).mean().to_numpy()
    return steps, means


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
        cells = [f"{means[steps <= mark][-1]:.1f}" if steps[-1] >= mark - every / 20 else "" for mark in marks]
        print(f"| {name} | " + " | ".join([*cells, f"{means[-1]:.1f} at {steps[-1] / 1000:.0f}k"]) + " |")


def draw(curves: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """
    :param curves: name of the run to its curve
    :param path: picture to write
    """
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for name, (steps, means) in curves.items():
        axes.plot(steps, means, label=name)
    axes.set(xlabel="agent steps", ylabel=f"raw score, mean of the last {WINDOW} games", title="BreakoutNoFrameskip-v4")
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="runs of the Zoo")
    parser.add_argument("--names", nargs="+", help="names of the runs (default: their folders)")
    parser.add_argument("--every", type=int, default=100_000, help="agent steps between two columns")
    parser.add_argument("--output", type=Path, help="picture to write")
    arguments = parser.parse_args()
    names = arguments.names or [str(folder) for folder in arguments.folders]
    if len(names) != len(arguments.folders):
        parser.error(f"{len(arguments.folders)} folders but {len(names)} names")
    curves = {name: learning_curve(folder) for name, folder in zip(names, arguments.folders, strict=True)}
    print_table(curves, arguments.every)
    if arguments.output:
        draw(curves, arguments.output)


if __name__ == "__main__":
    main()
