"""Evaluation of agents: raw scores of whole games under a stated protocol."""

from sb3_breakout.evaluation.games import check_fits, env_for, evaluation_env
from sb3_breakout.evaluation.players import load_player
from sb3_breakout.evaluation.playing import evaluate
from sb3_breakout.evaluation.scores import Scores, bootstrap_interval
from sb3_breakout.protocol import ENV_ID, FRAME_SKIP, MAX_STEPS, NOOP_MAX, SEEDS, STICKINESS

__all__ = [
    "ENV_ID",
    "FRAME_SKIP",
    "MAX_STEPS",
    "NOOP_MAX",
    "SEEDS",
    "STICKINESS",
    "Scores",
    "bootstrap_interval",
    "check_fits",
    "env_for",
    "evaluate",
    "evaluation_env",
    "load_player",
]
