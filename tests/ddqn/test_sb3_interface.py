"""The interface of SB3's DQN, tested on both DQN and DDQN. The intended differences, with their reasons, are at the end."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import DQN, HerReplayBuffer
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import CallbackList, CheckpointCallback, EvalCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout import DDQN, PrioritizedReplayBuffer
from tests.ddqn.environments import Corridor

SMALL: dict[str, Any] = dict(learning_starts=20, buffer_size=500, batch_size=16, seed=0, device="cpu")
both = pytest.mark.parametrize("algorithm", [DQN, DDQN])


def make(algorithm: type[DQN], **arguments: Any) -> DQN:
    return algorithm("MlpPolicy", Corridor(), **SMALL | arguments)


def observations(n: int = 6) -> np.ndarray:
    return np.eye(6, dtype=np.float32)[:n]


def q_values(model: DQN) -> np.ndarray:
    with th.no_grad():
        return model.q_net(th.as_tensor(observations())).numpy()


# ------------------------------------------------------------------------------------------------ parameters and policies


@both
def test_the_state_dict_holds_tensors_alone(algorithm: type[DQN]) -> None:
    assert all(isinstance(value, th.Tensor) for value in make(algorithm).learn(60).policy.state_dict().values())


@both
def test_parameters_can_be_replaced_in_part_and_not_by_what_is_none(algorithm: type[DQN]) -> None:
    model = make(algorithm)
    parameters = model.get_parameters()
    assert parameters.keys() == {"policy", "policy.optimizer"}
    doubled = {name: 2.0 * value for name, value in parameters["policy"].items()}
    model.set_parameters({"policy": doubled}, exact_match=False)
    assert all(th.equal(value, doubled[name]) for name, value in model.policy.state_dict().items())
    with pytest.raises(ValueError):
        model.set_parameters({"policy": doubled})  # without the optimizer
    with pytest.raises(RuntimeError, match="Missing key"):
        model.set_parameters({**parameters, "policy": {}})


@pytest.mark.parametrize(("source", "target"), [(DQN, DDQN), (DDQN, DQN)])
def test_weights_can_be_exchanged(source: type[DQN], target: type[DQN]) -> None:
    trained, fresh = make(source).learn(60), make(target, seed=1)
    fresh.set_parameters(trained.get_parameters())
    np.testing.assert_array_equal(q_values(fresh), q_values(trained))
    fresh.learn(60)


@pytest.mark.parametrize(("source", "target"), [(DQN, DDQN), (DDQN, DQN)])
@pytest.mark.parametrize("observation", ["vector", "image", "dict"])
def test_files_can_be_exchanged(source: type[DQN], target: type[DQN], observation: str, tmp_path: Path) -> None:
    policy = {"vector": "MlpPolicy", "image": "CnnPolicy", "dict": "MultiInputPolicy"}[observation]
    trained = source(policy, Corridor(observation), n_steps=1, **SMALL | dict(batch_size=4)).learn(40)
    trained.save(tmp_path / "model")
    loaded = target.load(tmp_path / "model", env=Corridor(observation), learning_starts=4)
    for name, value in trained.policy.state_dict().items():
        assert th.equal(value, loaded.policy.state_dict()[name]), name
    assert loaded.learn(20)._n_updates > trained._n_updates


def test_a_loaded_dqn_can_go_on_with_priorities(tmp_path: Path) -> None:
    make(DQN).learn(60).save(tmp_path / "model")
    model = DDQN.load(tmp_path / "model", env=Corridor(), replay_buffer_class=PrioritizedReplayBuffer, n_steps=3)
    assert isinstance(model.learn(60).replay_buffer, PrioritizedReplayBuffer)


@both
def test_a_policy_alone_is_saved_and_loaded(algorithm: type[DQN], tmp_path: Path) -> None:
    policy = make(algorithm).learn(60).policy
    policy.save(tmp_path / "policy")
    loaded = type(policy).load(tmp_path / "policy")
    for given in (observations(1)[0], observations()):
        np.testing.assert_array_equal(*(each.predict(given, deterministic=True)[0] for each in (policy, loaded)))


class Doubled(BaseFeaturesExtractor):
    def __init__(self, space: gym.spaces.Box, factor: float = 2.0) -> None:
        super().__init__(space, space.shape[0])
        self.factor = factor
        self.norm = th.nn.BatchNorm1d(space.shape[0])

    def forward(self, given: th.Tensor) -> th.Tensor:
        return self.norm(self.factor * given)


@both
def test_an_extractor_of_ones_own_with_batch_normalization(algorithm: type[DQN]) -> None:
    """The running statistics change in training, not in play, and are copied to the target network with the weights."""
    policy_kwargs = dict(features_extractor_class=Doubled, features_extractor_kwargs=dict(factor=3.0), net_arch=[8])
    model = make(algorithm, policy_kwargs=policy_kwargs, target_update_interval=1, train_freq=1).learn(60)
    assert isinstance(model.q_net.features_extractor, Doubled) and model.q_net.features_extractor.factor == 3.0
    moved = model.q_net.features_extractor.norm.running_mean.clone()  # type: ignore[union-attr, operator]
    assert moved.abs().sum() > 0.0
    model.predict(observations(), deterministic=True)
    assert not model.policy.training
    assert th.equal(moved, model.q_net.features_extractor.norm.running_mean)  # type: ignore[arg-type, union-attr]
    model._on_step()
    assert th.equal(moved, model.q_net_target.features_extractor.norm.running_mean)  # type: ignore[arg-type, union-attr]


@both
def test_optimizer_and_activation_of_ones_own(algorithm: type[DQN]) -> None:
    policy_kwargs = dict(
        optimizer_class=th.optim.RMSprop, optimizer_kwargs=dict(eps=1e-3), activation_fn=th.nn.Tanh, net_arch=[8, 8]
    )
    model = make(algorithm, policy_kwargs=policy_kwargs).learn(40)
    assert isinstance(model.policy.optimizer, th.optim.RMSprop) and model.policy.optimizer.defaults["eps"] == 1e-3
    assert sum(isinstance(layer, th.nn.Tanh) for layer in model.q_net.modules()) == 2


@both
@pytest.mark.parametrize("kind", ["foreach", "differentiable"])
def test_other_implementations_of_adam(algorithm: type[DQN], kind: str) -> None:
    model = make(algorithm, policy_kwargs=dict(optimizer_kwargs={kind: True}))
    assert model.policy.optimizer.defaults[kind] and not model.policy.optimizer.defaults["fused"]


# ---------------------------------------------------------------------------------------------------- predict and evaluate


@both
def test_shapes_of_predictions(algorithm: type[DQN]) -> None:
    model = make(algorithm)
    action, state = model.predict(observations(1)[0], deterministic=True)
    assert np.shape(action) == () and state is None
    assert model.predict(observations(), deterministic=True)[0].shape == (6,)
    with pytest.raises(ValueError, match="observation shape"):
        model.predict(np.zeros(7, np.float32))


@both
def test_evaluation_and_callbacks(algorithm: type[DQN], tmp_path: Path) -> None:
    callbacks = [
        EvalCallback(make_vec_env(Corridor), eval_freq=20, n_eval_episodes=2, best_model_save_path=str(tmp_path), verbose=0),
        CheckpointCallback(30, str(tmp_path), save_replay_buffer=True),
        StopTrainingOnMaxEpisodes(3),
    ]
    model = make(algorithm).learn(200, callback=CallbackList(callbacks))
    assert model.num_timesteps < 200  # three episodes of at most 30 steps
    assert {"best_model.zip", "rl_model_30_steps.zip", "rl_model_replay_buffer_30_steps.pkl"} <= {
        path.name for path in tmp_path.iterdir()
    }
    best = algorithm.load(tmp_path / "best_model")
    assert evaluate_policy(best, make_vec_env(Corridor), n_eval_episodes=2, deterministic=True)[0] in (0.0, 0.5, 1.0)


# -------------------------------------------------------------------------------------------------------- learn and resume


@both
@pytest.mark.parametrize("train_freq", [1, (4, "step"), (1, "episode")])
def test_pace(algorithm: type[DQN], train_freq: Any) -> None:
    model = make(algorithm, train_freq=train_freq, gradient_steps=-1).learn(100)
    assert 0 < model._n_updates <= model.num_timesteps


@both
def test_steps_of_several_calls(algorithm: type[DQN]) -> None:
    model = make(algorithm).learn(40)
    assert model.learn(40, reset_num_timesteps=False).num_timesteps == 80
    assert model.learn(40).num_timesteps == 40


@both
def test_another_number_of_environments_on_loading(algorithm: type[DQN], tmp_path: Path) -> None:
    make(algorithm).learn(40).save(tmp_path / "model")
    model = algorithm.load(tmp_path / "model", env=make_vec_env(Corridor, 3))
    assert model.n_envs == model.replay_buffer.n_envs == 3  # type: ignore[union-attr]
    model.learn(90)
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        algorithm.load(tmp_path / "model", env=Corridor(length=7))
    with pytest.raises(AssertionError):
        model.set_env(make_vec_env(Corridor, 2))  # fixed once the buffer exists


@both
def test_the_same_seed_is_the_same_training(algorithm: type[DQN]) -> None:
    np.testing.assert_array_equal(*(q_values(make(algorithm).learn(100)) for _ in range(2)))


@both
def test_learning_rate_by_a_function(algorithm: type[DQN]) -> None:
    model = make(algorithm, learning_rate=lambda remaining: 1e-3 * remaining).learn(100)
    assert 0.0 <= model.policy.optimizer.param_groups[0]["lr"] < 1e-4


@both
@pytest.mark.parametrize(("name", "value"), [("lr_schedule", lambda _: 0.0), ("max_grad_norm", 0.0)])
def test_hyperparameters_that_change_between_two_calls(algorithm: type[DQN], name: str, value: Any) -> None:
    model = make(algorithm).learn(60)
    setattr(model, name, value)
    model.policy.optimizer.state.clear()  # Adam's moments would move the weights even without a gradient
    before = q_values(model)
    model.learn(40, reset_num_timesteps=False)
    np.testing.assert_array_equal(q_values(model), before)


@both
def test_target_network_follows_by_the_tau_of_now(algorithm: type[DQN]) -> None:
    model = make(algorithm, target_update_interval=10).learn(60)
    model.tau = 0.0
    before = [weights.clone() for weights in model.q_net_target.parameters()]
    model.learn(40, reset_num_timesteps=False)
    assert all(th.equal(*pair) for pair in zip(before, model.q_net_target.parameters(), strict=True))


@both
def test_epsilon_by_sb3s_name(algorithm: type[DQN]) -> None:
    arguments = {} if algorithm is DQN else {"exploration": "epsilon_greedy"}
    schedule = dict(exploration_fraction=0.5, exploration_initial_eps=0.6, exploration_final_eps=0.2)
    assert make(algorithm, **schedule, **arguments).learn(100).exploration_rate == pytest.approx(0.2)


@both
def test_normalized_observations_and_rewards(algorithm: type[DQN]) -> None:
    assert algorithm("MlpPolicy", VecNormalize(make_vec_env(Corridor)), **SMALL).learn(60)._n_updates > 0


# ---------------------------------------------------------------------------------------------------------- replay buffers


@both
@pytest.mark.parametrize("as_file", [False, True])
def test_a_loaded_buffer_is_on_the_models_device(algorithm: type[DQN], as_file: bool, tmp_path: Path) -> None:
    model = make(algorithm).learn(60)
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    other = make(algorithm)
    other.device, other.num_timesteps = th.device("meta"), model.num_timesteps
    if as_file:
        with open(tmp_path / "buffer.pkl", "rb") as file:
            other.load_replay_buffer(file)  # type: ignore[arg-type]
    else:
        other.load_replay_buffer(tmp_path / "buffer.pkl")
    assert other.replay_buffer is not None and other.replay_buffer.size() == 60
    assert other.replay_buffer.device == th.device("meta")


def test_a_buffer_from_a_file_object_is_checked_like_one_from_a_path(tmp_path: Path) -> None:
    model = make(DDQN).learn(60)
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    other = make(DDQN, n_steps=5)
    with (
        open(tmp_path / "buffer.pkl", "rb") as file,
        pytest.warns(UserWarning, match="saved at step 60 and the model at step 0"),
    ):
        other.load_replay_buffer(file)
    assert other.replay_buffer.n_steps == 5
    with open(tmp_path / "buffer.pkl", "rb") as file, pytest.raises(ValueError, match=r"gamma=0\.99, .* gamma=0\.5"):
        make(DDQN, gamma=0.5).load_replay_buffer(file)


@both
@pytest.mark.parametrize("buffer", [ReplayBuffer, DictReplayBuffer, PrioritizedReplayBuffer])
def test_any_buffer(algorithm: type[DQN], buffer: type[ReplayBuffer]) -> None:
    kind, policy = ("dict", "MultiInputPolicy") if buffer is DictReplayBuffer else ("vector", "MlpPolicy")
    model = algorithm(policy, Corridor(kind), replay_buffer_class=buffer, n_steps=1, **SMALL).learn(40)
    assert isinstance(model.replay_buffer, buffer) and model._n_updates > 0


@both
def test_hindsight_experience_replay(algorithm: type[DQN], tmp_path: Path) -> None:
    env = BitFlippingEnv(n_bits=4, continuous=False, max_steps=4)
    arguments: dict[str, Any] = dict(
        replay_buffer_class=HerReplayBuffer, n_steps=1, replay_buffer_kwargs=dict(n_sampled_goal=2)
    )
    model = algorithm("MultiInputPolicy", env, **arguments, **SMALL).learn(100)
    assert model._n_updates > 0
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    loaded = algorithm.load(tmp_path / "model", env=env)
    loaded.load_replay_buffer(tmp_path / "buffer", truncate_last_traj=False)
    assert loaded.learn(60, reset_num_timesteps=False)._n_updates > model._n_updates


# ------------------------------------------------------------------------------------------------------------- differences


def test_memory_is_saved_without_asking() -> None:
    """The prioritized buffer always stores every frame once, so ``optimize_memory_usage`` is refused."""
    with pytest.raises(ValueError, match=r"optimize_memory_usage=True is not for PrioritizedReplayBuffer"):
        make(DDQN, optimize_memory_usage=True)
    arguments: dict[str, Any] = dict(
        n_steps=1, optimize_memory_usage=True, replay_buffer_kwargs=dict(handle_timeout_termination=False)
    )
    for algorithm in (DQN, DDQN):
        make(algorithm, replay_buffer_class=ReplayBuffer, **arguments).learn(60)


def test_training_on_nothing_is_no_training() -> None:
    """SB3's DQN learns from however few transitions there are; DDQN warns and waits for ``learning_starts`` of them."""
    model = make(DDQN)
    model._setup_learn(100)
    with pytest.warns(UserWarning, match="No update before the replay buffer holds 20 transitions"):
        model.train(gradient_steps=1)
    assert model._n_updates == 0


def test_returns_over_several_steps_need_a_buffer_that_knows_them() -> None:
    """SB3 ignores ``n_steps`` with a warning; DDQN raises an error."""
    with pytest.warns(UserWarning, match="is ignored"):
        make(DQN, replay_buffer_class=ReplayBuffer, n_steps=3)
    with pytest.raises(ValueError, match="n_steps=3 with ReplayBuffer, which stores single steps"):
        make(DDQN, replay_buffer_class=ReplayBuffer, n_steps=3)


def test_predict_never_explores() -> None:
    """SB3's DQN explores in ``predict(deterministic=False)``, so early evaluations see random play; DDQN does not."""
    actions = {}
    for algorithm in (DQN, DDQN):
        model = make(algorithm)
        model.exploration_rate = 1.0
        greedy = model.predict(observations(), deterministic=True)[0]
        played = np.concatenate([model.predict(observations(), deterministic=False)[0] for _ in range(100)])
        actions[algorithm] = (played != np.tile(greedy, 100)).mean()
    assert actions[DQN] == pytest.approx(0.5, abs=0.15) and actions[DDQN] < 0.05


def test_policies_of_others() -> None:
    class Own(DQN.policy_aliases["MlpPolicy"]):  # type: ignore[misc, name-defined]
        pass

    assert make(DQN).policy_class is DQN.policy_aliases["MlpPolicy"]
    with pytest.raises(ValueError, match="must be a DDQNPolicy or one of SB3's for DQN, received Own"):
        DDQN(Own, Corridor(), **SMALL)
