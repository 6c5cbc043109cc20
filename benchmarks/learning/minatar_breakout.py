"""Hyperparameters of MinAtar Breakout for RL Zoo (``--conf-file benchmarks.learning.minatar_breakout``), and plain DQN."""

from typing import Any

import gymnasium as gym
import torch as th
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from sb3_breakout import DDQN
from sb3_breakout.ddqn.targets import TDLoss, double_q_target, td_loss

ENV_ID = "MinAtar/Breakout-v1"


class MinAtarCNN(BaseFeaturesExtractor):
    """
    The network of the MinAtar paper (https://arxiv.org/abs/1903.03176): 16 filters of 3x3, then 128 units.

    :param observation_space: (400,), flattened from 10 rows, 10 columns and 4 channels
    """

    def __init__(self, observation_space: gym.Space) -> None:
        super().__init__(observation_space, features_dim=128)
        self.layers = nn.Sequential(
            nn.Unflatten(1, (10, 10, 4)),
            ToChannelsFirst(),
            nn.Conv2d(4, 16, kernel_size=3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 8 * 8, 128),
            nn.ReLU(),
        )

    def forward(self, observations: th.Tensor) -> th.Tensor:
        return self.layers(observations)


class ToChannelsFirst(nn.Module):
    """Transpose (batch, height, width, channels) to (batch, channels, height, width)."""

    def forward(self, images: th.Tensor) -> th.Tensor:
        return images.permute(0, 3, 1, 2)


def dqn_loss(
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
    The loss of DQN (Mnih et al. 2015): the target network both chooses and values the next action. The arguments are those
    of :func:`sb3_breakout.ddqn.targets.double_dqn_loss`.
    """
    with th.no_grad():
        next_q = q_net_target(next_observations)
        target = double_q_target(rewards, dones, discounts, next_q, next_q)
    return td_loss(q_net(observations), actions, target, weights)


class SingleDQN(DDQN):
    """DDQN without Double Q-learning."""

    def _setup_model(self) -> None:
        super()._setup_model()
        self.learner.loss_function = dqn_loss


hyperparams: dict[str, dict[str, Any]] = {
    ENV_ID: {
        "n_timesteps": 50_000,
        "policy": "MlpPolicy",
        "policy_kwargs": {"features_extractor_class": MinAtarCNN, "net_arch": []},
        "env_wrapper": [
            "gymnasium.wrappers.FlattenObservation",
            {"gymnasium.wrappers.TimeLimit": {"max_episode_steps": 2500}},
        ],
        "n_envs": 8,
        "learning_rate": 2.5e-4,
        "buffer_size": 100_000,
        "learning_starts": 2000,
        "batch_size": 32,
        "train_freq": 1,
        "gradient_steps": 2,
        "target_update_interval": 1000,
        "n_steps": 3,
        "replay_buffer_kwargs": {"alpha": 0.5, "beta": [0.4, 1.0]},
        "exploration_fraction": 0.1,  # for the epsilon-greedy variants
    }
}
