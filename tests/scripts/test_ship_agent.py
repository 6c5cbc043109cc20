"""``scripts/ship_agent.py``: a shipped agent acts like the original, and its settings and scores come with it."""

import json

import numpy as np
import pytest
import yaml
from stable_baselines3.common.monitor import load_results

from sb3_breakout import DDQN
from sb3_breakout.evaluation import evaluation_env

GAME = "BreakoutNoFrameskip-v4"
SHIPPED = f"rl-trained-agents/ddqn_per/{GAME}_2"


@pytest.fixture(scope="module")
def model():
    env = evaluation_env(n_envs=1, n_stack=2)
    model = DDQN("CnnPolicy", env, buffer_size=500, learning_starts=20, batch_size=4, seed=0)
    model.learn(60)
    model.tensorboard_log = "/somewhere/of/mine"
    env.close()
    return model


@pytest.fixture
def runs(tmp_path, model):
    """RL Zoo's two run folders of a training that was continued once; the second has the model."""
    folders = [tmp_path / "logs" / "ddqn_per" / f"{GAME}_{number}" for number in (1, 2)]
    for number, folder in enumerate(folders):
        (folder / GAME).mkdir(parents=True)
        header = json.dumps({"t_start": 100.0 + number, "env_id": GAME})
        (folder / "0.monitor.csv").write_text(f"#{header}\nr,l,t\n{number}.0,400,0.5\n")
        (folder / GAME / "args.yml").write_text(yaml.dump({"log_folder": "/somewhere/of/mine", "seed": 3, "uuid": True}))
        (folder / GAME / "config.yml").write_text(yaml.dump({"n_steps": 3}))
    model.save(folders[1] / GAME)
    return folders


@pytest.fixture(autouse=True)
def short_games(monkeypatch):
    monkeypatch.setattr("sb3_breakout.evaluation.playing.MAX_STEPS", 25)


def test_ships_the_network_and_says_where_it_comes_from(script, runs, model, tmp_path):
    script("ship_agent", *runs, "--episodes", 4)
    shipped = tmp_path / SHIPPED
    small = DDQN.load(shipped / f"{GAME}.zip", device="cpu")
    assert (shipped / f"{GAME}.zip").stat().st_size < (runs[1] / f"{GAME}.zip").stat().st_size * 2 / 3
    assert model.policy.optimizer.state_dict()["state"] != {} == small.policy.optimizer.state_dict()["state"]
    states = np.random.default_rng(0).integers(256, size=(50, 2, 84, 84), dtype=np.uint8)
    np.testing.assert_array_equal(small.predict(states, deterministic=True)[0], model.predict(states, deterministic=True)[0])

    assert load_results(str(shipped))["r"].tolist() == [0.0, 1.0]  # the games of both runs, in order
    settings = yaml.safe_load((shipped / GAME / "args.yml").read_text())
    assert (settings["seed"], settings["log_folder"], settings["uuid"]) == (3, "logs", False)
    assert not [path for path in shipped.rglob("*") if path.is_file() and b"somewhere" in path.read_bytes()]
    evaluation = json.loads((shipped / "evaluation.json").read_text())
    assert evaluation["trained_steps"] == 60
    assert [len(evaluation[protocol]["scores"]) for protocol in ("v4", "sticky")] == [4, 4]


@pytest.fixture
def without_evaluation(monkeypatch):
    monkeypatch.setattr("sb3_breakout.publish.ship.evaluation", lambda *_, **__: {})


def test_replaces_nothing_unless_it_is_told_to(script, runs, without_evaluation, tmp_path, capsys):
    mine = tmp_path / SHIPPED / "mine"
    mine.mkdir(parents=True)
    with pytest.raises(SystemExit):
        script("ship_agent", *runs)
    assert "exists already; --force replaces it" in capsys.readouterr().err
    assert mine.exists()
    script("ship_agent", *runs, "--episodes", 4, "--force")
    assert not mine.exists() and (tmp_path / SHIPPED / f"{GAME}.zip").exists()


def test_however_the_run_is_typed(script, runs, without_evaluation, tmp_path, monkeypatch):
    (tmp_path / "logs" / "ddqn_per").rename(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine" / f"{GAME}_2")
    script("ship_agent", ".", "--episodes", 4, "--output", tmp_path / "rl-trained-agents")
    assert (tmp_path / SHIPPED / f"{GAME}.zip").exists()


def test_names_a_run_without_settings(script, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit):
        script("ship_agent", tmp_path / "empty")
    assert "empty is not the log folder of a training: there is no GAME/args.yml in it" in capsys.readouterr().err


def test_names_a_model_that_is_not_there(script, runs, capsys):
    with pytest.raises(SystemExit):
        script("ship_agent", runs[0])
    assert f"There is no model {runs[0] / GAME}.zip." in capsys.readouterr().err


def test_names_a_run_that_is_not_there(script, tmp_path, capsys):
    with pytest.raises(SystemExit):
        script("ship_agent", tmp_path / "nope")
    assert f"There is no folder {tmp_path / 'nope'}" in capsys.readouterr().err


def test_given_a_file_it_names_the_option(script, runs, capsys):
    scores = runs[0] / "0.monitor.csv"
    with pytest.raises(SystemExit):
        script("ship_agent", scores)
    assert f"There is no folder {scores}: give {runs[0]} --checkpoint 0.monitor.csv." in capsys.readouterr().err
