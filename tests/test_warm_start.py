"""A C51 agent made from a scalar one: its first distributions, against an independent computation."""

from pathlib import Path

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from benchmarks.learning.warm_start import copy_layers, warm_start
from sb3_breakout import C51, DDQN
from sb3_breakout.ddqn import CnnPolicy
from sb3_breakout.evaluation import evaluation_env

PICTURES = spaces.Box(0, 255, (2, 84, 84), np.uint8)
ACTIONS = spaces.Discrete(3)


def test_distributions_are_gaussians_around_the_scalar_q_values() -> None:
    th.manual_seed(0)
    scalar = CnnPolicy(PICTURES, ACTIONS, lambda _: 1e-3, features_extractor_kwargs={"features_dim": 16})
    with th.no_grad():
        scalar.q_net.q_net[0].weight.mul_(100.0)  # to spread the Q-values
        scalar.q_net.q_net[0].bias.add_(3.0)
    arguments = dict(n_atoms=41, v_min=0.0, v_max=10.0, features_extractor_kwargs={"features_dim": 16})
    categorical = CnnPolicy(PICTURES, ACTIONS, lambda _: 1e-3, **arguments)
    copy_layers(scalar.q_net, categorical.q_net, width=1.5)  # type: ignore[arg-type]

    pictures = np.random.default_rng(0).integers(0, 256, (20, *PICTURES.shape), np.uint8)
    q_values = scalar.q_values(pictures)
    assert q_values.std() > 0.5
    returns = np.linspace(0.0, 10.0, 41)
    heights = np.exp(-((returns - q_values[..., None]) ** 2) / (2 * 1.5**2))  # (pictures, actions, atoms)
    expected = heights / heights.sum(axis=-1, keepdims=True)
    with th.no_grad():
        log_probabilities = categorical.q_net.log_probabilities(th.as_tensor(pictures))  # type: ignore[operator]
    np.testing.assert_allclose(log_probabilities.exp().numpy(), expected, atol=1e-4)
    np.testing.assert_array_equal(categorical.q_values(pictures).argmax(axis=1), q_values.argmax(axis=1))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Nothing is learned")
def test_the_trained_agent_plays_while_the_head_learns(tmp_path: Path) -> None:
    small = {"features_extractor_kwargs": {"features_dim": 512}}
    agent = DDQN("CnnPolicy", evaluation_env(n_envs=1, n_stack=2), policy_kwargs=small, buffer_size=10, device="cpu")
    explore, seen = agent.policy.explore, []
    agent.policy.explore = lambda observation: seen.append(len(observation)) or explore(observation)  # type: ignore
    checkpoint = warm_start(agent, tmp_path, steps=96, seed=0)
    assert seen == [32] * 3
    assert C51.load(checkpoint).num_timesteps == 96 and (tmp_path / "replay_buffer.pkl").is_file()
