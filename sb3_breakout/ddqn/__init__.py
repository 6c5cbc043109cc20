"""Double DQN with prioritized replay: algorithms, policies, exploration rules."""

from sb3_breakout.ddqn.c51 import C51
from sb3_breakout.ddqn.ddqn import DDQN
from sb3_breakout.ddqn.exploration import Boltzmann, EpsilonGreedy, ExplorationRule, boltzmann_probabilities
from sb3_breakout.ddqn.learner import QLearner
from sb3_breakout.ddqn.native_cnn import NativeCNN
from sb3_breakout.ddqn.policies import CnnPolicy, DDQNPolicy, MlpPolicy, MultiInputPolicy, NativeCnnPolicy
from sb3_breakout.ddqn.targets import double_q_target

__all__ = [
    "C51",
    "DDQN",
    "Boltzmann",
    "CnnPolicy",
    "DDQNPolicy",
    "EpsilonGreedy",
    "ExplorationRule",
    "MlpPolicy",
    "MultiInputPolicy",
    "NativeCNN",
    "NativeCnnPolicy",
    "QLearner",
    "boltzmann_probabilities",
    "double_q_target",
]
