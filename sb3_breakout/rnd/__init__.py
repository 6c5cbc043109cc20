"""Exploration by Random Network Distillation."""

from sb3_breakout.rnd.ddqn_rnd import DDQNRND
from sb3_breakout.rnd.distillation import RND
from sb3_breakout.rnd.dual_agent import DualAgentCallback, RNDCallback
from sb3_breakout.rnd.reward_wrapper import RNDRewardWrapper

__all__ = ["DDQNRND", "RND", "DualAgentCallback", "RNDCallback", "RNDRewardWrapper"]
