"""
What SB3's Atari wrappers do at the ends of lives and games: the reasons for ``sb3_breakout.envs.atari_wrappers``.

If one of these tests fails, SB3 has changed, and our correction may no longer be needed. The tests of
our own behaviour are in test_ends_of_games.py.
"""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.atari_wrappers import AtariWrapper, MaxAndSkipEnv, WarpFrame
from stable_baselines3.common.evaluation import evaluate_policy

from sb3_breakout.envs import AtariPreprocessing

NOOP, FIRE, _, LEFT = range(4)


class TookTooLong(Exception):
    """Raised by the tests instead of waiting for ever."""


def lose_a_life(env):
    while not env.step(NOOP)[2]:
        pass


def give_up_after(steps):
    """A callback for evaluate_policy that raises ``TookTooLong`` after the given number of steps."""
    counter = iter(range(steps))

    def callback(*_):
        if next(counter, None) is None:
            raise TookTooLong

    return callback


def test_last_picture_of_a_game_is_an_older_one(game):
    """If a game ends in the first of four skipped frames, its last picture is that of the previous step."""
    env = MaxAndSkipEnv(game(max_num_frames_per_episode=13), skip=4)
    env.reset(seed=0)
    pictures = [env.step(LEFT)[0] for _ in range(4)]
    np.testing.assert_array_equal(pictures[3], pictures[2])
    assert (pictures[2] != pictures[1]).any()  # the paddle still moves: it does for 18 frames
    assert (pictures[3] != env.unwrapped.ale.getScreenRGB()).any()


def test_reset_goes_on_with_a_half_played_game(game):
    """An evaluation's first score therefore contains points from before."""
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
    """Monitor records game after game, but evaluate_policy counts none of them and never returns."""
    monitor = game(max_num_frames_per_episode=102)  # reached during the no-op after the first lost life
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
    """A TimeLimit outside Monitor never ends a game for it. The limit belongs to the emulator: max_num_frames_per_episode."""
    env = gym.wrappers.TimeLimit(wrapper(game()), max_episode_steps=10)  # shorter than a life
    with pytest.raises(TookTooLong):
        evaluate_policy(always(FIRE), env, n_eval_episodes=1, callback=give_up_after(100))
