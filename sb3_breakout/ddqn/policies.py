"""Policies of DDQN: those of SB3 with an exploration rule and, optionally, a categorical head."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch as th
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn import policies as dqn_policies

from sb3_breakout.ddqn.exploration import (
    ExplorationRule,
    action_gap,
    checked_probabilities,
    entropy,
    mixed_with_random,
    sample_actions,
)
from sb3_breakout.ddqn.ladder import ladder_epsilons
from sb3_breakout.ddqn.mirror import Mirror
from sb3_breakout.ddqn.native_cnn import NativeCNN
from sb3_breakout.ddqn.networks import CategoricalQNetwork, QNetwork


class DDQNPolicy(dqn_policies.DQNPolicy):
    """
    Policy of :class:`~sb3_breakout.ddqn.ddqn.DDQN`: online and target Q-network, and the exploration rule that training
    actions are drawn from. ``predict`` is greedy and the ``state_dict`` has the same keys, both as in SB3, so that weights can
    be exchanged with SB3's DQN. The rule's state (temperature, epsilon) is saved by the algorithm.

    :param args: arguments of SB3's ``DQNPolicy``
    :param n_atoms: predict a distribution over this many returns (C51); ``None`` predicts the expected return only
    :param v_min: smallest of these returns
    :param v_max: largest of them
    :param kwargs: keyword arguments of SB3's ``DQNPolicy``
    """

    # To be overridden in a subclass for other networks
    q_net_class: ClassVar[type[QNetwork]] = QNetwork
    categorical_q_net_class: ClassVar[type[CategoricalQNetwork]] = CategoricalQNetwork
    exploration: ExplorationRule | None = None  # set by the algorithm, as are ladder and mirror
    ladder: tuple[float, float] = (0.0, 0.0)  # epsilon and exponent
    mirror: Mirror | None = None
    q_net: QNetwork
    q_net_target: QNetwork

    def __init__(
        self, *args: Any, n_atoms: int | None = None, v_min: float = -10.0, v_max: float = 10.0, **kwargs: Any
    ) -> None:
        self.n_atoms, self.v_min, self.v_max = n_atoms, v_min, v_max  # before SB3's constructor: it builds the networks
        super().__init__(*args, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "n_atoms": self.n_atoms, "v_min": self.v_min, "v_max": self.v_max}

    def _build(self, lr_schedule: Schedule) -> None:
        if self.optimizer_class is th.optim.Adam and not {"foreach", "differentiable"} & self.optimizer_kwargs.keys():
            self.optimizer_kwargs = {"fused": True, **self.optimizer_kwargs}  # the same step in one pass over the weights
        super()._build(lr_schedule)

    def make_q_net(self) -> QNetwork:
        # Each network gets its own features extractor, see SB3's DQNPolicy
        net_args = self._update_features_extractor(self.net_args, features_extractor=None)
        if self.n_atoms is None:
            return self.q_net_class(**net_args).to(self.device)
        net_args |= {"n_atoms": self.n_atoms, "v_min": self.v_min, "v_max": self.v_max}
        return self.categorical_q_net_class(**net_args).to(self.device)

    def set_autocast(self, enabled: bool) -> None:
        """
        :param enabled: compute features in bfloat16
        """
        self.q_net.autocast = enabled
        self.q_net_target.autocast = enabled

    def q_values(self, observation: np.ndarray | dict[str, np.ndarray]) -> np.ndarray:
        """
        The Q-values that ``predict`` maximizes: those of the online network, or with ``mirrored_actions`` their means over an
        image and its mirror image.

        :param observation: a batch of observations, (n_envs, ...)
        :return: (n_envs, n_actions), float32
        """
        return self._computed(self.q_net if self.mirror is None else self._mean_q_values, observation)

    def _computed(
        self, network: Callable[[PyTorchObs], th.Tensor], observation: np.ndarray | dict[str, np.ndarray]
    ) -> np.ndarray:
        with th.no_grad():
            return network(self.obs_to_tensor(observation)[0]).float().cpu().numpy()

    def _mean_q_values(self, observation: PyTorchObs) -> th.Tensor:
        assert self.mirror is not None
        return self.mirror.mean_q_values(self.q_net, observation)  # type: ignore[arg-type]

    def explore(self, observation: np.ndarray | dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, float], np.ndarray]:
        """
        Draw training actions from the exploration rule, or at random with the ladder's probability for each environment. The
        rule gets the Q-values of the image only, not the means with its mirror image.

        :param observation: a batch of observations, (n_envs, ...)
        :return: actions (n_envs,) int64; metrics of the draw: entropy in nats and action gap, both averaged over the
            environments; and the Q-values (n_envs, n_actions) that the rule was given
        :raises ValueError: if the rule does not return probabilities
        """
        assert self.exploration is not None, "DDQN gives its policy an exploration rule in _setup_model()"
        q_values = self._computed(self.q_net, observation)
        self.exploration.observe(q_values)
        epsilons = ladder_epsilons(len(q_values), *self.ladder)
        probabilities = mixed_with_random(checked_probabilities(self.exploration, q_values), epsilons)
        metrics = {"entropy": entropy(probabilities), "action_gap": action_gap(q_values)}
        return sample_actions(probabilities), metrics, q_values

    def _predict(self, observation: PyTorchObs, deterministic: bool = True) -> th.Tensor:
        if self.mirror is None:
            return super()._predict(observation, deterministic)
        return self._mean_q_values(observation).argmax(dim=1)

    def continue_exploration(self, state: dict[str, Any]) -> None:
        """
        Restore the state of the exploration rule.

        :param state: result of a rule's ``get_state``; ignored if it belongs to another kind of rule
        """
        if self.exploration is not None and state.keys() == self.exploration.get_state().keys():
            self.exploration.set_state(state)


MlpPolicy = DDQNPolicy


class CnnPolicy(DDQNPolicy, dqn_policies.CnnPolicy):
    """
    :class:`DDQNPolicy` for images: Nature CNN (3 convolutions and a linear layer) and a linear head.
    """


class NativeCnnPolicy(CnnPolicy):
    """
    :class:`CnnPolicy` with :class:`~sb3_breakout.ddqn.native_cnn.NativeCNN`, for pictures in the emulator's own size. Between
    features and Q-values are two layers of 64 units, SB3's default (``net_arch``) for all extractors but its ``NatureCNN``.

    :param args: arguments of ``CnnPolicy``
    :param kwargs: keyword arguments of ``CnnPolicy``
    """

    def __init__(self, *args: Any, features_extractor_class: type[BaseFeaturesExtractor] = NativeCNN, **kwargs: Any) -> None:
        super().__init__(*args, features_extractor_class=features_extractor_class, **kwargs)


class MultiInputPolicy(DDQNPolicy, dqn_policies.MultiInputPolicy):
    """
    :class:`DDQNPolicy` for dictionary observations.
    """


COUNTERPARTS = {
    dqn_policies.DQNPolicy: DDQNPolicy,
    dqn_policies.CnnPolicy: CnnPolicy,
    dqn_policies.MultiInputPolicy: MultiInputPolicy,
}


def counterpart(policy_class: type[BasePolicy]) -> type[DDQNPolicy]:
    """
    :param policy_class: as given by the user or a model file
    :return: the same class; for one of SB3's, the ``DDQNPolicy`` with the same networks
    :raises ValueError: if it is neither a ``DDQNPolicy`` nor one of SB3's for DQN
    """
    if issubclass(policy_class, DDQNPolicy):
        return policy_class
    if policy_class not in COUNTERPARTS:
        raise ValueError(f"The policy must be a DDQNPolicy or one of SB3's for DQN, received {policy_class.__name__}.")
    return COUNTERPARTS[policy_class]
