"""Living and life-loss penalties on scripted games and on Breakout."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from sb3_breakout.envs import AtariPreprocessing, RewardShapingWrapper


class Script(gym.Env):
    """A game that follows a script: the lives at the start, then (reward, lives, terminated) for each step."""

    observation_space = spaces.Box(0, 255, (2, 2, 3), np.uint8)
    action_space = spaces.Discrete(4)

    def __init__(self, start, script):
        self.start, self.script = start, script
        self.ale = SimpleNamespace(lives=lambda: self.lives)
        self.lives = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.lives, self.steps = self.start, iter(self.script)
        return self.observation_space.sample(), {}

    def step(self, action):
        reward, self.lives, terminated = next(self.steps)
        return self.observation_space.sample(), reward, terminated, False, {}


def shaped_rewards(start, script, **penalties):
    env = RewardShapingWrapper(Script(start, script), **penalties)
    env.reset(seed=0)
    return [env.step(0)[1] for _ in script]


def test_by_hand():
    """
    reward            0       1       0       4       0
    lives      5      5       5       4       4       4
    shaped       -0.001   0.999  -1.001   3.999  -0.001
    """
    script = [(0, 5, False), (1, 5, False), (0, 4, False), (4, 4, False), (0, 4, False)]
    assert shaped_rewards(5, script) == pytest.approx([-0.001, 0.999, -1.001, 3.999, -0.001])


def test_last_life_counts():
    assert shaped_rewards(1, [(0, 1, False), (0, 0, True)]) == pytest.approx([-0.001, -1.001])


def test_last_life_counts_once_where_the_game_ends_later():
    """Q*bert shows 0 lives for some frames before its game is over."""
    assert shaped_rewards(1, [(0, 0, False), (0, 0, False), (0, 0, True)]) == pytest.approx([-1.001, -0.001, -0.001])


def test_bonus_life_is_no_reward_and_can_be_lost():
    assert shaped_rewards(2, [(0, 3, False), (0, 2, False)]) == pytest.approx([-0.001, -1.001])


def test_two_lives_lost_in_one_step():
    assert shaped_rewards(3, [(0, 1, False)], life_loss_penalty=0.5) == pytest.approx([-1.001])


def test_penalties_are_arguments():
    script = [(1, 5, False), (0, 4, False)]
    assert shaped_rewards(5, script, living_penalty=0.25, life_loss_penalty=2.0) == pytest.approx([0.75, -2.25])
    assert shaped_rewards(5, script, living_penalty=0, life_loss_penalty=0) == [1, 0]


def test_real_reset_is_no_lost_life():
    """After a reset in the middle of a game, the first step of the next game costs the living penalty only."""
    env = RewardShapingWrapper(Script(5, [(0, 2, False), (0, 2, False)]))
    env.reset(seed=0)
    assert env.step(0)[1] == pytest.approx(-3.001)
    env.reset()
    env.unwrapped.steps = iter([(0, 5, False), (0, 4, False)])
    assert [env.step(0)[1] for _ in range(2)] == pytest.approx([-0.001, -1.001])


@pytest.mark.parametrize("terminal_on_life_loss", [True, False])
def test_a_whole_game_costs_five_lives(game, play, terminal_on_life_loss):
    """The actions include FIRE, which launches the next ball if no reset does."""
    env = AtariPreprocessing(game(), terminal_on_life_loss=terminal_on_life_loss)
    steps = play(RewardShapingWrapper(env), [1, 0] * 200, seed=0)
    ends = [i for i, step in enumerate(steps) if "episode" in step.info]
    assert len(ends) >= 2
    for game_steps in (steps[: ends[0] + 1], steps[ends[0] + 1 : ends[1] + 1]):
        shaped = sum(step.reward for step in game_steps)
        bricks = game_steps[-1].info["episode"]["r"]
        assert bricks <= 4  # only bottom rows, one point each, so clipping changes nothing
        assert shaped == pytest.approx(bricks - 0.001 * len(game_steps) - 5.0)


def test_penalty_is_not_clipped(game):
    """The penalty is applied after clipping, so a step costs 0.001. Clipped, it would cost 1."""
    env = RewardShapingWrapper(AtariPreprocessing(game()))
    env.reset(seed=0)
    assert env.step(0)[1] == pytest.approx(-0.001)


def test_works_without_breakout_wrapper(game):
    env = RewardShapingWrapper(game())
    env.reset(seed=0)
    assert env.step(0)[1] == pytest.approx(-0.001)


@pytest.mark.parametrize("name", ["living_penalty", "life_loss_penalty"])
@pytest.mark.parametrize("value", [-0.001, float("nan"), float("inf"), "0.1", None])
def test_bad_penalties(game, name, value):
    with pytest.raises(ValueError, match=rf"{name}.*received {value!r}"):
        RewardShapingWrapper(game(), **{name: value})


def test_game_without_lives(game):
    """Pong has no lives, so a life-loss penalty is refused, at the first reset."""
    with pytest.raises(ValueError, match=r"Pong.*no lives.*life_loss_penalty=0"):
        RewardShapingWrapper(game("PongNoFrameskip-v4")).reset(seed=0)
    env = RewardShapingWrapper(game("PongNoFrameskip-v4"), life_loss_penalty=0)
    env.reset(seed=0)
    assert env.step(0)[1] == pytest.approx(-0.001)


def test_no_atari_game():
    with pytest.raises(TypeError, match=r"lives of an Atari game, received .*CartPole"):
        RewardShapingWrapper(gym.make("CartPole-v1"))
