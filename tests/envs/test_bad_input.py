"""Wrong settings are refused when the environment is built, with a message that says what would be right."""

import gymnasium as gym
import numpy as np
import pytest
from ale_py.env import AtariEnv
from gymnasium.wrappers import GrayscaleObservation
from stable_baselines3.common.atari_wrappers import AtariWrapper

from sb3_breakout.envs import AtariPreprocessing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_skip": 0}, "frame_skip must be a whole number of at least 1, received 0"),
        ({"frame_skip": -4}, "frame_skip must be a whole number of at least 1, received -4"),
        ({"frame_skip": 4.5}, r"frame_skip must be a whole number of at least 1, received 4\.5"),
        ({"frame_skip": True}, "frame_skip must be a whole number of at least 1, received True"),
        ({"noop_max": -1}, "noop_max must be a whole number of at least 0, received -1"),
        ({"noop_max": None}, "noop_max must be a whole number of at least 0, received None"),
        ({"screen_size": 0}, "screen_size must be a whole number of at least 36, received 0"),
        ({"screen_size": 35}, "screen_size must be a whole number of at least 36, received 35"),
        ({"screen_size": (84, 84)}, r"screen_size must be a whole number of at least 36, received \(84, 84\)"),
        ({"screen_size": "native"}, "screen_size must be a whole number of at least 36, received 'native'"),
        ({"action_repeat_probability": -0.1}, r"a number in \[0, 1\], received -0\.1"),
        ({"action_repeat_probability": 1.0}, "must be below 1"),
        ({"action_repeat_probability": float("nan")}, r"a number in \[0, 1\], received nan"),
        ({"action_repeat_probability": "0.25"}, r"a number in \[0, 1\], received '0\.25'"),
    ],
    ids=str,
)
def test_arguments(game, arguments, message):
    with pytest.raises(ValueError, match=message):
        AtariPreprocessing(game(), **arguments)


def test_whole_floats_are_whole_numbers(game):
    """YAML reads ``1e2`` as a float, so whole floats are accepted."""
    env = AtariPreprocessing(game(), frame_skip=2.0, noop_max=0.0, screen_size=36.0)
    assert (type(env.frame_skip), type(env.noop_max)) == (int, int)
    env.reset(seed=0)
    assert env.step(1)[0].shape == (36, 36, 1)


def test_numpy_numbers_are_numbers(game):
    """Hyperparameter searches may pass NumPy numbers."""
    env = AtariPreprocessing(
        game(), frame_skip=np.int64(2), screen_size=np.int32(36), action_repeat_probability=np.float64(0.1)
    )
    assert env.observation_space.shape == (36, 36, 1)


def test_no_atari_game():
    with pytest.raises(TypeError, match=r"needs an Atari game such as 'BreakoutNoFrameskip-v4', received .*CartPole"):
        AtariPreprocessing(gym.make("CartPole-v1"))


@pytest.mark.parametrize(
    ("env_kwargs", "message"),
    [
        ({"frameskip": 4}, r"already skips frames \(frameskip=4\).*use 'BreakoutNoFrameskip-v4', or frameskip=1"),
        ({"frameskip": (2, 5)}, r"already skips frames \(frameskip=\(2, 5\)\)"),
        ({"obs_type": "grayscale"}, r"needs native RGB pictures.*\(210, 160\).*use obs_type='rgb'"),
        ({"obs_type": "ram"}, r"needs native RGB pictures.*\(128,\).*use obs_type='rgb'"),
        ({"continuous": True}, "discrete actions.*continuous=False"),
    ],
    ids=str,
)
def test_games_that_do_not_fit(game, env_kwargs, message):
    with pytest.raises(ValueError, match=message):
        AtariPreprocessing(game(**env_kwargs))


def test_version_5_skips_frames_itself(game):
    with pytest.raises(ValueError, match="use 'BreakoutNoFrameskip-v4', or frameskip=1"):
        AtariPreprocessing(game("ALE/Breakout-v5"))
    AtariPreprocessing(game("ALE/Breakout-v5", frameskip=1))


def test_two_sticky_layers(game):
    with pytest.raises(ValueError, match=r"sticky already \(repeat_action_probability=0\.25\), received .*=0\.1 on top"):
        AtariPreprocessing(game(repeat_action_probability=0.25), action_repeat_probability=0.1)


@pytest.mark.parametrize("inner", [AtariWrapper, lambda env: AtariPreprocessing(env, grayscale=False, screen_size=None)])
def test_two_preprocessings(game, inner):
    with pytest.raises(ValueError, match=r"already skips frames: apply AtariPreprocessing directly to .*, once"):
        AtariPreprocessing(inner(game()))


def test_changed_observations(game):
    with pytest.raises(ValueError, match=r"needs native RGB pictures.*no other wrapper that changes observations"):
        AtariPreprocessing(GrayscaleObservation(game()))


def test_game_whose_first_action_is_no_noop():
    """In Backgammon action 0 is FIRE, so the start no-ops and the press after a lost life would roll the dice."""
    with pytest.raises(ValueError, match=r"the first a NOOP, received \['FIRE', 'RIGHT', 'LEFT'\].*full_action_space=True"):
        AtariPreprocessing(AtariEnv("backgammon", frameskip=1, repeat_action_probability=0.0))


@pytest.mark.parametrize("limit", [{"max_num_frames_per_episode": 38}, {"max_episode_steps": 38}], ids=str)
def test_games_too_short_to_start(game, limit):
    """30 no-ops, then FIRE and RIGHT of four frames each: the agent can act from the 39th frame on."""
    with pytest.raises(ValueError, match=r"game of 38 frames .* used up by the 38 frames"):
        AtariPreprocessing(game(**limit))
    AtariPreprocessing(game(**{key: 39 for key in limit})).reset(seed=0)
