from sb3_breakout.envs.ale_vec_env import AleVecEnv
from sb3_breakout.envs.breakout import BreakoutWrapper
from sb3_breakout.envs.random_agent import RandomAgent
from sb3_breakout.envs.reward_shaping import RewardShapingWrapper

__all__ = ["AleVecEnv", "BreakoutWrapper", "RandomAgent", "RewardShapingWrapper"]
