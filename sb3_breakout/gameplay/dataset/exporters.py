"""Exports of datasets to other formats. All of them are lossless: every pixel, action and reward is preserved."""

import json
import os
import pickle
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sb3_breakout.common import png
from sb3_breakout.common.arguments import check_choice
from sb3_breakout.common.files import atomic_folder
from sb3_breakout.common.progress import progress_bar as bar
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.indexes import read_splits
from sb3_breakout.gameplay.dataset.layout import EMULATOR_FRAMES_PER_SECOND, LABELS, GameplayFolder
from sb3_breakout.gameplay.dataset.lerobot import export_lerobot
from sb3_breakout.gameplay.dataset.provenance import env_spec
from sb3_breakout.video.encoder import open_video

NOTHING = LABELS.index("NOTHING")
DESCRIPTION = "Whole games. Actions are 0 LEFT, 1 NOTHING, 2 RIGHT; infos have the emulator's own (ale_action) and lives."


def export(folder: GameplayFolder, form: str, target: Path, progress_bar: bool = False) -> None:
    """
    Export a dataset to another format. The target is written atomically.

    :param folder: the dataset
    :param form: a key of ``EXPORTERS``
    :param target: folder to write, which must not exist
    :param progress_bar: show how many episodes are written, on stderr
    :raises FileExistsError: if the target exists
    :raises FileNotFoundError: if there is no dataset
    :raises OSError: if the target cannot be written
    :raises ImportError: if the format's library is not installed
    :raises DamagedDataset: if the dataset is damaged, naming file and fault
    """
    check_choice("format", form, tuple(EXPORTERS))
    splits = read_splits(folder)
    total = sum(map(len, splits.values()))
    with atomic_folder(target) as aside, bar(f"Exporting to {form}", total, progress_bar) as written:
        for split, names in splits.items():
            EXPORTERS[form](_opened(folder, names, written), aside, split)


def _opened(folder: GameplayFolder, names: Iterable[str], written: Callable[[int], None]) -> Iterator[Episode]:
    """
    :param folder: the dataset
    :param names: names of the episodes
    :param written: called with 1 after each episode, when the next one or the end is requested
    """
    for name in names:
        yield Episode.open(folder.episodes / name)
        written(1)


def export_npz(episodes: Iterable[Episode], root: Path, split: str) -> None:
    """
    ``SPLIT/episode_000001.npz``: frames (T + 1, height, width, channels) uint8, actions (T,) int64 (0 LEFT, 1 NOTHING, 2
    RIGHT), ale_actions (T,) int64, rewards and shaped_rewards (T,) float32, pressed (by a wrapper) and life_lost (T,) bool,
    lives (T + 1,) int64; in games with sticky actions, executed_actions (T, frame_skip) int64, -1 after the game's end; and
    facts, everything else as JSON text.
    """
    (root / split).mkdir()
    for episode in episodes:
        facts = dict(episode.facts)
        arrays: dict[str, Any] = {
            "frames": episode.frames(),
            "actions": episode.actions,
            "rewards": episode.rewards,
            "ale_actions": np.array(facts.pop("ale_actions"), dtype=np.int64),
            "shaped_rewards": np.array(facts.pop("shaped_rewards"), dtype=np.float32),
            "pressed": np.array(facts.pop("pressed"), dtype=bool),
            "life_lost": np.array(facts.pop("life_lost"), dtype=bool),
            "lives": np.array(facts.pop("lives"), dtype=np.int64),
        }
        if "executed_actions" in facts:
            arrays["executed_actions"] = _padded(facts.pop("executed_actions"), facts["game"]["frame_skip"])
        del facts["actions"], facts["rewards"]
        with open(root / split / f"{episode.name}.npz", "wb") as file:
            np.savez_compressed(file, facts=np.array(json.dumps(facts)), **arrays)


def _padded(rows: list[list[int]], length: int) -> np.ndarray:
    """:return: (number of rows, length) int64, padded with -1"""
    return np.array([row + [-1] * (length - len(row)) for row in rows], dtype=np.int64)


def export_mp4(episodes: Iterable[Episode], root: Path, split: str) -> None:
    """
    ``SPLIT/episode_000001.mp4``, T + 1 frames of lossless H.264 in RGB (with the usual YUV, decoders differ by one level of
    brightness), ``episode_000001_native.mp4`` with the emulator's screens if there are any, and ``episode_000001.json``, a
    copy of ``episode.json``.
    """
    (root / split).mkdir()
    for episode in episodes:
        path = root / split / episode.name
        fps = EMULATOR_FRAMES_PER_SECOND / episode.facts["game"]["frame_skip"]
        steps = range(len(episode) + 1)
        _write_mp4(path.with_suffix(".mp4"), map(episode.frame, steps), fps)
        if episode.facts["native"]:
            _write_mp4(path.with_name(f"{path.name}_native.mp4"), map(episode.native, steps), fps)
        shutil.copy(episode.folder / "episode.json", path.with_suffix(".json"))


def _write_mp4(path: Path, pictures: Iterator[np.ndarray], fps: float) -> None:
    """
    :param path: the file to write
    :param pictures: one or more, (height, width, 1 or 3) uint8
    :param fps: pictures per second
    :raises OSError: if it cannot be written, with ffmpeg's message
    """
    first = next(pictures)
    height, width, channels = first.shape
    with open_video(path, width, height, fps, lossless=True) as video:
        for picture in chain([first], pictures):
            video.write(np.repeat(picture, 3 // channels, axis=2))


def export_minari(episodes: Iterable[Episode], root: Path, split: str) -> None:
    """
    Dataset ``breakout/SPLIT-v0`` of Minari, for ``MINARI_DATASETS_PATH=root``: observations (T + 1, height, width, channels)
    without JPEG, actions 0 LEFT, 1 NOTHING, 2 RIGHT, raw rewards; in ``infos``, whose first entry is the reset's, ``lives``,
    ``ale_action`` (first -1) and ``pressed`` (by a wrapper; first False). The environment that Minari recovers has the same
    observations, but the emulator's actions.
    """
    import minari
    from gymnasium import spaces
    from minari.data_collector import EpisodeBuffer

    dataset = None
    agents = set()
    for number, episode in enumerate(episodes):
        agents.add(episode.facts["agent"]["name"])
        end = np.arange(len(episode)) == len(episode) - 1
        buffer = EpisodeBuffer(
            id=number,
            seed=episode.facts.get("seed"),
            observations=episode.frames(),
            actions=episode.actions,
            rewards=list(episode.rewards),
            terminations=list(end & episode.facts["terminated"]),
            truncations=list(end & episode.facts["truncated"]),
            infos={
                "lives": np.array(episode.facts["lives"]),
                "ale_action": np.array([-1, *episode.facts["ale_actions"]]),
                "pressed": np.array([False, *episode.facts["pressed"]]),
            },
        )
        if dataset is not None:
            dataset.update_dataset_from_buffer([buffer])
            continue
        with warnings.catch_warnings(), _environment_variable("MINARI_DATASETS_PATH", str(root)):
            warnings.simplefilter("ignore")  # about a missing e-mail address and the like
            dataset = minari.create_dataset_from_buffers(
                f"breakout/{split}-v0",
                [buffer],
                env=env_spec(episode.facts["game"]),
                author=f"sb3_breakout {episode.facts['versions'].get('sb3-breakout', '')}".strip(),
                description=DESCRIPTION,
                observation_space=spaces.Box(0, 255, tuple(episode.facts["game"]["frame_shape"]), np.uint8),
                action_space=spaces.Discrete(len(LABELS)),
                jpeg_encoding=False,
            )
    if dataset is not None:
        dataset.storage.update_metadata({"algorithm_name": ", ".join(sorted(agents))})


def export_arrayrecord(episodes: Iterable[Episode], root: Path, split: str) -> None:
    """
    ``SPLIT/episode_000001.array_record``, one pickled record per episode, as Jasmine reads them: ``raw_video`` (the bytes of
    (T + 1, height, width, channels) uint8), ``sequence_length`` T + 1, ``actions`` (T + 1,) int64, the last of which (NOTHING)
    has no meaning; and ``rewards`` (T,) float32, ``frame_shape`` and ``ale_actions`` (T,) int64 besides.
    """
    from array_record.python.array_record_module import ArrayRecordWriter

    (root / split).mkdir()
    for episode in episodes:
        record = {
            "raw_video": episode.frames().tobytes(),
            "sequence_length": len(episode) + 1,
            "actions": np.append(episode.actions, NOTHING),
            "rewards": episode.rewards,
            "ale_actions": np.array(episode.facts["ale_actions"], dtype=np.int64),
            "frame_shape": tuple(episode.facts["game"]["frame_shape"]),
            "path": episode.name,
        }
        writer = ArrayRecordWriter(str(root / split / f"{episode.name}.array_record"), "group_size:1")
        writer.write(pickle.dumps(record))
        writer.close()


def export_huggingface(episodes: Iterable[Episode], root: Path, split: str) -> None:
    """
    ``data/SPLIT-00000-of-00001.parquet`` for ``datasets.load_dataset``, a row for each frame: ``frame`` (a PNG picture),
    ``action`` (a ``ClassLabel``: 0 LEFT, 1 NOTHING, 2 RIGHT), ``ale_action``, ``pressed`` (by a wrapper), ``reward`` and
    ``life_lost`` of the step taken at that frame (None for a game's last frame), ``lives``, ``episode``, ``step``, ``agent``,
    and ``native``, the emulator's screen, if the first episode has screens.
    """
    from datasets import ClassLabel, Features, Image, Value
    from pyarrow import Table
    from pyarrow.parquet import ParquetWriter

    first = next(episodes := iter(episodes), None)
    if first is None:
        return
    columns = {
        "episode": Value("string"),
        "step": Value("int64"),
        "agent": Value("string"),
        "frame": Image(),
        "action": ClassLabel(names=list(LABELS)),
        "ale_action": Value("int64"),
        "pressed": Value("bool"),
        "reward": Value("float32"),
        "life_lost": Value("bool"),
        "lives": Value("int64"),
    }
    if first.facts["native"]:
        columns["native"] = Image()
    schema = Features(columns).arrow_schema
    (root / "data").mkdir(exist_ok=True)
    with ParquetWriter(root / "data" / f"{split}-00000-of-00001.parquet", schema) as writer:
        for episode in chain([first], episodes):
            writer.write_table(Table.from_pydict(_columns(episode, "native" in columns), schema))


def _columns(episode: Episode, native: bool) -> dict[str, list[Any]]:
    """:return: the columns of :func:`export_huggingface` for one episode, T + 1 entries each"""
    facts, frames = episode.facts, range(len(episode) + 1)
    columns = {
        "episode": [episode.name for _ in frames],
        "step": list(frames),
        "agent": [facts["agent"]["name"] for _ in frames],
        "frame": [{"bytes": png.encode(episode.frame(step))} for step in frames],
        "action": [*episode.actions.tolist(), None],
        "ale_action": [*facts["ale_actions"], None],
        "pressed": [*facts["pressed"], None],
        "reward": [*facts["rewards"], None],
        "life_lost": [*facts["life_lost"], None],
        "lives": facts["lives"],
    }
    if native:
        columns["native"] = [{"bytes": png.encode(episode.native(step))} if facts["native"] else None for step in frames]
    return columns


EXPORTERS: dict[str, Callable[[Iterable[Episode], Path, str], None]] = {
    "npz": export_npz,
    "mp4": export_mp4,
    "minari": export_minari,
    "arrayrecord": export_arrayrecord,
    "huggingface": export_huggingface,
    "lerobot": export_lerobot,
}


@contextmanager
def _environment_variable(name: str, value: str) -> Iterator[None]:
    before: Any = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
