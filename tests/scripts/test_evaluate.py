"""``scripts/evaluate.py``: its output, and refused arguments."""

import json
import signal

import pytest

from sb3_breakout.evaluation import Scores, evaluate


def test_prints_and_keeps_both_protocols(script, tmp_path, capsys):
    script("evaluate", "random", "--episodes", 4, "--seeds", 0, 1, "--json", "scores.json")
    output = capsys.readouterr().out
    assert "v4: mean" in output and "sticky: mean" in output and "sticky actions 0.25" in output
    assert "95 % interval" in output and "4 games, 4 of them distinct" in output and "only four openings" in output
    assert "balls missed: served" in output
    report = json.loads((tmp_path / "scores.json").read_text())
    assert len(report["v4"]["scores"]) == report["sticky"]["episodes"] == 4
    assert report["v4"]["protocol"]["interval"]["level"] == 0.95


def test_terminated_it_keeps_the_protocol_that_is_finished(script, tmp_path, monkeypatch):
    def terminated_under_sticky(model, protocol, **how) -> Scores:
        if protocol == "sticky":
            signal.raise_signal(signal.SIGTERM)
        return evaluate(model, protocol=protocol, **how)

    monkeypatch.setattr("sb3_breakout.evaluation.evaluate", terminated_under_sticky)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        script("evaluate", "random", "--episodes", 2, "--seeds", 0, "--json", "scores.json")
    signal.signal(signal.SIGTERM, before)
    assert stopped.value.code == 128 + signal.SIGTERM
    report = json.loads((tmp_path / "scores.json").read_text())
    assert len(report["v4"]["scores"]) == 2 and "sticky" not in report


@pytest.mark.slow
def test_prints_the_same_again(script, capsys):
    for workers in (1, 2):
        script("evaluate", "random", "--episodes", 2, "--seeds", 7, "--protocols", "sticky", "--workers", workers)
    output = capsys.readouterr().out
    assert output[: len(output) // 2] == output[len(output) // 2 :] != ""


def test_plays_another_game(script, capsys):
    script("evaluate", "random", "--env", "PongNoFrameskip-v4", "--episodes", 1, "--seeds", 0, "--protocols", "v4")
    output = capsys.readouterr().out
    assert "v4: mean -2" in output  # Breakout has no negative scores
    assert "one game: no interval" in output and "balls" not in output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("agent.zip", 1, "There is no agent agent.zip"),
        ("garbage.zip", 1, "garbage.zip is not a complete checkpoint"),
        ("random --episodes 0", 2, "'--episodes': 0 is not in the range x>=1"),
        ("random --episodes 2", 1, "at least 4, a game for each of the seeds 0 1 2 3, received 2"),
        ("random --deterministic", 2, "--deterministic is for a trained agent"),
        ("random --seeds -1", 2, "'--seeds': -1 is not in the range"),
        ("random --seeds 0 1 -1", 2, "'--seeds': -1 is not in the range"),
        ("random --seeds 1 1", 1, "received [1, 1]"),
        ("random --env CartPole-v1", 1, "received 'CartPole-v1'"),
        ("random --json .", 2, "File '.' is a directory"),
        ("random --protocols v5", 2, "'v5' is not one of 'v4', 'sticky'"),
        ("", 2, "Missing argument 'AGENT'"),
    ],
)
def test_says_what_is_wrong(script, tmp_path, capsys, words, code, message):
    (tmp_path / "garbage.zip").write_text("no zip file")
    with pytest.raises(SystemExit) as stopped:
        script("evaluate", *words.split())
    assert stopped.value.code == code
    assert message in capsys.readouterr().err.splitlines()[-1]
