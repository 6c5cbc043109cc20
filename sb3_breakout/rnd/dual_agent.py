"""Callbacks for Random Network Distillation: the bonus alone, or with a separate exploration agent."""

import copy
from collections import deque
from functools import partial
from pathlib import Path

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import unwrap_vec_wrapper

from sb3_breakout.common.arguments import check_positive, check_unit_interval
from sb3_breakout.common.rewards import INTRINSIC_REWARD, mixed_rewards
from sb3_breakout.ddqn import DDQN, QLearner
from sb3_breakout.replay import PrioritizedReplayBuffer, ReplayView
from sb3_breakout.rnd.ddqn_rnd import DDQNRND
from sb3_breakout.rnd.reward_wrapper import RNDRewardWrapper

EXPORTED = "exploration_agent.zip"


class RNDCallback(BaseCallback):
    """
    Activates the :class:`~sb3_breakout.rnd.RNDRewardWrapper` of the training environment, and logs the bonus. With
    ``reward: combined`` in the wrapper, on-policy algorithms need nothing else.

    :param verbose: see SB3
    :raises ValueError: at the start of training, if the environment has no ``RNDRewardWrapper``
    """

    wrapper: RNDRewardWrapper

    def _on_training_start(self) -> None:
        wrapper = unwrap_vec_wrapper(self.training_env, RNDRewardWrapper)
        if wrapper is None:
            raise ValueError(
                f"{type(self).__name__} needs a training environment in RNDRewardWrapper. In RL Zoo, add this line to the "
                "hyperparameters:\n  vec_env_wrapper: sb3_breakout.rnd.RNDRewardWrapper"
            )
        self.wrapper = wrapper
        self.wrapper.activate(self.model.device)

    def _on_step(self) -> bool:
        for name, value in self.wrapper.metrics.items():
            self.logger.record_mean(f"rnd/{name}", value)
        return True


class DualAgentCallback(RNDCallback):
    """
    Trains an exploration agent beside the model, which is the exploitation agent. The explorer chooses the training actions.
    Both learn from the same stored transitions, each with its own priorities: the model from the extrinsic reward, the
    explorer from ``(1 - alpha) * extrinsic + alpha * intrinsic`` with the current alpha.

    The explorer has the model's hyperparameters. :class:`~sb3_breakout.rnd.DDQNRND` (``ddqn_rnd`` in RL Zoo) saves it in the
    model file; with a plain ``DDQN`` it is only exported.

    Alpha starts to change at the first update: the steps before it (``learning_starts``) are not counted.

    :param alpha_initial: share of the intrinsic reward when learning starts, in [0, 1]
    :param alpha_final: share after ``alpha_fraction`` of the learning
    :param alpha_fraction: fraction of the learning over which alpha changes linearly, in (0, 1]
    :param save_path: folder where ``exploration_agent.zip`` is written at the end of training: the explorer as a ``DDQN``
        model, for instance to watch it; None writes no file (RL Zoo: the folder of the run)
    :param verbose: see SB3
    :raises ValueError: if an argument is out of its range; at the start of training, if wrapper, buffer or model are
        unsuitable, or if the training would end before learning starts
    """

    AGREEMENT_INTERVAL = 1000  # environment steps between two measurements of the agents' agreement

    model: DDQN
    view: ReplayView  # of the explorer

    def __init__(
        self,
        alpha_initial: float = 0.5,
        alpha_final: float = 0.1,
        alpha_fraction: float = 0.5,
        save_path: str | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        check_unit_interval("alpha_initial", alpha_initial)
        check_unit_interval("alpha_final", alpha_final)
        check_unit_interval("alpha_fraction", alpha_fraction)
        check_positive("alpha_fraction", alpha_fraction)
        self.alpha_initial = alpha_initial
        self.alpha_final = alpha_final
        self.alpha_fraction = alpha_fraction
        self.save_path = save_path
        self.explorer: QLearner | None = None
        self._beside: DDQN | None = None  # the model that the explorer was created for
        self._episodes: deque[np.ndarray] = deque(maxlen=10)  # (extrinsic, combined) rewards of the last episodes

    @property
    def alpha(self) -> float:
        """Current share of the intrinsic reward."""
        learning = 1.0 - self.model.learning_starts / self.model._total_timesteps  # as a share of the training
        progress_remaining = min(self.model._current_progress_remaining / learning, 1.0)
        return LinearSchedule(self.alpha_initial, self.alpha_final, self.alpha_fraction)(progress_remaining)

    def _on_training_start(self) -> None:
        self._check_model()
        super()._on_training_start()
        if self.wrapper.reward != "extrinsic":
            raise ValueError(
                f"DualAgentCallback needs RNDRewardWrapper(reward='extrinsic'), not {self.wrapper.reward!r}: "
                "the exploitation agent learns from the extrinsic reward alone."
            )
        if self.model._total_timesteps <= self.model.learning_starts:
            raise ValueError(
                f"This training of {self.model._total_timesteps} steps is over before learning starts "
                f"(learning_starts={self.model.learning_starts}), and so are alpha and the bonus."
            )
        buffer = self.model.replay_buffer
        assert isinstance(buffer, PrioritizedReplayBuffer)
        self.view = buffer.learner(self.alpha)
        if self.explorer is None or self._beside is not self.model:
            self.explorer, self._beside = self.model.second_learner(self.view), self.model
            self._episodes.clear()
        self.explorer.view = self.view
        if isinstance(self.model, DDQNRND):
            assert self.wrapper.rnd is not None
            self.model.attach(self.explorer, self.wrapper.rnd)
        self.model.behaviour = self.explorer.policy
        self._rewards = np.zeros((self.training_env.num_envs, 2))  # (extrinsic, combined) rewards of the running episodes
        self._compared = self.num_timesteps

    def _check_model(self) -> None:
        if not isinstance(self.model, DDQN):
            raise ValueError(
                "DualAgentCallback needs a model whose training actions another agent can choose: DDQN or a subclass "
                f"(ddqn_rnd in RL Zoo), not {type(self.model).__name__}; for others: RNDRewardWrapper(reward='combined')."
            )
        if self.model.initial_priorities != "recent":
            raise ValueError(
                "DualAgentCallback needs initial_priorities='recent': the explorer chooses the actions, by Q-values for other "
                f"rewards than the model's, so that {self.model.initial_priorities!r} would not be the model's."
            )
        if not isinstance(self.model.replay_buffer, PrioritizedReplayBuffer):
            raise ValueError(
                "DualAgentCallback needs replay_buffer_class=PrioritizedReplayBuffer, where a second agent can learn, not "
                f"{type(self.model.replay_buffer).__name__}."
            )

    def _on_step(self) -> bool:
        assert self.explorer is not None
        if self.model.target_update_due():
            self.explorer.sync_target(self.model.tau)
        self._count_rewards()
        return super()._on_step()

    def _count_rewards(self) -> None:
        extrinsic = self.locals["rewards"]
        intrinsic = np.array([info[INTRINSIC_REWARD] for info in self.locals["infos"]], np.float32)
        self._rewards += np.stack((extrinsic, mixed_rewards(extrinsic, intrinsic, self.alpha)), axis=1)  # (n_envs, 2)
        for env in np.flatnonzero(self.locals["dones"]):
            self._episodes.append(self._rewards[env].copy())
            self._rewards[env] = 0.0
        figures = {"alpha": self.alpha}
        if self._episodes:
            figures["extrinsic"], figures["combined"] = np.mean(self._episodes, axis=0).tolist()
        self.model.figures = figures
        self.logger.record("rnd/alpha", self.alpha)
        for name in figures.keys() - {"alpha"}:
            self.logger.record(f"rollout/{name}_reward", figures[name])

    def _on_rollout_end(self) -> None:
        model = self.model
        if self.num_timesteps <= model.learning_starts or not model.enough_stored():
            return
        collected = self.locals["num_collected_steps"] * self.training_env.num_envs
        gradient_steps = model.gradient_steps if model.gradient_steps >= 0 else collected
        model.schedule_update(partial(self._update_explorer, gradient_steps))

    def _update_explorer(self, gradient_steps: int) -> None:
        assert self.explorer is not None
        self.view.reward_mix = self.alpha
        outcome = self.model.update(self.explorer, gradient_steps, self.model.batch_size)
        if outcome is None:
            return
        for name, value in outcome._asdict().items():
            self.logger.record_mean(f"explorer/{name}", value)
        if self.num_timesteps - self._compared >= self.AGREEMENT_INTERVAL:
            self._compared = self.num_timesteps
            self.logger.record_mean("rnd/agreement", self.agreement())

    def agreement(self) -> float:
        """
        :return: share of a batch, sampled with the explorer's priorities, in which both agents have the same greedy action
        """
        assert self.explorer is not None
        observations = self.view.sample(self.model.batch_size, self.model._vec_normalize_env).observations
        with th.no_grad():
            actions = [agent.policy.q_net(observations).argmax(dim=1) for agent in (self.model, self.explorer)]
        return float((actions[0] == actions[1]).float().mean())

    def _on_training_end(self) -> None:
        if self.save_path is not None and self.explorer is not None:
            exported = copy.copy(self.model)  # a shallow copy with another policy
            exported.policy = self.explorer.policy
            if isinstance(exported, DDQNRND):
                exported.explorer, exported.rnd = None, None
            exported.save(Path(self.save_path) / EXPORTED)
