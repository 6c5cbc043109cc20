"""Prioritized experience replay: what the learner remembers."""

from sb3_breakout.replay.frame_store import FrameStore
from sb3_breakout.replay.learner import ReplayLearner
from sb3_breakout.replay.prioritized_replay_buffer import PrioritizedReplayBuffer, PrioritizedReplayBufferSamples
from sb3_breakout.replay.sum_tree import SumTree

__all__ = ["FrameStore", "PrioritizedReplayBuffer", "PrioritizedReplayBufferSamples", "ReplayLearner", "SumTree"]
