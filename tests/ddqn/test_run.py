"""DDQN runs and learns with every kind of observation, with several environments and with every option."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from sb3_breakout import DDQN, PrioritizedReplayBuffer
from tests.ddqn.environments import Corridor

FAST: dict[str, Any] = dict(learning_starts=100, buffer_size=2000, batch_size=32, train_freq=4, learning_rate=1e-3, seed=0)


def policy_for(observation: str) -> str:
    return {"vector": "MlpPolicy", "image": "CnnPolicy", "dict": "MultiInputPolicy"}[observation]


class MemoryWriter(KVWriter):
    """Keeps everything that is logged."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        self.rows.append(dict(key_values))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize("observation", ["vector", "image", "dict"])
def test_every_kind_of_observation(observation: str, n_envs: int) -> None:
    env = make_vec_env(lambda: Corridor(observation), n_envs=n_envs)
    model = DDQN(policy_for(observation), env, **FAST | dict(batch_size=8)).learn(160)
    assert model._n_updates > 0 and np.isfinite(model.last_loss)


@pytest.mark.parametrize("exploration", ["boltzmann", pytest.param("epsilon_greedy", marks=pytest.mark.slow)])
def test_learns_the_corridor(exploration: str) -> None:
    model = DDQN("MlpPolicy", Corridor(), exploration=exploration, target_update_interval=50, **FAST).learn(3000)
    mean, std = evaluate_policy(model, model.get_env(), n_eval_episodes=5, deterministic=True)
    assert (mean, std) == (1.0, 0.0)
    # The start is four steps before the rewarded step, so its value is gamma⁴
    start = np.eye(6, dtype=np.float32)[:1]
    assert model.policy.q_values(start).max() == pytest.approx(0.99**4, abs=0.05)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("buffer_class", [PrioritizedReplayBuffer, NStepReplayBuffer])
def test_buffers(buffer_class: type[ReplayBuffer], n_steps: int) -> None:
    model = DDQN("MlpPolicy", Corridor(), replay_buffer_class=buffer_class, n_steps=n_steps, **FAST).learn(200)
    assert isinstance(model.replay_buffer, buffer_class)
    assert model.replay_buffer.n_steps == n_steps


@pytest.mark.parametrize("n_steps", [(4, 1), [4, 1, 0.8], lambda remaining: 4 if remaining > 0.5 else 1])
def test_n_steps_changes_while_it_learns(n_steps: Any) -> None:
    seen: list[int] = []

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            seen.append(self.model.replay_buffer.n_steps)  # type: ignore[union-attr]
            return True

    model = DDQN("MlpPolicy", make_vec_env(Corridor, 2), n_steps=n_steps, **FAST | dict(train_freq=1)).learn(
        600, callback=Watch()
    )
    assert seen[0] == 4 and seen[-1] == 1 and seen == sorted(seen, reverse=True)
    assert model.n_steps is n_steps
    model.replay_buffer.check_valid()  # type: ignore[union-attr]


def test_longer_returns_than_there_are_steps() -> None:
    """If n grows faster than the buffer fills, updates wait instead of failing."""
    settings = FAST | dict(learning_starts=0, train_freq=1)
    model = DDQN("MlpPolicy", Corridor(), n_steps=lambda remaining: 1 if remaining > 0.75 else 9, **settings).learn(8)
    assert model._n_updates == 1  # only in step 1 of 8


def test_uniform_buffer_of_sb3() -> None:
    assert DDQN("MlpPolicy", Corridor(), replay_buffer_class=ReplayBuffer, n_steps=1, **FAST).learn(200)._n_updates > 0


@pytest.mark.parametrize("algorithm", [DQN, QRDQN])
def test_prioritized_buffer_in_other_algorithms(algorithm: type[DQN]) -> None:
    """SB3's DQN and QRDQN never update priorities, so the buffer samples uniformly."""
    model = algorithm(
        "MlpPolicy",
        Corridor(),
        replay_buffer_class=PrioritizedReplayBuffer,
        replay_buffer_kwargs=dict(n_steps=3, gamma=0.99),
        learning_starts=50,
        buffer_size=500,
    ).learn(300)
    assert model.replay_buffer is not None
    np.testing.assert_allclose(model.replay_buffer.sample(64).weights, 1.0)


def test_frame_stack_is_read_from_the_environment() -> None:
    env = VecFrameStack(make_vec_env(lambda: Corridor("image"), n_envs=2), n_stack=4)
    model = DDQN("CnnPolicy", env, **FAST | dict(batch_size=8)).learn(150)
    assert model.replay_buffer.n_stack == 4


def test_stacks_on_another_axis_are_stored_whole() -> None:
    class Table(gym.ObservationWrapper):
        """A table of two rows. It is not an image, so SB3 stacks it on the last axis."""

        def __init__(self) -> None:
            super().__init__(Corridor())
            self.observation_space = spaces.Box(0.0, 1.0, (2, 6), np.float32)

        def observation(self, observation: np.ndarray) -> np.ndarray:
            return np.stack((observation, observation[::-1]))

    env = VecFrameStack(make_vec_env(Table, n_envs=2), n_stack=3)
    assert env.observation_space.shape == (2, 18)
    model = DDQN("MlpPolicy", env, **FAST).learn(150)
    assert model.replay_buffer.n_stack == 1


def test_stacks_of_dictionaries_are_read_from_the_environment() -> None:
    env = VecFrameStack(make_vec_env(lambda: Corridor("dict"), n_envs=2), n_stack=3)
    model = DDQN("MultiInputPolicy", env, **FAST).learn(150)
    assert model.replay_buffer.n_stack == 3


def test_vec_normalize() -> None:
    env = VecNormalize(make_vec_env(Corridor, n_envs=2))
    assert DDQN("MlpPolicy", env, **FAST).learn(200)._n_updates > 0


@pytest.mark.parametrize("n_envs", [1, 3, 8])
def test_target_network_is_synchronised_every_interval(n_envs: int) -> None:
    class Watch(BaseCallback):
        def __init__(self) -> None:
            super().__init__()
            self.synchronised_at: list[int] = []

        def _on_rollout_end(self) -> None:  # after the step, before the update
            pairs = zip(self.model.q_net.parameters(), self.model.q_net_target.parameters(), strict=True)
            if all(th.equal(online, target) for online, target in pairs):
                self.synchronised_at.append(self.num_timesteps)

        def _on_step(self) -> bool:
            return True

    watch = Watch()
    env = make_vec_env(Corridor, n_envs=n_envs)
    settings = FAST | dict(train_freq=1, learning_starts=20, target_update_interval=100)
    DDQN("MlpPolicy", env, **settings).learn(600, callback=watch)
    # The first step at or after each multiple of 100, once updates have begun
    expected = [-(-multiple // n_envs) * n_envs for multiple in range(100, 601, 100)]
    assert [step for step in watch.synchronised_at if step > 20 + n_envs] == expected


def test_gradient_steps_and_train_freq() -> None:
    model = DDQN("MlpPolicy", Corridor(), **FAST | dict(train_freq=5, gradient_steps=10)).learn(300)
    assert model._n_updates == 10 * (300 - 100) // 5


def test_learning_from_the_first_step_waits_for_the_first_return() -> None:
    model = DDQN("MlpPolicy", Corridor(), **FAST | dict(learning_starts=0, train_freq=1), n_steps=3).learn(10)
    assert model._n_updates == 8  # the first two steps have no 3-step return yet


def test_gradient_norm_is_clipped_at_one() -> None:
    env = make_vec_env(Corridor)
    model = DDQN("MlpPolicy", env, **FAST).learn(200)
    for parameter in model.q_net.parameters():
        parameter.data.mul_(50.0)  # for large errors
    model.train(gradient_steps=1, batch_size=32)
    norm = th.cat([parameter.grad.flatten() for parameter in model.q_net.parameters()]).norm().item()
    assert norm == pytest.approx(1.0, rel=1e-3)
    assert model.logger.name_to_value["train/gradient_norm"] > 1.0  # the norm before clipping is logged


def test_priorities_are_the_absolute_td_errors() -> None:
    """The update's TD errors equal those recomputed from the networks before the update."""
    model = DDQN("MlpPolicy", Corridor(), replay_buffer_kwargs=dict(alpha=1.0), **FAST).learn(400)
    batch = model.replay_buffer.sample(16)
    with th.no_grad():
        best = model.q_net(batch.next_observations).argmax(1, keepdim=True)
        future = model.q_net_target(batch.next_observations).gather(1, best)
        target = batch.rewards + (1 - batch.dones) * batch.discounts * future
        expected = target - model.q_net(batch.observations).gather(1, batch.actions)
    errors = model.learner.step(batch, model.max_grad_norm)[3:, None]
    np.testing.assert_allclose(errors.numpy(), expected.numpy(), atol=1e-6)


def test_prefill_is_uniformly_random_and_leaves_the_temperature() -> None:
    model = DDQN("MlpPolicy", Corridor(), **FAST | dict(learning_starts=400)).learn(400, reset_num_timesteps=False)
    assert model.temperature == 1.0 and model._n_updates == 0
    actions = model.replay_buffer.sample(400).actions
    assert 0.4 < actions.float().mean() < 0.6


def test_logged_values() -> None:
    writer = MemoryWriter()
    model = DDQN("MlpPolicy", Corridor(), **FAST)
    model.DIAGNOSTICS_INTERVAL = 200  # type: ignore[misc]
    model.set_logger(Logger(folder=None, output_formats=[writer]))
    model.learn(900)
    last = writer.rows[-1]
    for key in ("train/loss", "train/td_error", "train/q_value", "train/gradient_norm", "train/n_updates"):
        assert np.isfinite(last[key]), key
    assert 0.05 <= last["rollout/temperature"] < 1.0
    assert 0.0 <= last["rollout/entropy"] <= np.log(2) + 1e-6
    assert last["rollout/action_gap"] >= 0.0
    diagnostics = [row for row in writer.rows if "per/alpha" in row]
    assert 3 <= len(diagnostics) <= 8  # at intervals, not with every log
    names = {key for row in writer.rows for key in row}
    assert {"per/alpha", "per/beta"} <= names
    assert not [key for key in names if "intrinsic" in key or "combined" in key]


def test_seed_makes_runs_equal() -> None:
    first, second = (DDQN("MlpPolicy", Corridor(), **FAST).learn(400).policy.state_dict() for _ in range(2))
    for key, value in first.items():
        assert th.equal(value, second[key]) if isinstance(value, th.Tensor) else value == second[key]


def test_prediction_is_near_greedy_in_the_middle_of_training() -> None:
    model = DDQN("MlpPolicy", Corridor(), evaluation_epsilon=0.01, **FAST)
    assert model.temperature == 1.0  # so training actions are nearly random
    observations = np.random.default_rng(0).random((20_000, 6), dtype=np.float32)
    greedy = model.policy.q_values(observations).argmax(axis=1)
    assert np.array_equal(model.predict(observations, deterministic=True)[0], greedy)
    differing = (model.predict(observations, deterministic=False)[0] != greedy).mean()
    assert differing == pytest.approx(0.01 / 2, abs=0.002)  # of two actions, a random one is greedy half of the time
    explored = (model.policy.explore(observations)[0] != greedy).mean()
    assert explored > 0.1


def test_predict_takes_a_single_observation() -> None:
    model = DDQN("MlpPolicy", Corridor(), evaluation_epsilon=1.0, **FAST)
    actions = [model.predict(np.zeros(6, np.float32))[0] for _ in range(50)]
    assert {np.shape(action) for action in actions} == {()} and set(map(int, actions)) == {0, 1}


def test_eval_callback_sees_the_agent_and_not_its_exploration() -> None:
    """At temperature 1 the training agent wanders; in an evaluation it walks straight to the end."""
    model = DDQN("MlpPolicy", Corridor(), **FAST)
    model.set_logger(Logger(folder=None, output_formats=[]))
    with th.no_grad():
        model.q_net.q_net[-1].weight.zero_()
        model.q_net.q_net[-1].bias.copy_(th.tensor([0.0, 1.0]))  # go right
    callback = EvalCallback(
        DummyVecEnv([lambda: Corridor()]), n_eval_episodes=10, eval_freq=1, deterministic=False, verbose=0, warn=False
    )
    callback.init_callback(model)
    callback.n_calls = 1
    callback._on_step()
    assert model.temperature == 1.0 and callback.last_mean_reward == 1.0


def test_behaviour_chooses_the_training_actions() -> None:
    class Left(BaseCallback):
        def _on_training_start(self) -> None:
            policy = self.model.policy_class(
                self.model.observation_space, self.model.action_space, self.model.lr_schedule, **self.model.policy_kwargs
            )
            policy.explore = lambda observation: (np.zeros(len(observation), np.int64), {}, None)
            policy.exploration = self.model.policy.exploration
            self.model.behaviour = policy

        def _on_step(self) -> bool:
            return True

    model = DDQN("MlpPolicy", Corridor(), **FAST | dict(learning_starts=0)).learn(100, callback=Left())
    assert not model.replay_buffer.sample(100).actions.any()


def test_learning_rate_along_a_line() -> None:
    model = DDQN("MlpPolicy", Corridor(), **FAST | dict(learning_rate=[1e-3, 1e-4, 0.5]))
    rates = [model.lr_schedule(progress_remaining) for progress_remaining in (1.0, 0.75, 0.5, 0.0)]
    np.testing.assert_allclose(rates, [1e-3, 5.5e-4, 1e-4, 1e-4])
    model.learn(400)
    assert model.policy.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
