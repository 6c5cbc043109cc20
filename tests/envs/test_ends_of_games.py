"""Ends of lives and games: flags, the frame limit, the wrapper's presses, resets, and evaluations that must end."""

import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_breakout.envs import AtariPreprocessing, RandomAgent, RewardShapingWrapper

NOOP, LEFT = 0, 3


def until_done(env, action=NOOP):
    """Repeat one action until the episode ends, and return the results of the last step."""
    while True:
        step = env.step(action)
        if step[2] or step[3]:
            return step


@pytest.mark.parametrize("terminal_on_life_loss", [True, False])
def test_frame_limit_truncates_and_does_not_terminate(game, terminal_on_life_loss):
    env = game(max_num_frames_per_episode=120)
    env = AtariPreprocessing(env, fire_reset=False, terminal_on_life_loss=terminal_on_life_loss)
    env.reset(seed=0)
    for _ in range(2):  # the second game must start from the beginning
        _, _, terminated, truncated, info = until_done(env)
        assert (terminated, truncated) == (False, True)
        assert info["episode"]["l"] == info["episode_frame_number"] == 120
        assert info["lives"] == 5
        _, info = env.reset()
        assert info["episode_frame_number"] <= 30


def test_limit_bootstraps_in_a_vec_env(game):
    """SB3 learners bootstrap from ``terminal_observation`` where ``TimeLimit.truncated`` is set."""
    vec_env = DummyVecEnv([lambda: AtariPreprocessing(game(max_num_frames_per_episode=60), fire_reset=False)])
    vec_env.seed(0)
    vec_env.reset()
    done = [False]
    while not done[0]:
        _, _, done, infos = vec_env.step(np.array([LEFT]))
    assert infos[0]["TimeLimit.truncated"]
    assert infos[0]["terminal_observation"].shape == (84, 84, 1)


def test_lost_life_at_the_limit_is_terminal(game):
    """A life lost at the frame limit is terminal: there is nothing to bootstrap from. The next reset starts a new game."""
    env = AtariPreprocessing(game(max_num_frames_per_episode=100), noop_max=0)
    env.reset(seed=0)
    _, _, terminated, truncated, info = until_done(env)
    assert (terminated, truncated, info["lives"]) == (True, True, 4)
    assert env.reset()[1]["lives"] == 5


@pytest.mark.parametrize("frames_left", [1, 2, 3, 4])
def test_last_picture_of_a_game_is_the_last_frames(game, frames_left):
    """A game may end at any of the four skipped frames. Its last picture is the maximum of the last two frames played."""
    limit = 12 + frames_left
    options = {"noop_max": 0, "fire_reset": False, "grayscale": False, "screen_size": None}
    skipping = AtariPreprocessing(game(max_num_frames_per_episode=limit), **options)
    single = AtariPreprocessing(game(max_num_frames_per_episode=limit), **options, frame_skip=1)
    skipping.reset(seed=0)
    single.reset(seed=0)
    frames = [single.step(LEFT)[0] for _ in range(limit)]
    assert (frames[-1] != frames[11]).any()  # the paddle still moves: it does for 18 frames
    obs, _, _, truncated, _ = until_done(skipping, LEFT)
    assert truncated
    expected = frames[-1] if frames_left == 1 else np.maximum(frames[-2], frames[-1])
    np.testing.assert_array_equal(obs, expected)


def test_evaluation_ends_for_an_agent_that_never_plays(game, always):
    """The agent never launches a ball, so only the emulator's frame limit ends the games."""
    env = AtariPreprocessing(game(max_num_frames_per_episode=100), fire_reset=False)
    scores, lengths = evaluate_policy(always(NOOP), env, n_eval_episodes=3, return_episode_rewards=True)
    assert scores == [0, 0, 0]
    assert lengths == [100, 100, 100]


@pytest.mark.parametrize("press", ["NOOP", "FIRE", "RIGHT"])
def test_game_that_ends_during_presses_is_reported(game, always, press):
    """
    Without start no-ops, an idle agent loses its first life in frame 100, always:

        frame   1 .. 8          9 .. 100       101 .. 104   105 .. 108   109 .. 112
                FIRE, RIGHT     agent          NOOP         FIRE         RIGHT
                                life lost ^    ^ reset() presses these three        ^

    A limit inside those presses ends each game within ``reset()``, whose infos no evaluation reads.
    If the record were dropped, ``evaluate_policy`` would wait for it for ever.
    """
    limit = {"NOOP": 102, "FIRE": 106, "RIGHT": 110}[press]
    env = AtariPreprocessing(game(max_num_frames_per_episode=limit), noop_max=0)
    env.reset(seed=0)
    start = env.reset(seed=0)[0]
    *_, info = until_done(env)
    assert "episode" not in info
    obs, info = env.reset()
    np.testing.assert_array_equal(obs, start)  # the picture of the new game, after the launch of its ball
    assert (info["lives"], info["episode_frame_number"]) == (5, 8)
    *_, info = until_done(env)
    assert info["episode"]["l"] == limit

    _, lengths = evaluate_policy(always(NOOP), env, n_eval_episodes=2, return_episode_rewards=True)
    assert lengths == [limit, limit]


def test_each_game_is_reported_once(game, play, random_actions):
    """Under a short limit, games end anywhere, also during presses. Each game in Monitor's list is reported once."""
    monitor = game(max_num_frames_per_episode=130)
    steps = play(AtariPreprocessing(monitor, noop_max=3), random_actions(600, seed=2))
    reported = [step.info["episode"]["l"] for step in steps if "episode" in step.info]
    assert reported == monitor.get_episode_lengths()[: len(reported)]
    assert monitor.get_episode_lengths()[len(reported) :] in ([], [130])  # one more may have ended in the last reset
    assert all(step.terminated or step.truncated for step in steps if "episode" in step.info)


def test_only_a_lost_life_lets_the_game_go_on(game):
    env = AtariPreprocessing(game())
    first, _ = env.reset(seed=0)
    _, _, terminated, truncated, info = until_done(env)
    assert (terminated, truncated, info["lives"]) == (True, False, 4)
    frame = info["episode_frame_number"]
    assert env.reset()[1] == {"lives": 4, "episode_frame_number": frame + 12, "frame_number": info["frame_number"] + 12}

    until_done(env)
    env.reset()
    env.step(NOOP)
    _, info = env.reset()  # in the middle of a life
    assert (info["lives"], info["episode_frame_number"] < 40) == (5, True)

    until_done(env)
    env.reset()  # as a vector environment resets after a done
    _, info = env.reset()  # a second reset asks for a new game
    assert (info["lives"], info["episode_frame_number"] < 40) == (5, True)

    until_done(env)
    obs, info = env.reset(seed=0)  # a seed asks for a new game, also after a lost life
    assert info["lives"] == 5
    np.testing.assert_array_equal(obs, first)


def test_evaluation_starts_with_a_new_game(game):
    """A game left unfinished must not count in the next evaluation: Monitor's lengths equal the emulator's frame numbers."""
    vec_env = DummyVecEnv([lambda: AtariPreprocessing(game())])
    agent = RandomAgent(vec_env, seed=0)
    obs = vec_env.reset()
    for _ in range(30):
        obs, *_ = vec_env.step(agent.predict(obs)[0])
    frames = []

    def remember(local_variables, _):
        if "episode" in local_variables["info"]:
            frames.append(local_variables["info"]["episode_frame_number"])

    _, lengths = evaluate_policy(agent, vec_env, n_eval_episodes=2, return_episode_rewards=True, callback=remember)
    assert lengths == frames


@pytest.mark.parametrize(
    "wrap", [pytest.param(lambda env: env, marks=pytest.mark.slow), RewardShapingWrapper], ids=["plain", "shaped"]
)
def test_evaluation_scores_are_raw(game, wrap):
    """Scores are the same with and without clipping and shaping."""

    def scores(**options):
        vec_env = DummyVecEnv([lambda: wrap(AtariPreprocessing(game(), **options))])
        vec_env.seed(1)
        return evaluate_policy(RandomAgent(vec_env, seed=1), vec_env, n_eval_episodes=3, return_episode_rewards=True)

    clipped = scores()
    assert clipped == scores(clip_reward=False)
    assert sum(clipped[0]) > 0
