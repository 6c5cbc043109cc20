"""Builds the parts of a DDQN from its arguments: exploration rules and learners."""

import copy

from sb3_breakout.common.torch_utils import bfloat16_is_fast
from sb3_breakout.ddqn.arguments import DDQNArguments
from sb3_breakout.ddqn.exploration import Boltzmann, EpsilonGreedy, ExplorationRule
from sb3_breakout.ddqn.learner import QLearner
from sb3_breakout.ddqn.mirror import Mirror
from sb3_breakout.ddqn.policies import DDQNPolicy
from sb3_breakout.ddqn.views import View


def make_exploration(model: DDQNArguments) -> ExplorationRule:
    """
    :param model: the model whose arguments determine the rule and how it changes over training
    :return: the exploration rule; a copy if it was passed as an object, since other models may be given the same object
    """
    if isinstance(model.exploration, ExplorationRule):
        return copy.deepcopy(model.exploration)
    if model.exploration == "boltzmann":
        return Boltzmann(
            model.temperature_initial,
            model.temperature_min,
            model.temperature_decay,
            model.temperature_slowdown,
            model.temperature_scale,
        )
    return EpsilonGreedy(model.exploration_initial_eps, model.exploration_final_eps, model.exploration_fraction)


def make_learner(model: DDQNArguments, policy: DDQNPolicy, view: View, rule: ExplorationRule) -> QLearner:
    """
    Set up a policy for training and build its learner.

    :param model: the model whose arguments determine how the policy explores and learns
    :param policy: the networks to train; it explores with ``rule`` from now on
    :param view: view of the replay buffer to learn from
    :param rule: chooses the policy's training actions
    :return: the learner
    """
    policy.exploration = rule
    policy.ladder = (model.ladder_epsilon, model.ladder_exponent)
    policy.set_autocast(bfloat16_is_fast(model.device) if model.autocast == "auto" else bool(model.autocast))
    policy.mirror = None if model.mirrored_actions is None else Mirror(model.mirrored_actions, model.device)
    return QLearner(policy, view, model.compile)
