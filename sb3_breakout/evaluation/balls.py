"""
The balls that an agent of Breakout misses, read from the emulator's memory.

Addresses in RAM; all values are pixels of the native screen, each with a different offset:

=======  ==========================================================
address  what
=======  ==========================================================
72       paddle: its left edge is at column ``ram[72] - 47``
99       ball: its left edge is at column ``ram[99] - 49``
101      ball: its upper edge is at row ``ram[101] + 9``; 0 between two lives
=======  ==========================================================

The height alone shows what happens to a ball: one that came down bounces off the paddle, or costs a life. Speed means vertical
speed, which decides how much time the paddle has; horizontally the ball moves by 2 to 8 pixels, whatever its speed.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sb3_breakout.protocol import FRAME_SKIP

BALL_HEIGHT = 101  # RAM address
# Values of that address: the lowest bricks end at 84, the paddle begins at 180. A ball that goes up from below has hit it.
BELOW_BRICKS = 130
# Smallest pixels per four frames of each group. Speeds seen: 4; 6 and 8; 13 and 14.
SPEEDS = {"slow": 0, "middle": 5, "fast": 10}
SERVED = "served"  # a separate group: the agent did not influence where they come down


class Ball(NamedTuple):
    """
    A ball that came down to the paddle.

    :param speed: vertical speed in pixels per four frames
    :param missed: whether it cost a life
    :param served: whether it is the first ball of a life
    """

    speed: float
    missed: bool
    served: bool

    @property
    def group(self) -> str:
        """Name of the ball's group: "served", otherwise by speed."""
        return SERVED if self.served else max((name for name in SPEEDS if self.speed >= SPEEDS[name]), key=SPEEDS.__getitem__)


def balls_at_paddle(heights: Sequence[int], lives: Sequence[int], frame_skip: int = FRAME_SKIP) -> list[Ball]:
    """
    Find the balls that came down to the paddle in a game.

    :param heights: (steps,) RAM value of the ball's height after each agent step, growing downwards, 0 for no ball
    :param lives: (steps,) lives left after each agent step
    :param frame_skip: emulator frames per agent step
    :return: the balls; one is missed for each life lost
    """
    balls: list[Ball] = []
    speed = 0.0  # of the descending ball; 0 while it goes up
    for before, now, lives_before, lives_now in zip(heights, heights[1:], lives, lives[1:], strict=False):
        served = not balls or balls[-1].missed
        if lives_now < lives_before:
            balls.append(Ball(speed, True, served))
            speed = 0.0
        elif now < before:
            if speed and before > BELOW_BRICKS:
                balls.append(Ball(speed, False, served))
            speed = 0.0
        elif before:
            # A step that begins or ends with a bounce is shorter than the others
            speed = max(speed, (now - before) * FRAME_SKIP / frame_skip)
    return balls


def miss_rates(balls: Iterable[Ball]) -> dict[str, dict[str, int]]:
    """
    :param balls: balls of any number of games
    :return: for each group, the number of ``balls``, and how many of them were ``missed``
    """
    counts = {name: {"balls": 0, "missed": 0} for name in (SERVED, *SPEEDS)}
    for ball in balls:
        counts[ball.group]["balls"] += 1
        counts[ball.group]["missed"] += ball.missed
    return counts
