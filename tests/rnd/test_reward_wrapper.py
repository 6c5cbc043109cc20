"""The reward wrapper: without effect until it is activated, then the bonus of the right frame."""

from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from sb3_breakout import RNDCallback, RNDRewardWrapper
from sb3_breakout.rnd import RND
from tests.ddqn.environments import Corridor
from tests.rnd.agents import corridors


def play(env: Any, steps: int, seed: int = 0) -> list[tuple]:
    rng = np.random.default_rng(seed)
    env.seed(seed)
    observations = [env.reset()]
    return [tuple(observations), *(env.step(rng.integers(0, 2, env.num_envs)) for _ in range(steps))]


def test_normalized_rewards_below_the_bonus() -> None:
    with pytest.warns(UserWarning, match="put VecNormalize around RNDRewardWrapper"):
        RNDRewardWrapper(VecNormalize(make_vec_env(Corridor, 2)), reward="combined")
    RNDRewardWrapper(VecNormalize(make_vec_env(Corridor, 2)))


@pytest.mark.parametrize("reward", ["extrinsic", "combined"])
@pytest.mark.parametrize("observation", ["vector", "image"])
def test_passive_bit_for_bit(reward: str, observation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A passive wrapper builds no network, draws no random number and changes nothing it passes on."""
    monkeypatch.setattr(RND, "__init__", lambda *_, **__: pytest.fail("networks were built"))
    plain = make_vec_env(lambda: Corridor(observation), 3)
    wrapped = RNDRewardWrapper(make_vec_env(lambda: Corridor(observation), 3), reward=reward)
    random_state = np.random.get_state()[1].copy(), th.get_rng_state()
    assert not wrapped.active
    for one, its in zip(play(plain, 80), play(wrapped, 80), strict=True):
        assert len(one) == len(its)
        for part, other in zip(one[:3], its[:3], strict=True):
            assert part.tobytes() == other.tobytes() and part.dtype == other.dtype
        for info, other in zip(one[3] if len(one) > 1 else [], its[3] if len(its) > 1 else [], strict=True):
            assert "intrinsic_reward" not in other and info.keys() == other.keys()
    assert wrapped.metrics == {}
    assert np.array_equal(np.random.get_state()[1], random_state[0]) and th.equal(th.get_rng_state(), random_state[1])


def test_bonus_beside_an_unchanged_reward() -> None:
    plain, active = make_vec_env(Corridor, 2), corridors(active=True)
    for one, its in list(zip(play(plain, 80), play(active, 80), strict=True))[1:]:
        for part, other in zip(one[:3], its[:3], strict=True):
            assert part.tobytes() == other.tobytes()
        assert all(type(info["intrinsic_reward"]) is float and info["intrinsic_reward"] >= 0.0 for info in its[3])
    assert active.metrics.keys() == {"bonus_raw", "bonus", "bonus_scale", "predictor_loss"}


def test_combined_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """With alpha 0.25, extrinsic rewards 0 or 1 and an intrinsic reward of 2, the combined reward is 0.5 or 1.25."""
    env = corridors(active=True, reward="combined", alpha=0.25)
    monkeypatch.setattr(env.rnd, "observe", lambda frames: (np.ones(2, np.float32), np.full(2, 2.0, np.float32)))
    rewards = np.concatenate([step[1] for step in play(env, 100)[1:]])
    assert rewards.dtype == np.float32 and set(rewards.tolist()) == {0.5, 1.25}


def test_end_of_an_episode_is_judged_by_its_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a done the observation belongs to the next episode. The bonus must be that of the terminal observation."""
    env = corridors(n_envs=1, active=True)
    seen: list[np.ndarray] = []
    original = env.rnd.observe  # type: ignore[union-attr]
    monkeypatch.setattr(env.rnd, "observe", lambda frames: (seen.append(frames.copy()), original(frames))[1])
    env.reset()
    for _ in range(5):
        observation, _, dones, infos = env.step(np.ones(1, np.int64))
    assert dones[0] and observation[0].argmax() == 0
    assert [int(frames.argmax()) for frames in seen] == [1, 2, 3, 4, 5]
    assert infos[0]["terminal_observation"].argmax() == 5 and "intrinsic_reward" in infos[0]


def test_newest_frame_below_a_frame_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = corridors(make=lambda: Corridor("image"))
    env = VecFrameStack(wrapper, 4)
    shapes: set[tuple] = set()
    wrapper.activate("cpu")
    original = wrapper.rnd.observe  # type: ignore[union-attr]
    monkeypatch.setattr(wrapper.rnd, "observe", lambda frames: (shapes.add(frames.shape), original(frames))[1])
    steps = play(env, 20)
    assert shapes == {(2, 36, 36, 1)} and steps[1][0].shape == (2, 36, 36, 4)


def test_statistics_once_per_collected_step() -> None:
    env = corridors(n_envs=3)
    rnd = env.activate("cpu")
    assert env.activate("cpu") is rnd
    play(env, 50)
    assert rnd.n_frames == 150
    assert rnd.frame_statistics.count == pytest.approx(150, abs=1e-3)
    assert rnd.return_statistics.count == pytest.approx(150, abs=1e-3)


@pytest.mark.parametrize("active", [True, False])
def test_ppo_with_the_combined_reward(active: bool) -> None:
    """Activated on construction, or by the callback, as in RL Zoo, which wraps the evaluation environments too."""
    env = corridors(reward="combined", active=active)
    model = PPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(128, callback=None if active else RNDCallback())
    assert env.active and env.metrics["bonus"] > 0.0
    assert model.rollout_buffer.rewards.max() > 0.0 and len(set(model.rollout_buffer.rewards.ravel().tolist())) > 10
    assert {info["r"] for info in model.ep_info_buffer} <= {0.0, 1.0}  # scores are the environment's own


def test_callback_without_wrapper() -> None:
    model = PPO("MlpPolicy", make_vec_env(Corridor, 2), n_steps=32, device="cpu")
    with pytest.raises(ValueError, match=r"RNDCallback needs .*\n  vec_env_wrapper: sb3_breakout.rnd.RNDRewardWrapper"):
        model.learn(64, callback=RNDCallback())
    assert model.num_timesteps == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(reward="intrinsic"), "reward must be one of 'extrinsic', 'combined', received 'intrinsic'"),
        (dict(alpha=1.2), r"alpha must be a number in \[0, 1\], received 1.2"),
        (dict(learning_rate=-1), "learning_rate must be a number above 0, received -1"),
        (dict(gamma=2), r"gamma must be a number in \[0, 1\], received 2"),
    ],
)
def test_bad_argument(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corridors(**arguments)


def test_frame_stacks() -> None:
    with pytest.raises(ValueError, match="below VecFrameStack, not around it"):
        RNDRewardWrapper(VecFrameStack(make_vec_env(lambda: Corridor("image"), 2), 3))
    with pytest.raises(ValueError, match="look like a stack of frames"):
        RNDRewardWrapper(VecFrameStack(make_vec_env(lambda: Corridor("image"), 2), 4))
    with pytest.raises(ValueError, match="below VecFrameStack, not around it"):
        RNDRewardWrapper(VecFrameStack(make_vec_env(Corridor, 2), 4))
