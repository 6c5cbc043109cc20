"""The attributes that hold the arguments of DDQN's constructor."""

from collections.abc import Sequence
from typing import Any

from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer

from sb3_breakout.ddqn.exploration import ExplorationRule
from sb3_breakout.ddqn.policies import DDQNPolicy


class DDQNArguments(DQN):
    """
    SB3's DQN with declarations of the attributes that :class:`~sb3_breakout.ddqn.DDQN` adds, or whose types it narrows. Its
    parts are built from these attributes.
    """

    action_space: spaces.Discrete
    policy: DDQNPolicy
    policy_class: type[DDQNPolicy]
    n_steps: Any  # an int in SB3, here also the arguments of a schedule
    replay_buffer_class: type[ReplayBuffer]
    exploration: str | ExplorationRule
    temperature_initial: float
    temperature_min: float
    temperature_decay: float
    temperature_slowdown: float
    temperature_scale: str
    evaluation_epsilon: float
    ladder_epsilon: float
    ladder_exponent: float
    n_atoms: int | None
    v_min: float
    v_max: float
    compile: bool
    autocast: bool | str
    initial_priorities: str
    overlap_updates: bool
    mirrored_actions: Sequence[int] | None
