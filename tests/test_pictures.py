"""The pictures of the docs are drawn from kept results, their pages name the commands, and benchmarks write such results."""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

pytest.importorskip("rliable")

from benchmarks.draw import PICTURES, ROOT, effects, results
from benchmarks.learning import ablation, original_values, overlap, rnd_breakout, rnd_deepsea, yaml_values
from benchmarks.learning.atari import games_of, keep, kept_curve, label, learning_curve
from benchmarks.pictures import COLOURS, curves

DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_drawn_from_kept_results(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    savefig = Figure.savefig

    def title_fits(figure: Figure, *args: Any, **kwargs: Any) -> None:
        savefig(figure, *args, **kwargs)
        assert figure._suptitle.get_window_extent().x1 < figure.bbox.x1, figure._suptitle.get_text()  # type: ignore[attr-defined]

    monkeypatch.setattr(Figure, "savefig", title_fits)
    PICTURES[name](tmp_path / "picture.png")
    assert plt.imread(tmp_path / "picture.png").shape[1] == 1050


def test_every_picture_is_drawn_and_shown_with_its_command() -> None:
    assert {path.stem for path in DOCS.glob("*.png")} == set(PICTURES)
    pages = [page.read_text() for page in DOCS.rglob("*.md") if "_build" not in page.parts]
    for name in PICTURES:
        (page,) = [page for page in pages if f"(../{name}.png)" in page]
        assert f"python -m benchmarks.draw {name}" in page


def test_effects() -> None:
    """The interquartile mean of 0, 1, 2, 3, 100 is 2. Equal scores give an interval of no width."""
    scores = {"whole": [5.0] * 5, "worse": [4.0] * 5, "varied": [0.0, 1.0, 2.0, 3.0, 100.0]}
    table = pd.DataFrame([(name, seed, score) for name, row in scores.items() for seed, score in enumerate(row)])
    varied, worse = effects(table.set_axis(["variant", "seed", "score"], axis=1), "whole")
    assert worse == ("worse", -1.0, -1.0, -1.0)
    assert varied[:2] == ("varied", -3.0) and -5.0 <= varied.low < -3.0 < varied.high


def test_seeds_of_one_setting_have_one_colour() -> None:
    run = pd.DataFrame({"steps": [0, 1], "score": [0.0, 1.0]})
    axes = plt.figure().subplots()
    curves(axes, {label(name): run for name in ("ours_seed_1", "ours_seed_2", "theirs_seed_1")})
    plt.close(axes.figure)
    first, second, other = axes.lines
    assert [to_hex(line.get_color()).upper() for line in axes.lines] == [COLOURS[0], COLOURS[0], COLOURS[1]]
    assert [line.get_label() for line in axes.lines] == ["ours, seed 1", "ours, seed 2", "theirs, seed 1"]
    assert first.get_linestyle() != second.get_linestyle() != other.get_linestyle()


def run_of_zoo(folder: Path, scores: list[float], origin: str = "") -> Path:
    """Write a run with games of 400 frames, which are 100 agent steps each."""
    (folder / "Game").mkdir(parents=True)
    games = "".join(f"{score},400,{second}.0\n" for second, score in enumerate(scores))
    (folder / "0.monitor.csv").write_text(f'#{{"t_start": 0.0, "env_id": "Game"}}\nr,l,t\n{games}')
    options = {"algo": "ddqn_per", "env": "Game", "n_timesteps": 1, "seed": 1, "trained_agent": origin, "hyperparams": None}
    options["env_kwargs"] = {"repeat_action_probability": 0.25}
    lines = "".join(f"- - {name}\n  - {'' if value is None else repr(value)}\n" for name, value in options.items())
    (folder / "Game" / "args.yml").write_text(
        f"!!python/object/apply:collections.OrderedDict\n- {lines.replace(chr(10), chr(10) + '  ')}"
    )
    return folder


def test_runs_of_a_resumed_training_are_one_curve(tmp_path: Path) -> None:
    """The second run resumes from a checkpoint at 15,000 steps, so later games of the first run do not count."""
    first = run_of_zoo(tmp_path / "first", [float(game) for game in range(200)])
    second = run_of_zoo(tmp_path / "second", [7.0] * 150, origin="logs/rl_model_15000_steps.zip")
    curve = learning_curve([first, second]).set_index("steps")
    assert curve.loc[10_000].tolist() == [49.5, 24.75, 74.25]
    assert curve.loc[15_000, "score"] == 99.5 and curve.index[-1] == 30_000
    assert curve.loc[30_000].tolist() == [7.0, 7.0, 7.0]
    half_as_long = learning_curve([first], frame_skip=2)
    assert half_as_long["steps"].tolist() == (2 * learning_curve([first])["steps"]).tolist()

    keep("both", [first, second], tmp_path)
    command = "python -m rl_zoo3.train --algo ddqn_per --env Game -n 1 --seed 1"
    assert (tmp_path / "both.csv").read_text().splitlines()[:2] == [
        f"# {command} --env-kwargs repeat_action_probability:0.25",
        f"# {command} -i rl_model_15000_steps.zip --env-kwargs repeat_action_probability:0.25",
    ]
    assert kept_curve(tmp_path / "both.csv").to_numpy().tolist() == [
        [10_000, 49.5, 24.75, 74.25],
        [20_000, 65.75, 7.0, 124.25],
        [30_000, 7.0, 7.0, 7.0],
    ]


def test_steps_are_those_of_all_environments(tmp_path: Path) -> None:
    """Three environments step together. The second run resumes at the step of the final model, after the last ended game."""
    first = run_of_zoo(tmp_path / "first", [1.0] * 20)
    for number, lengths in enumerate(([800] * 10, [4000]), start=1):
        rows = "".join(f"2.0,{length},1.0\n" for length in lengths)
        (first / f"{number}.monitor.csv").write_text(f"#{{}}\nr,l,t\n{rows}")
    with zipfile.ZipFile(first / "Game.zip", "w") as model:
        model.writestr("data", json.dumps({"num_timesteps": 7_000}))
    second = run_of_zoo(tmp_path / "second", [7.0] * 20, origin="logs/ddqn_per/Game_1/Game.zip")
    assert games_of(first, 4)["steps"].tolist() == sorted([*range(300, 6_001, 300), *range(600, 6_001, 600), 3_000])
    assert learning_curve([first, second])["steps"].iloc[-20:].tolist() == [7_000 + 100 * game for game in range(1, 21)]


def evaluation(folder: Path, scores: list[float], every: int) -> None:
    folder.mkdir(parents=True)
    steps = every * np.arange(1, len(scores) + 1)
    np.savez(folder / "evaluations.npz", timesteps=steps, results=np.array(scores)[:, None] + np.array([-1.0, 1.0]))


@pytest.mark.parametrize(
    ("program", "options", "variants"),
    [
        (ablation, ["--variants", "ddqn_per", "1-step"], ["ddqn_per", "1_step"]),
        pytest.param(original_values, [], ["ddqn_per", "the_original_s_values"], marks=pytest.mark.slow),
        pytest.param(overlap, [], ["ddqn_per", "ddqn_per__overlap_updates"], marks=pytest.mark.slow),
        pytest.param(yaml_values, ["--keys", "n_steps"], ["ddqn_per", "n_steps_1", "n_steps_10"], marks=pytest.mark.slow),
    ],
    ids=["ablation", "original_values", "overlap", "yaml_values"],
)
def test_benchmark_writes_what_is_drawn(
    program: Any, options: list[str], variants: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variant in variants:
        for seed in (0, 1):
            evaluation(tmp_path / "50_steps" / variant / f"seed_{seed}", [0.0, 1.0 + seed, 2.0 + seed, 3.0 + seed], every=5)
    output = tmp_path / "results.csv"
    monkeypatch.setattr(
        sys, "argv", ["", "--steps", "50", "--seeds", "0", "1", "-f", str(tmp_path), "--output", str(output), *options]
    )
    program.main()

    name = program.__name__.split(".")[-1]
    written = pd.read_csv(output)
    assert written.columns.tolist() == results(name).columns.tolist()
    if program is ablation:  # a score is the mean of the last three evaluations
        assert written.to_numpy().tolist() == [
            ["ddqn_per", 0, 2.0],
            ["ddqn_per", 1, 3.0],
            ["1-step", 0, 2.0],
            ["1-step", 1, 3.0],
        ]
    elif program in (original_values, overlap):
        assert written["score"].tolist() == [0.0, 1.0, 2.0, 3.0, 0.0, 2.0, 3.0, 4.0] * 2
    else:
        assert written["key"].tolist() == ["base", "n_steps", "n_steps"] and written["score"].tolist() == [2.5] * 3


def test_rnd_on_breakout_writes_what_is_drawn(tmp_path: Path) -> None:
    for algorithm in rnd_breakout.ALGORITHMS:
        evaluation(tmp_path / algorithm, [3.0, 5.0], every=25_000)
        steps = 5000 * np.arange(1, 11)
        np.save(tmp_path / algorithm / "explored.npy", np.stack((steps, steps // 10, np.ones(10)), axis=1))
    rnd_breakout.report(tmp_path, tmp_path / "results.csv")
    written = pd.read_csv(tmp_path / "results.csv")
    assert written.columns.tolist() == results("rnd_breakout").columns.tolist()
    assert written.iloc[-1].tolist() == ["ddqn_rnd", 50_000, 5000, 5.0, 1.0]


def test_deepsea_writes_what_is_drawn() -> None:
    curve = np.array([[1600, 0.0, 50], [3200, 0.99, 60], [4800, 0.99, 60]])
    found = rnd_deepsea.figures(rnd_deepsea.Run("ddqn_rnd", 0, curve, 1700, 9.8))
    never = rnd_deepsea.figures(rnd_deepsea.Run("ddqn_per", 0, curve[:1], None, 9.8))
    assert list(found) == results("deepsea").columns.tolist()
    assert list(found.values()) == ["ddqn_rnd", 0, 0.99, 60, 1700, 3200, 10]
    assert (never["found"], never["greedy"]) == (None, None)
