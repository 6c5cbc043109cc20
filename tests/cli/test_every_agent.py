"""Every command that takes a trained agent works for every kind of agent, and detects its game and preprocessing."""

import json

import pytest

from sb3_breakout.agents import read_agent
from sb3_breakout.cli import main
from tests.trained_runs import COLOUR, KINDS, make_run

SHORT = ("--max-steps", 25)
OFTEN_PLAYED = ("original", "explorer", "pong", "c51_per")  # in other tests too, so here only in slow ones


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=pytest.mark.slow) if kind in OFTEN_PLAYED else kind for kind in KINDS]
)
def agent(request, tmp_path_factory):
    """The model file of an agent of each kind, in its run folder."""
    return make_run(tmp_path_factory.mktemp("logs"), request.param)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs a command of ``sb3-breakout`` in an empty folder: ``command("evaluate", "random")``."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: main([str(word) for word in words], standalone_mode=False)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_file_and_its_run_say(kind, tmp_path):
    algo, _, env_id, n_stack, name = KINDS[kind]
    found = read_agent(make_run(tmp_path, kind))
    assert found.algo == ("ddqn_per" if name == "exploration_agent.zip" else algo)
    assert (found.game.env_id, found.game.n_stack, found.game.env_kwargs) == (env_id, n_stack, {})
    assert found.game.wrapper_kwargs == (COLOUR if kind == "colour" else {})


def test_evaluate(agent, command, tmp_path):
    command("evaluate", agent, "--episodes", 1, "--seeds", 0, "--protocols", "v4", *SHORT, "--json", "report.json")
    protocol = json.loads((tmp_path / "report.json").read_text())["v4"]["protocol"]
    assert protocol["env_id"] == read_agent(agent).game.env_id
    assert protocol["frame_skip"] == (2 if protocol["wrapper_kwargs"] else 4)


def test_video(agent, command, tmp_path):
    command("video", "--agent", agent, *SHORT)
    assert (tmp_path / "videos" / f"{agent.parent.name}_{agent.stem}_agent.mp4").stat().st_size > 1000


def test_ship(agent, command, tmp_path, monkeypatch):
    """A shipped agent has the game of the original, and is evaluated."""
    monkeypatch.setattr("sb3_breakout.evaluation.playing.MAX_STEPS", 25)
    command("ship", agent.parent, "--checkpoint", agent.name, "--episodes", 4)
    (shipped,) = (tmp_path / "rl-trained-agents").glob("*/*/*.zip")
    assert vars(read_agent(shipped).game) == vars(read_agent(agent).game)
    report = json.loads((shipped.parent / "evaluation.json").read_text())
    assert report["v4"]["episodes"] == report["sticky"]["episodes"] == 4


def test_collect(agent, command, tmp_path):
    command("collect", "--agents", agent, "--episodes", 1, "--output", "data")
    (episode,) = (tmp_path / "data" / "raw_gameplay" / "episodes").iterdir()
    game = json.loads((episode / "episode.json").read_text())["game"]
    assert game["env_id"] == read_agent(agent).game.env_id
    with pytest.raises(SystemExit) as verdict:
        command("verify", "data")
    assert verdict.value.code == 0
