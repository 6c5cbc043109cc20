"""
File layout of a dataset of gameplay::

    ROOT/
      dataset.json                          summary; it also marks the folder as a dataset
      splits.json                           train and validation, by episode
      actions/actions.json                  labels of all episodes
      raw_gameplay/episodes/
        episode_000001/
          episode.json                      the game, the agent, and what happened at each step
          frame_000000.png …                what the agent saw, one more than steps
          native_000000.png …               the emulator's screen, if requested

Numbers have six digits everywhere, so that names sort correctly up to a million episodes; the longest game (108,000 emulator
frames at frame skip 4) has 27,001 frames.
"""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from sb3_breakout.common.files import atomic_write, remove_abandoned

EPISODE_NAME = "episode_([0-9]{6}|[1-9][0-9]{6,8})"
FORMAT = 1  # version of episode.json; others are refused
LABELS = ("LEFT", "NOTHING", "RIGHT")  # the index of a label here is its number in tensors and exports

EMULATOR_FRAMES_PER_SECOND = 60

LARGEST_FILE = 2**30  # bytes
LARGEST_SIDE = 1024  # pixels, of a picture


class DamagedDataset(ValueError):
    """A file of a dataset is missing or invalid; the message names the file and the fault."""


def episode_name(number: int) -> str:
    """:return: ``episode_000001`` for 1"""
    return f"episode_{number:06d}"


def frame_name(step: int) -> str:
    """:return: ``frame_000000.png`` for 0"""
    return f"frame_{step:06d}.png"


def native_name(step: int) -> str:
    """:return: ``native_000000.png`` for 0"""
    return f"native_{step:06d}.png"


class GameplayFolder:
    """
    The paths of one dataset.

    :param root: folder of the dataset, which need not exist
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.card = self.root / "dataset.json"
        self.splits = self.root / "splits.json"
        self.actions = self.root / "actions" / "actions.json"
        self.episodes = self.root / "raw_gameplay" / "episodes"

    def claim(self) -> None:
        """
        Create an empty dataset in the folder, or continue the existing one.

        :raises FileExistsError: if the folder holds something else, which is left unchanged
        :raises OSError: if the folder cannot be written to
        :raises DamagedDataset: if one of its folders is a symbolic link
        """
        if self.root.is_file():
            raise FileExistsError(f"{self.root} is a file: choose a new or empty folder. Nothing was changed.")
        if not self.card.is_file():
            if (foreign := self._foreign_file()) is not None:
                raise FileExistsError(
                    f"{self.root} is not a dataset of gameplay (it has no {self.card.name}) and is not empty ({foreign}): "
                    "choose another folder. Nothing was changed."
                )
            write_json(self.card, {"format": FORMAT})
        self.check()
        self.episodes.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.episodes)

    def check(self) -> None:
        """
        :raises FileNotFoundError: if there is no dataset
        :raises DamagedDataset: if one of its folders is a symbolic link, which could lead out of the dataset
        """
        if not self.card.is_file():
            raise FileNotFoundError(f"{self.root} is not a dataset of gameplay: there is no {self.card}.")
        for folder in (self.actions.parent, self.episodes.parent, self.episodes):
            if folder.is_symlink():
                raise DamagedDataset(f"{folder} is a link, which is not followed.")

    def episode(self, number: int) -> Path:
        """:return: the folder of an episode, which need not exist"""
        return self.episodes / episode_name(number)

    def names(self) -> list[str]:
        """:return: all paths that are named like episodes, in order"""
        return sorted(path.name for path in self.episodes.glob("episode_*"))

    def numbers(self) -> list[int]:
        """:return: the numbers of the existing episodes, ascending"""
        return sorted(int(name.removeprefix("episode_")) for name in self.names() if re.fullmatch(EPISODE_NAME, name))

    def _foreign_file(self) -> Path | None:
        """:return: a file that is not left over from a failed ``claim``, if there is one"""
        files = (path for path in self.root.rglob("*") if path.is_symlink() or not path.is_dir())
        return next((file.relative_to(self.root) for file in files if not file.name.startswith(f".{self.card.name}.")), None)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file atomically, with one line per entry of the object."""
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    with atomic_write(path) as aside:
        aside.write_text(f"{{\n{lines}\n}}\n")


def read_file(path: str | os.PathLike[str]) -> bytes:
    """
    :param path: a file of a dataset
    :return: its content
    :raises DamagedDataset: if it is missing, unreadable, larger than ``LARGEST_FILE``, or not a regular file but a link, a
        folder or a device
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedDataset(f"{path} is not a regular file.")
        if status.st_size > LARGEST_FILE:
            raise DamagedDataset(f"{path} has {status.st_size} bytes, at most {LARGEST_FILE} are read.")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise DamagedDataset(f"{path} is missing.") from None
    except OSError as error:
        raise DamagedDataset(f"{path} cannot be read: {error.strerror}.") from None
