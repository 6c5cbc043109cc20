"""Screens as PNG files: several PNG readers return the emulator's screen."""

import io

import ale_py
import cv2
import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from sb3_breakout.gameplay.dataset.png import ScreenEncoder, read

gym.register_envs(ale_py)


@pytest.mark.parametrize("game", ["Breakout", "Pong", "SpaceInvaders", "Seaquest"])
def test_screens(game, tmp_path):
    env = gym.make(f"{game}NoFrameskip-v4")
    env.reset(seed=0)
    env.action_space.seed(0)
    encoder = ScreenEncoder(env.unwrapped.ale)
    for _ in range(200):
        env.step(env.action_space.sample())
        content, screen = encoder.encode(), env.unwrapped.ale.getScreenRGB()
        path = tmp_path / "screen.png"
        path.write_bytes(content)
        assert np.array_equal(read(str(path), screen.shape), screen)
        assert np.array_equal(cv2.imread(str(path))[:, :, ::-1], screen)
        assert np.array_equal(np.array(Image.open(io.BytesIO(content)).convert("RGB")), screen)
    env.close()
