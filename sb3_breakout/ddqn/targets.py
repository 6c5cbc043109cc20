"""The maths of the update, as pure functions on tensors."""

from typing import NamedTuple

import torch as th
from torch import nn
from torch.nn import functional as F


class TDLoss(NamedTuple):
    """
    What one batch says. All but ``loss`` are detached.

    :param loss: scalar, to be differentiated
    :param td_errors: (batch, 1), target minus estimate, signed
    :param mean_q: scalar, mean estimate of the actions taken
    """

    loss: th.Tensor
    td_errors: th.Tensor
    mean_q: th.Tensor


def double_q_target(
    rewards: th.Tensor, dones: th.Tensor, discounts: th.Tensor, next_q_online: th.Tensor, next_q_target: th.Tensor
) -> th.Tensor:
    """
    Double Q-learning target: the online network chooses the next action, the target network values it
    (van Hasselt et al. 2016, https://arxiv.org/abs/1509.06461, eq. 4).

    :param rewards: (batch, 1), sum of discounted rewards over the n steps
    :param dones: (batch, 1), 1 where the episode terminated within them (not at timeouts)
    :param discounts: (batch, 1), gamma ** (steps until ``next_observations``)
    :param next_q_online: (batch, n_actions), online network at the next observations
    :param next_q_target: (batch, n_actions), target network at the next observations
    :return: (batch, 1)
    """
    next_actions = next_q_online.argmax(dim=1, keepdim=True)  # (batch, 1)
    next_values = next_q_target.gather(1, next_actions)  # (batch, 1)
    return rewards + (1.0 - dones) * discounts * next_values


def weighted_huber_loss(td_errors: th.Tensor, weights: th.Tensor) -> th.Tensor:
    """
    Mean over the batch of importance weight times Huber loss (threshold 1), so that a weight scales a sample's
    gradient (Schaul et al. 2016, https://arxiv.org/abs/1511.05952, section 3.4).

    :param td_errors: (batch, 1), differentiable
    :param weights: (batch, 1)
    :return: scalar
    """
    return (weights * F.huber_loss(td_errors, th.zeros_like(td_errors), reduction="none")).mean()


def td_loss(q: th.Tensor, actions: th.Tensor, target: th.Tensor, weights: th.Tensor) -> TDLoss:
    """
    Loss and TD errors of one batch, given its targets.

    :param q: (batch, n_actions), differentiable
    :param actions: (batch, 1), integer, those that were taken
    :param target: (batch, 1)
    :param weights: (batch, 1)
    """
    q_taken = q.gather(1, actions.long())  # (batch, 1)
    td_errors = target - q_taken
    return TDLoss(weighted_huber_loss(td_errors, weights), td_errors.detach(), q_taken.detach().mean())


def double_dqn_loss(
    q_net: nn.Module,
    q_net_target: nn.Module,
    observations: th.Tensor,
    actions: th.Tensor,
    next_observations: th.Tensor,
    dones: th.Tensor,
    rewards: th.Tensor,
    discounts: th.Tensor,
    weights: th.Tensor,
) -> TDLoss:
    """
    Loss and TD errors of one batch. The order of the tensors is that of the replay buffer's samples.

    :param q_net: online network, observations to (batch, n_actions)
    :param q_net_target: target network
    :param observations: (batch, ...)
    :param actions: (batch, 1), integer
    :param next_observations: (batch, ...)
    :param dones: (batch, 1)
    :param rewards: (batch, 1)
    :param discounts: (batch, 1)
    :param weights: (batch, 1)
    """
    with th.no_grad():
        target = double_q_target(rewards, dones, discounts, q_net(next_observations), q_net_target(next_observations))
    return td_loss(q_net(observations), actions, target, weights)
