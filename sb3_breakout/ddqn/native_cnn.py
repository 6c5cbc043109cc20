"""A larger network for pictures in the emulator's own size and colours."""

import torch as th
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn


class NativeCNN(BaseFeaturesExtractor):
    """
    Features of native pictures, 210 x 160 on most Atari games. SB3's ``NatureCNN``, made for 84 x 84, would turn one into
    22,528 values before its linear layer. Here the first layer has twice the filters and a stride of 8, for a grid of 26 x 20
    cells (``NatureCNN`` on 84 x 84: 20 x 20), and the linear layer gets 4,480 values. The other layers are those of
    ``NatureCNN``.

    :param observation_space: pictures, channel first, (channels, height, width) uint8, height and width at least 64
    :param features_dim: number of features
    :param normalized_image: whether pictures come as floats in [0, 1] instead
    :raises ValueError: if the observations are not such pictures
    """

    def __init__(self, observation_space: spaces.Space, features_dim: int = 512, normalized_image: bool = False) -> None:
        shape = observation_space.shape or ()
        if not is_image_space(observation_space, normalized_image=normalized_image) or min(shape[1:]) < 64:
            raise ValueError(f"NativeCNN needs pictures of at least 64 x 64 pixels, received {observation_space}.")
        super().__init__(observation_space, features_dim)
        convolutions = nn.Sequential(
            nn.Conv2d(shape[0], 64, kernel_size=8, stride=8),
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        with th.no_grad():
            n_flat = convolutions(th.zeros(1, *shape)).shape[1]
        self.layers = nn.Sequential(convolutions, nn.Linear(n_flat, features_dim), nn.ReLU())

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """
        :param observations: (batch, channels, height, width), in [0, 1]
        :return: features, (batch, features_dim)
        """
        return self.layers(observations)
