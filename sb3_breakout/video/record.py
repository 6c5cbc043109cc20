"""
Whole games as annotated videos, and as lossless pictures beside them.

Every action that reaches the emulator's frame skipping makes a picture, presses by the wrappers (FIRE, the NOOP after a
lost life) included. A game of T such actions has T + 1 pictures: picture t is the screen that action t answered, its text
says which action that was and how many points had been scored before it; the last one shows how the game ended::

    text of picture     0: FIRE      1: RIGHT     2: NOTHING            T: END
                        screen ----> screen ----> screen ----> ... ---> screen
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import gymnasium as gym
import numpy as np
from stable_baselines3.common.type_aliases import AtariStepReturn

from sb3_breakout.envs import AtariPreprocessing
from sb3_breakout.evaluation import env_for
from sb3_breakout.gameplay.dataset import png
from sb3_breakout.video.encoder import open_video

FPS = 30
WIDTH, HEIGHT = 160, 210  # the screen's own size
LINE_HEIGHT = 15  # of the text, in pixels
TEXT_HEIGHT = 46  # three lines; with the screen 256 rows, which H.264's blocks of 16 divide evenly
TEXT_COLOUR = (255, 255, 255)
ACTION_NAMES = {"NOOP": "NOTHING"}  # the others keep the emulator's
END = "END"


class Moment(NamedTuple):
    """
    One picture of a game.

    :param number: 0 for the first picture
    :param screen: (210, 160, 3) uint8 RGB, the emulator's
    :param action: what was executed next, in words: LEFT, RIGHT, NOTHING or FIRE; END on the last picture
    :param score: raw points before that action
    """

    number: int
    screen: np.ndarray
    action: str
    score: float


class Camera(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    Films the first game that is played below it; sits directly above frame skipping.

    :param env: a game that skips frames and clips no reward
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.game_over = False
        self._names = [ACTION_NAMES.get(name, name) for name in env.unwrapped.get_action_meanings()]  # type: ignore[attr-defined]
        self._moments: list[Moment] = []
        self._number = 0
        self._score = 0.0

    def step(self, action: int) -> AtariStepReturn:
        """
        Film the screen and the action, then execute it.

        :param action: the action
        :return: what the game returns
        """
        if self.game_over:  # the vectorised environment has begun another game
            return self.env.step(action)
        self._film(self._names[action])
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._score += float(reward)
        if terminated or truncated:
            self._film(END)
            self.game_over = True
        return obs, reward, terminated, truncated, info

    def take(self) -> list[Moment]:
        """:return: what was filmed since the last call"""
        taken, self._moments = self._moments, []
        return taken

    def _film(self, action: str) -> None:
        screen = self.unwrapped.ale.getScreenRGB()  # type: ignore[attr-defined]
        self._moments.append(Moment(self._number, screen, action, self._score))
        self._number += 1


class FilmedBreakout(AtariPreprocessing):
    """``AtariPreprocessing`` with a :class:`Camera` below its handling of lives and FIRE, above its frame skipping."""

    def stack_on(self, game: gym.Env) -> None:
        """:param game: environment with observations of this wrapper's space"""
        self.camera = Camera(game)
        super().stack_on(self.camera)


def play_game(agent: Any, deterministic: bool = False, **env_arguments: Any) -> Iterator[Moment]:
    """
    Play one whole game, all its lives, under the protocol of an evaluation, picture by picture.

    :param agent: anything with SB3's ``predict`` and spaces: a model, a ``RandomAgent``
    :param deterministic: passed to ``predict``
    :param env_arguments: of :func:`sb3_breakout.evaluation.evaluation_env`: seed, max_steps, protocol, ...
    :return: the game's moments; no more than one step of the agent is held in memory
    :raises ValueError: if the agent does not fit the game
    """
    env = env_for(agent, n_envs=1, wrapper_class=FilmedBreakout, **env_arguments)
    try:
        (camera,) = env.get_attr("camera")
        obs, state, starts = env.reset(), None, np.ones(1, dtype=bool)
        yield from camera.take()
        while not camera.game_over:
            actions, state = agent.predict(obs, state=state, episode_start=starts, deterministic=deterministic)
            obs, _, starts, _ = env.step(actions)
            yield from camera.take()
    finally:
        env.close()


def annotate(moment: Moment) -> np.ndarray:
    """
    Put the text area below the screen.

    :param moment: a picture of a game
    :return: (256, 160, 3) uint8 RGB: the screen as it is, then frame number, action and score
    """
    text = np.zeros((TEXT_HEIGHT, WIDTH, 3), dtype=np.uint8)
    lines = (f"frame {moment.number}", f"action {moment.action}", f"reward {moment.score:g}")
    for row, line in enumerate(lines, start=1):
        cv2.putText(text, line, (4, row * LINE_HEIGHT - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.42, TEXT_COLOUR, 1, cv2.LINE_AA)
    return np.concatenate([moment.screen, text])


def record_video(agent: Any, path: str | os.PathLike[str], with_frames: bool = False, **game: Any) -> Moment:
    """
    Record one whole game as an annotated video.

    :param agent: anything with SB3's ``predict`` and spaces
    :param path: the MP4 file, at 30 pictures per second; its folder is created if needed
    :param with_frames: whether to write every screen as well, without text and lossless: ``0.png``, ``1.png``, ... in a
        folder named like the video. It appears when it is complete, after the video.
    :param game: of :func:`play_game`
    :return: the last moment: number of pictures less one, final score
    :raises FileExistsError: if there is such a file or folder already; nothing is overwritten
    :raises ValueError: if the agent does not fit the game
    :raises OSError: if something cannot be written
    """
    path, frames, unfinished = _places(path)
    for place in (path, frames) if with_frames else (path,):
        if place.exists():
            raise FileExistsError(f"{place} exists already: remove it, or choose another name.")
    with (
        _folder_aside(frames, unfinished) if with_frames else nullcontext() as folder,
        open_video(path, WIDTH, HEIGHT + TEXT_HEIGHT, FPS) as video,
    ):
        for moment in play_game(agent, **game):
            video.write(annotate(moment))
            if folder is not None:
                _write_png(folder / f"{moment.number}.png", moment.screen)
    return moment


def is_recorded(path: str | os.PathLike[str]) -> bool:
    """
    Whether a video and the folder of its frames are complete. A process that was killed between the two leaves all
    frames under a temporary name: they get theirs here.

    :param path: the MP4 file
    """
    path, frames, unfinished = _places(path)
    if path.exists() and unfinished.exists() and not frames.exists():
        unfinished.rename(frames)
    return path.exists() and frames.exists()


def _places(path: str | os.PathLike[str]) -> tuple[Path, Path, Path]:
    """
    :param path: of a video
    :return: it, the folder of its frames, and that folder's name until it is complete
    """
    path = Path(path)
    frames = path.with_suffix("")
    return path, frames, frames.with_name(f".{frames.name}.unfinished")


@contextmanager
def _folder_aside(path: Path, unfinished: Path) -> Iterator[Path]:
    """
    Yield an empty folder that takes its name when the block ends, and is removed when the block fails.

    :param path: its name
    :param unfinished: its name until then; what a killed process left there is removed
    """
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    unfinished.rename(path)


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
