"""The bonus on frames of Breakout: low for frames seen often, high for walls that the training never reached."""

from collections.abc import Iterator

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_breakout.envs import BreakoutWrapper
from sb3_breakout.rnd import RND

BALL_X, BALL_Y, PADDLE_X = 99, 101, 72  # addresses in the console's RAM
NOTHING, RIGHT, LEFT = 0, 2, 3


def frames(seed: int, skilled: bool) -> Iterator[np.ndarray]:
    """Frames (1, 84, 84, 1) of games without end, played at random or by a player that reads the ball's position from RAM."""
    env = DummyVecEnv([lambda: BreakoutWrapper(Monitor(gym.make("BreakoutNoFrameskip-v4")))])
    env.seed(seed)
    env.reset()
    rng = np.random.default_rng(seed)
    while True:
        memory = env.envs[0].unwrapped.ale.getRAM().astype(int)  # type: ignore[attr-defined]
        # PADDLE_X is the paddle's left edge; aiming beside its middle keeps the ball from repeating its path
        aside = memory[BALL_X] - memory[PADDLE_X] - 8 - rng.integers(-3, 4)
        follow = RIGHT if aside > 3 else LEFT if aside < -3 else NOTHING
        yield env.step(np.array([follow if skilled else rng.integers(4)]))[0]


@pytest.mark.slow
def test_late_walls_are_new_to_who_has_seen_early_ones() -> None:
    """
    After training on the first minutes of random play (3,000 steps), the bonus must be lower on held-out early frames than on
    frames where much of the wall is gone.
    """
    th.manual_seed(0)
    np.random.seed(0)
    rnd = RND(gym.spaces.Box(0, 255, (84, 84, 1), np.uint8), 1, update_proportion=1.0, batch_size=16, learning_rate=5e-4)
    play = frames(0, skilled=False)
    for _ in range(3000):
        rnd.observe(next(play))

    held_out = frames(1, skilled=False)
    early = np.concatenate([next(held_out) for _ in range(200)])
    skilled = frames(2, skilled=True)
    played = np.concatenate([next(skilled) for _ in range(3000)])
    left_of_the_wall = (played[:, 24:36] > 0).mean(axis=(1, 2, 3))  # share of non-black pixels in its rows, borders included
    late = played[left_of_the_wall < 0.9]
    assert len(late) > 100, "the skilled player did not get far enough"
    means = [rnd.bonus(np.moveaxis(each, -1, 1)).mean() for each in (early, late)]
    assert means[1] > 1.5 * means[0]
