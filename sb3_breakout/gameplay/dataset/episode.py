"""An episode on disk, validated when it is opened. All code reads episodes through this module."""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sb3_breakout.gameplay.dataset import png
from sb3_breakout.gameplay.dataset.layout import EPISODE_NAME, LABELS, DamagedDataset, episode_name, frame_name, native_name
from sb3_breakout.gameplay.dataset.schema import FACTS, read_json


@dataclass(frozen=True)
class Episode:
    """
    One game of T steps and T + 1 frames.

    :param folder: folder of the episode
    :param facts: content of its ``episode.json``
    """

    folder: Path
    facts: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Episode":
        """
        :param folder: the episode's folder
        :return: the episode; its pictures are only checked by name
        :raises DamagedDataset: if the episode is damaged, naming file and fault
        """
        if not re.fullmatch(EPISODE_NAME, folder.name):
            raise DamagedDataset(f"{folder} is not an episode: episodes are named like {episode_name(1)}.")
        if folder.is_symlink():
            raise DamagedDataset(f"{folder} is a link, which is not followed.")
        episode = cls(folder, read_json(folder / "episode.json", FACTS))
        episode._check_pictures()
        return episode

    @property
    def name(self) -> str:
        """``episode_000001``"""
        return self.folder.name

    def __len__(self) -> int:
        return self.facts["steps"]

    @cached_property
    def actions(self) -> np.ndarray:
        """(T,) int64: 0 LEFT, 1 NOTHING, 2 RIGHT"""
        return np.array([LABELS.index(label) for label in self.facts["actions"]], dtype=np.int64)

    @cached_property
    def rewards(self) -> np.ndarray:
        """(T,) float32, raw points"""
        return np.array(self.facts["rewards"], dtype=np.float32)

    def frame(self, step: int) -> np.ndarray:
        """
        :param step: 0 to T
        :return: what the agent saw, (height, width, 1 or 3) uint8
        :raises DamagedDataset: if the file is missing or broken
        """
        return png.read(f"{self.folder}/{frame_name(step)}", tuple(self.facts["game"]["frame_shape"]))

    def native(self, step: int) -> np.ndarray:
        """
        :param step: 0 to T
        :return: the emulator's screen in RGB, (210, 160, 3) uint8 in most games
        :raises DamagedDataset: if the file is missing or broken
        """
        return png.read(f"{self.folder}/{native_name(step)}", self._native_shape)

    @cached_property
    def _native_shape(self) -> tuple[int, ...]:
        return png.read(f"{self.folder}/{native_name(0)}").shape

    def frames(self) -> np.ndarray:
        """:return: all frames that the agent saw, (T + 1, height, width, 1 or 3) uint8"""
        return np.stack([self.frame(step) for step in range(len(self) + 1)])

    def _check_pictures(self) -> None:
        try:
            with os.scandir(self.folder) as entries:
                there = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries if entry.name.endswith(".png")}
        except OSError as error:
            raise DamagedDataset(f"{self.folder} cannot be read: {error.strerror}.") from None
        kinds = (frame_name, native_name) if self.facts["native"] else (frame_name,)
        expected = {name_of(step) for name_of in kinds for step in range(len(self) + 1)}
        for names, fault in (
            (expected - there.keys(), "is missing"),
            (there.keys() - expected, "is not expected"),
            ({name for name in expected if not there.get(name)}, "is not a regular file"),
        ):
            if names:
                raise DamagedDataset(f"{self.folder / min(names)} {fault} ({len(self)} steps have {len(self) + 1} frames).")
