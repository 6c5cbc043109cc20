"""C51: the projection against hand-worked numbers and the paper's algorithm, the loss against PyTorch's, save and load."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from torch.nn import functional as F

from sb3_breakout import C51, DDQN, DualAgentCallback, RNDRewardWrapper
from sb3_breakout.common.arguments import constructor_arguments
from sb3_breakout.ddqn.targets import categorical_double_dqn_loss, project_distribution
from sb3_breakout.rnd import DDQNRND
from tests.ddqn.environments import Corridor

FAST: dict[str, Any] = dict(learning_starts=100, buffer_size=2000, batch_size=32, train_freq=4, learning_rate=1e-3, seed=0)


def column(*values: float) -> th.Tensor:
    return th.tensor(values, dtype=th.float32).reshape(-1, 1)


def test_projection_by_hand() -> None:
    support = th.tensor([0.0, 1.0, 2.0])
    probabilities = th.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5], [0.0, 0.0, 1.0]])
    result = project_distribution(
        probabilities, column(0.5, 0.25, 1.0, 9.0), column(0, 0, 1, 0), column(0.5, 1, 0.9, 1), support
    )
    expected = [
        [0.25, 0.625, 0.125],  # returns 0.5, 1.0 and 1.5: on an atom, or half way between two
        [0.0, 0.75, 0.25],  # return 1.25
        [0.0, 1.0, 0.0],  # the episode ended with reward 1: no bootstrapping
        [0.0, 0.0, 1.0],  # return 11: clipped to the largest atom
    ]
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-6)


def algorithm_1(p: np.ndarray, rewards: np.ndarray, dones: np.ndarray, discounts: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The categorical algorithm (Bellemare et al. 2017, algorithm 1), one atom at a time, in float64."""
    m = np.zeros(p.shape)
    spacing = z[1] - z[0]
    for row in range(len(p)):
        for j in range(len(z)):
            moved = rewards[row] + (1 - dones[row]) * discounts[row] * z[j]
            b = min((min(max(moved, z[0]), z[-1]) - z[0]) / spacing, len(z) - 1)  # min() guards against rounding
            lower, upper = int(np.floor(b)), int(np.ceil(b))
            if lower == upper:
                m[row, lower] += p[row, j]
            else:
                m[row, lower] += p[row, j] * (upper - b)
                m[row, upper] += p[row, j] * (b - lower)
    return m


@pytest.mark.parametrize("n_atoms", [2, 3, 51])
def test_projection_against_the_algorithm_of_the_paper(n_atoms: int) -> None:
    rng = np.random.default_rng(n_atoms)
    for v_min, v_max in ((-10.0, 10.0), (0.0, 7.5), (-3.0, -1.0)):
        support = np.linspace(v_min, v_max, n_atoms)
        p = rng.dirichlet(np.ones(n_atoms), size=40)
        rewards, dones, discounts = rng.normal(0, 6, 40), rng.random(40) < 0.3, rng.choice([0.97, 1.0, 0.0], 40)
        tensors = [th.tensor(values, dtype=th.float32) for values in (p, rewards, dones, discounts, support)]
        result = project_distribution(tensors[0], *(tensor[:, None] for tensor in tensors[1:4]), tensors[4])
        np.testing.assert_allclose(result.numpy(), algorithm_1(p, rewards, dones, discounts, support), atol=2e-5)
        np.testing.assert_allclose(result.sum(dim=1).numpy(), 1.0, atol=1e-5)


def test_loss_is_the_weighted_divergence_from_the_target_networks_distribution() -> None:
    model = C51("MlpPolicy", Corridor(), n_atoms=11, v_min=-1.0, v_max=1.0, **FAST)
    online, target = model.q_net, model.q_net_target
    th.manual_seed(0)
    for parameter in target.parameters():  # make the two networks differ
        parameter.data += 0.3 * th.randn_like(parameter)
    observations, next_observations = th.rand(2, 16, 6)
    actions, rewards, dones = th.randint(2, (16, 1)), th.randn(16, 1), (th.rand(16, 1) < 0.3).float()
    discounts, weights = th.full((16, 1), 0.9), th.rand(16, 1)
    batch = (observations, actions, next_observations, dones, rewards, discounts, weights)
    result = categorical_double_dqn_loss(online, target, *batch)

    with th.no_grad():
        chosen = online(next_observations).argmax(dim=1).numpy()
        p = target.log_probabilities(next_observations).exp().numpy()[np.arange(16), chosen]
    flat = [tensor.numpy()[:, 0] for tensor in (rewards, dones, discounts)]
    labels = th.tensor(algorithm_1(p, *flat, np.linspace(-1, 1, 11)), dtype=th.float32)
    logits = online.head(observations).reshape(16, 2, 11)[th.arange(16), actions[:, 0]]
    losses = F.cross_entropy(logits, labels, reduction="none") - th.special.entr(labels).sum(dim=1)
    assert result.loss.item() == pytest.approx((losses * weights[:, 0]).mean().item(), rel=1e-4)
    np.testing.assert_allclose(result.td_errors[:, 0].numpy(), losses.detach().numpy(), rtol=1e-4)
    result.loss.backward()
    assert all(parameter.grad is None for parameter in target.parameters())


def test_q_values_are_expectations() -> None:
    model = C51("MlpPolicy", Corridor(), n_atoms=5, v_min=0.0, v_max=4.0, **FAST)
    observations = np.eye(6, dtype=np.float32)
    with th.no_grad():
        p = model.q_net.log_probabilities(th.tensor(observations)).exp()  # (6, 2, 5)
    np.testing.assert_allclose(p.sum(dim=2).numpy(), 1.0, atol=1e-6)
    np.testing.assert_allclose(model.policy.q_values(observations), (p.numpy() * np.arange(5)).sum(axis=2), atol=1e-5)


@pytest.mark.parametrize(("v_min", "v_max", "start"), [(0.0, 10.0, 0.406), (-10.0, 10.0, 0.0), (-9.0, -3.0, -3.244)])
def test_first_q_values_are_near_zero(v_min: float, v_max: float, start: float) -> None:
    # Away from 0 (or from the bound nearest to it), each atom is x = exp(-20 / 50) times as probable as the one before. The
    # expected distance is then x / (1 - x) = 2.033 atoms, and neighbouring atoms are 0.02 of the range apart
    model = C51("MlpPolicy", Corridor(), n_atoms=51, v_min=v_min, v_max=v_max, **FAST)
    q_values = model.policy.q_values(np.random.default_rng(0).random((64, 6), dtype=np.float32))
    np.testing.assert_allclose(q_values, start, atol=0.04 * (v_max - v_min))
    assert abs(q_values.mean() - start) < 0.01 * (v_max - v_min)


def test_learns_the_corridor() -> None:
    model = C51("MlpPolicy", Corridor(), v_min=0.0, v_max=1.0, target_update_interval=50, **FAST).learn(3000)
    assert evaluate_policy(model, model.get_env(), n_eval_episodes=5, deterministic=True) == (1.0, 0.0)
    start = np.eye(6, dtype=np.float32)[:1]
    assert model.policy.q_values(start).max() == pytest.approx(0.99**4, abs=0.05)


@pytest.mark.parametrize("observation", ["image", "dict"])
def test_other_observations(observation: str) -> None:
    policy = {"image": "CnnPolicy", "dict": "MultiInputPolicy"}[observation]
    model = C51(policy, Corridor(observation), **FAST | dict(batch_size=8)).learn(150)
    assert model._n_updates > 0 and np.isfinite(model.last_loss)


def test_head_is_float32_under_autocast() -> None:
    model = C51("CnnPolicy", Corridor("image"), autocast=True, **FAST | dict(batch_size=8)).learn(150)
    observations, _ = model.policy.obs_to_tensor(np.zeros((3, 36, 36, 1), np.uint8))
    assert model.q_net.log_probabilities(observations).dtype == th.float32


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = C51("MlpPolicy", Corridor(), n_atoms=21, v_min=-2.0, v_max=2.0, **FAST).learn(300)
    model.save(tmp_path / "model")
    observations = np.eye(6, dtype=np.float32)
    for algorithm in (C51, DDQN):  # DDQN with n_atoms is the same algorithm
        loaded = algorithm.load(tmp_path / "model", env=Corridor())
        np.testing.assert_array_equal(loaded.policy.q_values(observations), model.policy.q_values(observations))
        with pytest.warns(UserWarning, match="No update before the replay buffer holds 100 transitions"):
            loaded.learn(200, reset_num_timesteps=False)
        assert loaded._n_updates > model._n_updates
    assert model.policy_kwargs == loaded.policy_kwargs == {}
    model.policy.save(tmp_path / "policy")
    policy = type(model.policy).load(tmp_path / "policy")
    np.testing.assert_array_equal(policy.q_values(observations), model.policy.q_values(observations))


def test_a_model_without_a_distribution_is_no_c51(tmp_path: Path) -> None:
    DDQN("MlpPolicy", Corridor(), **FAST).save(tmp_path / "scalar")
    with pytest.raises(ValueError, match=r"received n_atoms=None\. A model that was trained without one is a DDQN"):
        C51.load(tmp_path / "scalar")


def test_two_agents() -> None:
    env = RNDRewardWrapper(make_vec_env(Corridor, n_envs=2))
    callback = DualAgentCallback()
    DDQNRND("MlpPolicy", env, n_atoms=11, v_min=-1.0, v_max=3.0, **FAST).learn(300, callback=callback)
    assert callback.explorer is not None
    assert callback.explorer.policy.q_net.support.tolist() == pytest.approx(np.linspace(-1, 3, 11).tolist())


def test_subclass_knows_the_arguments_of_its_base() -> None:
    assert set(constructor_arguments(C51)) == set(constructor_arguments(DDQN))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(n_atoms=1), "n_atoms must be a whole number of at least 2, received 1"),
        (dict(initial_priorities="td_error"), "initial_priorities='td_error' with n_atoms=51"),
        (dict(v_min=3.0, v_max=3.0), "v_min must be less than v_max, received v_min=3.0, v_max=3.0"),
        (dict(v_min=0.0, v_max=float("nan")), "v_max must be a finite number, received nan"),
        (dict(v_min="a"), "v_min must be a finite number, received 'a'"),
    ],
)
def test_bad_argument(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        C51("MlpPolicy", Corridor(), **FAST | arguments)
