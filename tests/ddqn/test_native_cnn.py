"""The network for pictures of the native size: hand-worked layer sizes, saving and loading, refused observations."""

from pathlib import Path

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.envs import FakeImageEnv
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN

from sb3_breakout import DDQN
from sb3_breakout.ddqn import NativeCNN
from sb3_breakout.evaluation import evaluation_env


def pictures(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


def test_sizes_by_hand() -> None:
    network = NativeCNN(pictures(24, 210, 160), features_dim=100)
    sizes = [tuple(parameter.shape) for name, parameter in network.named_parameters() if name.endswith("weight")]
    # 210 x 160 pixels, 26 x 20 after the first layer, 12 x 9 after the second, 10 x 7 after the third
    assert sizes == [(64, 24, 8, 8), (64, 64, 4, 4), (64, 64, 3, 3), (100, 64 * 10 * 7)]
    assert network(th.rand(2, 24, 210, 160)).shape == (2, 100)
    flat = NatureCNN(pictures(24, 210, 160)).linear[0]
    assert isinstance(flat, th.nn.Linear) and flat.in_features == 22_528  # the number in NativeCNN's docstring


@pytest.mark.parametrize(
    "space", [pictures(3, 63, 160), pictures(3, 210, 60), spaces.Box(0, 1, (3, 210, 160)), spaces.Discrete(3)], ids=str
)
def test_other_observations_are_refused(space: spaces.Space) -> None:
    with pytest.raises(ValueError, match=r"needs pictures of at least 64 x 64 pixels, received "):
        NativeCNN(space)


def test_smallest_picture() -> None:
    assert NativeCNN(pictures(3, 64, 64), features_dim=4)(th.rand(1, 3, 64, 64)).shape == (1, 4)


def test_saved_and_loaded(tmp_path: Path) -> None:
    env = evaluation_env(n_envs=1, n_stack=2, wrapper_kwargs=dict(screen_size=None, grayscale=False, frame_skip=2))
    model = DDQN("NativeCnnPolicy", env, buffer_size=10, device="cpu", seed=0)
    assert isinstance(model.q_net.features_extractor, NativeCNN)
    model.save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model", device="cpu")
    observation = env.reset()
    assert isinstance(observation, np.ndarray)
    np.testing.assert_array_equal(model.policy.q_values(observation), loaded.policy.q_values(observation))


class Viewing(BaseFeaturesExtractor):
    """Flattens with ``view``, as many extractors do."""

    def __init__(self, space: spaces.Box) -> None:
        super().__init__(space, features_dim=4 * 9 * 9)
        self.convolution = th.nn.Conv2d(space.shape[0], 4, 4, 4)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        pictures = self.convolution(observations)
        return pictures.view(pictures.size(0), -1)


@pytest.mark.parametrize("autocast", [False, True])
def test_extractor_of_the_users_own(autocast: bool) -> None:
    arguments = dict(buffer_size=50, learning_starts=10, batch_size=4, autocast=autocast, device="cpu")
    env = FakeImageEnv(screen_height=36, screen_width=36, n_channels=3)
    model = DDQN("CnnPolicy", env, policy_kwargs=dict(features_extractor_class=Viewing), **arguments).learn(20)
    assert model._n_updates > 0
