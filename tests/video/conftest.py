"""The agent of most of the videos."""

from collections.abc import Callable

import pytest

from sb3_breakout.envs import RandomAgent
from sb3_breakout.evaluation import evaluation_env


@pytest.fixture(scope="session")
def random_agent() -> Callable[[int], RandomAgent]:
    """Builds random agents: ``random_agent(seed)``."""
    env = evaluation_env(n_envs=1)
    env.close()
    return lambda seed: RandomAgent(env, seed)
