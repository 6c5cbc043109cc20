"""Scores: what they are made of, and how they are told."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sb3_breakout import DDQN
from sb3_breakout.envs import RandomAgent
from sb3_breakout.evaluation import Scores, evaluate, evaluation_env
from tests.zoo.command_line import run

SCRIPT = Path(__file__).parent.parent / "scripts" / "evaluate.py"


def test_summary_on_hand_worked_numbers() -> None:
    summary = Scores([10.0, 0.0, 4.0, 2.0, 100.0, 6.0, 8.0, 4.0], [1] * 8, {}).summary()
    # Sorted: 0 2 | 4 4 6 8 | 10 100
    assert summary["mean"] == 134 / 8
    assert summary["median"] == 5.0
    assert summary["iqm"] == 22 / 4
    assert (summary["best"], summary["worst"], summary["episodes"], summary["steps"]) == (100.0, 0.0, 8, 8)
    squares = sum((score - 16.75) ** 2 for score in (10, 0, 4, 2, 100, 6, 8, 4))
    assert summary["standard_deviation"] == pytest.approx((squares / 7) ** 0.5)
    assert summary["standard_error"] == pytest.approx((squares / 7 / 8) ** 0.5)


def test_one_game_has_no_spread() -> None:
    assert Scores([3.0], [10], {}).summary()["standard_error"] == 0.0


def test_whole_games_of_a_random_agent() -> None:
    agent = RandomAgent(evaluation_env(n_envs=1), seed=0)
    scores = evaluate(agent, episodes=6, n_envs=3)
    assert len(scores.scores) == len(scores.lengths) == 6
    assert 0.0 <= np.mean(scores.scores) <= 6.0
    assert min(scores.lengths) > 5 * 15  # five lives
    assert scores.protocol["protocol"] == "v4" and scores.protocol["sticky_actions"] == 0.0


def test_games_are_cut_at_the_limit() -> None:
    agent = RandomAgent(evaluation_env(n_envs=1), seed=0)
    assert evaluate(agent, episodes=2, max_steps=40, noop_max=0).lengths == [40, 40]
    assert max(evaluate(agent, episodes=2, max_steps=40).lengths) <= 48  # no-ops of the start come on top


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(dict(episodes=0), "episodes must be at least 1, received 0"), (dict(protocol="v5"), "'v4', 'sticky', received 'v5'")],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(RandomAgent(evaluation_env(n_envs=1)), **arguments)  # type: ignore[arg-type]


def test_agent_that_sees_something_else() -> None:
    cartpole = DDQN("MlpPolicy", "CartPole-v1", buffer_size=100)
    with pytest.raises(ValueError, match=r"observations of shape \(4,\), the evaluation shows"):
        evaluate(cartpole, episodes=1)


def test_script(tmp_path: Path) -> None:
    output = run(sys.executable, SCRIPT, "random", "--episodes", "2", "--json", "scores.json", folder=tmp_path)
    assert "v4: mean" in output and "sticky: mean" in output and "sticky actions 0.25" in output
    report = json.loads((tmp_path / "scores.json").read_text())
    assert len(report["v4"]["scores"]) == report["sticky"]["episodes"] == 2
    pong = "random --env PongNoFrameskip-v4 --episodes 1 --protocols v4"
    output = run(sys.executable, SCRIPT, *pong.split(), folder=tmp_path)
    assert "v4: mean -2" in output  # Breakout has no negative scores
    assert "there is no file agent.zip" in run(sys.executable, SCRIPT, "agent.zip", folder=tmp_path, code=2)
