from sb3_breakout.envs.ale_vec_env import AleVecEnv
from sb3_breakout.envs.preprocessing import AtariPreprocessing
from sb3_breakout.envs.random_agent import RandomAgent
from sb3_breakout.envs.reward_shaping import RewardShapingWrapper

BreakoutWrapper = AtariPreprocessing  # what YAML files and the saved settings of trained agents call it

__all__ = ["AleVecEnv", "AtariPreprocessing", "BreakoutWrapper", "RandomAgent", "RewardShapingWrapper"]
