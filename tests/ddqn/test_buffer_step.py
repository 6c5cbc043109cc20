"""A model warns if it loads a replay buffer that was saved at another training step."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from sb3_breakout import DDQN, PrioritizedReplayBuffer
from tests.ddqn.environments import Corridor

SETTINGS: dict[str, Any] = dict(learning_starts=50, buffer_size=2000, batch_size=16, seed=0)


class Save(BaseCallback):
    """Saves model and buffer at step 1,000, from within a callback, as checkpoints do."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def _on_step(self) -> bool:
        if self.num_timesteps == 1000:
            self.model.save(self.folder / "model")
            self.model.save_replay_buffer(self.folder / "buffer")  # type: ignore[attr-defined]
        return True


def test_saved_at_another_step(tmp_path: Path) -> None:
    model = DDQN("MlpPolicy", Corridor(), **SETTINGS).learn(100)
    model.save_replay_buffer(tmp_path / "buffer")
    model.learn(100, reset_num_timesteps=False).save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model", env=Corridor())
    with pytest.warns(UserWarning, match="at step 100 and the model at step 200: training resumes at step 200"):
        loaded.load_replay_buffer(tmp_path / "buffer")
    assert loaded.replay_buffer is not None and loaded.replay_buffer.size() == 100
    assert loaded.learn(100, reset_num_timesteps=False).num_timesteps == 300


def test_saved_by_one_callback(tmp_path: Path) -> None:
    """SB3 calls callbacks before it stores the step, so the buffer of two games holds 998 transitions. This must not warn."""
    DDQN("MlpPolicy", make_vec_env(Corridor, n_envs=2), **SETTINGS).learn(1100, callback=Save(tmp_path))
    loaded = DDQN.load(tmp_path / "model", env=make_vec_env(Corridor, n_envs=2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded.load_replay_buffer(tmp_path / "buffer")
    buffer = loaded.replay_buffer
    assert isinstance(buffer, PrioritizedReplayBuffer)
    assert (loaded.num_timesteps, buffer.num_timesteps, buffer.size() * buffer.n_envs) == (1000, 1000, 998)
    loaded.learn(100, reset_num_timesteps=False)
    buffer.check_valid()
    assert buffer.timeouts[498].all()  # the last step before the gap bootstraps


def test_a_buffer_of_nobodys_step(tmp_path: Path) -> None:
    model = DDQN("MlpPolicy", Corridor(), **SETTINGS).learn(100)
    assert isinstance(model.replay_buffer, PrioritizedReplayBuffer)
    model.replay_buffer.save(tmp_path / "buffer")
    model.learn(100, reset_num_timesteps=False).load_replay_buffer(tmp_path / "buffer")
    assert model.replay_buffer.num_timesteps is None


def test_samples_go_where_the_model_is(tmp_path: Path) -> None:
    model = DDQN("MlpPolicy", Corridor(), **SETTINGS).learn(100)
    assert model.replay_buffer is not None
    model.replay_buffer.device = th.device("meta")
    model.save_replay_buffer(tmp_path / "buffer")
    model.load_replay_buffer(tmp_path / "buffer")
    assert model.replay_buffer.device == model.device == th.device("cpu")
    assert model.replay_buffer.sample(8).rewards.device == model.device
