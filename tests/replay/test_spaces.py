"""For every observation and action space that SB3 stores, samples equal those of SB3's buffers."""

from unittest import mock

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_breakout.replay import PrioritizedReplayBuffer

OBSERVATIONS = {
    "discrete": spaces.Discrete(5),
    "multi-discrete": spaces.MultiDiscrete([3, 4]),
    "multi-binary": spaces.MultiBinary(3),
    "multi-binary image": spaces.MultiBinary([2, 3]),
    "float64": spaces.Box(-1, 1, (4,), np.float64),
    "int16": spaces.Box(-100, 100, (2, 2), np.int16),
    "image": spaces.Box(0, 255, (3, 5, 4), np.uint8),
    "dict": spaces.Dict(
        {"a": spaces.Box(-1, 1, (2,), np.float32), "b": spaces.Discrete(3), "c": spaces.Box(0, 255, (1, 2, 2), np.uint8)}
    ),
}
ACTIONS = {
    "discrete": spaces.Discrete(4),
    "box": spaces.Box(-1, 1, (2,), np.float32),
    "float64": spaces.Box(-1, 1, (2,), np.float64),
    "multi-discrete": spaces.MultiDiscrete([2, 3]),
}


def stacked(space: spaces.Space, n_envs: int):
    """One sample of the space per environment, as a VecEnv returns them."""
    samples = [space.sample() for _ in range(n_envs)]
    if isinstance(space, spaces.Dict):
        return {key: np.stack([sample[key] for sample in samples]) for key in space.spaces}
    return np.stack(samples)


def fill(buffers: list, observation_space: spaces.Space, action_space: spaces.Space, n_envs: int, steps: int) -> None:
    obs = stacked(observation_space, n_envs)
    for step in range(steps):
        next_obs, done = stacked(observation_space, n_envs), np.arange(n_envs) == step % 4
        infos = [{"TimeLimit.truncated": bool(end and step % 8 > 3)} for end in done]
        args = obs, next_obs, stacked(action_space, n_envs), np.random.randn(n_envs), done, infos
        for buffer in buffers:
            buffer.add(*args)
        obs = next_obs if not done.any() else stacked(observation_space, n_envs)


def check_equal(ours: PrioritizedReplayBuffer, theirs: ReplayBuffer, n_envs: int, env: VecNormalize | None = None) -> None:
    indices = ours.sample(30).indices
    batch = ours._get_samples(indices, env)
    with mock.patch("numpy.random.randint", return_value=indices % n_envs):
        expected = theirs._get_samples(indices // n_envs % ours.buffer_size, env)
    for field in ("observations", "actions", "next_observations", "dones", "rewards"):
        mine, its = getattr(batch, field), getattr(expected, field)
        for one, other in zip(mine.values(), its.values(), strict=True) if isinstance(mine, dict) else [(mine, its)]:
            assert one.dtype == other.dtype and one.shape == other.shape, field
            np.testing.assert_array_equal(one, other, err_msg=field)


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize(
    ("observations", "actions"),
    [(name, "discrete") for name in OBSERVATIONS] + [("float64", name) for name in ACTIONS],
)
def test_equal_to_sb3(observations, actions, n_envs):
    observation_space, action_space = OBSERVATIONS[observations], ACTIONS[actions]
    observation_space.seed(0)
    action_space.seed(0)
    ours = PrioritizedReplayBuffer(10 * n_envs, observation_space, action_space, device="cpu", n_envs=n_envs)
    theirs_class = DictReplayBuffer if observations == "dict" else ReplayBuffer
    theirs = theirs_class(10 * n_envs, observation_space, action_space, device="cpu", n_envs=n_envs)
    fill([ours, theirs], observation_space, action_space, n_envs, 27)
    ours.check_valid()
    check_equal(ours, theirs, n_envs)


class Random(gym.Env):
    """Random observations and rewards, so that VecNormalize has statistics to estimate."""

    action_space = spaces.Discrete(4)

    def __init__(self, space: spaces.Space):
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), self.np_random.normal(), False, False, {}


@pytest.mark.parametrize("observations", ["float64", "dict"])
def test_vec_normalize_at_sampling_time(observations):
    space = OBSERVATIONS[observations]
    env = VecNormalize(DummyVecEnv([lambda: Random(space)] * 2), norm_obs_keys=["a"] if observations == "dict" else None)
    env.reset()
    for _ in range(20):
        env.step(np.zeros(2, int))
    ours = PrioritizedReplayBuffer(20, space, spaces.Discrete(4), device="cpu", n_envs=2)
    theirs = (DictReplayBuffer if observations == "dict" else ReplayBuffer)(
        20, space, spaces.Discrete(4), device="cpu", n_envs=2
    )
    fill([ours, theirs], space, spaces.Discrete(4), 2, 13)
    check_equal(ours, theirs, 2, env)
    assert ours.sample(8, env=env).rewards.dtype == ours.sample(8).rewards.dtype


def test_a_single_environment_without_its_axis():
    """SB3's buffer accepts that as well."""
    box = spaces.Box(0, 1, (3,), np.float32)
    buffers = [cls(10, box, spaces.Discrete(2), device="cpu") for cls in (PrioritizedReplayBuffer, ReplayBuffer)]
    for buffer in buffers:
        buffer.add(np.full(3, 0.25, np.float32), np.full(3, 0.5, np.float32), np.array([1]), 1.0, False, [{}])
    ours, theirs = (buffer.sample(1) for buffer in buffers)
    for name in ("observations", "next_observations", "actions", "rewards", "dones"):
        assert getattr(ours, name).equal(getattr(theirs, name)), name


def test_stacked_dict():
    """VecFrameStack stacks every key of a Dict space. Stacks of each key come back as they were added."""
    space = spaces.Dict({"image": spaces.Box(0, 255, (4, 2, 2), np.uint8), "vector": spaces.Box(-1, 1, (4,), np.float32)})
    buffer = PrioritizedReplayBuffer(10, space, spaces.Discrete(2), device="cpu", n_stack=4, n_steps=2, gamma=0.9)
    obs = {"image": np.zeros((1, 4, 2, 2), np.uint8), "vector": np.zeros((1, 4), np.float32)}
    kept = []
    for step in range(8):
        next_obs = {key: np.roll(value, -1, axis=1) for key, value in obs.items()}
        next_obs["image"][:, -1], next_obs["vector"][:, -1] = step + 1, (step + 1) / 10
        done = step == 3
        buffer.add(obs, next_obs, np.zeros(1), np.zeros(1), np.array([done]), [{}])
        kept.append((obs, next_obs))
        obs = next_obs
        if done:
            obs = {key: np.zeros_like(value) for key, value in obs.items()}
            obs["image"][:, -1], obs["vector"][:, -1] = 77, 0.7
    buffer.check_valid()
    batch = buffer._get_samples(np.arange(7))
    for index, last in zip(range(7), [1, 2, 3, 3, 5, 6, 7], strict=True):
        for key in space.spaces:
            np.testing.assert_array_equal(batch.observations[key][index], kept[index][0][key][0])
            np.testing.assert_array_equal(batch.next_observations[key][index], kept[last][1][key][0])
