"""Writes MP4 files for videos and exports, atomically, and checks that they contain every picture."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from sb3_breakout.common.files import atomic_write

# Colours as in standard-definition television, with tags: players that read the tags and players that guess agree
TAGS = "setparams=color_primaries=smpte170m:color_trc=smpte170m"
FOR_BROWSERS = (
    f"-colorspace smpte170m -vf scale=out_color_matrix=bt601:out_range=tv,{TAGS} -c:v libx264 -crf 18 -pix_fmt yuv420p"
)
LOSSLESS = "-c:v libx264rgb -qp 0 -pix_fmt rgb24"


@contextmanager
def open_video(
    path: str | os.PathLike[str], width: int, height: int, fps: float, lossless: bool = False
) -> Iterator["VideoEncoder"]:
    """
    Write a video atomically: the file gets its name when the block ends, and is removed if the block fails.

    :param path: the MP4 file, replaced if it exists; its folder is created if needed
    :param width: width of the pictures in pixels, even unless lossless
    :param height: height of the pictures in pixels, even unless lossless
    :param fps: pictures per second
    :param lossless: keep every pixel exactly, in RGB, which few players support; otherwise browsers can play the video
    :raises ValueError: if the format does not support the size
    :raises OSError: if the file cannot be written, with ffmpeg's message
    """
    with atomic_write(path) as aside:
        encoder = VideoEncoder(aside, width, height, fps, lossless)
        try:
            yield encoder
            encoder.finish()
        finally:
            encoder.stop()


class VideoEncoder:
    """
    An ffmpeg process that writes an MP4 file with H.264. The index comes first, so that the video plays while it loads.

    :param path: the file, overwritten if it exists
    :param width: width of the pictures in pixels
    :param height: height of the pictures in pixels
    :param fps: pictures per second
    :param lossless: lossless RGB instead of yuv420p
    :raises ValueError: if width or height is not positive, or odd in yuv420p
    :raises OSError: if there is no ffmpeg, or it does not start
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, lossless: bool = False) -> None:
        if min(width, height) <= 0 or (not lossless and (width % 2 or height % 2)):
            raise ValueError(
                f"width and height must be positive and even (yuv420p halves the colours), received {width}x{height}."
            )
        self.path = path
        self.shape = (height, width, 3)
        self.pictures = 0
        raw = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps} -i -"
        output = f"{LOSSLESS if lossless else FOR_BROWSERS} -movflags +faststart -f mp4"
        options = f"-nostdin -hide_banner -loglevel error -abort_on empty_output -y {raw} {output}"
        command = [_ffmpeg(), *options.split(), os.path.abspath(path)]
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._log)
        assert self._process.stdin is not None
        self._input = self._process.stdin

    def write(self, picture: np.ndarray) -> None:
        """
        Append a picture.

        :param picture: (height, width, 3) uint8 RGB
        :raises ValueError: if it has another shape or type
        :raises OSError: if ffmpeg has stopped, with its message
        """
        if picture.shape != self.shape or picture.dtype != np.uint8:
            raise ValueError(f"A picture must be {self.shape} uint8, received {picture.shape} {picture.dtype}.")
        self.pictures += 1
        try:
            self._input.write(picture.tobytes())
            self._input.flush()
        except BrokenPipeError:
            self.finish()

    def finish(self) -> None:
        """
        Finish the file and check that it is complete.

        :raises OSError: if ffmpeg failed, with its message, or the file has fewer pictures than were written
        """
        self._close_input()
        if self._process.wait() != 0:
            self._log.seek(0)
            said = self._log.read().decode(errors="replace").strip()
            raise OSError(f"ffmpeg could not write {self.path} (exit code {self._process.returncode}): {said}")
        if (count := count_pictures(self.path)) != self.pictures:
            raise OSError(f"ffmpeg wrote {count} of {self.pictures} pictures to {self.path}.")

    def stop(self) -> None:
        """Kill the process if it is still running; does nothing after ``finish``."""
        self._process.kill()
        self._close_input()
        self._process.wait()
        self._log.close()

    def _close_input(self) -> None:
        try:
            self._input.close()
        except BrokenPipeError:  # ffmpeg stopped reading; its exit code shows why
            pass


def count_pictures(path: Path) -> int:
    """
    :param path: a video
    :return: the number of pictures that can be read from it, without decoding them; 0 if it is not a video
    """
    options = "-map 0:v:0 -c copy -f null -nostdin -loglevel quiet -progress pipe:1 -".split()
    command = [_ffmpeg(), "-i", os.path.abspath(path), *options]
    progress = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True).stdout
    return int((re.findall(r"^frame=\s*(\d+)", progress, re.MULTILINE) or [0])[-1])


def _ffmpeg() -> str:
    """
    :return: path of the ffmpeg program
    :raises FileNotFoundError: if ffmpeg is not found
    """
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise FileNotFoundError(str(error)) from None
