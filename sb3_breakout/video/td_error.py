"""The TD error of a step."""

from typing import Any

import numpy as np
import torch as th


def td_error(
    model: Any, obs: np.ndarray, actions: np.ndarray, rewards: np.ndarray, next_obs: np.ndarray, terminated: bool
) -> float:
    """
    The absolute TD error that the priority of a step in the replay buffer derives from, here with one-step returns and the
    online network as target network: ``|r + gamma * max_a Q(s', a) - Q(s, a)|``, or for a categorical network the KL
    divergence that it minimizes.

    :param model: a ``DDQN``
    :param obs: (1, ...), observation before the step
    :param actions: (1,) int64
    :param rewards: (1,) reward as the learner sees it
    :param next_obs: (1, ...), observation after the step
    :param terminated: whether the step ended the episode, other than by a time limit
    :return: the absolute TD error
    """
    policy = model.policy
    before, after = (policy.obs_to_tensor(each)[0] for each in (obs, next_obs))
    dones, discounts, weights = (th.full((1, 1), float(x), device=policy.device) for x in (terminated, model.gamma, 1.0))
    taken = th.as_tensor(actions, device=policy.device).reshape(1, 1)
    reward = th.as_tensor(rewards, dtype=th.float32, device=policy.device).reshape(1, 1)
    with th.no_grad():
        loss = policy.q_net.loss(policy.q_net, policy.q_net, before, taken, after, dones, reward, discounts, weights)
    return float(loss.td_errors.abs())
