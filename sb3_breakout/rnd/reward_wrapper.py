"""A wrapper of vectorised environments that adds the intrinsic reward of each step."""

import warnings
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecFrameStack, VecNormalize, unwrap_vec_wrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from sb3_breakout.common.arguments import check_choice, check_unit_interval
from sb3_breakout.common.rewards import INTRINSIC_REWARD, mixed_rewards
from sb3_breakout.common.torch_utils import choose_device
from sb3_breakout.rnd.distillation import RND, check_rnd_arguments, check_single_frames


class RNDRewardWrapper(VecEnvWrapper):
    """
    Adds the bonus of Random Network Distillation, below any frame stack.

    Paper: https://arxiv.org/abs/1810.12894

    Until it is activated it changes nothing and has no networks: RL Zoo puts it around evaluation
    and ``enjoy`` environments too. In training, :class:`~sb3_breakout.rnd.RNDCallback` or
    :class:`~sb3_breakout.rnd.DualAgentCallback` activates it.

    The bonus of a step is that of the resulting frame; at the end of an episode, that of the last frame.

    :param venv: environments whose observations are single frames: images of 1 or 3 channels, or vectors
    :param reward: ``"extrinsic"`` leaves the reward unchanged and puts the bonus into ``infos[i]["intrinsic_reward"]``;
        ``"combined"`` also makes the reward ``(1 - alpha) * reward + alpha * bonus``, for algorithms with one reward
    :param alpha: share of the bonus in the combined reward, in [0, 1]
    :param active: activate the wrapper at once
    :param learning_rate: learning rate of the predictor, see :class:`~sb3_breakout.rnd.RND`
    :param update_proportion: share of the collected frames that the predictor is trained on
    :param batch_size: frames per update of the predictor
    :param gamma: discount of the return that the bonus is scaled by
    :param initial_steps: collected frames without a bonus, for the statistics
    :raises ValueError: if an argument is out of its range, or the observations are not single frames
    """

    REWARDS = ("extrinsic", "combined")

    def __init__(
        self,
        venv: VecEnv,
        reward: str = "extrinsic",
        alpha: float = 0.5,
        active: bool = False,
        learning_rate: float = 1e-4,
        update_proportion: float = 0.25,
        batch_size: int = 64,
        gamma: float = 0.99,
        initial_steps: int = 1000,
    ) -> None:
        super().__init__(venv)
        check_choice("reward", reward, self.REWARDS)
        check_unit_interval("alpha", alpha)
        check_single_frames(venv.observation_space)
        if unwrap_vec_wrapper(venv, VecFrameStack) is not None:
            raise ValueError("RND takes single frames: put RNDRewardWrapper below VecFrameStack, not around it.")
        if reward == "combined" and unwrap_vec_wrapper(venv, VecNormalize) is not None:
            warnings.warn(
                "RNDRewardWrapper around VecNormalize: off-policy algorithms of SB3 store the rewards of VecNormalize, "
                "without the bonus. For them, put VecNormalize around RNDRewardWrapper.",
                stacklevel=2,
            )
        self.reward = reward
        self.alpha = alpha
        self.rnd_arguments: dict[str, Any] = {
            "learning_rate": learning_rate,
            "update_proportion": update_proportion,
            "batch_size": batch_size,
            "gamma": gamma,
            "initial_steps": initial_steps,
        }
        check_rnd_arguments(**self.rnd_arguments)
        self.rnd: RND | None = None
        self.metrics: dict[str, float] = {}  # of the latest step
        if active:
            self.activate()

    @property
    def active(self) -> bool:
        """Whether the bonus is computed."""
        return self.rnd is not None

    def activate(self, device: th.device | str = "auto") -> RND:
        """
        Compute the bonus from now on. The networks are created at the first call.

        :param device: device of the networks
        :return: the bonus: networks and statistics
        :raises ValueError: if images are too small
        """
        if self.rnd is None:
            rnd = RND(self.observation_space, self.num_envs, **self.rnd_arguments)
            self.rnd = rnd.to(choose_device(device))
        return self.rnd

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        if self.rnd is None:
            return observations, rewards, dones, infos
        assert isinstance(observations, np.ndarray)
        frames = observations.copy()
        for env in np.flatnonzero(dones):  # the observation is already the first of the next episode
            frames[env] = infos[env].get("terminal_observation", frames[env])
        raw, bonus = self.rnd.observe(frames)
        for info, value in zip(infos, bonus.tolist(), strict=True):
            info[INTRINSIC_REWARD] = value
        self.metrics = {"bonus_raw": float(raw.mean()), "bonus": float(bonus.mean()), "bonus_scale": self.rnd.scale}
        if self.rnd.last_loss is not None:
            self.metrics["predictor_loss"] = self.rnd.last_loss
        if self.reward == "combined":
            rewards = mixed_rewards(rewards, bonus, self.alpha)
        return observations, rewards, dones, infos
