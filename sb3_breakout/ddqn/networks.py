"""Q-networks with their losses: one expected return per action, or a distribution over returns (C51)."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch as th
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN, create_mlp
from stable_baselines3.common.type_aliases import PyTorchObs
from stable_baselines3.dqn import policies as dqn_policies
from torch import nn

from sb3_breakout.ddqn.native_cnn import NativeCNN
from sb3_breakout.ddqn.targets import TDLoss, categorical_double_dqn_loss, double_dqn_loss

START_WIDTH = 0.05  # width of a categorical network's initial distributions, as a share of the range of returns


class QNetwork(dqn_policies.QNetwork):
    """
    SB3's Q-network whose features can be computed in bfloat16. The head stays in float32: at Q near 1, bfloat16
    has a resolution of 0.004 to 0.008, coarser than the action gaps of Breakout.
    """

    # (online network, target network, observations, actions, next_observations, dones, rewards, discounts, weights)
    loss: ClassVar[Callable[..., TDLoss]] = staticmethod(double_dqn_loss)
    autocast = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._of_pixels = self.normalize_images and is_image_space(self.observation_space)

    def forward(self, obs: PyTorchObs) -> th.Tensor:
        """
        :param obs: observations, as SB3's preprocessing expects them
        :return: Q-values, (batch, n_actions), float32
        """
        return self.head(obs)

    def head(self, obs: PyTorchObs) -> th.Tensor:
        """
        :param obs: observations, as SB3's preprocessing expects them
        :return: outputs of the last layer, (batch, outputs), float32
        """
        with th.autocast(self.device.type, dtype=th.bfloat16, enabled=self.autocast):
            features = self.extract_features(obs, self.features_extractor)  # (batch, features_dim)
        return self.q_net(features.float())

    def extract_features(self, obs: PyTorchObs, features_extractor: BaseFeaturesExtractor) -> th.Tensor:
        """
        As in SB3, but pixels are converted directly to the first layer's dtype (0 to 255 are exact in bfloat16).

        :param obs: observations
        :param features_extractor: the layers below the head
        :return: features, (batch, features_dim)
        """
        if not self._of_pixels:
            return super().extract_features(obs, features_extractor)
        # On the CPU, float32 convolutions gain more from the channels-last layout than the conversion costs; bfloat16 ones do
        # not. A user's own extractor may flatten with view(), which fails with this layout
        gains = self.device.type == "cpu" and not self.autocast and type(features_extractor) in (NatureCNN, NativeCNN)
        layout = th.channels_last if gains else th.contiguous_format
        dtype = th.bfloat16 if self.autocast else th.float32
        if gains:  # while they are bytes: converting layout and dtype in one step is slower
            obs = obs.contiguous(memory_format=layout)  # type: ignore[union-attr]
        pixels = obs.to(dtype, copy=True, memory_format=layout)  # type: ignore[union-attr]
        return features_extractor(pixels.div_(255.0))


class CategoricalQNetwork(QNetwork):
    """
    A Q-network that predicts, for each action, the probability of each of ``n_atoms`` returns between ``v_min`` and ``v_max``.
    The Q-value is their expectation. Initially it is near 0, or near the bound that is closest to 0.

    Paper: https://arxiv.org/abs/1707.06887 (C51)

    :param n_atoms: number of returns, at least 2
    :param v_min: smallest return
    :param v_max: largest return
    :param args: arguments of SB3's ``QNetwork``
    :param kwargs: keyword arguments of SB3's ``QNetwork``
    """

    loss = staticmethod(categorical_double_dqn_loss)
    support: th.Tensor  # (n_atoms,) the returns

    def __init__(self, *args: Any, n_atoms: int, v_min: float, v_max: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.n_atoms, self.v_min, self.v_max = n_atoms, v_min, v_max
        n_outputs = int(self.action_space.n) * n_atoms
        self.q_net = nn.Sequential(*create_mlp(self.features_dim, n_outputs, self.net_arch, self.activation_fn))
        self.register_buffer("support", th.linspace(v_min, v_max, n_atoms), persistent=False)
        self._start_near_zero()

    def _start_near_zero(self) -> None:
        # With logits near 0 the expectation would be the mean of all returns, and each target update moves only part of the
        # way from there
        start = min(max(0.0, self.v_min), self.v_max)
        width = START_WIDTH * (self.v_max - self.v_min)
        logits = -(self.support - start).abs() / width  # (n_atoms,)
        head = self.q_net[-1]
        assert isinstance(head, nn.Linear)
        with th.no_grad():
            head.bias.copy_(logits.repeat(int(self.action_space.n)))

    def forward(self, obs: PyTorchObs) -> th.Tensor:
        """
        :param obs: observations, as SB3's preprocessing expects them
        :return: expected returns, (batch, n_actions), float32
        """
        return self.expectation(self.log_probabilities(obs))

    def log_probabilities(self, obs: PyTorchObs) -> th.Tensor:
        """
        :param obs: observations, as SB3's preprocessing expects them
        :return: logarithms of the probabilities, (batch, n_actions, n_atoms), float32
        """
        logits = self.head(obs).reshape(-1, int(self.action_space.n), self.n_atoms)  # (batch, n_actions, n_atoms)
        return logits.log_softmax(dim=-1)

    def expectation(self, log_probabilities: th.Tensor) -> th.Tensor:
        """
        :param log_probabilities: (..., n_atoms)
        :return: expected returns, (...)
        """
        return log_probabilities.exp() @ self.support

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "n_atoms": self.n_atoms, "v_min": self.v_min, "v_max": self.v_max}
