"""Reading an agent from its model file and run folder. The files here contain only what is read."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from sb3_breakout.agents import Game, find_agent, read_agent, shipped_agents

OURS = {"evaluation_epsilon": 0.01, "n_atoms": None}


def save(path: Path, shape: tuple[int, ...] = (8, 84, 84), members: tuple[str, ...] = (), **data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data", json.dumps({"observation_space": {"_shape": str(list(shape))}, **data}))
        for member in members:
            file.writestr(member, "")
    return path


def keep(run: Path, args: dict[str, Any], config: dict[str, Any]) -> None:
    (run / "Game").mkdir(parents=True)
    (run / "Game" / "args.yml").write_text(yaml.dump(args))
    (run / "Game" / "config.yml").write_text(yaml.dump(config))


@pytest.mark.parametrize(
    ("shape", "n_stack", "wrapper_kwargs"),
    [
        ((8, 84, 84), 8, {}),
        ((12, 84, 84), 12, {}),  # 84x84 is grey, though 12 is a multiple of 3
        ((24, 210, 160), 8, {"grayscale": False, "screen_size": None}),
        ((4, 210, 160), 4, {"grayscale": True, "screen_size": None}),
        ((9, 64, 64), 3, {"grayscale": False, "screen_size": 64}),
    ],
)
def test_model_without_a_run(tmp_path, shape, n_stack, wrapper_kwargs):
    assert read_agent(save(tmp_path / "a.zip", shape, **OURS)).game == Game(
        "BreakoutNoFrameskip-v4", n_stack, wrapper_kwargs, {}
    )


@pytest.mark.parametrize(
    ("data", "members", "algo"),
    [
        (OURS, (), "ddqn_per"),
        ({"evaluation_epsilon": 0.01}, (), "ddqn_per"),  # saved by a version without n_atoms
        (OURS | {"n_atoms": 51}, (), "c51_per"),
        (OURS, ("explorer.policy.pth",), "ddqn_rnd"),
    ],
)
def test_algorithm(tmp_path, data, members, algo):
    path = save(tmp_path / "a.zip", members=members, **data)
    assert read_agent(path).algo == read_agent(path, algo).algo == algo
    other = "c51_per" if algo != "c51_per" else "ddqn_per"
    with pytest.raises(ValueError, match=f"was saved by {algo}, received --algo {other}"):
        read_agent(path, other)


def test_the_protocol_is_not_taken_from_the_training(tmp_path):
    wrapper = {"sb3_breakout.envs.BreakoutWrapper": {"noop_max": 0, "clip_reward": False, "fire_reset": False}}
    shaping = "sb3_breakout.envs.RewardShapingWrapper"
    env_kwargs = {"max_num_frames_per_episode": 9, "repeat_action_probability": 0.5, "full_action_space": True}
    keep(tmp_path, {"env": "PongNoFrameskip-v4", "env_kwargs": env_kwargs}, {"env_wrapper": [wrapper, shaping]})
    game = read_agent(save(tmp_path / "a.zip", **OURS)).game
    assert game == Game("PongNoFrameskip-v4", 8, {"fire_reset": False}, {"full_action_space": True})
    assert read_agent(tmp_path / "a.zip", env_id="BreakoutNoFrameskip-v4").game.env_id == "BreakoutNoFrameskip-v4"


def test_wrapper_that_nobody_knows(tmp_path):
    keep(tmp_path, {"env": "PongNoFrameskip-v4", "env_kwargs": None}, {"env_wrapper": "mine.Upside"})
    with pytest.raises(ValueError, match=r"was trained under mine\.Upside"):
        read_agent(save(tmp_path / "a.zip", **OURS))


def test_damaged_settings(tmp_path):
    keep(tmp_path, {"env": "PongNoFrameskip-v4"}, {})
    (tmp_path / "Game" / "config.yml").write_text("- [")
    with pytest.raises(ValueError, match=r"The settings in .*Game are damaged: "):
        read_agent(save(tmp_path / "a.zip", **OURS))


def test_model_of_another_algorithm(tmp_path):
    with pytest.raises(ValueError, match="was not saved by an algorithm of this package: ddqn_per"):
        read_agent(save(tmp_path / "dqn.zip"))


def test_names(tmp_path):
    logs = tmp_path / "logs"
    uuid = "_0b5f1c5e-1d0e-4a3c-9d3e-0f2f6f3d7a11"  # added by RL Zoo's --uuid
    for run in ("2", f"10{uuid}", "10_backup"):
        save(logs / "c51_per" / f"PongNoFrameskip-v4_{run}" / "best_model.zip", **OURS | {"n_atoms": 51})
    found = find_agent("c51_per:best", env_id="PongNoFrameskip-v4", logs=logs)
    assert found.path.parent.name == f"PongNoFrameskip-v4_10{uuid}"
    assert find_agent("trained") == find_agent("ddqn_per/BreakoutNoFrameskip-v4_1")
    assert find_agent("trained", env_id="PongNoFrameskip-v4") == find_agent("ddqn_per/PongNoFrameskip-v4_1")
    with pytest.raises(FileNotFoundError, match="No agent is shipped for TennisNoFrameskip-v4"):
        find_agent("trained", env_id="TennisNoFrameskip-v4")
    with pytest.raises(FileNotFoundError, match="No agent by ddqn_rnd is shipped for BreakoutNoFrameskip-v4"):
        find_agent("trained", algo="ddqn_rnd")


def test_folder_instead_of_a_file(tmp_path):
    save(tmp_path / "best_model.zip", **OURS)
    message = f"{tmp_path} is a folder: give the path of an agent's zip file in it (best_model.zip)."
    with pytest.raises(ValueError, match=re.escape(message)):
        find_agent(str(tmp_path))


def test_agents_of_others_are_not_ours(tmp_path, monkeypatch):
    """RL Zoo's ``load_from_hub`` downloads to a folder of the same name, whose agents are not listed as shipped."""
    monkeypatch.setattr("sb3_breakout.agents.SHIPPED", tmp_path)
    save(tmp_path / "ppo" / "CartPole-v1_1" / "CartPole-v1.zip")
    save(tmp_path / "ddqn_per" / "PongNoFrameskip-v4_1" / "PongNoFrameskip-v4.zip", **OURS)
    (tmp_path / "ddqn_per" / "PongNoFrameskip-v4_1" / "evaluation.json").touch()
    assert list(shipped_agents()) == ["ddqn_per/PongNoFrameskip-v4_1"]
