"""Policies of DDQN: SB3's, with an exploration rule that is saved with them and a bfloat16 trunk on request."""

from typing import Any, ClassVar

import numpy as np
import torch as th
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn import policies as dqn_policies

from sb3_breakout.ddqn.exploration import ExplorationRule, action_gap, entropy, sample_actions


class QNetwork(dqn_policies.QNetwork):
    """
    SB3's Q-network whose features can be computed in bfloat16. The head stays in float32: at Q near 1, bfloat16
    moves in steps of 0.004 to 0.008, coarser than the action gaps of Breakout.
    """

    autocast = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._of_pixels = self.normalize_images and is_image_space(self.observation_space)

    def forward(self, obs: PyTorchObs) -> th.Tensor:
        """
        :param obs: observations, as SB3's preprocessing expects them
        :return: Q-values, (batch, n_actions), float32
        """
        with th.autocast(self.device.type, dtype=th.bfloat16, enabled=self.autocast):
            features = self.extract_features(obs, self.features_extractor)  # (batch, features_dim)
        return self.q_net(features.float())

    def extract_features(self, obs: PyTorchObs, features_extractor: BaseFeaturesExtractor) -> th.Tensor:
        """
        As in SB3, but pixels become what the first layer computes with in one pass (all of 0 to 255 are exact in bfloat16).

        :param obs: observations
        :param features_extractor: the layers below the head
        :return: features, (batch, features_dim)
        """
        if not self._of_pixels:
            return super().extract_features(obs, features_extractor)
        pixels = obs.to(th.bfloat16 if self.autocast else th.float32, copy=True)  # type: ignore[union-attr]
        return features_extractor(pixels.div_(255.0))


class DDQNPolicy(dqn_policies.DQNPolicy):
    """
    Policy of :class:`~sb3_breakout.ddqn.ddqn.DDQN`: online and target Q-network, and the exploration rule that
    training actions are drawn from. ``predict`` is greedy, as in SB3; the rule's state (temperature, epsilon)
    is part of the ``state_dict`` and so travels with saving and loading.

    All parameters are those of SB3's ``DQNPolicy``.
    """

    q_net_class: ClassVar[type[QNetwork]] = QNetwork  # replace it in a subclass for another network
    exploration: ExplorationRule | None = None  # set by the algorithm
    q_net: QNetwork
    q_net_target: QNetwork

    def _build(self, lr_schedule: Schedule) -> None:
        if self.optimizer_class is th.optim.Adam:
            self.optimizer_kwargs = {"fused": True, **self.optimizer_kwargs}  # the same step in one pass over the weights
        super()._build(lr_schedule)

    def make_q_net(self) -> QNetwork:
        # Each network gets its own features extractor, see SB3's DQNPolicy
        net_args = self._update_features_extractor(self.net_args, features_extractor=None)
        return self.q_net_class(**net_args).to(self.device)

    def set_autocast(self, enabled: bool) -> None:
        """
        :param enabled: compute features in bfloat16
        """
        self.q_net.autocast = enabled
        self.q_net_target.autocast = enabled

    def q_values(self, observation: np.ndarray | dict[str, np.ndarray]) -> np.ndarray:
        """
        :param observation: a batch of observations, (n_envs, ...)
        :return: Q-values of the online network, (n_envs, n_actions), float32
        """
        with th.no_grad():
            return self.q_net(self.obs_to_tensor(observation)[0]).float().cpu().numpy()

    def explore(self, observation: np.ndarray | dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, float], np.ndarray]:
        """
        Draw training actions from the exploration rule.

        :param observation: a batch of observations, (n_envs, ...)
        :return: actions (n_envs,) int64; what the draw looked like: entropy in nats and action gap, both averaged
            over the environments; and the Q-values (n_envs, n_actions) it came from
        """
        assert self.exploration is not None, "DDQN gives its policy an exploration rule in _setup_model()"
        q_values = self.q_values(observation)
        probabilities = self.exploration.probabilities(q_values)
        metrics = {"entropy": entropy(probabilities), "action_gap": action_gap(q_values)}
        return sample_actions(probabilities), metrics, q_values

    def get_extra_state(self) -> dict[str, Any]:
        return {} if self.exploration is None else self.exploration.get_state()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        if self.exploration is not None and state:
            self.exploration.set_state(state)


MlpPolicy = DDQNPolicy


class CnnPolicy(DDQNPolicy, dqn_policies.CnnPolicy):
    """
    :class:`DDQNPolicy` for images: Nature CNN (3 convolutions and a linear layer) and a linear head.
    """


class MultiInputPolicy(DDQNPolicy, dqn_policies.MultiInputPolicy):
    """
    :class:`DDQNPolicy` for dictionary observations.
    """
