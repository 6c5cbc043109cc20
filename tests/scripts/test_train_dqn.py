"""``scripts/train_dqn.py``: the original's flags become options of RL Zoo."""

import ast
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.scripts.conftest import SCRIPTS
from tests.zoo.command_line import run

START = ["--env", "BreakoutNoFrameskip-v4", "-P"]
STOP = "stable_baselines3.common.callbacks.StopTrainingOnMaxEpisodes"


@pytest.fixture
def zoo_options(script, monkeypatch, capsys):
    """Returns the options that the script passes to RL Zoo's ``train()``, and checks that it prints the same."""
    seen = []
    monkeypatch.setitem(sys.modules, "rl_zoo3", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "rl_zoo3.train", SimpleNamespace(train=lambda: seen.append(sys.argv[1:])))

    def options(*words):
        seen.clear()
        script("train_dqn", *words)
        (words,) = seen
        assert shlex.split(capsys.readouterr().out) == ["python", "-m", "rl_zoo3.train", *words]
        return words

    return options


def callbacks(options):
    """The callbacks in ``-params``, as RL Zoo parses them."""
    (word,) = [word for word in options if word.startswith("callback:")]
    return ast.literal_eval(word.removeprefix("callback:"))


@pytest.fixture
def recording(tmp_path):
    """Writes a hyperparameter file with two callbacks, one of which records gameplay, and returns them."""
    own = ["mine.Callback", {"sb3_breakout.gameplay.Recorder": {"every": 10}}]
    (tmp_path / "mine.yml").write_text(yaml.dump({"BreakoutNoFrameskip-v4": {"callback": own, "n_envs": 3}}))
    return own


@pytest.mark.parametrize(
    ("mode", "algo"),
    [((), "ddqn_per"), (("temperature",), "ddqn_per"), (("rnd",), "ddqn_rnd")],
    ids=["default", "temperature", "rnd"],
)
def test_exploration_mode_is_the_algorithm(zoo_options, mode, algo):
    flag = ("--exploration_mode", *mode) if mode else ()
    assert zoo_options(*flag) == ["--algo", algo, *START]


def test_what_the_front_does_not_know_is_passed_on(zoo_options):
    others = ["-n", "500", "--eval-freq", "-1", "-f", "my logs", "--track", "--seed", "3"]
    assert zoo_options(*others) == ["--algo", "ddqn_per", *START, *others]


def test_buffer_and_checkpoints(zoo_options):
    options = zoo_options("--min_buffer", 5000, "--save_freq", 200, "-params", "n_steps:1", "gamma:0.9")
    assert options == [
        "--algo",
        "ddqn_per",
        *START,
        "--save-freq",
        "200",
        "-params",
        "learning_starts:5000",
        "n_steps:1",
        "gamma:0.9",
    ]


@pytest.mark.parametrize(
    ("options", "per_game"), [((), 4), (("-params", "n_envs:5"), 20), (("-conf", "ddqn_per_original"), 100)]
)
def test_episodes_are_counted_over_all_games(zoo_options, options, per_game):
    """SB3's callback counts episodes per game. Our YAML file has 32 games, the preset of the original one."""
    assert callbacks(zoo_options("--max_episodes", 100, *options))[-1] == {STOP: {"max_episodes": per_game, "verbose": 1}}


def test_callbacks_of_the_file_stay(zoo_options, recording):
    stop = {STOP: {"max_episodes": 2, "verbose": 1}}
    assert callbacks(zoo_options("-conf", "mine.yml", "--max_episodes", 4)) == [*recording, stop]
    assert callbacks(zoo_options("-conf", "mine.yml", "--max_episodes", 4, "--no_save")) == ["mine.Callback", stop]
    assert callbacks(zoo_options("-conf", "mine.yml", "--no_save")) == ["mine.Callback"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max_episodes", 0), "--max_episodes must be at least 1, received 0"),
        (("--no_save", "-params", "callback:None"), "leave callback out of -params"),
        (("--no_save", "-conf", "nobody.yml"), "there is no nobody.yml"),
        (("--exploration_mode", "curiosity"), "invalid choice"),
    ],
)
def test_what_cannot_be_done_is_said(script, capsys, options, message):
    with pytest.raises(SystemExit) as end:
        script("train_dqn", *options)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_it_trains(tmp_path: Path):
    flags = ("--max_episodes", "2", "--min_buffer", "5000", "--no_save", "--eval-freq", "-1", "-f", "logs")
    output = run(sys.executable, SCRIPTS / "train_dqn.py", *flags, "-params", "n_envs:1", "buffer_size:6000", folder=tmp_path)
    assert output.splitlines()[0].startswith("python -m rl_zoo3.train --algo ddqn_per")
    assert "reached max_episodes=2, by playing for 2 episodes" in output
    assert "100% | 2/2 episodes" in output
    assert (tmp_path / "logs" / "ddqn_per" / "BreakoutNoFrameskip-v4_1" / "BreakoutNoFrameskip-v4.zip").is_file()
