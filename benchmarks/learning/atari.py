"""
Learning curves of Atari games from the ``monitor.csv`` files that every RL Zoo run leaves.

    python -m benchmarks.learning.atari logs/ddqn_per/BreakoutNoFrameskip-v4_1 --output curve.png
    python -m benchmarks.learning.atari RUN RESUMED_RUN --names ours_seed_1 ours_seed_1 --keep benchmarks/learning/curves

Prints, for each run, the mean raw score of the last 100 whole games at every 100k agent steps. ``--output`` draws the curves,
with the middle half of the 100 games shaded. Runs of the same name (``--names``), in the order given, are one training that
was resumed with ``-i``. Names that differ only in a final ``_seed_N`` get the same colour. ``--keep`` writes a small CSV file
for each name, with the commands, the processor and the curve. Such a file can be given in place of a run.
An agent step is counted as ``--frame-skip`` emulator frames, which includes the frames of start no-ops and FIRE presses.
"""

import argparse
import json
import platform
import re
import shlex
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch as th
import yaml

from benchmarks.pictures import curves as draw_curves
from benchmarks.pictures import picture
from sb3_breakout.common.torch_utils import bfloat16_is_fast
from sb3_breakout.protocol import FRAME_SKIP

WINDOW = 100
SMALLEST_WINDOW = 20  # games that a curve needs to begin
KEPT_EVERY = 10_000  # agent steps between two rows of a kept curve
SCORE = f"raw score\n(mean of the last {WINDOW} games)"  # axis label


def command_line(folder: Path) -> dict[str, Any]:
    """
    :param folder: a run of the Zoo
    :return: the options that it was started with
    """
    (file,) = folder.glob("*/args.yml")
    return dict(yaml.unsafe_load(file.read_text()))


def started_at(folder: Path, before: Path | None) -> float:
    """
    :param folder: a run of the Zoo
    :param before: the run before it, if it was resumed from one
    :return: agent steps of the checkpoint, or of the previous run's final model, that it was resumed from; 0 if it was not
    """
    origin = command_line(folder)["trained_agent"]
    checkpoint = re.search(r"_(\d+)_steps", origin)
    if checkpoint or not origin:
        return float(checkpoint[1]) if checkpoint else 0.0
    assert before is not None, f"{folder} was resumed from {origin}: name that run before it"
    with zipfile.ZipFile(before / Path(origin).name) as model:
        return float(json.loads(model.read("data"))["num_timesteps"])


def games_of(folder: Path, frame_skip: int) -> pd.DataFrame:
    """
    :param folder: a run of the Zoo
    :param frame_skip: emulator frames per agent step
    :return: a row for each game, ordered by its end: raw score (``r``), and agent steps of all environments together until
        then (``steps``); the environments step at the same time
    """
    files = list(folder.glob("*.monitor.csv"))
    games = [pd.read_csv(file, skiprows=1) for file in files]
    counted = [each.assign(steps=len(files) * each["l"].cumsum() / frame_skip) for each in games if len(each)]
    return pd.concat(counted).sort_values("steps", kind="stable")


def learning_curve(folders: Sequence[Path], frame_skip: int = FRAME_SKIP) -> pd.DataFrame:
    """
    :param folders: runs of the Zoo, each resumed from the one before it
    :param frame_skip: emulator frames per agent step
    :return: a row for the end of each game: agent steps (``steps``), and the mean (``score``) and the quartiles (``low``,
        ``high``) of the raw scores of the last ``WINDOW`` games
    """
    steps, scores = np.zeros(0), np.zeros(0)
    for before, folder in zip((None, *folders), folders, strict=False):
        games, start = games_of(folder, frame_skip), started_at(folder, before)
        kept = steps <= start  # the next run was resumed before the games that are dropped
        steps = np.concatenate((steps[kept], start + games["steps"]))
        scores = np.concatenate((scores[kept], games["r"]))
    last = pd.Series(scores).rolling(WINDOW, min_periods=SMALLEST_WINDOW)
    return pd.DataFrame(
        {"steps": steps, "score": last.mean(), "low": last.quantile(0.25), "high": last.quantile(0.75)}
    ).dropna()


def thinned(curve: pd.DataFrame, every: int) -> pd.DataFrame:
    """
    :param curve: learning curve
    :param every: agent steps between two rows
    :return: the curve with one row for each multiple of ``every``
    """
    marks = np.arange(every, curve["steps"].iloc[-1] + 1, every).astype(int)
    rows = np.searchsorted(curve["steps"], marks, side="right") - 1
    return curve.iloc[rows[rows >= 0]].assign(steps=marks[rows >= 0])


def as_typed(folder: Path) -> str:
    """
    :param folder: a run of the Zoo
    :return: the command that started the run
    """
    options = command_line(folder)
    command = ["python", "-m", "rl_zoo3.train", "--algo", options["algo"], "--env", options["env"]]
    command += ["-n", str(options["n_timesteps"]), "--seed", str(options["seed"])]
    if options.get("conf_file"):
        command += ["-conf", options["conf_file"]]
    if options["trained_agent"]:
        command += ["-i", Path(options["trained_agent"]).name]
    if options["env_kwargs"]:
        command += ["--env-kwargs", *(f"{name}:{value!r}" for name, value in options["env_kwargs"].items())]
    if options["hyperparams"]:
        command += ["-params", *(f"{name}:{value!r}" for name, value in options["hyperparams"].items())]
    return shlex.join(command)


def processor() -> str:
    """:return: the processor's architecture and vector instructions, which decide its speed"""
    bfloat16 = "with" if bfloat16_is_fast(th.device("cpu")) else "without"
    return f"{platform.machine()} {th.backends.cpu.get_cpu_capability()}, {bfloat16} bfloat16"


def keep(name: str, folders: Sequence[Path], target: Path, frame_skip: int = FRAME_SKIP) -> None:
    """
    Write the learning curve of a training to a CSV file.

    :param name: name of the training, and of the file
    :param folders: runs of the training
    :param target: folder to write to
    :param frame_skip: emulator frames per agent step
    """
    kept = thinned(learning_curve(folders, frame_skip), KEPT_EVERY)
    lines = [f"# {command}" for command in (*map(as_typed, folders), processor())]
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.csv").write_text("\n".join(lines) + "\n" + kept.to_csv(index=False, float_format="%.2f"))


def kept_curve(file: Path) -> pd.DataFrame:
    """
    :param file: file written by :func:`keep`
    :return: as :func:`learning_curve`; older files have no quartiles
    """
    return pd.read_csv(file, comment="#")


def curve_of(folders: Sequence[Path], frame_skip: int) -> pd.DataFrame:
    """
    :param folders: runs of one training, or the file with its curve
    :param frame_skip: emulator frames per agent step
    :return: as :func:`learning_curve`
    """
    return kept_curve(folders[0]) if folders[0].suffix == ".csv" else learning_curve(folders, frame_skip)


def print_table(curves: dict[str, pd.DataFrame], every: int) -> None:
    """
    :param curves: curves, by name of the run
    :param every: agent steps between two columns
    """
    longest = max(curve["steps"].iloc[-1] for curve in curves.values())
    marks = np.arange(every, longest + 1, every)
    print("| run |" + "".join(f" {mark / 1000:.0f}k |" for mark in marks) + " last |")
    print("|---|" + "---|" * (len(marks) + 1))
    for name, curve in curves.items():
        steps, means = curve["steps"].to_numpy(), curve["score"].to_numpy()
        within = [steps[0] <= mark <= steps[-1] + every / 20 for mark in marks]
        cells = [f"{means[steps <= mark][-1]:.1f}" if there else "" for mark, there in zip(marks, within, strict=True)]
        print(f"| {name} | " + " | ".join([*cells, f"{means[-1]:.1f} at {steps[-1] / 1000:.0f}k"]) + " |")


def label(name: str) -> str:
    """:return: the label of a run in pictures, for example ``2 samples, seed 1`` for ``2_samples_seed_1``"""
    return name.replace("_", " ").replace(" seed", ", seed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="runs of the Zoo, or kept curves")
    parser.add_argument("--game", default="BreakoutNoFrameskip-v4", help="title of the picture")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to keep the curves")
    parser.add_argument("--names", nargs="+", help="one for each run (default: their folders)")
    parser.add_argument("--every", type=int, default=100_000, help="agent steps between two columns")
    parser.add_argument("--frame-skip", type=int, default=FRAME_SKIP, help="emulator frames per agent step of the runs")
    parser.add_argument("--output", type=Path, help="picture to write")
    arguments = parser.parse_args()
    names = arguments.names or [folder.stem if folder.suffix == ".csv" else str(folder) for folder in arguments.folders]
    if len(names) != len(arguments.folders):
        parser.error(f"{len(arguments.folders)} folders but {len(names)} names")
    if arguments.keep and not all(folder.is_dir() for folder in arguments.folders):
        parser.error("--keep takes folders of runs, not curves that are kept already")
    trainings: dict[str, list[Path]] = {}
    for name, folder in zip(names, arguments.folders, strict=True):
        trainings.setdefault(name, []).append(folder)
    if arguments.keep:
        for name, folders in trainings.items():
            keep(name, folders, arguments.keep, arguments.frame_skip)
    curves = {name: curve_of(folders, arguments.frame_skip) for name, folders in trainings.items()}
    print_table(curves, arguments.every)
    if arguments.output:
        with picture(arguments.output, arguments.game) as axes:
            draw_curves(axes, {label(name): curve for name, curve in curves.items()})
            axes.set_ylabel(SCORE)


if __name__ == "__main__":
    main()
