"""Targets and loss against hand-worked numbers and against SB3's loss."""

import numpy as np
import pytest
import torch as th
from torch import nn
from torch.nn import functional as F

from sb3_breakout.ddqn.targets import double_dqn_loss, double_q_target, weighted_huber_loss


def column(*values: float) -> th.Tensor:
    return th.tensor(values, dtype=th.float32).reshape(-1, 1)


def test_double_q_target_by_hand() -> None:
    online = th.tensor([[1.0, 5.0, 2.0], [3.0, 0.0, 1.0], [0.0, 0.0, 9.0]])  # chooses actions 1, 0, 2
    target = th.tensor([[10.0, 20.0, 30.0], [4.0, 50.0, 60.0], [7.0, 8.0, 100.0]])  # values them 20, 4, 100
    result = double_q_target(column(1.0, -1.0, 0.5), column(0.0, 0.0, 1.0), column(0.9, 0.5, 0.9), online, target)
    # 1 + 0.9 * 20, -1 + 0.5 * 4, and 0.5 at a terminal step
    np.testing.assert_allclose(result.numpy(), [[19.0], [1.0], [0.5]])


def test_double_q_target_is_not_the_max_of_the_target_network() -> None:
    online, target = th.tensor([[1.0, 0.0]]), th.tensor([[2.0, 100.0]])
    result = double_q_target(column(0.0), column(0.0), column(1.0), online, target)
    assert result.item() == 2.0  # DQN's max would give 100


def test_weighted_huber_loss_by_hand() -> None:
    # Huber: 0.5 * 0.5² = 0.125 and |-3| - 0.5 = 2.5; weighted 2 and 0.1, averaged over two
    loss = weighted_huber_loss(column(0.5, -3.0), column(2.0, 0.1))
    assert loss.item() == pytest.approx((2 * 0.125 + 0.1 * 2.5) / 2)


def test_weights_scale_the_gradient_of_their_own_sample_only() -> None:
    errors = column(0.5, 0.5).requires_grad_()
    weighted_huber_loss(errors, column(1.0, 0.25)).backward()
    assert errors.grad is not None
    np.testing.assert_allclose(errors.grad.numpy(), [[0.25], [0.0625]])  # error * weight / 2


def test_loss_equals_sb3_where_the_networks_agree() -> None:
    """With one network as online and target network and with weights of 1, Double DQN equals DQN, so SB3's formula applies."""
    th.manual_seed(0)
    net = nn.Linear(6, 4)
    observations, next_observations = th.randn(2, 32, 6)
    actions, rewards, dones = th.randint(4, (32, 1)), th.randn(32, 1), (th.rand(32, 1) < 0.3).float()
    discounts = th.full((32, 1), 0.97)
    result = double_dqn_loss(net, net, observations, actions, next_observations, dones, rewards, discounts, th.ones(32, 1))
    with th.no_grad():
        target = rewards + (1 - dones) * discounts * net(next_observations).max(dim=1, keepdim=True).values
        estimate = net(observations).gather(1, actions)
    assert result.loss.item() == pytest.approx(F.smooth_l1_loss(estimate, target).item(), rel=1e-6)
    np.testing.assert_allclose(result.td_errors.numpy(), (target - estimate).numpy(), atol=1e-6)
    assert result.mean_q.item() == pytest.approx(estimate.mean().item(), rel=1e-5)


def test_gradient_flows_through_the_estimate_only() -> None:
    th.manual_seed(0)
    online, target = nn.Linear(3, 2), nn.Linear(3, 2)
    ones = th.ones(5, 1)
    observations, actions = th.randn(5, 3), th.zeros(5, 1, dtype=th.int64)
    double_dqn_loss(online, target, observations, actions, th.randn(5, 3), 0 * ones, ones, ones, ones).loss.backward()
    assert all(parameter.grad is None for parameter in target.parameters())
    assert online.weight.grad is not None
    assert online.weight.grad[0].abs().sum() > 0 and online.weight.grad[1].abs().sum() == 0  # action 1 was never taken
