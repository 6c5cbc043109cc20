"""Gameplay as a torch ``Dataset``."""

import os
from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch as th
from torch.utils.data import Dataset

from sb3_breakout.common.arguments import check_at_least, check_choice
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.indexes import SPLITS, read_splits
from sb3_breakout.gameplay.dataset.layout import GameplayFolder


class Transition(NamedTuple):
    """One step of a game."""

    frame: th.Tensor  # (channels, height, width) uint8, before the action: what the agent saw, or the emulator's screen
    action: th.Tensor  # () int64: 0 LEFT, 1 NOTHING, 2 RIGHT
    reward: th.Tensor  # () float32: raw points
    next_frame: th.Tensor  # (channels, height, width) uint8


class Segment(NamedTuple):
    """Consecutive steps of a game."""

    frames: th.Tensor  # (length + 1, channels, height, width) uint8
    actions: th.Tensor  # (length,) int64: 0 LEFT, 1 NOTHING, 2 RIGHT
    rewards: th.Tensor  # (length,) float32: raw points


class GameplayDataset(Dataset[Transition | Segment]):
    """
    Recorded games, read from their PNG files: transitions, or segments of a given length. No item crosses the end of a game.

    Batches of a ``DataLoader`` are ``Transition`` or ``Segment`` too, with a leading batch dimension.

    :param root: folder of the dataset
    :param split: ``"train"`` or ``"validation"``
    :param length: number of steps of a segment (segments overlap: one starts at each step); None for transitions
    :param native: whether frames are the emulator's screens, (3, 210, 160) in most games, instead of what the agent saw
    :raises FileNotFoundError: if there is no dataset
    :raises DamagedDataset: if a file is missing or damaged, naming file and fault (for pictures, when they are read)
    :raises ValueError: for an unknown split or length, or if the dataset has no such items
    """

    def __init__(
        self, root: str | os.PathLike[str], split: str = "train", length: int | None = None, native: bool = False
    ) -> None:
        check_choice("split", split, SPLITS)
        if length is not None:
            length = check_at_least("length", length, 1)
        folder = GameplayFolder(root)
        names = read_splits(folder)[split]
        self.length = length
        self.native = native
        self.episodes = [Episode.open(folder.episodes / name) for name in names]
        without = [episode.folder for episode in self.episodes if native and not episode.facts["native"]]
        if without:
            raise ValueError(f"{without[0]} has no native frames: collect with --resolution native, or read native=False.")
        self._labels = [(th.from_numpy(episode.actions), th.from_numpy(episode.rewards)) for episode in self.episodes]
        self._ends = list(accumulate(max(len(episode) - (length or 1) + 1, 0) for episode in self.episodes))
        if len(self) == 0:
            longest = f", the longest of {max(map(len, self.episodes))} steps" if self.episodes else ""
            raise ValueError(
                f"{root} has nothing for split={split!r} and length={length}: it has {len(self.episodes)} episodes in this "
                f"split{longest}. Of each ten episodes one is for validation."
            )

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Transition | Segment:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be below {len(self)}, received {index}.")
        index %= len(self)
        which = bisect_right(self._ends, index)
        episode = self.episodes[which]
        actions, rewards = self._labels[which]
        step = index - (self._ends[which - 1] if which else 0)
        if self.length is None:
            frame, next_frame = self._frame(episode, step), self._frame(episode, step + 1)
            return Transition(frame, actions[step], rewards[step], next_frame)
        end = step + self.length
        frames = th.stack([self._frame(episode, each) for each in range(step, end + 1)])
        return Segment(frames, actions[step:end], rewards[step:end])

    def _frame(self, episode: Episode, step: int) -> th.Tensor:
        """:return: (channels, height, width) uint8"""
        frame = episode.native(step) if self.native else episode.frame(step)
        return th.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1)))
