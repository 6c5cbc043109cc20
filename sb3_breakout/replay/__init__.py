"""Prioritized experience replay."""

from sb3_breakout.replay.frame_store import FrameStore
from sb3_breakout.replay.prioritized_replay_buffer import PrioritizedReplayBuffer
from sb3_breakout.replay.sum_tree import SumTree
from sb3_breakout.replay.transition_store import PrioritizedReplayBufferSamples
from sb3_breakout.replay.view import ReplayView

__all__ = ["FrameStore", "PrioritizedReplayBuffer", "PrioritizedReplayBufferSamples", "ReplayView", "SumTree"]
