"""
Export to LeRobot datasets, version 3.0 of the format (https://huggingface.co/docs/lerobot/lerobot-dataset-v3)::

    meta/info.json                              features, frames per second, numbers of episodes and frames
    meta/stats.json                             of each feature: min, max, mean, std, count and quantiles
    meta/tasks.parquet                          the one task
    meta/episodes/chunk-000/file-000.parquet    a row for each episode: its rows in the data, its own statistics
    data/chunk-000/file-000.parquet             a row for each frame, with the picture as PNG

It is written without LeRobot, which cannot be installed together with RL Zoo.
"""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sb3_breakout.common import png
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.layout import EMULATOR_FRAMES_PER_SECOND, LABELS

IMAGE = "observation.image"
NUMBERS = {  # columns of each frame, with LeRobot's names and types
    "action": "int64",
    "ale_action": "int64",
    "pressed": "bool",
    "next.reward": "float32",
    "next.done": "bool",
    "next.truncated": "bool",
    "lives": "int64",
}
INDEXES = {"timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64", "task_index": "int64"}
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FIRST_FILE = FILE.format(chunk_index=0, file_index=0)
QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
Distribution = list[Counter[float]]  # for each channel, how often each value occurs


def export_lerobot(episodes: Iterable[Episode], root: Path, split: str) -> None:
    """
    ``LeRobotDataset("breakout", root=root / split)``, a row for each frame: ``observation.image`` (a PNG picture in RGB, in
    which a grey frame has three equal channels, as LeRobot expects them), ``action`` (0 LEFT, 1 NOTHING, 2 RIGHT),
    ``ale_action``, ``pressed`` (by a wrapper), ``next.reward`` (raw), ``next.done`` and ``next.truncated`` of the step taken
    at that frame, ``lives`` and ``agent``. A game of T steps has T + 1 rows; the last has the last frame, and as no step
    follows, action NOTHING and reward 0.
    """
    from datasets import Features, Image, Value
    from pyarrow import Table, parquet

    first = next(episodes := iter(episodes), None)
    if first is None:
        return
    root = root / split
    game = first.facts["game"]
    fps = EMULATOR_FRAMES_PER_SECOND / game["frame_skip"]
    task = f"Play {game['env_id'].removesuffix('NoFrameskip-v4')}."
    numbers = {name: Value(dtype) for name, dtype in (NUMBERS | INDEXES).items()}
    schema = Features({IMAGE: Image(), "agent": Value("string"), **numbers}).arrow_schema
    rows: list[dict[str, Any]] = []  # of meta/episodes
    totals: dict[str, Distribution] = {}
    frames = 0
    data = root / "data" / FIRST_FILE
    data.parent.mkdir(parents=True)
    with parquet.ParquetWriter(data, schema) as writer:
        for number, episode in enumerate(chain([first], episodes)):
            columns, distributions = _columns(episode)
            length = len(columns["lives"])
            steps = np.arange(length)
            columns |= {"timestamp": steps / fps, "frame_index": steps, "index": frames + steps}
            columns |= {"episode_index": np.full(length, number), "task_index": np.zeros(length, dtype=np.int64)}
            writer.write_table(Table.from_pydict(columns, schema))
            rows.append(_episode_row(number, task, length, frames, distributions))
            frames += length
            for name, of_episode in distributions.items():
                of_all = totals.setdefault(name, [Counter() for _ in of_episode])
                for counts, more in zip(of_all, of_episode, strict=True):
                    counts.update(more)
    _write_meta(root, task, _info(split, game["frame_shape"], fps, len(rows), frames), rows, _statistics(totals, frames))


def _columns(episode: Episode) -> tuple[dict[str, Any], dict[str, Distribution]]:
    """
    :param episode: an episode of T steps
    :return: its columns except the indexes, T + 1 entries each; and the distributions of all columns that are not text
    """
    facts, length = episode.facts, len(episode) + 1
    pictures, pixels = [], np.zeros((3, 256), dtype=np.int64)
    for step in range(length):
        frame = episode.frame(step)
        frame = np.repeat(frame, 3 // frame.shape[2], axis=2)
        pictures.append({"bytes": png.encode(frame)})
        pixels += [np.bincount(channel.ravel(), minlength=256) for channel in frame.transpose(2, 0, 1)]
    over = np.arange(length) >= len(episode) - 1
    numbers = {
        "action": np.append(episode.actions, LABELS.index("NOTHING")),
        "ale_action": np.array([*facts["ale_actions"], 0]),
        "pressed": np.array([*facts["pressed"], False]),
        "next.reward": np.append(episode.rewards, np.float32(0.0)),
        "next.done": over,
        "next.truncated": over & facts["truncated"],
        "lives": np.array(facts["lives"]),
    }
    columns = {IMAGE: pictures, "agent": [facts["agent"]["name"]] * length, **numbers}
    distributions = {name: [Counter(values.astype(float).tolist())] for name, values in numbers.items()}
    values = np.arange(256) / 255  # LeRobot scales pictures to [0, 1]
    distributions[IMAGE] = [Counter(dict(zip(values.tolist(), counts.tolist(), strict=True))) for counts in pixels]
    return columns, distributions


def _episode_row(
    number: int, task: str, length: int, first_row: int, distributions: dict[str, Distribution]
) -> dict[str, Any]:
    """:return: the row of an episode in ``meta/episodes``"""
    place = {f"{of}/{kind}_index": 0 for of in ("data", "meta/episodes") for kind in ("chunk", "file")}
    statistics = {
        f"stats/{feature}/{name}": value
        for feature, of_feature in _statistics(distributions, length).items()
        for name, value in of_feature.items()
    }
    rows = {"dataset_from_index": first_row, "dataset_to_index": first_row + length}
    return {"episode_index": number, "tasks": [task], "length": length, **rows, **place, **statistics}


def _statistics(distributions: dict[str, Distribution], frames: int) -> dict[str, dict[str, Any]]:
    """
    :param distributions: distribution of each feature
    :param frames: number of frames
    :return: the statistics of each feature in LeRobot's shapes: (1,), or (3, 1, 1) for pictures
    """
    statistics: dict[str, dict[str, Any]] = {}
    for feature, channels in distributions.items():
        each = [_of_channel(counts) for counts in channels]
        statistics[feature] = {"count": [frames]}
        for name in each[0]:
            values = [channel[name] for channel in each]
            statistics[feature][name] = [[[value]] for value in values] if feature == IMAGE else values
    return statistics


def _of_channel(counts: Counter[float]) -> dict[str, float]:
    """
    :param counts: how often each value occurs
    :return: exact statistics; quantiles are values that occur
    """
    values = np.array(sorted(value for value, count in counts.items() if count))
    weights = np.array([counts[value] for value in values])
    mean = np.average(values, weights=weights)
    std = np.average((values - mean) ** 2, weights=weights) ** 0.5
    shares = weights.cumsum() / weights.sum()
    quantiles = {f"q{round(100 * q):02d}": float(values[np.searchsorted(shares, q)]) for q in QUANTILES}
    return {"min": float(values[0]), "max": float(values[-1]), "mean": float(mean), "std": float(std), **quantiles}


def _info(split: str, frame_shape: list[int], fps: float, episodes: int, frames: int) -> dict[str, Any]:
    """:return: content of ``meta/info.json``"""
    numbers = {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in (NUMBERS | INDEXES).items()}
    picture = {"dtype": "image", "shape": [*frame_shape[:2], 3], "names": ["height", "width", "channels"]}
    return {
        "codebase_version": "v3.0",
        "robot_type": None,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": 1,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": int(fps) if fps.is_integer() else fps,
        "splits": {split: f"0:{episodes}"},
        "data_path": f"data/{FILE}",
        "video_path": None,
        "features": {IMAGE: picture, "agent": {"dtype": "string", "shape": [1], "names": None}, **numbers},
    }


def _write_meta(
    root: Path, task: str, info: dict[str, Any], rows: list[dict[str, Any]], statistics: dict[str, dict[str, Any]]
) -> None:
    import pandas as pd
    from pyarrow import Table, parquet

    meta = root / "meta"
    episodes = meta / "episodes" / FIRST_FILE
    episodes.parent.mkdir(parents=True)
    (meta / "info.json").write_text(json.dumps(info, indent=4))
    (meta / "stats.json").write_text(json.dumps(statistics, indent=4))
    pd.DataFrame({"task_index": [0]}, index=pd.Index([task], name="task")).to_parquet(meta / "tasks.parquet")
    parquet.write_table(Table.from_pylist(rows), episodes)
