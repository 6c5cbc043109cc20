"""The LeRobot export: its files, and what LeRobot reads. The latter needs ``LEROBOT_PYTHON``, an interpreter with LeRobot."""

import json
import os
import subprocess
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.exporters import export
from sb3_breakout.gameplay.dataset.indexes import read_splits
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from tests.gameplay.conftest import SHORT, MakeGame, record

datasets = pytest.importorskip("datasets")
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


@pytest.fixture(scope="module")
def exported(ten_short_games: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("export") / "data-lerobot"
    export(GameplayFolder(ten_short_games), "lerobot", target)
    return target


def episodes_of(root: Path, split: str) -> list[Episode]:
    folder = GameplayFolder(root)
    return [Episode.open(folder.episodes / name) for name in read_splits(folder)[split]]


def rows_of(path: Path, tmp_path: Path) -> list[dict[str, Any]]:
    return list(datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache")))


def check_row(row: dict[str, Any], episode: Episode, number: int, step: int) -> None:
    """
    :param row: numbers and texts of a frame
    :param episode: what was recorded
    :param number: number of the episode in its split
    :param step: number of the frame in the episode
    """
    facts, end = episode.facts, len(episode)
    assert (row["episode_index"], row["frame_index"], row["task_index"]) == (number, step, 0)
    assert row["timestamp"] == np.float32(step / 15)
    assert (row["lives"], row["agent"]) == (facts["lives"][step], "random")
    assert bool(row["next.done"]) == (step >= end - 1)
    assert bool(row["next.truncated"]) == (step >= end - 1 and facts["truncated"])
    expected = (1, 0, 0.0) if step == end else (episode.actions[step], facts["ale_actions"][step], facts["rewards"][step])
    assert (row["action"], row["ale_action"], row["next.reward"]) == expected
    assert row["pressed"] == (step < end and facts["pressed"][step])


@pytest.mark.parametrize("split", ["train", "validation"])
def test_rows_are_the_frames_in_order(ten_short_games: Path, exported: Path, tmp_path: Path, split: str) -> None:
    rows = rows_of(exported / split / "data/chunk-000/file-000.parquet", tmp_path)
    assert [row["index"] for row in rows] == list(range(len(rows)))
    played = [list(of_episode) for _, of_episode in groupby(rows, key=lambda row: row["episode_index"])]
    episodes = episodes_of(ten_short_games, split)
    for number, (episode, of_episode) in enumerate(zip(episodes, played, strict=True)):
        assert len(of_episode) == len(episode) + 1
        for step, row in enumerate(of_episode):
            check_row(row, episode, number, step)
            assert np.array_equal(np.array(row["observation.image"]), episode.frame(step).repeat(3, axis=2))

    meta = exported / split / "meta"
    info = json.loads((meta / "info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["splits"]) == ("v3.0", 15, {split: f"0:{len(episodes)}"})
    assert (info["total_episodes"], info["total_frames"]) == (len(episodes), len(rows))
    assert set(info["features"]) == set(rows[0])
    start = 0
    described = rows_of(meta / "episodes/chunk-000/file-000.parquet", tmp_path)
    for number, (row, episode) in enumerate(zip(described, episodes, strict=True)):
        length = len(episode) + 1
        assert (row["episode_index"], row["length"], row["tasks"]) == (number, length, ["Play Breakout."])
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (start, start + length)
        start += length


def test_statistics_are_those_of_the_values(ten_short_games: Path, exported: Path, tmp_path: Path) -> None:
    episodes = episodes_of(ten_short_games, "train")
    described = rows_of(exported / "train/meta/episodes/chunk-000/file-000.parquet", tmp_path)
    of_each = [
        {feature: {name: row[f"stats/{feature}/{name}"] for name in ("min", "max", "mean", "std", "count", *QUANTILES)}
         for feature in ("next.reward", "observation.image")}
        for row in described
    ]  # fmt: skip
    of_all = json.loads((exported / "train/meta/stats.json").read_text())
    for statistics, of_episodes in [(of_all, episodes), *zip(of_each, [[episode] for episode in episodes], strict=True)]:
        rewards = np.concatenate([[*episode.rewards, 0.0] for episode in of_episodes])
        pixels = np.concatenate([episode.frames() for episode in of_episodes]) / 255
        for feature, values, shape in [("next.reward", rewards, (1,)), ("observation.image", pixels, (3, 1, 1))]:
            expected = {"min": values.min(), "max": values.max(), "mean": values.mean(), "std": values.std()}
            expected |= {name: np.quantile(values, q, method="inverted_cdf") for name, q in QUANTILES.items()}
            assert statistics[feature]["count"] == [len(rewards)]
            for name, value in expected.items():
                np.testing.assert_allclose(statistics[feature][name], np.full(shape, value), rtol=1e-9, atol=1e-9)


def test_colours_stay(tmp_path: Path, play_in: MakeGame) -> None:
    (episode,) = record(tmp_path / "data", play_in(dict(screen_size=None, grayscale=False), **SHORT))
    export(GameplayFolder(tmp_path / "data"), "lerobot", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*/data/*/*.parquet")
    for step, row in enumerate(rows_of(path, tmp_path)):
        assert np.array_equal(np.array(row["observation.image"]), episode.frame(step))


READER = """
import sys
from pathlib import Path

import numpy as np
from lerobot.datasets.dataset_tools import merge_datasets
from lerobot.datasets.lerobot_dataset import LeRobotDataset

root, out = map(Path, sys.argv[1:])
read = {split: LeRobotDataset(f"breakout/{split}", root=root / split) for split in ("train", "validation")}
for split, dataset in read.items():
    assert dataset.fps == 15 and dataset.meta.stats["action"]["count"] == [len(dataset)]
    items = list(dataset)
    assert dataset.num_frames == len(items)
    np.savez(out / split, **{name: np.stack([np.asarray(item[name]) for item in items]) for name in items[0]})
segments = LeRobotDataset("breakout/train", root=root / "train", delta_timestamps={"action": [-1 / 15, 0]})
assert segments[5]["action"].tolist() == [read["train"][4]["action"], read["train"][5]["action"]]
merged = merge_datasets([*read.values()], "breakout/all", out / "all")
assert merged.num_frames == sum(map(len, read.values()))
"""


@pytest.mark.slow
@pytest.mark.skipif("LEROBOT_PYTHON" not in os.environ, reason="needs LEROBOT_PYTHON, of an environment with LeRobot")
def test_lerobot_reads_what_was_recorded(ten_short_games: Path, exported: Path, tmp_path: Path) -> None:
    """LeRobot runs in its own Python environment, since its dependencies conflict with RL Zoo's."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache"), "PYTHONPATH": ""}
    command = [os.environ["LEROBOT_PYTHON"], "-c", READER, str(exported), str(tmp_path)]
    subprocess.run(command, env=os.environ | offline, check=True)
    for split in ("train", "validation"):
        with np.load(tmp_path / f"{split}.npz") as file:
            columns = dict(file)
        episodes = episodes_of(ten_short_games, split)
        expected = [(k, episode, step) for k, episode in enumerate(episodes) for step in range(len(episode) + 1)]
        assert columns["index"].tolist() == list(range(len(expected))) and set(columns["task"]) == {"Play Breakout."}
        for index, (number, episode, step) in enumerate(expected):
            check_row({name: values[index] for name, values in columns.items()}, episode, number, step)
            pixels = columns["observation.image"][index] * 255  # (3, height, width), from 0 to 1 in LeRobot
            assert np.array_equal(pixels.round(), episode.frame(step).repeat(3, axis=2).transpose(2, 0, 1))
            np.testing.assert_allclose(pixels, pixels.round(), atol=1e-4)
