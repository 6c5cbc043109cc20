"""Shared by the tests of ddqn_rnd: small environments under the reward wrapper, and small agents."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from sb3_breakout import DDQN, DDQNRND, DualAgentCallback, RNDRewardWrapper
from sb3_breakout.ddqn.learner import QLearner
from tests.ddqn.environments import Corridor

FAST: dict[str, Any] = dict(
    learning_starts=40, buffer_size=1000, batch_size=8, policy_kwargs=dict(net_arch=[16]), seed=0, device="cpu"
)
BONUS: dict[str, Any] = dict(initial_steps=20, update_proportion=1.0, batch_size=8)


def corridors(n_envs: int = 2, make: Callable[[], Any] = Corridor, **arguments: Any) -> RNDRewardWrapper:
    return RNDRewardWrapper(make_vec_env(make, n_envs), **BONUS | arguments)


def agent(env: VecEnv | None = None, cls: type[DDQN] = DDQNRND, **arguments: Any) -> DDQN:
    return cls("MlpPolicy", corridors() if env is None else env, **FAST | arguments)


def trained(steps: int = 200, callback: DualAgentCallback | None = None, **arguments: Any) -> DDQN:
    return agent(**arguments).learn(steps, callback=callback or DualAgentCallback())


def weights(model: DDQN | QLearner) -> np.ndarray:
    """All weights of an agent's online and target networks."""
    return th.nn.utils.parameters_to_vector(model.policy.parameters()).detach().numpy().copy()
