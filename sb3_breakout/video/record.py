"""Records whole games as annotated videos, optionally with lossless frames."""

import os
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sb3_breakout.common import png
from sb3_breakout.common.arguments import check_at_least
from sb3_breakout.common.files import atomic_folder
from sb3_breakout.protocol import VIDEO_SCALE
from sb3_breakout.video.camera import REMEMBERED, Moment, play_game
from sb3_breakout.video.encoder import open_video

FPS = 30
WIDTH = 160  # of the screen
LINE_HEIGHT = 15  # of the text; like all lengths here, in pixels of the screen
TEXT_HEIGHT = 46  # three lines; with the screen 256 rows, which H.264's blocks of 16 divide evenly
BARS_AT, BAR_HEIGHT = 92, 30  # column and height of the Q-values
STRIP_AT, STRIP_HEIGHT = 76, 16  # column and height of the TD errors
TEXT_COLOUR = (255, 255, 255)
BAR_COLOUR, BEST_COLOUR = (86, 180, 233), (230, 159, 0)  # blue and orange, safe for colour-blindness (Okabe and Ito)


def annotate(moment: Moment, scale: int = VIDEO_SCALE) -> np.ndarray:
    """
    Add the text area below the screen.

    :param moment: a picture of a game
    :param scale: pixels of the video per pixel of the screen, a whole number, so that pixels stay sharp squares
    :return: (256 * scale, 160 * scale, 3) uint8 RGB: the screen, then frame number and lives, action, score, and a bar for
        each Q-value, from the lowest (no bar) to the highest (orange); with TD errors, 16 * scale more rows: the current error
        as a number, and a bar for each recent one (its height is the square root, full from 1 on), the current one orange at
        the right
    """
    text = np.zeros((TEXT_HEIGHT * scale, WIDTH * scale, 3), dtype=np.uint8)
    lines = (f"frame {moment.number}", f"{moment.action}", f"score {moment.score:g}")
    for row, line in enumerate(lines, start=1):
        _write(text, line, 4, row * LINE_HEIGHT - 3, scale)
    _write(text, f"lives {moment.lives}", BARS_AT, LINE_HEIGHT - 3, scale)
    if moment.q_values is not None:
        _draw_bars(text, moment.q_values, scale)
    parts = [moment.screen.repeat(scale, axis=0).repeat(scale, axis=1), text]
    if moment.td_errors is not None:
        parts.append(_strip(moment.td_errors, scale))
    return np.concatenate(parts)


def _write(picture: np.ndarray, text: str, x: int, y: int, scale: int, size: float = 0.42) -> None:
    cv2.putText(
        picture, text, (x * scale, y * scale), cv2.FONT_HERSHEY_SIMPLEX, size * scale, TEXT_COLOUR, scale // 2 + 1, cv2.LINE_AA
    )


def _draw_bars(picture: np.ndarray, q_values: dict[str, float], scale: int) -> None:
    low, high = min(q_values.values()), max(q_values.values())
    width = (WIDTH - 4 - BARS_AT) // len(q_values)
    bottom = TEXT_HEIGHT - 8
    for column, (name, value) in enumerate(q_values.items()):
        x = BARS_AT + column * width
        height = (value - low) / (high - low or 1.0) * (BAR_HEIGHT - 8)
        corners = (x * scale, round((bottom - height) * scale)), ((x + max(width - 3, 1)) * scale, bottom * scale)
        cv2.rectangle(picture, *corners, BEST_COLOUR if value == high else BAR_COLOUR, cv2.FILLED)
        _write(picture, name[0], x + max(width // 2 - 4, 0), TEXT_HEIGHT - 1, scale, size=0.22)


def _strip(errors: tuple[float, ...], scale: int) -> np.ndarray:
    strip = np.zeros((STRIP_HEIGHT * scale, WIDTH * scale, 3), dtype=np.uint8)
    number = "" if np.isnan(errors[-1]) else f" {errors[-1]:.2f}"
    _write(strip, f"|TD|{number}", 4, STRIP_HEIGHT - 4, scale)
    first = STRIP_AT + REMEMBERED - len(errors)
    for column, error in enumerate(errors, start=first):
        height = round(np.sqrt(np.nan_to_num(error)).clip(0, 1) * (STRIP_HEIGHT - 2) * scale)
        colour = BEST_COLOUR if column == first + len(errors) - 1 else BAR_COLOUR
        strip[len(strip) - height :, column * scale : (column + 1) * scale] = colour
    return strip


def record_video(
    agent: Any, path: str | os.PathLike[str], with_frames: bool = False, scale: int = VIDEO_SCALE, **game: Any
) -> Moment:
    """
    Record one whole game as an annotated video.

    :param agent: anything with SB3's ``predict`` and spaces
    :param path: the MP4 file, at 30 pictures per second; its folder is created if needed
    :param with_frames: whether to write every screen as well, lossless and without text: ``0.png``, ``1.png``, ... in a folder
        named like the video, which is written atomically after the video
    :param scale: pixels of the video per pixel of the screen
    :param game: arguments of :func:`~sb3_breakout.video.camera.play_game`
    :return: the last moment, with the number of pictures minus one and the final score
    :raises FileExistsError: if the file or folder exists already; nothing is overwritten
    :raises ValueError: if the agent does not fit the game, or the file name does not end in ``.mp4``
    :raises OSError: if a file cannot be written
    """
    scale = check_at_least("scale", scale, 1)
    path = Path(path)
    frames = path.with_suffix("")
    if path.suffix != ".mp4":
        raise ValueError(f"A video is an MP4 file, received {path}: call it {path.name}.mp4.")
    for place in (path, frames) if with_frames else (path,):
        if place.exists():
            raise FileExistsError(f"{place} exists already: remove it, or write to another folder.")
    moments = play_game(agent, **game)
    first = next(moments)
    height, width, _ = annotate(first, scale).shape
    with (
        atomic_folder(frames) if with_frames else nullcontext() as folder,
        open_video(path, width, height, FPS) as video,
    ):
        for moment in chain([first], moments):
            video.write(annotate(moment, scale))
            if folder is not None:
                _write_png(folder / f"{moment.number}.png", moment.screen)
    return moment


def _write_png(path: Path, screen: np.ndarray) -> None:
    """
    :param path: the file
    :param screen: (height, width, 3) uint8 RGB
    :raises OSError: if it cannot be written
    """
    try:
        path.write_bytes(png.encode(screen))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
