"""Hyperparameters drawn by ``-optimize`` train, and can be read back from a finished trial."""

import gymnasium as gym
import numpy as np
import optuna
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_breakout import DDQN
from sb3_breakout.zoo.checks import check_hyperparameters, check_nested_arguments
from sb3_breakout.zoo.search_space import convert_ddqn_per_params, sample_ddqn_per_params


def draw(seed: int, **from_yaml: object) -> tuple[optuna.Trial, dict[str, object]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    return trial, sample_ddqn_per_params(trial, n_actions=0, n_envs=1, additional_args={"her_kwargs": from_yaml})


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize("seed", range(6))
def test_drawn_hyperparameters_train(seed: int):
    _, hyperparams = draw(seed)
    env = DummyVecEnv([lambda: gym.make("CartPole-v1")])
    model = DDQN("MlpPolicy", env, learning_starts=20, buffer_size=1000, device="cpu", **hyperparams)
    model.learn(40)
    assert np.isfinite(model.last_loss)


@pytest.mark.parametrize("seed", range(20))
def test_drawn_names_and_converted_names_agree(seed: int):
    trial, hyperparams = draw(seed)
    assert convert_ddqn_per_params(trial.params) == hyperparams
    check_hyperparameters("ddqn_per", DDQN, hyperparams)
    check_nested_arguments("ddqn_per", DDQN, hyperparams)


def test_search_covers_what_is_ours():
    drawn = set()
    for seed in range(20):
        drawn |= draw(seed)[1].keys()
    temperature = {f"temperature_{name}" for name in ("initial", "min", "decay", "slowdown", "scale")}
    assert drawn >= temperature | {"exploration", "n_steps", "replay_buffer_kwargs", "target_update_interval"}


def test_steps_of_all_trials_cost_the_same():
    """The number of samples per environment step is not searched."""
    for seed in range(20):
        assert not draw(seed)[1].keys() & {"batch_size", "train_freq", "gradient_steps", "n_envs", "policy_kwargs"}


def test_only_the_chosen_exploration_rule_is_searched():
    for seed in range(20):
        hyperparams = draw(seed)[1]
        other = "exploration_" if hyperparams["exploration"] == "boltzmann" else "temperature_"
        assert not [name for name in hyperparams if name.startswith(other)]


def test_buffer_arguments_of_the_yaml_that_are_not_searched_stay():
    buffer_kwargs = draw(0, alpha=0.123, n_stack=4)[1]["replay_buffer_kwargs"]
    assert buffer_kwargs["n_stack"] == 4
    assert buffer_kwargs["alpha"] != 0.123
