"""``vec_env_class`` in YAML sets the class of the training environments only."""

import csv
from pathlib import Path

import pytest

from tests.zoo.command_line import TRAIN, run

BREAKOUT = ("--env", "BreakoutNoFrameskip-v4", "-f", "logs", "-n", "310", "--log-interval", "1000")
SMALL = ("-params", "learning_starts:300", "batch_size:8", "buffer_size:1000", "n_envs:2", "callback:None")

# Prints the class of every vectorized environment that the Zoo makes
WATCH = """
import sys
from rl_zoo3 import exp_manager
original = exp_manager.make_vec_env
def make_vec_env(*args, **kwargs):
    env = original(*args, **kwargs)
    print("MADE", type(env).__name__, env.num_envs, flush=True)
    return env
exp_manager.make_vec_env = make_vec_env
from rl_zoo3.train import train
sys.argv = ["train", "--algo", "ddqn_per", *sys.argv[1:]]
train()
"""


def made(folder: Path, *arguments: str) -> list[str]:
    output = run(TRAIN[0], "-c", WATCH, *BREAKOUT, *arguments, folder=folder)
    return [line for line in output.splitlines() if line.startswith("MADE")]


def test_training_but_not_evaluation(tmp_path: Path) -> None:
    assert made(tmp_path, "--eval-freq", "1000", *SMALL) == ["MADE DummyVecEnv 1", "MADE AleVecEnv 2"]
    folder = tmp_path / "logs" / "ddqn_per" / "BreakoutNoFrameskip-v4_1"
    with open(folder / "0.monitor.csv") as file:
        assert file.readline().startswith("#")
        assert next(csv.reader(file)) == ["r", "l", "t"]


@pytest.mark.slow
def test_subprocesses_where_they_are_asked_for(tmp_path: Path) -> None:
    assert made(tmp_path, "--eval-freq", "-1", "--vec-env", "subproc", *SMALL) == ["MADE SubprocVecEnv 2"]


def test_switched_off(tmp_path: Path) -> None:
    assert made(tmp_path, "--eval-freq", "-1", *SMALL, "vec_env_class:None") == ["MADE DummyVecEnv 2"]


@pytest.mark.parametrize("name", ["sb3_breakout.envs.AleVecEnvs", "no_such_module.VecEnv"])
def test_class_that_is_not_there(tmp_path: Path, name: str) -> None:
    output = run(*TRAIN, *BREAKOUT, *SMALL, f"vec_env_class:'{name}'", folder=tmp_path, code=1)
    assert name.rpartition(".")[2] in output or name.rpartition(".")[0] in output
