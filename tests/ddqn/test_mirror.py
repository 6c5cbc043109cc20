"""Mirrored transitions: each checked by hand, and learning the mirror image of a game without ever playing it."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from sb3_breakout import C51, DDQN
from sb3_breakout.ddqn.mirror import Mirror
from sb3_breakout.replay import PrioritizedReplayBufferSamples
from tests.ddqn.environments import Corridor


def test_each_transition_is_mirrored_as_a_whole_or_not_at_all() -> None:
    th.manual_seed(0)
    n, swapped = 400, {0: 0, 1: 1, 2: 3, 3: 2}
    frames = th.randint(256, (n, 5, 6, 7), dtype=th.uint8)  # obs and next_obs share memory, as in the buffer
    numbers = [th.rand(n, 1) for _ in range(4)]
    batch = PrioritizedReplayBufferSamples(frames[:, :4], th.randint(4, (n, 1)), frames[:, 1:], *numbers, np.arange(n))
    before = frames.clone()
    result = Mirror([0, 1, 3, 2], th.device("cpu"))(batch)

    assert th.equal(frames, before)
    for name in ("dones", "rewards", "discounts", "weights", "indices"):
        assert getattr(result, name) is getattr(batch, name)
    mirrored = 0
    for row in range(n):
        action = int(batch.actions[row])
        columns = [6, 5, 4, 3, 2, 1, 0]
        as_it_was = th.equal(result.observations[row], before[row, :4])
        assert th.equal(result.observations[row], before[row, :4] if as_it_was else before[row, :4][..., columns])
        assert th.equal(result.next_observations[row], before[row, 1:] if as_it_was else before[row, 1:][..., columns])
        assert int(result.actions[row]) == (action if as_it_was else swapped[action])
        mirrored += not as_it_was
    assert abs(mirrored - n / 2) < 4 * np.sqrt(n / 4)  # four standard deviations


class OneSided(gym.Env[np.ndarray, int]):
    """Episodes of one step. One half of the picture is bright, here always the left. Naming it (0 left, 1 right) pays 1."""

    observation_space = spaces.Box(0, 255, (1, 36, 36), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        return self.picture(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return self.picture(), float(action == 0), True, False, {}

    def picture(self) -> np.ndarray:
        picture = np.zeros((1, 36, 36), np.uint8)
        picture[..., :18] = 255
        return picture


@pytest.mark.parametrize("algorithm", [DDQN, C51])
def test_the_mirrored_game_is_learned_unseen(algorithm: type[DDQN]) -> None:
    arguments: dict[str, Any] = dict(
        policy_kwargs=dict(features_extractor_kwargs=dict(features_dim=16)),
        learning_starts=50,
        buffer_size=500,
        batch_size=16,
        train_freq=2,
        learning_rate=1e-3,
        seed=0,
    )
    model = algorithm("CnnPolicy", OneSided(), mirrored_actions=[1, 0], **arguments).learn(300)
    picture = OneSided().picture()
    both = np.stack([picture, picture[..., ::-1]])
    with th.no_grad():
        q_values = model.q_net(th.as_tensor(both))  # without the mean over mirror images that predict() takes
    assert q_values.argmax(dim=1).tolist() == [0, 1]


def test_saved_with_the_model(tmp_path: Any) -> None:
    DDQN("CnnPolicy", OneSided(), mirrored_actions=[1, 0], buffer_size=10).save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model")
    assert loaded.mirrored_actions == [1, 0] and loaded.policy.mirror is not None
    assert DDQN("MlpPolicy", Corridor(), buffer_size=10).policy.mirror is None


def test_predict_takes_the_mean_of_both_images() -> None:
    model = DDQN("CnnPolicy", OneSided(), mirrored_actions=[1, 0], buffer_size=10, seed=0, evaluation_epsilon=0.0)
    pictures = np.random.default_rng(0).integers(0, 256, (50, 1, 36, 36), np.uint8)
    actions, _ = model.predict(pictures)
    in_mirror, _ = model.predict(np.ascontiguousarray(pictures[..., ::-1]))
    assert np.array_equal(in_mirror, 1 - actions)  # the agent is symmetric, though its network is not
    with th.no_grad():
        one, other = (model.q_net(th.as_tensor(seen.copy())).numpy() for seen in (pictures, pictures[..., ::-1]))
    assert np.array_equal(actions, (one + other[:, [1, 0]]).argmax(axis=1))
    assert not np.array_equal(actions, one.argmax(axis=1))
    # The Q-values that are recorded and drawn are those the agent acts on
    np.testing.assert_allclose(model.policy.q_values(pictures), (one + other[:, [1, 0]]) / 2, atol=1e-6)
    assert np.array_equal(actions, model.policy.q_values(pictures).argmax(axis=1))
