"""The bonus: networks, their training, and the running statistics that normalize frames and bonus."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.running_mean_std import RunningMeanStd
from torch import nn

from sb3_breakout.common.arguments import check_at_least, check_positive, check_unit_interval
from sb3_breakout.rnd.networks import make_predictor, make_target, prediction_errors

CLIP = 5.0  # bound of the absolute values of whitened frames
RETURN_WINDOW = 10_000  # number of collected frames that the scale of the bonus is averaged over
EXTRA_STATE = "_extra_state"  # PyTorch's key for the result of get_extra_state()


class RND(nn.Module):
    """
    Random Network Distillation: the bonus of a frame is how badly a network, trained on the frames seen so far,
    predicts a fixed random one.

    Paper: https://arxiv.org/abs/1810.12894

    Frames are whitened and clipped to [-5, 5]; the bonus is divided by the running standard deviation of its discounted return
    (section 2.4). Unlike in the paper, that deviation covers the recent past only: raw bonuses fall by orders of magnitude
    while the predictor learns, and a deviation over the whole past would stay on their initial scale. The ``state_dict`` holds
    networks and statistics.

    :param observation_space: space of single frames: images of 1 or 3 channels (first or last), or vectors
    :param n_envs: number of environments
    :param learning_rate: learning rate of the predictor (Adam)
    :param update_proportion: share of the collected frames that the predictor is trained on
    :param batch_size: frames per update of the predictor: one update per ``batch_size / update_proportion`` collected frames,
        whatever the number of environments
    :param gamma: discount of the return that the bonus is scaled by
    :param initial_steps: collected frames that only update the statistics; their bonus is 0, as there is no scale yet
    :raises ValueError: if an argument is out of its range, or the observations are stacked frames or neither
        images nor vectors
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        n_envs: int,
        learning_rate: float = 1e-4,
        update_proportion: float = 0.25,
        batch_size: int = 64,
        gamma: float = 0.99,
        initial_steps: int = 1000,
    ) -> None:
        super().__init__()
        check_rnd_arguments(learning_rate, update_proportion, batch_size, gamma, initial_steps)
        self.frame_shape, self._channels_last = check_single_frames(observation_space)
        self.update_proportion = update_proportion
        self.batch_size = int(batch_size)
        self.gamma = gamma
        self.initial_steps = int(initial_steps)
        self.target = make_target(self.frame_shape)
        self.predictor = make_predictor(self.frame_shape)
        self.optimizer = th.optim.Adam(self.predictor.parameters(), lr=learning_rate, fused=True)
        self.frame_statistics = RunningMeanStd(shape=self.frame_shape)
        self.return_statistics = RunningMeanStd()
        self.n_frames = 0  # number of frames collected so far
        self.last_loss: float | None = None  # of the predictor's latest update
        self._returns = np.zeros(n_envs)  # discounted return of the raw bonus
        self._kept: list[np.ndarray] = []  # frames collected for the predictor's next update

    def observe(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Update the statistics with the frames of one step, train the predictor when a batch is full, and return the bonus.

        :param frames: ``(n_envs, *observation_space.shape)``
        :return: raw and scaled bonus, each (n_envs,) float32, not negative; the scaled one is 0 during ``initial_steps``
        """
        frames = self._channels_first(frames)
        self.frame_statistics.update(frames)
        bonus = self.bonus(frames)
        self._returns = self.gamma * self._returns + bonus
        self.return_statistics.update(self._returns)
        self.return_statistics.count = min(self.return_statistics.count, RETURN_WINDOW)
        initial = self.n_frames < self.initial_steps
        self.n_frames += len(frames)
        if initial:
            return bonus, np.zeros_like(bonus)
        self._keep(frames)
        return bonus, (bonus / self.scale).astype(np.float32)

    @property
    def scale(self) -> float:
        """Standard deviation of the discounted return of the raw bonus, over about the last ``RETURN_WINDOW`` frames."""
        return float(np.sqrt(self.return_statistics.var) + 1e-8)

    def bonus(self, frames: np.ndarray) -> np.ndarray:
        """
        :param frames: ``(batch, *frame_shape)``, channels first
        :return: raw bonus (batch,) float32; no state changes
        """
        with th.no_grad():
            return self._errors(frames).cpu().numpy()

    def _errors(self, frames: np.ndarray) -> th.Tensor:
        device = next(self.predictor.parameters()).device
        return prediction_errors(self.target, self.predictor, th.from_numpy(self.whitened(frames)).to(device))

    def whitened(self, frames: np.ndarray) -> np.ndarray:
        """
        :param frames: ``(batch, *frame_shape)``, channels first
        :return: float32, same shape, in [-5, 5]
        """
        mean = self.frame_statistics.mean.astype(np.float32)
        std = np.sqrt(self.frame_statistics.var + 1e-8).astype(np.float32)
        return ((frames - mean) / std).clip(-CLIP, CLIP).astype(np.float32, copy=False)

    def _keep(self, frames: np.ndarray) -> None:
        """Draw the frames to train on, and update the predictor as soon as they fill a batch."""
        self._kept += list(frames[np.random.random(len(frames)) < self.update_proportion])
        while len(self._kept) >= self.batch_size:
            batch, self._kept = self._kept[: self.batch_size], self._kept[self.batch_size :]
            self._update(np.stack(batch))

    def _update(self, frames: np.ndarray) -> None:
        loss = self._errors(frames).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.last_loss = loss.item()

    def _channels_first(self, frames: np.ndarray) -> np.ndarray:
        return np.moveaxis(frames, -1, 1) if self._channels_last else frames

    def get_extra_state(self) -> dict[str, Any]:
        statistics = {"frame": self.frame_statistics, "return": self.return_statistics}
        moments = {
            f"{name}_{part}": th.as_tensor(np.array(getattr(each, part)))
            for name, each in statistics.items()
            for part in ("mean", "var", "count")
        }
        return {**moments, "returns": th.as_tensor(self._returns), "n_frames": self.n_frames}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        for name, each in (("frame", self.frame_statistics), ("return", self.return_statistics)):
            each.mean = state[f"{name}_mean"].cpu().numpy().copy()
            each.var = state[f"{name}_var"].cpu().numpy().copy()
            each.count = float(state[f"{name}_count"])
        self.n_frames = state["n_frames"]
        if len(state["returns"]) == len(self._returns):  # otherwise the number of environments has changed
            self._returns = state["returns"].cpu().numpy().copy()

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """
        Load the state as PyTorch does, for frames of the same size only.

        :param state_dict: what ``state_dict`` returned
        :param strict: see PyTorch
        :param assign: see PyTorch
        :raises ValueError: if the state belongs to frames of another shape
        """
        saved = tuple(state_dict[EXTRA_STATE]["frame_mean"].shape)
        if saved != self.frame_shape:
            raise ValueError(f"The saved RND networks and statistics are for frames of shape {saved}, not {self.frame_shape}.")
        return super().load_state_dict(state_dict, strict, assign)


def check_rnd_arguments(
    learning_rate: float, update_proportion: float, batch_size: int, gamma: float, initial_steps: int
) -> None:
    """
    Check the arguments of :class:`RND`.

    :param learning_rate: must be above 0
    :param update_proportion: must be in (0, 1]
    :param batch_size: must be a whole number of at least 1
    :param gamma: must be in [0, 1]
    :param initial_steps: must be a whole number of at least 0
    :raises ValueError: if one of them is out of its range, naming it
    """
    check_positive("learning_rate", learning_rate)
    check_positive("update_proportion", update_proportion)
    check_unit_interval("update_proportion", update_proportion)
    check_at_least("batch_size", batch_size, 1)
    check_unit_interval("gamma", gamma)
    check_at_least("initial_steps", initial_steps, 0)


def check_single_frames(space: spaces.Space) -> tuple[tuple[int, ...], bool]:
    """
    :param space: observation space of an environment
    :return: shape of a frame, (channels, height, width) or (features,), and whether observations have channels last
    :raises ValueError: if observations are stacked frames, or neither images nor vectors
    """
    if not isinstance(space, spaces.Box):
        raise ValueError(f"RND takes images or vectors (Box observations), not {space}.")
    if len(space.shape) == 1:
        return space.shape, False
    if len(space.shape) == 3 and not is_image_space(space) and {space.shape[0], space.shape[-1]} & {1, 3}:
        raise ValueError(f"RND takes images as uint8 from 0 to 255, received {space}.")
    channels_first = is_image_space(space) and is_image_space_channels_first(space)
    if not is_image_space(space) or space.shape[0 if channels_first else -1] not in (1, 3):
        raise ValueError(
            f"RND takes single frames, images of 1 or 3 channels or vectors; observations of shape {space.shape} "
            "look like a stack of frames: put RNDRewardWrapper below the frame stack (and frame_stack in the YAML file "
            "instead of a stacking env_wrapper)."
        )
    if channels_first:
        return space.shape, False
    height, width, channels = space.shape
    return (channels, height, width), True
