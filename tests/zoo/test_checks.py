"""Checks of hyperparameters: all names that are read are accepted, all others and wrong values are refused."""

from pathlib import Path
from pkgutil import resolve_name

import pytest
import yaml
from stable_baselines3.common.buffers import ReplayBuffer

from sb3_breakout import DDQN
from sb3_breakout.common.arguments import constructor_arguments
from sb3_breakout.registry import ALGORITHMS, hyperparameter_file
from sb3_breakout.zoo.checks import (
    ZOO_KEYS,
    check_command_line,
    check_hyperparameters,
    check_learning_starts,
    check_nested_arguments,
    check_values,
)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_our_yaml_files_are_found_and_know_their_names(algo: str):
    files = sorted(Path(hyperparameter_file(algo)).parent.glob(f"{algo}*.yml"))
    assert Path(hyperparameter_file(algo)) in files
    for file in files:
        for section in yaml.safe_load(file.read_text()).values():
            check_hyperparameters(algo, resolve_name(ALGORITHMS[algo]), section)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_our_yaml_files_have_the_sections_that_the_zoo_falls_back_on(algo: str):
    assert {"default", "atari"} <= set(yaml.safe_load(Path(hyperparameter_file(algo)).read_text()))


def test_presets_are_found_by_their_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    preset = hyperparameter_file("ddqn_per", "ddqn_per_original")
    assert Path(preset).is_file()
    assert hyperparameter_file("ddqn_per", "ddqn_per_original.yml") == preset
    # The user's own files and packages take precedence
    assert hyperparameter_file("ddqn_per", "mine.yml") == "mine.yml"
    assert hyperparameter_file("ddqn_per", "my_package.hyperparams") == "my_package.hyperparams"
    (tmp_path / "ddqn_per_original.yml").touch()
    assert hyperparameter_file("ddqn_per", "ddqn_per_original.yml") == "ddqn_per_original.yml"


def test_every_constructor_argument_and_zoo_key_is_known():
    names = set(constructor_arguments(DDQN)) - {"env", "tensorboard_log", "verbose", "seed", "device"}
    check_hyperparameters("ddqn_per", DDQN, [*names, *ZOO_KEYS])


@pytest.mark.parametrize(("key", "nested"), [("alpha", "replay_buffer_kwargs"), ("net_arch", "policy_kwargs")])
def test_arguments_of_arguments_are_told_their_place(key: str, nested: str):
    with pytest.raises(ValueError, match=rf"'{key}' is an argument of {nested}: -params {nested}:\"dict\({key}=\.\.\.\)\""):
        check_hyperparameters("ddqn_per", DDQN, ["policy", key])


def test_arguments_that_the_algorithm_passes_itself_have_no_place():
    with pytest.raises(ValueError, match=r"the hyperparameters received unknown argument.*'observation_space'"):
        check_hyperparameters("ddqn_per", DDQN, ["policy", "observation_space"])


@pytest.mark.parametrize(
    "misspelt, nearest",
    [("gama", "gamma"), ("temperature_minimum", "temperature_min"), ("n_env", "n_envs"), ("env_wraper", "env_wrapper")],
)
def test_misspelt_name_is_told_the_nearest(misspelt: str, nearest: str):
    with pytest.raises(ValueError, match=f"'{misspelt}' .did you mean '{nearest}'"):
        check_hyperparameters("ddqn_per", DDQN, ["policy", misspelt])


def test_names_that_only_the_command_line_sets():
    with pytest.raises(ValueError, match="'tensorboard_log' is not a hyperparameter, use the option -tb instead"):
        check_hyperparameters("ddqn_per", DDQN, ["tensorboard_log"])


def test_nested_names():
    check_nested_arguments("ddqn_per", DDQN, {"policy": "MlpPolicy", "policy_kwargs": {"net_arch": [8]}})
    check_nested_arguments("ddqn_per", DDQN, {"replay_buffer_kwargs": {"alpha": 0.5, "beta": 0.4}})
    with pytest.raises(ValueError, match=r"policy_kwargs received .*'net_arhc' .did you mean 'net_arch'"):
        check_nested_arguments("ddqn_per", DDQN, {"policy": "CnnPolicy", "policy_kwargs": {"net_arhc": [8]}})
    with pytest.raises(ValueError, match=r"replay_buffer_kwargs received .*'betta' .did you mean 'beta'"):
        check_nested_arguments("ddqn_per", DDQN, {"replay_buffer_kwargs": {"betta": 0.4}})


def test_nested_names_are_those_of_the_given_buffer_class():
    with pytest.raises(ValueError, match="'alpha'"):
        check_nested_arguments("ddqn_per", DDQN, {"replay_buffer_class": ReplayBuffer, "replay_buffer_kwargs": {"alpha": 1}})


def test_class_with_free_keywords_accepts_any():
    class Anything:
        def __init__(self, **kwargs: object) -> None: ...

    check_hyperparameters("anything", Anything, ["misspelt"])


@pytest.mark.parametrize("key", ["n_envs", "n_timesteps", "frame_stack"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "two", True, float("nan")])
def test_counts_that_are_none(key: str, value: object):
    with pytest.raises(ValueError, match=f"ddqn_per: {key} must be a whole number of at least 1, received {value!r}"):
        check_values("ddqn_per", {key: value})


def test_counts_that_are_whole():
    given = {"n_envs": 2.0, "n_timesteps": 1e6, "frame_stack": None}
    check_values("ddqn_per", given)
    assert given == {"n_envs": 2, "n_timesteps": 1_000_000, "frame_stack": None}
    assert isinstance(given["n_envs"], int)


@pytest.mark.parametrize(
    "section, place",
    [
        ("learning_rate: 1e-4", "learning_rate"),
        ("learning_rate: [1e-4, 2.0e-5]", "learning_rate"),
        ("policy_kwargs: {optimizer_kwargs: {eps: 1e-4}}", "policy_kwargs: optimizer_kwargs: eps"),
    ],
)
def test_numbers_that_yaml_reads_as_text(section: str, place: str):
    with pytest.raises(ValueError, match=f"ddqn_per: {place} is the text '1e-4'.* write !!float 1e-4 "):
        check_values("ddqn_per", yaml.safe_load(section))
    check_values("ddqn_per", yaml.safe_load(section.replace("1e-4", "!!float 1e-4")))


def test_text_that_is_no_number():
    check_values("ddqn_per", {"policy": "CnnPolicy", "learning_rate": "lin_1e-3", "env_kwargs": {"version": "2"}})


@pytest.mark.parametrize("n_timesteps, save_freq", [(0, -1), (-5, -1), (-1, 0)])
def test_options_that_the_zoo_would_ignore(n_timesteps: int, save_freq: int):
    with pytest.raises(ValueError, match=r"(-n|--save-freq) must be .*at least 1, .*received"):
        check_command_line(n_timesteps, save_freq)
    check_command_line(-1, -1)  # the defaults
    check_command_line(10, 10)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_training_that_ends_before_learning_starts(algo: str):
    """``learning_starts`` is given, or is the constructor's default of 10,000."""
    algorithm_class = resolve_name(ALGORITHMS[algo])
    for given, n_timesteps in (({"learning_starts": 1e2}, 100), ({}, 10_000)):
        with pytest.raises(ValueError, match=f"{algo}: a training of {n_timesteps} steps .* learning_starts={n_timesteps}"):
            check_learning_starts(algo, algorithm_class, given, n_timesteps)
        check_learning_starts(algo, algorithm_class, given, n_timesteps + 1)
    with pytest.raises(ValueError, match=f"{algo}: learning_starts must be a whole number of at least 0, received 'soon'"):
        check_learning_starts(algo, algorithm_class, {"learning_starts": "soon"}, 100)
