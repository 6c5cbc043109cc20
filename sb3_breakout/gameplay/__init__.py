"""Gameplay with exact labels: recorded, verified by replay, loaded and exported."""

from sb3_breakout.gameplay.collect.callback import RecordGameplayCallback
from sb3_breakout.gameplay.collect.recorder import GameRecorder
from sb3_breakout.gameplay.dataset.layout import LABELS, DamagedDataset
from sb3_breakout.gameplay.dataset.torch_dataset import GameplayDataset, Segment, Transition

__all__ = ["LABELS", "DamagedDataset", "GameRecorder", "GameplayDataset", "RecordGameplayCallback", "Segment", "Transition"]
