"""Gameplay with exact labels: recorded, verified by playing it again, read back, exported."""

from sb3_breakout.gameplay.callback import RecordGameplayCallback
from sb3_breakout.gameplay.dataset import GameplayDataset, Passage, Transition
from sb3_breakout.gameplay.layout import LABELS, DamagedDataset
from sb3_breakout.gameplay.recorder import GameRecorder

__all__ = ["LABELS", "DamagedDataset", "GameRecorder", "GameplayDataset", "Passage", "RecordGameplayCallback", "Transition"]
