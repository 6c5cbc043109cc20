"""
What SB3's Atari wrappers do at the ends of lives and games, the reasons for ``sb3_breakout.envs.atari_wrappers``.

One of these fails when SB3 changes: then that correction of ours may be able to go. Each has its
counterpart, which shows ours, in test_ends_of_games.py.
"""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.atari_wrappers import AtariWrapper, MaxAndSkipEnv, WarpFrame
from stable_baselines3.common.evaluation import evaluate_policy

from sb3_breakout.envs import AtariPreprocessing

NOOP, FIRE, _, LEFT = range(4)


class TookTooLong(Exception):
    """Raised by the tests in place of waiting for ever."""


def lose_a_life(env):
    while not env.step(NOOP)[2]:
        pass


def give_up_after(steps):
    """A callback of evaluate_policy that raises after so many steps."""
    counter = iter(range(steps))

    def callback(*_):
        if next(counter, None) is None:
            raise TookTooLong

    return callback


def test_last_picture_of_a_game_is_an_older_one(game):
    """A game that ends in the first of four skipped frames shows the picture of the step before."""
    env = MaxAndSkipEnv(game(max_num_frames_per_episode=13), skip=4)
    env.reset(seed=0)
    pictures = [env.step(LEFT)[0] for _ in range(4)]
    np.testing.assert_array_equal(pictures[3], pictures[2])
    assert (pictures[2] != pictures[1]).any()  # the paddle moves for 18 frames
    assert (pictures[3] != env.unwrapped.ale.getScreenRGB()).any()


def test_reset_goes_on_with_a_half_played_game(game):
    """So an evaluation's first score contains points of the one before."""
    env = AtariWrapper(game())
    env.reset(seed=0)
    lose_a_life(env)
    env.reset()
    env.step(NOOP)
    env.reset()
    assert env.unwrapped.ale.lives() == 4


def test_seed_is_ignored_after_a_lost_life(game):
    env = AtariWrapper(game())
    first, _ = env.reset(seed=0)
    lose_a_life(env)
    again, _ = env.reset(seed=0)
    assert env.unwrapped.ale.lives() == 4
    assert (again != first).any()


def test_reset_says_nothing_about_the_game(game):
    assert AtariWrapper(game()).reset(seed=0)[1] == {}


def test_evaluation_never_hears_of_a_game_that_ends_in_a_reset(game, always):
    """Monitor records games without end, evaluate_policy counts none."""
    monitor = game(max_num_frames_per_episode=102)  # within the no-op after the first lost life
    env = AtariWrapper(monitor, noop_max=0)
    env.reset(seed=0)
    with pytest.raises(TookTooLong):
        evaluate_policy(always(NOOP), env, n_eval_episodes=1, callback=give_up_after(300))
    assert len(monitor.get_episode_lengths()) >= 10


def test_no_ball_after_a_game_that_ends_during_fire(game):
    env = AtariWrapper(game(max_num_frames_per_episode=106), noop_max=0)
    env.reset(seed=0)
    lose_a_life(env)
    env.reset()
    assert not any(env.step(NOOP)[2] for _ in range(25))  # an idle agent loses its ball after 23 steps


def test_old_picture_after_a_game_that_ends_during_the_press_after_fire(game):
    env = AtariWrapper(game(max_num_frames_per_episode=110), noop_max=0)
    env.reset(seed=0)
    lose_a_life(env)
    obs, _ = env.reset()
    shown = WarpFrame(game()).observation(env.unwrapped.ale.getScreenRGB())
    assert env.unwrapped.ale.lives() == 5
    assert (obs != shown).any()


@pytest.mark.parametrize("wrapper", [AtariWrapper, AtariPreprocessing])
def test_time_limit_outside_ends_no_game(game, always, wrapper):
    """Why the limit belongs to the emulator (max_num_frames_per_episode): outside, Monitor never hears of it."""
    env = gym.wrappers.TimeLimit(wrapper(game()), max_episode_steps=10)  # shorter than a life
    with pytest.raises(TookTooLong):
        evaluate_policy(always(FIRE), env, n_eval_episodes=1, callback=give_up_after(100))
