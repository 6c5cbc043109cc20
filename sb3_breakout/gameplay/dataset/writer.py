"""Writes an episode to disk atomically."""

import errno
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sb3_breakout.common import png
from sb3_breakout.common.files import name_folder, temporary_beside
from sb3_breakout.gameplay.dataset.layout import frame_name, native_name, write_json


class EpisodeWriter:
    """
    Writes an episode into a hidden folder beside its final one. The folder is renamed when the episode is complete.

    :param folder: the episode's final folder
    :param native: whether the emulator's screen is saved as well
    :raises FileExistsError: if the episode exists already
    :raises OSError: if the folder cannot be written to
    """

    def __init__(self, folder: Path, native: bool = False) -> None:
        if folder.exists():
            raise FileExistsError(f"{folder} exists already and will not be overwritten.")
        self.folder = folder
        self.native = native
        self.frames = 0
        self._aside = temporary_beside(folder)
        self._aside.mkdir(parents=True)

    def add(self, picture: np.ndarray, screen: bytes | None = None) -> None:
        """
        Append a frame.

        :param picture: what the agent sees: (height, width, 1 or 3) uint8
        :param screen: content of a PNG file of the emulator's screen, if screens are saved
        :raises OSError: if it cannot be written; the episode is then discarded
        """
        try:
            self._write(frame_name(self.frames), png.encode(picture))
            if screen is not None:
                self._write(native_name(self.frames), screen)
        except OSError as error:
            self.give_up()
            raise self._failure(error) from error
        self.frames += 1

    def finish(self, facts: dict[str, Any]) -> None:
        """
        Rename the complete episode to its final name.

        :param facts: the content of ``episode.json``
        :raises TypeError: if a value cannot be written as JSON; the episode is then discarded
        :raises OSError: if it cannot be written, or an episode of that name has been created meanwhile; this one is then
            discarded
        """
        try:
            write_json(self._aside / "episode.json", facts)
            name_folder(self._aside, self.folder)
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self.give_up()

    def keep(self, files: Mapping[str, bytes]) -> None:
        """
        Write an episode that was recorded on another machine, and rename it to its final name.

        :param files: content of each file, by name
        :raises OSError: if it cannot be written, or an episode of that name has been created meanwhile; this one is then
            discarded
        """
        try:
            for name, content in files.items():
                self._write(name, content)
            name_folder(self._aside, self.folder)
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self.give_up()

    def give_up(self) -> None:
        """Discard the episode: remove what was written."""
        shutil.rmtree(self._aside, ignore_errors=True)

    def _write(self, name: str, content: bytes) -> None:
        with open(f"{self._aside}/{name}", "wb") as file:  # pathlib would take longer than encoding some pictures
            file.write(content)

    def _failure(self, error: OSError) -> OSError:
        """:return: the same error, naming the episode"""
        there = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
        reason = "it is there by now: does another process write to this dataset?" if there else error.strerror
        return OSError(
            error.errno,
            f"{self.folder} could not be written ({reason}), and nothing of it was kept; other episodes are untouched",
        )
