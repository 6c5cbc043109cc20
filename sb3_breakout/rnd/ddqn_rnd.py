"""DDQN whose model files also hold the exploration agent and the bonus."""

import io
import pathlib
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.save_util import load_from_zip_file, recursive_getattr
from stable_baselines3.common.type_aliases import TensorDict

from sb3_breakout.ddqn import DDQN, QLearner
from sb3_breakout.rnd.distillation import RND

# The parts of `explorer` and `rnd` that are saved, by their names in the model file
MODULES = ("explorer.policy", "explorer.policy.optimizer", "rnd", "rnd.optimizer")
RULE = "explorer.policy.exploration"
EXPLORATION = (*MODULES, RULE)


class DDQNRND(DDQN):
    """
    ``ddqn_rnd`` in RL Zoo: the exploitation agent in a training with two agents (see
    :class:`~sb3_breakout.rnd.DualAgentCallback`).

    It learns and plays as ``DDQN`` does. In addition, every model file (final, best, checkpoint) holds the explorer (policy,
    optimizer) and the bonus (networks, optimizer, statistics), and a resumed training continues with them. A model that is
    loaded for evaluation keeps them as tensors and builds no networks.

    All parameters are those of :class:`~sb3_breakout.ddqn.DDQN`.

    :raises ValueError: at the start of training, if there is no ``DualAgentCallback``
    """

    explorer: QLearner | None = None
    rnd: RND | None = None
    _saved_exploration: dict[str, Any] | None = None  # of a loaded model until it learns again, by the names in EXPLORATION

    def attach(self, explorer: QLearner, rnd: RND) -> None:
        """
        Save explorer and bonus with the model from now on. State that was attached or loaded earlier is loaded into them.

        :param explorer: the exploration agent
        :param rnd: the bonus of the explorer
        :raises ValueError: if the earlier bonus belongs to frames of another size
        """
        before = self._exploration_parameters()
        self.explorer, self.rnd, self._saved_exploration = explorer, rnd, None
        explorer.policy.continue_exploration(before.pop(RULE, {}))
        for name, state in before.items():
            recursive_getattr(self, name).load_state_dict(state)

    def forget_exploration(self) -> None:
        """Save the model without explorer and bonus from now on."""
        self.explorer, self.rnd, self._saved_exploration = None, None, None

    def _exploration_parameters(self) -> dict[str, Any]:
        if self.explorer is None:
            return dict(self._saved_exploration or {})
        parameters = {name: recursive_getattr(self, name).state_dict() for name in MODULES}
        state = recursive_getattr(self, RULE).get_state()
        # Plain numbers, since parameters are loaded as numbers and tensors only
        return parameters | {
            RULE: {key: value.item() if isinstance(value, np.generic) else value for key, value in state.items()}
        }

    def get_parameters(self) -> dict[str, dict]:
        """
        :return: parameters as in SB3, including those of the explorer and the bonus
        """
        return {**super().get_parameters(), **self._exploration_parameters()}

    def set_parameters(
        self,
        load_path_or_dict: str | pathlib.Path | io.BufferedIOBase | TensorDict,
        exact_match: bool = True,
        device: th.device | str = "auto",
    ) -> None:
        """
        Set parameters as in SB3, including those of the explorer and the bonus if there are any.

        :param load_path_or_dict: a model file, or what ``get_parameters`` returned
        :param exact_match: whether all parameters of the model itself must be given
        :param device: device to load the parameters to
        :raises ValueError: if the parameters do not belong to such a model
        """
        params: Any = load_path_or_dict
        if not isinstance(params, dict):
            _, params, _ = load_from_zip_file(params, device=device, load_data=False)
        super().set_parameters({name: state for name, state in params.items() if name not in EXPLORATION}, exact_match, device)
        explorer, rnd = self.explorer, self.rnd
        before = self._exploration_parameters()
        self.explorer, self.rnd = None, None
        self._saved_exploration = before | {name: state for name, state in params.items() if name in EXPLORATION}
        if explorer is not None and rnd is not None:
            self.attach(explorer, rnd)

    def _sample_action(self, *args: Any, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
        if self.behaviour is None:
            raise ValueError(
                "ddqn_rnd needs its exploration agent: pass DualAgentCallback() to learn(), or in RL Zoo add this line to "
                "the hyperparameters:\n  callback: sb3_breakout.rnd.DualAgentCallback"
            )
        return super()._sample_action(*args, **kwargs)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "explorer", "rnd", "_saved_exploration"]
