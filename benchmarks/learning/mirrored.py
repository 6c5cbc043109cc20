"""
How an agent plays Breakout in a mirror: with left and right exchanged in its pictures and its actions.

    python -m benchmarks.learning.mirrored rl-trained-agents/ddqn_per/BreakoutNoFrameskip-v4_1/BreakoutNoFrameskip-v4.zip

Mirroring does not change the game. An agent that has learned the game rather than single situations scores the same.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch as th

from sb3_breakout import DDQN, evaluate

MIRRORED_ACTIONS = np.array([0, 1, 3, 2])  # NOOP, FIRE, RIGHT, LEFT


class InMirror:
    """
    Plays as another agent would play in a mirror.

    :param model: the other agent
    """

    def __init__(self, model: DDQN) -> None:
        self.model = model
        self.observation_space, self.action_space = model.observation_space, model.action_space
        self.evaluation_epsilon = model.evaluation_epsilon

    def predict(self, observation: np.ndarray, *args: Any, **kwargs: Any) -> tuple[np.ndarray, None]:
        """
        :param observation: stacked pictures, (n_games, frames, height, width) uint8
        :param args: further arguments of SB3's ``predict``
        :param kwargs: further arguments of SB3's ``predict``
        :return: actions (n_games,), and no state
        """
        actions, _ = self.model.predict(np.ascontiguousarray(observation[..., ::-1]), *args, **kwargs)
        return MIRRORED_ACTIONS[actions], None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", type=Path, help="model file")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    args = parser.parse_args()

    model = DDQN.load(args.agent)
    print("in a mirror, " + evaluate(InMirror(model), episodes=args.episodes, seeds=args.seeds).text())


if __name__ == "__main__":
    th.set_num_threads(1)
    main()
