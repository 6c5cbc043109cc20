"""Every shipped agent loads without a warning and plays as published."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3_breakout import DDQN
from sb3_breakout.agents import read_agent
from sb3_breakout.evaluation import bootstrap_interval, evaluate, evaluation_env
from tests.zoo.command_line import ENJOY, RECORD_VIDEO, run

AGENTS = Path(__file__).parent.parent / "rl-trained-agents"
MODELS = sorted(AGENTS.glob("*/*/*.zip"))
DEFAULT = AGENTS / "ddqn_per" / "BreakoutNoFrameskip-v4_1" / "BreakoutNoFrameskip-v4.zip"  # the Zoo's default
MEGABYTE = 1 << 20
COLOUR = "_rgb"  # suffix of runs with larger pictures, hence larger files
GAME = ("--env", "BreakoutNoFrameskip-v4", "-n", "30", "--no-render")
BREAKOUT = ("--algo", "ddqn_per", *GAME)


@pytest.fixture(params=MODELS, ids=lambda path: path.parent.name)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def published(path: Path) -> dict[str, Any]:
    return json.loads((path.parent / "evaluation.json").read_text())


def test_there_is_one_where_the_zoo_looks_by_default() -> None:
    assert DEFAULT in MODELS


def test_small_and_loaded_on_a_cpu_without_a_warning(path: Path, published: dict[str, Any]) -> None:
    """Warnings are errors in the tests, so a warning would fail this one."""
    assert path.stat().st_size <= (12 if path.parent.name.endswith(COLOUR) else 8) * MEGABYTE
    model = DDQN.load(path, device="cpu")
    assert model.num_timesteps == published["trained_steps"] > 0
    assert model.policy.optimizer.state_dict()["state"] == {}


def test_published_figures_are_those_of_the_published_scores(published: dict[str, Any]) -> None:
    for protocol in ("v4", "sticky"):
        scores = np.array(published[protocol]["scores"])
        assert len(scores) == published[protocol]["episodes"] >= 100
        assert published[protocol]["mean"] == pytest.approx(scores.mean())
        assert published[protocol]["median"] == np.median(scores)
        assert published[protocol]["interval"] == pytest.approx(bootstrap_interval(scores))
        assert published[protocol]["protocol"]["seeds"] == [0, 1, 2, 3]


def test_plays_far_better_than_at_random() -> None:
    """The agent scores more in 500 steps than random play in whole games."""
    agent = read_agent(DEFAULT)
    scores = evaluate(agent.load("cpu"), episodes=4, seeds=[4], max_steps=500, **vars(agent.game)).scores
    assert np.mean(scores) > 10


@pytest.mark.slow
def test_plays_as_published(path: Path) -> None:
    agent = read_agent(path)
    mean = np.mean(evaluate(agent.load("cpu"), episodes=8, seeds=[4], max_steps=2000, **vars(agent.game)).scores)
    theirs = json.loads((path.parent / "evaluation.json").read_text())["v4"]
    assert abs(mean - theirs["mean"]) <= 3 * theirs["standard_deviation"]
    assert mean >= theirs["mean"] / 2


@pytest.mark.slow
def test_bfloat16_chooses_the_actions_of_float32(path: Path) -> None:
    """Compared in states where it matters: the Q-values of the best two actions differ by more than 0.001."""
    model = DDQN.load(path, device="cpu", autocast=False)
    env = evaluation_env(n_envs=4, seed=2, **vars(read_agent(path).game))
    observations = [env.reset()]
    for _ in range(150):
        observations.append(env.step(model.predict(observations[-1])[0])[0])
    env.close()
    exact = np.concatenate([model.policy.q_values(batch) for batch in observations])
    model.policy.set_autocast(True)
    rounded = np.concatenate([model.policy.q_values(batch) for batch in observations])
    top_two = np.sort(exact, axis=1)[:, -2:]
    clear = top_two[:, 1] - top_two[:, 0] > 0.001
    assert clear.sum() > 300
    assert (exact.argmax(axis=1) == rounded.argmax(axis=1))[clear].mean() >= 0.99


def test_the_zoo_finds_it_in_an_empty_folder(tmp_path: Path) -> None:
    """RL Zoo copies the agent there, unless there is a run already."""
    run_folder = Path("rl-trained-agents", "ddqn_per", "BreakoutNoFrameskip-v4_1")
    output = run(*ENJOY, *BREAKOUT, folder=tmp_path)
    assert "Copying the agent" in output and f"Loading {run_folder}" in output
    (tmp_path / run_folder).rename(tmp_path / run_folder.with_name("BreakoutNoFrameskip-v4_7"))
    output = run(*RECORD_VIDEO, *BREAKOUT, folder=tmp_path)
    assert "Copying the agent" not in output and "BreakoutNoFrameskip-v4_7" in output
    assert list(tmp_path.rglob("*.mp4"))


def test_the_zoo_downloads_nothing_in_our_name(tmp_path: Path) -> None:
    """For an algorithm without a shipped agent there is an error. RL Zoo would look for it in its own organization."""
    output = run(*ENJOY, "--algo", "ddqn_rnd", *GAME, folder=tmp_path, code=1)
    assert "FileNotFoundError: The rl-trained-agents/ddqn_rnd folder was not found." in output
    assert "Shipped are c51_per/BreakoutNoFrameskip-v4_1, " in output and "download" not in output
