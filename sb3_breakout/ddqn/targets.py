"""Targets and losses, as pure functions on tensors."""

from typing import Any, NamedTuple

import torch as th
from torch import nn
from torch.nn import functional as F


class TDLoss(NamedTuple):
    """
    Loss and TD errors of one batch. All but ``loss`` are detached.

    :param loss: scalar, to be differentiated
    :param td_errors: (batch, 1), the basis of the priorities: target minus estimate, signed, or a KL divergence
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


def project_distribution(
    probabilities: th.Tensor, rewards: th.Tensor, dones: th.Tensor, discounts: th.Tensor, support: th.Tensor
) -> th.Tensor:
    """
    The distribution of ``reward + discount * return``, projected onto the support of the network: the probability of
    each return is split between its two neighbours in proportion to their nearness (Bellemare et al. 2017,
    https://arxiv.org/abs/1707.06887, eq. 7). Returns outside the support are clipped to its ends.

    :param probabilities: (batch, n_atoms), of the next observations
    :param rewards: (batch, 1), sum of discounted rewards over the n steps
    :param dones: (batch, 1), 1 where the episode terminated within them (not at timeouts)
    :param discounts: (batch, 1), gamma ** (steps until ``next_observations``)
    :param support: (n_atoms,), the returns, evenly spaced
    :return: (batch, n_atoms), rows sum to 1
    """
    first, spacing = support[0], (support[-1] - support[0]) / (len(support) - 1)
    returns = (rewards + (1.0 - dones) * discounts * support).clamp(first, support[-1])  # (batch, n_atoms)
    # Counted in atoms: how far each return lies from each atom, (batch, n_atoms to, n_atoms from)
    distances = ((returns - first) / spacing)[:, None, :] - th.arange(len(support), device=support.device)[:, None]
    shares = (1.0 - distances.abs()).clamp_(min=0.0)
    return (shares @ probabilities[:, :, None]).squeeze(2)


def categorical_double_dqn_loss(
    q_net: Any,
    q_net_target: Any,
    observations: th.Tensor,
    actions: th.Tensor,
    next_observations: th.Tensor,
    dones: th.Tensor,
    rewards: th.Tensor,
    discounts: th.Tensor,
    weights: th.Tensor,
) -> TDLoss:
    """
    KL divergence of the predicted distribution from the projected target distribution. The online network chooses the next
    action by its expectation, the target network gives the distribution of its return.

    The divergence is the priority too (Hessel et al. 2018, https://arxiv.org/abs/1710.02298). The cross-entropy has the same
    gradient but is larger by the entropy of the target, about 2.3 everywhere on Breakout, so priorities would
    hardly differ.

    :param q_net: online network, with the methods of ``CategoricalQNetwork``
    :param q_net_target: target network, likewise
    :param observations: (batch, ...)
    :param actions: (batch, 1), integer
    :param next_observations: (batch, ...)
    :param dones: (batch, 1)
    :param rewards: (batch, 1)
    :param discounts: (batch, 1)
    :param weights: (batch, 1)
    """
    rows = th.arange(len(actions), device=actions.device)
    with th.no_grad():
        next_actions = q_net(next_observations).argmax(dim=1)  # (batch,)
        next_probabilities = q_net_target.log_probabilities(next_observations)[rows, next_actions].exp()  # (batch, n_atoms)
        target = project_distribution(next_probabilities, rewards, dones, discounts, q_net.support)
    log_probabilities = q_net.log_probabilities(observations)[rows, actions.squeeze(1).long()]  # (batch, n_atoms)
    divergences = F.kl_div(log_probabilities, target, reduction="none").sum(dim=1, keepdim=True)  # (batch, 1)
    mean_q = q_net.expectation(log_probabilities.detach()).mean()
    return TDLoss((weights * divergences).mean(), divergences.detach(), mean_q)
