"""Games recorded during training are whole and can be verified, and recording does not change the training."""

import errno
import json
import sys
from pathlib import Path

import pytest
import torch as th
import yaml
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecTransposeImage

from sb3_breakout import DDQN
from sb3_breakout.envs import AtariPreprocessing
from sb3_breakout.gameplay import RecordGameplayCallback
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from sb3_breakout.gameplay.dataset.verification import verify_dataset
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter
from tests.gameplay.conftest import game
from tests.zoo.command_line import TRAIN, run

ROOT = Path(__file__).parents[3]


def env() -> VecEnv:
    return VecTransposeImage(VecFrameStack(game(max_num_frames_per_episode=200, repeat_action_probability=0.25), 2))


def train(callback: RecordGameplayCallback | None) -> DDQN:
    model = DDQN("CnnPolicy", env(), buffer_size=500, learning_starts=50, batch_size=8, seed=4, device="cpu")
    model.learn(130, callback=callback)
    assert model.env is not None
    model.env.close()
    return model


def test_training_does_not_notice(tmp_path: Path) -> None:
    plain, recorded = train(None), train(RecordGameplayCallback(40, tmp_path / "data", env))
    for name, weight in plain.policy.named_parameters():
        assert th.equal(weight, recorded.policy.get_parameter(name)), name
    folder = GameplayFolder(tmp_path / "data")
    episodes = [Episode.open(folder.episode(number)) for number in folder.numbers()]
    assert [episode.facts["agent"]["trained_steps"] for episode in episodes] == [40, 80, 120]
    assert len({episode.facts["agent"]["weights_sha256"] for episode in episodes}) == 3
    assert all(fault is None for _, fault in verify_dataset(folder))


def test_games_that_cannot_be_recorded_are_refused_before_training(tmp_path: Path) -> None:
    def unrecordable() -> VecEnv:
        limited = make_vec_env("BreakoutNoFrameskip-v4", wrapper_class=lambda env: AtariPreprocessing(TimeLimit(env, 200)))
        return VecTransposeImage(VecFrameStack(limited, 2))

    with pytest.raises(ValueError, match="TimeLimit below AtariPreprocessing cannot be recorded"):
        train(RecordGameplayCallback(40, tmp_path / "data", unrecordable))
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        train(RecordGameplayCallback(40, tmp_path / "data", lambda: VecTransposeImage(VecFrameStack(game(), 3))))
    assert not (tmp_path / "data").exists()


def test_full_disk_does_not_end_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(self: EpisodeWriter, *_: object) -> None:
        self.give_up()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(EpisodeWriter, "add", add)
    with pytest.warns(UserWarning, match=r"A game was not recorded \(.*No space left on device.*\); training continues"):
        model = train(RecordGameplayCallback(100, tmp_path / "data", env))
    assert model.num_timesteps >= 130
    assert GameplayFolder(tmp_path / "data").numbers() == []


def test_damaged_games_do_not_end_a_training(tmp_path: Path) -> None:
    train(RecordGameplayCallback(100, tmp_path / "data", env))
    frame = GameplayFolder(tmp_path / "data").episode(1) / "frame_000003.png"
    frame.unlink()
    with pytest.warns(UserWarning, match=r"A game was recorded, but not indexed \(.*frame_000003.png is missing.*\)"):
        assert train(RecordGameplayCallback(100, tmp_path / "data", env)).num_timesteps >= 130
    assert GameplayFolder(tmp_path / "data").numbers() == [1, 2]


def test_without_a_folder_it_does_nothing() -> None:
    assert train(RecordGameplayCallback(10)).num_timesteps >= 130
    with pytest.raises(ValueError, match="every must be a whole number of at least 1"):
        RecordGameplayCallback(0)


def test_training_in_the_zoo(tmp_path: Path) -> None:
    options = ("--env", "BreakoutNoFrameskip-v4", "-f", "logs", "-n", "260", "--eval-freq", "-1", "--device", "cpu")
    small = ("learning_starts:200", "batch_size:8", "buffer_size:500", "n_envs:2")
    every = "callback:[{'sb3_breakout.gameplay.RecordGameplayCallback':{'every':200}}]"
    sticky = "env_kwargs:dict(repeat_action_probability=0.25,max_num_frames_per_episode=1000)"
    run(*TRAIN, *options, "-params", *small, every, sticky, folder=tmp_path)
    data = tmp_path / "logs" / "ddqn_per" / "BreakoutNoFrameskip-v4_1" / "gameplay"
    card = json.loads((data / "dataset.json").read_text())
    assert card["episodes"] == 1 and list(card["agents"]) == ["DDQN after 200 steps"]
    assert card["games"][0]["env_kwargs"]["repeat_action_probability"] == 0.25
    assert "1 episodes replayed, 0 faults" in run(
        sys.executable, ROOT / "scripts" / "verify_gameplay.py", data, folder=tmp_path
    )


def test_on_by_default() -> None:
    for preset in ("ddqn_per", "ddqn_per_original", "ddqn_per_rgb"):
        section = yaml.safe_load((ROOT / "hyperparams" / f"{preset}.yml").read_text())["BreakoutNoFrameskip-v4"]
        assert section["callback"] == [{"sb3_breakout.gameplay.RecordGameplayCallback": {"every": 50_000}}]


@pytest.mark.slow
def test_switched_off_in_the_zoo(tmp_path: Path) -> None:
    options = ("--env", "BreakoutNoFrameskip-v4", "-f", "logs", "-n", "60", "--eval-freq", "-1", "--device", "cpu")
    small = ("learning_starts:50", "batch_size:8", "buffer_size:500", "n_envs:2")
    run(*TRAIN, *options, "-params", *small, "callback:None", folder=tmp_path)
    assert not list((tmp_path / "logs").rglob("gameplay"))
