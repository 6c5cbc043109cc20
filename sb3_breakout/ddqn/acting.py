"""DQN that draws its training actions from the exploration rule of a policy."""

from collections import deque
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise

from sb3_breakout.ddqn.arguments import DDQNArguments
from sb3_breakout.ddqn.exploration import ExplorationRule
from sb3_breakout.ddqn.initial_priorities import ActorTDErrors
from sb3_breakout.ddqn.policies import DDQNPolicy
from sb3_breakout.replay import PrioritizedReplayBuffer


class ActingDQN(DDQNArguments):
    """
    SB3's DQN with its epsilon-greedy actions replaced by the exploration rule of the policy. It keeps the latest scores by
    environment and, if requested, derives the priority of each new transition from the Q-values that its action was chosen
    with.

    Base class of :class:`~sb3_breakout.ddqn.DDQN`, not to be used on its own.
    """

    behaviour: DDQNPolicy | None = None  # the agent that chooses training actions; None for this model's own policy
    _actor_errors: ActorTDErrors | None = None
    _episodes_ended = 0  # in the latest step, over all environments
    _step_open = False  # an action was chosen, but its transition is not stored (yet, or because learn() was stopped)
    _scores: deque[tuple[int, float]]  # (environment, score) of the latest episodes

    @property
    def temperature(self) -> float | None:
        """The current Boltzmann temperature, ``None`` under another exploration rule."""
        return getattr(self._exploration_rule, "temperature", None)

    @property
    def epsilon(self) -> float | None:
        """The current epsilon of epsilon-greedy exploration, ``None`` under another rule."""
        return getattr(self._exploration_rule, "epsilon", None)

    @property
    def _exploration_rule(self) -> ExplorationRule:
        """The rule of the policy that chooses training actions."""
        rule = (self.behaviour or self.policy).exploration
        assert rule is not None
        return rule

    @property
    def _prefilling(self) -> bool:
        """
        Whether random actions still fill the buffer; a model that was trained before acts by its own policy from the start.
        """
        return self.num_timesteps < self.learning_starts and self._n_updates == 0

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        self._step_open = True
        if self._prefilling:
            actions = np.array([self.action_space.sample() for _ in range(n_envs)])
        else:
            assert self._last_obs is not None, "self._last_obs was not set"
            actions, metrics, q_values = (self.behaviour or self.policy).explore(self._last_obs)
            for name, value in metrics.items():
                self.logger.record_mean(f"rollout/{name}", value)
            if self._actor_errors is not None and self.behaviour is None:
                assert isinstance(self.replay_buffer, PrioritizedReplayBuffer)
                self.replay_buffer.set_initial_priorities(*self._actor_errors.acted(q_values, actions))
        return actions, actions

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: np.ndarray,
        new_obs: np.ndarray | dict[str, np.ndarray],
        reward: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        try:
            super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        except ValueError as error:
            raise ValueError(f"At environment step {self.num_timesteps}: {error}") from error
        if self._actor_errors is not None:
            self._actor_errors.stored(reward, dones, infos)
        self._episodes_ended = int(dones.sum())
        self._step_open = False

    def _update_info_buffer(self, infos: list[dict[str, Any]], dones: np.ndarray | None = None) -> None:
        super()._update_info_buffer(infos, dones)
        self._scores.extend((env, info["episode"]["r"]) for env, info in enumerate(infos) if "episode" in info)
