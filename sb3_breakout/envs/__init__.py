from typing import TYPE_CHECKING

from sb3_breakout.envs.ale_vec_env import AleVecEnv
from sb3_breakout.envs.preprocessing import AtariPreprocessing
from sb3_breakout.envs.random_agent import RandomAgent
from sb3_breakout.envs.reward_shaping import RewardShapingWrapper

if TYPE_CHECKING:
    from sb3_breakout.envs.ray_vec_env import RayVecEnv as RayVecEnv

BreakoutWrapper = AtariPreprocessing  # its name in YAML files and in the saved settings of trained agents

__all__ = ["AleVecEnv", "AtariPreprocessing", "BreakoutWrapper", "RandomAgent", "RewardShapingWrapper"]


def __getattr__(name: str) -> object:
    if name != "RayVecEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sb3_breakout.envs.ray_vec_env import RayVecEnv  # only on demand: Ray is optional

    return RayVecEnv
