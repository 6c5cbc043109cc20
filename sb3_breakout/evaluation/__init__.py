"""How well an agent plays: raw scores of whole games under a stated protocol."""

from sb3_breakout.evaluation.games import (
    ENV_ID,
    FRAME_SKIP,
    MAX_STEPS,
    NOOP_MAX,
    SEEDS,
    STICKINESS,
    env_for,
    evaluate,
    evaluation_env,
)
from sb3_breakout.evaluation.scores import Scores, bootstrap_interval

__all__ = [
    "ENV_ID",
    "FRAME_SKIP",
    "MAX_STEPS",
    "NOOP_MAX",
    "SEEDS",
    "STICKINESS",
    "Scores",
    "bootstrap_interval",
    "env_for",
    "evaluate",
    "evaluation_env",
]
