"""Evaluations: games are whole and counted once, seeds decide them, and the protocol is reported."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.utils import set_random_seed

from sb3_breakout import DDQN
from sb3_breakout.envs import RandomAgent
from sb3_breakout.evaluation import env_for, evaluate, evaluation_env


class PictureAgent:
    """Acts on the picture alone, so that a game does not depend on those played at the same time."""

    def __init__(self) -> None:
        env = evaluation_env(n_envs=1, n_stack=2)
        self.observation_space, self.action_space = env.observation_space, env.action_space
        env.close()

    def predict(self, observation: np.ndarray, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        return observation.reshape(len(observation), -1).sum(axis=1) % 4, None


@pytest.fixture(scope="module")
def random_agent() -> RandomAgent:
    return RandomAgent(evaluation_env(n_envs=1), seed=0)


def test_whole_games_of_a_random_agent(random_agent: RandomAgent) -> None:
    scores = evaluate(random_agent, episodes=5, seeds=[5, 0, 9])
    assert len(scores.scores) == len(scores.lengths) == scores.distinct_games == 5
    assert 0.0 <= np.mean(scores.scores) <= 6.0
    assert min(scores.lengths) > 5 * 15  # five lives
    assert scores.protocol["protocol"] == "v4" and scores.protocol["sticky_actions"] == 0.0
    assert scores.protocol["seeds"] == [5, 0, 9] and scores.protocol["games_per_seed"] == [2, 2, 1]
    assert scores.balls is not None
    assert sum(counts["missed"] for counts in scores.balls.values()) == 5 * 5


@pytest.mark.parametrize("protocol", [pytest.param("v4", marks=pytest.mark.slow), "sticky"])
def test_scores_are_those_of_sb3s_evaluation(protocol: str) -> None:
    agent = PictureAgent()
    scores = evaluate(agent, episodes=4, seeds=[0, 1], protocol=protocol)
    theirs, frames = [], []
    for seed in (0, 10_000):
        env = env_for(agent, n_envs=2, seed=seed, protocol=protocol)
        returns, lengths = evaluate_policy(agent, env, 2, return_episode_rewards=True)
        theirs += returns
        frames += lengths
        env.close()
    assert sorted(scores.scores) == sorted(theirs)
    # SB3's lengths are frames and include start no-ops, at most 30
    assert 0 <= sum(frames) - 4 * sum(scores.lengths) + 4 * 4 <= 4 * (30 + 4)


class GlobalRandomAgent(PictureAgent):
    """Draws actions from NumPy's global generator, as ``DDQN.predict`` does with a small probability."""

    def predict(self, observation: np.ndarray, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        return np.random.randint(4, size=len(observation)), None


@pytest.mark.parametrize(
    "agent_class", [GlobalRandomAgent, pytest.param(lambda: RandomAgent(evaluation_env(n_envs=1)), marks=pytest.mark.slow)]
)
def test_a_seed_has_its_games_whatever_was_played_before(agent_class: Callable[[], Any]) -> None:
    agent = agent_class()
    both = evaluate(agent, episodes=4, seeds=[3, 8], protocol="sticky")
    alone = evaluate(agent, episodes=2, seeds=[8], protocol="sticky")
    assert both.lengths[2:] == alone.lengths != both.lengths[:2]
    assert both.scores[2:] == alone.scores
    assert both.distinct_games == 4


def test_random_numbers_outside_are_left_alone() -> None:
    agent = RandomAgent(evaluation_env(n_envs=1), seed=1)
    drawn = []
    for evaluations in (0, 1):
        set_random_seed(7)
        agent.action_space.seed(7)
        for _ in range(evaluations):
            evaluate(agent, episodes=1, seeds=[3], max_steps=10)
        drawn.append((np.random.random(), random.random(), float(th.rand(())), agent.action_space.np_random.random()))
    assert drawn[0] == drawn[1]


def test_whole_floats_are_whole_numbers() -> None:
    """YAML reads ``1e2`` as a float."""
    env = evaluation_env(n_envs=1, max_steps=1e2, wrapper_kwargs={"frame_skip": 2.0})  # type: ignore[arg-type]
    assert env.get_attr("spec")[0].kwargs["max_num_frames_per_episode"] == 200
    env.close()


def test_frames_in_colour_are_counted() -> None:
    colour = {"grayscale": False}
    agent = RandomAgent(evaluation_env(n_envs=1, n_stack=4, wrapper_kwargs=colour), seed=0)
    assert agent.observation_space.shape == (12, 84, 84)
    assert evaluate(agent, episodes=1, seeds=[0], max_steps=10, wrapper_kwargs=colour).protocol["n_stack"] == 4


@pytest.mark.slow
def test_several_processes_play_the_same_games() -> None:
    agent = DDQN("CnnPolicy", evaluation_env(n_envs=1, n_stack=4), buffer_size=100, seed=0)  # workers do not get its emulator
    arguments: dict[str, Any] = dict(episodes=5, seeds=[3, 8, 0], protocol="sticky", max_steps=50)
    assert evaluate(agent, workers=2, **arguments) == evaluate(agent, **arguments)


def test_breakout_has_four_openings_unless_actions_stick() -> None:
    class Nothing(PictureAgent):
        def predict(self, observation: np.ndarray, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
            return np.zeros(len(observation), dtype=int), None

    scores, sticky = (evaluate(Nothing(), 7, seeds=[8], max_steps=30, protocol=protocol) for protocol in ("v4", "sticky"))
    assert scores.distinct_openings == 4
    assert "only four openings" in scores.text()
    assert sticky.distinct_openings > 4
    assert "only four openings" not in sticky.text()


def test_games_are_cut_at_the_limit(random_agent: RandomAgent) -> None:
    assert evaluate(random_agent, episodes=2, seeds=[0], max_steps=40, noop_max=0).lengths == [40, 40]
    # Start no-ops, at most 30 frames, count towards the limit
    assert all(32 <= length <= 40 for length in evaluate(random_agent, episodes=4, max_steps=40).lengths)


def test_another_game_has_no_balls_to_miss() -> None:
    agent = RandomAgent(evaluation_env(n_envs=1, env_id="PongNoFrameskip-v4"), seed=0)
    scores = evaluate(agent, episodes=1, seeds=[0], env_id="PongNoFrameskip-v4", max_steps=200)
    assert scores.balls is None
    assert "balls" not in scores.text() and "openings:" not in scores.text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(episodes=0), "episodes must be a whole number of at least 1, received 0"),
        (dict(episodes=3), "episodes must be at least 4, a game for each of the seeds 0 1 2 3, received 3"),
        (dict(workers=0), "workers must be a whole number of at least 1, received 0"),
        (dict(seeds=[-1]), r"seeds must be different whole numbers from 0 to .*, received \[-1\]"),
        (dict(seeds=[1, 1]), r"seeds must be different whole numbers .*, received \[1, 1\]"),
        (dict(seeds=[]), r"seeds must be different whole numbers .*, received \[\]"),
        (dict(protocol="v5"), "'v4', 'sticky', received 'v5'"),
        (dict(max_steps=0), "max_steps must be a whole number of at least 1, received 0"),
        (dict(env_id="CartPole-v1"), "an Atari game without frame skip such as .*, received 'CartPole-v1'"),
        (dict(env_id="ALE/Breakout-v5"), "an Atari game without frame skip such as .*, received 'ALE/Breakout-v5'"),
        (dict(env_id="BrickoutNoFrameskip-v4"), "received 'BrickoutNoFrameskip-v4': .*Did you mean"),
    ],
)
def test_bad_arguments(random_agent: RandomAgent, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(random_agent, **arguments)


def test_agent_that_sees_something_else() -> None:
    cartpole = DDQN("MlpPolicy", "CartPole-v1", buffer_size=100)
    with pytest.raises(ValueError, match=r"observations of shape \(4,\), BreakoutNoFrameskip-v4 shows"):
        evaluate(cartpole)
    with pytest.raises(ValueError, match=r"observations of shape \(4,\), BreakoutNoFrameskip-v4 shows"):
        evaluate(cartpole, workers=2)
