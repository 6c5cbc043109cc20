"""
Stable-Baselines3 and RL Zoo, extended with prioritized Double DQN for Atari Breakout.

Every public name can be imported from here (``from sb3_breakout import DDQN``) and is loaded on first use: every Python
process of the environment imports this package at start-up (see ``_hook.py``), so it must cost nothing.
"""

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from sb3_breakout._hook import install
    from sb3_breakout.ddqn import C51, DDQN, CnnPolicy, DDQNPolicy, MlpPolicy, MultiInputPolicy
    from sb3_breakout.envs import AleVecEnv, AtariPreprocessing, BreakoutWrapper, RandomAgent, RewardShapingWrapper
    from sb3_breakout.evaluation import evaluate
    from sb3_breakout.gameplay import GameplayDataset
    from sb3_breakout.replay import FrameStore, PrioritizedReplayBuffer, SumTree
    from sb3_breakout.rnd import DDQNRND, DualAgentCallback, RNDCallback, RNDRewardWrapper

__version__ = "0.1.0"

__all__ = [
    "C51",
    "DDQN",
    "DDQNRND",
    "AleVecEnv",
    "AtariPreprocessing",
    "BreakoutWrapper",
    "CnnPolicy",
    "DDQNPolicy",
    "DualAgentCallback",
    "FrameStore",
    "GameplayDataset",
    "MlpPolicy",
    "MultiInputPolicy",
    "PrioritizedReplayBuffer",
    "RNDCallback",
    "RNDRewardWrapper",
    "RandomAgent",
    "RewardShapingWrapper",
    "SumTree",
    "__version__",
    "evaluate",
    "install",
]

# Subpackage of each public name (PEP 562)
_HOME = {
    "C51": "ddqn",
    "DDQN": "ddqn",
    "CnnPolicy": "ddqn",
    "DDQNPolicy": "ddqn",
    "MlpPolicy": "ddqn",
    "MultiInputPolicy": "ddqn",
    "AleVecEnv": "envs",
    "AtariPreprocessing": "envs",
    "BreakoutWrapper": "envs",
    "RandomAgent": "envs",
    "RewardShapingWrapper": "envs",
    "evaluate": "evaluation",
    "GameplayDataset": "gameplay",
    "FrameStore": "replay",
    "PrioritizedReplayBuffer": "replay",
    "SumTree": "replay",
    "DDQNRND": "rnd",
    "DualAgentCallback": "rnd",
    "RNDCallback": "rnd",
    "RNDRewardWrapper": "rnd",
    "install": "_hook",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
