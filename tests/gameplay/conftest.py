"""Small datasets of real games."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from sb3_breakout import DDQN
from sb3_breakout.agents import Game
from sb3_breakout.envs import AtariPreprocessing, RandomAgent
from sb3_breakout.gameplay.collect.collection import collection_env
from sb3_breakout.gameplay.collect.play import play_game
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.indexes import rebuild_indexes
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter

SHORT = {"max_num_frames_per_episode": 100}  # emulator frames: truncates games after at most 25 steps


def game(wrapper: dict[str, Any] | None = None, **env_kwargs: Any) -> VecEnv:
    """One game of Breakout, as make_vec_env builds it."""
    return make_vec_env(
        "BreakoutNoFrameskip-v4", wrapper_class=AtariPreprocessing, wrapper_kwargs=wrapper or {}, env_kwargs=env_kwargs
    )


def record(root: Path, env: VecEnv, episodes: int = 1, native: bool = False) -> list[Episode]:
    """Add games of the random agent to a dataset, and return their episodes."""
    folder = GameplayFolder(root)
    folder.claim()
    first = max(folder.numbers(), default=0) + 1
    agent = RandomAgent(env, seed=first)
    recorded = [
        play_game(agent, env, EpisodeWriter(folder.episode(number), native), {"name": "random"}, seed=number)
        for number in range(first, first + episodes)
    ]
    rebuild_indexes(folder)
    return recorded


def content_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def ten_short_games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gameplay") / "data"
    env = game(**SHORT)
    record(root, env, episodes=10)
    env.close()
    return root


@pytest.fixture
def data(ten_short_games: Path, tmp_path: Path) -> Path:
    """A copy of ten short games, which a test may damage."""
    return Path(shutil.copytree(ten_short_games, tmp_path / "data"))


@pytest.fixture
def play_in() -> Any:
    """Makes games, and closes them after the test."""
    games: list[VecEnv] = []

    def make(*args: Any, **kwargs: Any) -> VecEnv:
        games.append(game(*args, **kwargs))
        return games[-1]

    yield make
    for env in games:
        env.close()


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RL Zoo's log folder with two runs of an untrained agent."""
    folder = tmp_path_factory.mktemp("logs")
    env = collection_env(Game())
    model = DDQN("CnnPolicy", env, buffer_size=100, seed=0, device="cpu")
    for number, files in ((2, ["best_model", "rl_model_500_steps"]), (10, ["best_model", "BreakoutNoFrameskip-v4"])):
        for file in files:
            model.save(folder / "ddqn_per" / f"BreakoutNoFrameskip-v4_{number}" / file)
    env.close()
    return folder


MakeGame = Callable[..., VecEnv]
