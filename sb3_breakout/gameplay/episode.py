"""An episode on the disk, checked when it is opened: everything that reads episodes reads them through here."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sb3_breakout.gameplay import png
from sb3_breakout.gameplay.layout import FORMAT, LABELS, DamagedDataset, frame_name, native_name, read_json

PER_STEP = ("actions", "ale_actions", "rewards", "shaped_rewards", "life_lost")
FACTS = ("steps", "score", "terminated", "truncated", "native", "game", "agent", "versions", "start_state", "lives", *PER_STEP)


@dataclass(frozen=True)
class Episode:
    """
    One game of T steps and T + 1 frames.

    :param folder: where it is
    :param facts: the content of its ``episode.json``
    """

    folder: Path
    facts: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Episode":
        """
        :param folder: the episode's folder
        :return: the episode; of its pictures only the names have been looked at
        :raises DamagedDataset: naming file and fault
        """
        episode = cls(folder, read_json(folder / "episode.json"))
        episode._check_facts()
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
        return self._picture(frame_name(step), self.facts["game"]["frame_shape"])

    def native(self, step: int) -> np.ndarray:
        """
        :param step: 0 to T
        :return: the emulator's screen in RGB, (210, 160, 3) uint8
        :raises DamagedDataset: if the file is missing or broken
        """
        return self._picture(native_name(step), None)

    def frames(self) -> np.ndarray:
        """:return: all of them, (T + 1, height, width, 1 or 3) uint8"""
        return np.stack([self.frame(step) for step in range(len(self) + 1)])

    def _picture(self, name: str, shape: list[int] | None) -> np.ndarray:
        picture = png.read(f"{self.folder}/{name}")
        if shape is not None and list(picture.shape) != shape:
            raise DamagedDataset(f"{self.folder / name} has the shape {picture.shape}, episode.json says {tuple(shape)}.")
        return picture

    def _check_facts(self) -> None:
        file, facts = self.folder / "episode.json", self.facts
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise DamagedDataset(f"{file} is not of format {FORMAT}.")
        missing = [name for name in FACTS if name not in facts]
        if missing:
            raise DamagedDataset(f"{file} says nothing of {', '.join(missing)}.")
        for name in (*PER_STEP, "lives"):
            expected = facts["steps"] + (name == "lives")
            if not isinstance(facts[name], list) or len(facts[name]) != expected:
                count = len(facts[name]) if isinstance(facts[name], list) else "no"
                raise DamagedDataset(f"{file} has {count} {name} for {facts['steps']} steps, {expected} are right.")
        for step, label in enumerate(facts["actions"]):
            if label not in LABELS:
                raise DamagedDataset(f"{file}: action {step} is {label!r}, labels are {', '.join(LABELS)}.")

    def _check_pictures(self) -> None:
        there = {path.name for path in self.folder.glob("*.png")}
        expected = {frame_name(step) for step in range(len(self) + 1)}
        if self.facts["native"]:
            expected |= {native_name(step) for step in range(len(self) + 1)}
        if missing := sorted(expected - there):
            raise DamagedDataset(f"{self.folder / missing[0]} is missing ({len(self)} steps have {len(self) + 1} frames).")
        if surplus := sorted(there - expected):
            raise DamagedDataset(
                f"{self.folder / surplus[0]} is one too many ({len(self)} steps have {len(self) + 1} frames)."
            )
