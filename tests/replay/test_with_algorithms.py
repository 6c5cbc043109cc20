"""The buffer in algorithms of SB3 and sb3-contrib."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from sb3_breakout.replay import PrioritizedReplayBuffer


class Lives(gym.Env):
    """Random grey images. An episode lasts 7 to 12 steps; a time limit truncates one in three."""

    observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(7, 13))
        return self._image(), {}

    def step(self, action):
        self.left -= 1
        cut = bool(self.np_random.random() < 0.33)
        return self._image(), self.np_random.normal(), self.left == 0 and not cut, self.left == 0 and cut, {}

    def _image(self):
        return self.np_random.integers(1, 255, (36, 36, 1), dtype=np.uint8)


@pytest.mark.parametrize("algorithm", [DQN, QRDQN])
@pytest.mark.parametrize("n_steps", [1, 3])
def test_trains(algorithm, n_steps):
    model = algorithm(
        "MlpPolicy",
        "CartPole-v1",
        replay_buffer_class=PrioritizedReplayBuffer,
        replay_buffer_kwargs={"n_steps": n_steps, "gamma": 0.99},
        buffer_size=80,
        learning_starts=20,
        train_freq=10,
        batch_size=8,
        seed=0,
        device="cpu",
    )
    model.learn(120)
    assert model.replay_buffer.size() == 80
    assert model._n_updates > 0
    model.replay_buffer.check_valid()


@pytest.mark.parametrize("algorithm", [DQN, QRDQN])
def test_single_steps_have_the_discount_of_the_algorithm(algorithm):
    """Without a gamma, the buffer gives no discounts: algorithms would prefer those of the batch to their own gamma."""
    model = algorithm(
        "MlpPolicy",
        "CartPole-v1",
        gamma=0.5,
        replay_buffer_class=PrioritizedReplayBuffer,
        buffer_size=80,
        learning_starts=20,
        device="cpu",
    ).learn(30)
    assert model.replay_buffer.sample(4).discounts is None


def test_the_stream_of_a_real_algorithm_equals_sb3s_buffer(tmp_path):
    """
    DQN on stacked images of three environments. All that SB3 passes to its buffer is added to ours and to SB3's.

    Training continues twice: first from the last observation, then after a reset in the middle of an episode.
    """
    env = VecFrameStack(DummyVecEnv([Lives] * 3), n_stack=4)
    model = DQN(
        "CnnPolicy",
        env,
        replay_buffer_class=PrioritizedReplayBuffer,
        replay_buffer_kwargs={"n_stack": 4, "n_steps": 3, "gamma": 0.9},
        policy_kwargs={"features_extractor_kwargs": {"features_dim": 4}},
        buffer_size=90,
        learning_starts=10_000,
        train_freq=10,
        seed=0,
        device="cpu",
    )
    ours = model.replay_buffer
    reference = NStepReplayBuffer(
        300, model.observation_space, model.action_space, device="cpu", n_envs=3, n_steps=3, gamma=0.9
    )
    cuts = []

    def add_to_both(obs, next_obs, *args):
        assert obs.strides[1] == 1  # VecTransposeImage's memory layout
        PrioritizedReplayBuffer.add(ours, obs, next_obs, *args)
        reference.add(obs, next_obs, *args)

    ours.add = add_to_both
    model.learn(90)
    model.learn(90, reset_num_timesteps=False)
    before = reference.pos - 1
    cuts = ~reference.dones[before].astype(bool)
    model.learn(60, reset_num_timesteps=True)
    assert cuts.any()
    reference.timeouts[before] = np.maximum(reference.timeouts[before], cuts)  # SB3's buffer does not notice the reset
    ours.check_valid()
    assert reference.pos == 80 and ours.full
    indices = ours.sample(256).indices
    batch = ours._get_samples(indices)
    for row, index in enumerate(indices):
        step, env_index = divmod(int(index), 3)
        np.random.seed(0)
        expected = _one(reference, step, env_index)
        for field in ("observations", "actions", "next_observations", "dones", "rewards", "discounts"):
            np.testing.assert_array_equal(getattr(batch, field)[row], getattr(expected, field)[0], err_msg=field)


def _one(reference: NStepReplayBuffer, step: int, env_index: int):
    """SB3's sample of one transition of one environment."""
    single = NStepReplayBuffer.__new__(NStepReplayBuffer)
    single.__dict__.update(reference.__dict__)
    single.n_envs = 1
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        setattr(single, name, getattr(reference, name)[:, env_index : env_index + 1])
    return single._get_samples(np.array([step]))
