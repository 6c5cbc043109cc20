"""Gameplay with exact labels: recording, verification by replay, loading and export."""

from sb3_breakout.gameplay.collect.callback import RecordGameplayCallback
from sb3_breakout.gameplay.collect.recorder import GameRecorder
from sb3_breakout.gameplay.dataset.layout import LABELS, DamagedDataset
from sb3_breakout.gameplay.dataset.torch_dataset import GameplayDataset, Segment, Transition

__all__ = ["LABELS", "DamagedDataset", "GameRecorder", "GameplayDataset", "RecordGameplayCallback", "Segment", "Transition"]
