"""Finding the balls that come down to the paddle, in hand-made sequences and in the emulator."""

import gymnasium as gym
import numpy as np
import pytest

from sb3_breakout.envs import BreakoutWrapper
from sb3_breakout.evaluation.balls import BALL_HEIGHT, Ball, balls_at_paddle, miss_rates

BALL = (200, 72, 72)  # colour of ball, paddle and the uppermost bricks


def balls(*moments: tuple[int, int]) -> list[tuple[float, bool]]:
    """
    :param moments: RAM value of the ball's height and lives left, for each step
    :return: speed of each ball, and whether it was missed
    """
    found = balls_at_paddle([height for height, _ in moments], [lives for _, lives in moments])
    return [(ball.speed, ball.missed) for ball in found]


def test_a_ball_that_turns_up_was_hit() -> None:
    assert balls((160, 5), (168, 5), (174, 5), (166, 5), (158, 5)) == [(8, False)]


def test_a_turn_between_two_pictures_at_the_same_height() -> None:
    assert balls((167, 5), (171, 5), (175, 5), (175, 5), (171, 5)) == [(4, False)]


def test_a_ball_that_costs_a_life_was_missed() -> None:
    assert balls((181, 5), (194, 5), (208, 5), (0, 4), (0, 4)) == [(14, True)]


def test_the_launch_of_a_ball_is_no_speed() -> None:
    """There is no ball (0) from the step that loses a life until the next launch. That jump must not count as speed."""
    assert balls((0, 4), (115, 4), (119, 4), (123, 4), (119, 4)) == []  # turned above the paddle
    assert balls((0, 4), (172, 4), (176, 4), (172, 4)) == [(4, False)]
    assert balls((208, 4), (115, 3), (119, 3), (0, 2)) == [(0, True), (4, True)]


def test_bricks_are_no_paddle() -> None:
    """A ball that bounces between the bricks and the upper wall did not reach the paddle."""
    assert balls((50, 5), (63, 5), (70, 5), (57, 5), (61, 5), (172, 5), (176, 5)) == []
    assert balls((50, 5), (63, 5), (55, 5), (59, 5), (63, 5), (61, 5)) == []
    assert balls((60, 5), (73, 5), (66, 5), (172, 5), (176, 5), (172, 5))[0][1] is False


def test_no_ball_and_no_game() -> None:
    assert balls() == balls((0, 5)) == balls((0, 5), (0, 5)) == []


def test_the_first_ball_of_each_life_is_a_served_one() -> None:
    hit, missed = [(172, 5), (176, 5), (172, 5)], [(172, 5), (176, 5), (0, 4)]
    second = [(height, lives - 1) for height, lives in hit]
    moments = [*hit, *hit, *missed, *second, *second]
    found = balls_at_paddle(*zip(*moments, strict=True))
    assert [ball.missed for ball in found] == [False, False, True, False, False]
    assert [ball.served for ball in found] == [True, False, False, True, False]
    assert all(ball.served for ball in balls_at_paddle((172, 176, 0, 172, 176, 0), (5, 5, 4, 4, 4, 3)))


def test_rates_by_group() -> None:
    seen = [(4, False), (4, True), (6, False), (8, False), (8, True), (8, True), (13, True), (14, False), (1, False)]
    served = [Ball(4, True, True), Ball(4, False, True), Ball(14, False, True)]
    assert miss_rates([*served, *(Ball(speed, missed, False) for speed, missed in seen)]) == {
        "served": {"balls": 3, "missed": 1},
        "slow": {"balls": 3, "missed": 1},
        "middle": {"balls": 4, "missed": 2},
        "fast": {"balls": 2, "missed": 1},
    }


@pytest.fixture(scope="module")
def game() -> dict[str, np.ndarray]:
    """RAM, lives and screen after each step of a game whose player follows the ball, but badly enough to lose it."""
    env = BreakoutWrapper(gym.make("BreakoutNoFrameskip-v4"), terminal_on_life_loss=False, noop_max=0)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    ale = env.unwrapped.ale  # type: ignore[attr-defined]
    seen: dict[str, list] = {"ram": [], "lives": [], "screen": []}
    while ale.lives() and len(seen["lives"]) < 4000:
        ram = ale.getRAM().astype(int)
        towards = ram[99] - 49 - (ram[72] - 47 + 8)
        action = 1 if ram[101] == 0 else 0 if abs(towards) < 4 else 2 if towards > 0 else 3
        env.step(int(rng.integers(4)) if rng.random() < 0.3 else action)
        for name, value in (("ram", ale.getRAM()), ("lives", ale.lives()), ("screen", ale.getScreenRGB())):
            seen[name].append(value)
    env.close()
    return {name: np.array(values) for name, values in seen.items()}


def test_the_address_is_the_height_of_the_ball_on_the_screen(game: dict[str, np.ndarray]) -> None:
    compared = 0
    for ram, screen in zip(game["ram"], game["screen"], strict=True):
        rows, _ = np.nonzero((screen[93:189, 8:152] == BALL).all(axis=2))  # between bricks, paddle and walls
        if len(rows) == 8:  # the whole ball is visible: 4 x 2 pixels
            assert ram[BALL_HEIGHT] + 9 == rows.min() + 93
            compared += 1
    assert compared > 100


def test_as_many_are_missed_as_lives_are_lost(game: dict[str, np.ndarray]) -> None:
    found = balls_at_paddle(game["ram"][:, BALL_HEIGHT].astype(int).tolist(), game["lives"].tolist())
    assert sum(ball.missed for ball in found) == game["lives"][0] == 5
    assert {ball.speed for ball in found if ball.missed} <= {4, 6, 8, 13, 14}
    hits = [ball.speed for ball in found if not ball.missed]
    assert len(hits) >= 10
