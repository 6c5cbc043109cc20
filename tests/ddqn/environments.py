"""Small environments for the tests of DDQN."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec


class Corridor(gym.Env):
    """
    Walk right to the end of a corridor: reward 1 there, 0 elsewhere. The observation encodes the
    position.

    :param observation: "vector", "image" (channel-last uint8) or "dict"
    :param length: steps to the end
    """

    spec = EnvSpec("Corridor-v0", max_episode_steps=30)

    def __init__(self, observation: str = "vector", length: int = 5) -> None:
        self.kind, self.length = observation, length
        vector = spaces.Box(0.0, 1.0, (length + 1,), np.float32)
        image = spaces.Box(0, 255, (36, 36, 1), np.uint8)
        self.observation_space = {
            "vector": vector,
            "image": image,
            "dict": spaces.Dict({"vector": vector, "image": image}),
        }[observation]
        self.action_space = spaces.Discrete(2)

    def _observe(self) -> Any:
        vector = np.eye(self.length + 1, dtype=np.float32)[self.position]
        image = np.zeros((36, 36, 1), np.uint8)
        image[:, : 6 * (self.position + 1)] = 40 * (self.position + 1)
        return {"vector": vector, "image": image, "dict": {"vector": vector, "image": image}}[self.kind]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.position, self.steps = 0, 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.position = max(self.position + (1 if action == 1 else -1), 0)
        self.steps += 1
        arrived = self.position == self.length
        return self._observe(), float(arrived), arrived, self.steps >= 30 and not arrived, {}


class Faulty(Corridor):
    """
    A corridor whose observation or reward is NaN at step 20.

    :param what: what becomes NaN: "observation" or "reward"
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.total_steps = what, 0

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        self.total_steps += 1
        if self.total_steps == 20:
            observation = np.full_like(observation, np.nan) if self.what == "observation" else observation
            reward = float("nan") if self.what == "reward" else reward
        return observation, reward, terminated, truncated, info
