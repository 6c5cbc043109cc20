"""RandomAgent can be used wherever a model can."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from sb3_breakout.envs import AtariPreprocessing, RandomAgent


class Spaces(gym.Env):
    """An environment that has only its spaces."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space


PICTURE = spaces.Box(0, 255, (84, 84, 1), np.uint8)


@pytest.mark.parametrize(
    ("action_space", "shape"),
    [
        (spaces.Discrete(4), ()),
        (spaces.Discrete(3, start=2), ()),
        (spaces.MultiDiscrete([2, 5]), (2,)),
        (spaces.Box(-1, 1, (3,), np.float32), (3,)),
    ],
    ids=str,
)
def test_one_action_per_observation(action_space, shape):
    agent = RandomAgent(Spaces(PICTURE, action_space), seed=0)
    observation = PICTURE.sample()
    action, state = agent.predict(observation)
    assert (action.shape, state) == (shape, None)
    assert action_space.contains(action if shape else int(action))
    for n_envs in (1, 3):
        actions, _ = agent.predict(np.stack([observation] * n_envs))
        assert actions.shape == (n_envs, *shape)
        assert actions.dtype == action_space.dtype


def test_dictionary_observations():
    space = spaces.Dict(picture=PICTURE, clock=spaces.Box(0, 1, (1,), np.float32))
    agent = RandomAgent(Spaces(space, spaces.Discrete(4)), seed=0)
    one = space.sample()
    assert agent.predict(one)[0].shape == ()
    assert agent.predict({key: np.stack([value] * 5) for key, value in one.items()})[0].shape == (5,)


def test_seed_decides_the_actions_and_the_environment_does_not():
    """The same seed gives the same actions, one by one or in a batch. The action space's own generator is not used."""
    env = Spaces(PICTURE, spaces.Discrete(4))
    env.action_space.seed(9)
    batch = np.zeros((10, *PICTURE.shape), np.uint8)
    together = RandomAgent(env, seed=1).predict(batch, deterministic=True)[0]
    one_by_one_agent = RandomAgent(env, seed=1)
    one_by_one = [one_by_one_agent.predict(picture)[0] for picture in batch]
    np.testing.assert_array_equal(together, one_by_one)
    assert (together != RandomAgent(env, seed=2).predict(batch)[0]).any()
    untouched = spaces.Discrete(4)
    untouched.seed(9)
    assert [env.action_space.sample() for _ in range(10)] == [untouched.sample() for _ in range(10)]


def test_actions_are_uniform():
    agent = RandomAgent(Spaces(spaces.Box(0, 1, (1,), np.float32), spaces.Discrete(4)), seed=0)
    actions, _ = agent.predict(np.zeros((8000, 1), np.float32))
    np.testing.assert_allclose(np.bincount(actions, minlength=4) / 8000, 0.25, atol=0.02)


def test_state_comes_back_as_it_went():
    agent = RandomAgent(Spaces(PICTURE, spaces.Discrete(4)), seed=0)
    state = (np.ones(2),)
    assert agent.predict(PICTURE.sample(), state=state, episode_start=np.array([True]))[1] is state


def test_foreign_observation():
    with pytest.raises(ValueError, match="Unexpected observation shape"):
        RandomAgent(Spaces(PICTURE, spaces.Discrete(4))).predict(np.zeros((7, 7), np.uint8))


def test_evaluation_in_gym_and_vec_env(game):
    env = AtariPreprocessing(game())
    mean, _ = evaluate_policy(RandomAgent(env, seed=0), env, n_eval_episodes=1)
    assert mean >= 0
    vec_env = make_vec_env("BreakoutNoFrameskip-v4", n_envs=2, seed=0, wrapper_class=AtariPreprocessing)
    scores, lengths = evaluate_policy(RandomAgent(vec_env, seed=0), vec_env, n_eval_episodes=2, return_episode_rewards=True)
    assert len(scores) == 2 and min(lengths) > 300  # lengths are emulator frames of whole games


@pytest.mark.slow
def test_random_play_scores_what_is_known_of_it():
    """About 1.4 raw points per game here (published: 1.7)."""
    vec_env = make_vec_env("BreakoutNoFrameskip-v4", n_envs=2, seed=0, wrapper_class=AtariPreprocessing)
    mean, _ = evaluate_policy(RandomAgent(vec_env, seed=0), vec_env, n_eval_episodes=100)
    assert 0.8 < mean < 2.6
