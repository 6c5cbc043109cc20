"""The learner on its own: SB3's buffers as its source, its target network, and a second learner beside the first."""

from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer

from sb3_breakout import DDQN
from sb3_breakout.ddqn import EpsilonGreedy, QLearner
from sb3_breakout.ddqn.views import UniformView, as_view
from tests.ddqn.environments import Corridor

FAST: dict[str, Any] = dict(learning_starts=20, buffer_size=500, batch_size=16, seed=0, device="cpu")


def flat(network: th.nn.Module) -> np.ndarray:
    return th.nn.utils.parameters_to_vector(network.parameters()).detach().numpy().copy()


@pytest.mark.parametrize(("buffer_class", "n_steps"), [(ReplayBuffer, 1), (NStepReplayBuffer, 3)])
def test_a_buffer_of_sb3_as_a_view(buffer_class: type[ReplayBuffer], n_steps: int) -> None:
    model = DDQN("MlpPolicy", Corridor(), replay_buffer_class=buffer_class, n_steps=n_steps, gamma=0.9, **FAST).learn(60)
    view = as_view(model.replay_buffer, 0.9)
    assert isinstance(view, UniformView) and view.n_eligible() == 60
    batch = view.sample(50)
    assert batch.weights.shape == (50, 1) and (batch.weights == 1.0).all()
    powers = np.log(batch.discounts.numpy()) / np.log(0.9)
    assert np.allclose(powers, powers.round()) and powers.min() >= 0.99 and powers.max() == pytest.approx(n_steps)
    view.update_priorities(batch.indices, np.zeros(50))  # accepted and ignored


@pytest.mark.parametrize("tau", [1.0, 0.25])
def test_target_network_moves_by_tau(tau: float) -> None:
    model = DDQN("MlpPolicy", Corridor(), tau=tau, target_update_interval=1000, **FAST).learn(60)
    online, target = flat(model.q_net), flat(model.q_net_target)
    assert not np.array_equal(online, target)
    model.learner.sync_target(tau)
    np.testing.assert_allclose(flat(model.q_net_target), tau * online + (1.0 - tau) * target, atol=1e-7)


def test_a_second_learner_shares_nothing_but_what_it_is_told() -> None:
    model = DDQN("MlpPolicy", Corridor(), exploration=EpsilonGreedy(0.7, 0.1, 0.5), **FAST).learn(60)
    first, second = model.learner, model.second_learner(model.replay_buffer)
    before = flat(first.policy)
    assert second.policy.exploration is not first.policy.exploration
    assert not np.array_equal(flat(second.policy.q_net), flat(first.policy.q_net))
    np.testing.assert_array_equal(flat(second.policy.q_net), flat(second.policy.q_net_target))
    outcome = second.update(2, batch_size=16, progress_remaining=0.5, learning_rate=1e-3, max_grad_norm=1.0)
    assert outcome is not None and np.isfinite(outcome).all()
    assert not second.policy.training  # evaluation mode: its policy may choose the next action
    np.testing.assert_array_equal(flat(first.policy), before)


def test_nothing_to_sample_is_no_update() -> None:
    model = DDQN("MlpPolicy", Corridor(), **FAST)
    assert isinstance(model.learner, QLearner)
    assert model.learner.update(1, batch_size=16, progress_remaining=1.0, learning_rate=1e-3, max_grad_norm=1.0) is None
