"""Each export equals the recorded episodes when read with the library of its format."""

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import gymnasium as gym
import numpy as np
import pytest

from sb3_breakout import __version__
from sb3_breakout.cli.dataset import FORMATS
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.exporters import EXPORTERS, export
from sb3_breakout.gameplay.dataset.layout import DamagedDataset, GameplayFolder
from sb3_breakout.gameplay.dataset.provenance import decode_state
from tests.gameplay.conftest import SHORT, MakeGame, record
from tests.zoo.command_line import run

SCRIPTS = Path(__file__).parents[3] / "scripts"


def by_split(root: Path) -> Iterator[tuple[str, Episode]]:
    folder = GameplayFolder(root)
    for split, names in json.loads(folder.splits.read_text()).items():
        for name in names if split != "seed" else []:
            yield split, Episode.open(folder.episodes / name)


def frames_of(file: Path) -> list[np.ndarray]:
    """:return: the pictures of a video of 15 per second, each (height, width, 3) uint8 RGB"""
    video = cv2.VideoCapture(str(file))
    assert video.get(cv2.CAP_PROP_FPS) == 15
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][:, :, ::-1])
    video.release()
    return frames


def test_npz(ten_short_games: Path, tmp_path: Path) -> None:
    export(GameplayFolder(ten_short_games), "npz", tmp_path / "out")
    for split, episode in by_split(ten_short_games):
        with np.load(tmp_path / "out" / split / f"{episode.name}.npz") as arrays:
            assert np.array_equal(arrays["frames"], episode.frames()) and arrays["frames"].dtype == np.uint8
            facts = json.loads(str(arrays["facts"]))
            for name in ("actions", "rewards"):
                assert np.array_equal(arrays[name], getattr(episode, name))
            for name in ("ale_actions", "pressed", "shaped_rewards", "life_lost", "lives"):
                facts[name] = arrays[name].tolist()
            assert facts.items() <= episode.facts.items()
            assert episode.facts.keys() - facts.keys() == {"actions", "rewards"}


def test_npz_of_sticky_actions(tmp_path: Path, play_in: MakeGame) -> None:
    sticky = play_in(dict(action_repeat_probability=0.25, noop_max=0), max_num_frames_per_episode=102)
    (episode,) = record(tmp_path / "data", sticky)
    export(GameplayFolder(tmp_path / "data"), "npz", tmp_path / "out")
    with np.load(tmp_path / "out" / "train" / f"{episode.name}.npz") as arrays:
        executed = arrays["executed_actions"].tolist()
    assert executed[:-1] == episode.facts["executed_actions"][:-1]
    assert executed[-1] == [*episode.facts["executed_actions"][-1], -1, -1]  # the last step was cut to two frames


@pytest.mark.parametrize("colour", [False, True])
def test_mp4(tmp_path: Path, play_in: MakeGame, colour: bool) -> None:
    wrapper = dict(screen_size=None, grayscale=False) if colour else {}
    (episode,) = record(tmp_path / "data", play_in(wrapper, **SHORT))
    export(GameplayFolder(tmp_path / "data"), "mp4", tmp_path / "out")
    ((split, _),) = by_split(tmp_path / "data")
    file = tmp_path / "out" / split / f"{episode.name}.mp4"
    assert json.loads(file.with_suffix(".json").read_text()) == episode.facts
    expected = episode.frames() if colour else np.repeat(episode.frames(), 3, axis=3)
    assert np.array_equal(frames_of(file), expected)
    assert sorted(path.name for path in file.parent.iterdir()) == [f"{episode.name}.json", f"{episode.name}.mp4"]


def test_mp4_of_native_frames(tmp_path: Path, play_in: MakeGame) -> None:
    (episode,) = record(tmp_path / "data", play_in(**SHORT), native=True)
    export(GameplayFolder(tmp_path / "data"), "mp4", tmp_path / "out")
    (file,) = (tmp_path / "out").rglob("*_native.mp4")
    assert np.array_equal(frames_of(file), [episode.native(step) for step in range(len(episode) + 1)])
    (file,) = (tmp_path / "out").rglob(f"{episode.name}.mp4")
    assert np.array_equal(frames_of(file), np.repeat(episode.frames(), 3, axis=3))


def test_minari(ten_short_games: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari")
    export(GameplayFolder(ten_short_games), "minari", tmp_path / "out")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "out"))
    episodes = list(by_split(ten_short_games))
    for split in ("train", "validation"):
        expected = [episode for of, episode in episodes if of == split]
        dataset = minari.load_dataset(f"breakout/{split}-v0")
        assert dataset.total_episodes == len(expected)
        assert dataset.storage.metadata["author"] == {f"sb3_breakout {__version__}"}
        assert dataset.storage.metadata["algorithm_name"] == "random"
        env = dataset.recover_environment()
        assert env.observation_space == dataset.observation_space and env.spec.id == "BreakoutNoFrameskip-v4"
        assert np.array_equal(_played(env, expected[0]), expected[0].frames()[1:])
        for read, episode in zip(dataset.iterate_episodes(), expected, strict=True):
            assert np.array_equal(read.observations, episode.frames())
            assert np.array_equal(read.actions, episode.actions)
            assert np.array_equal(read.rewards, episode.rewards)
            assert not read.terminations.any() and read.truncations.tolist() == [False] * (len(episode) - 1) + [True]
            assert read.infos["ale_action"].tolist() == [-1, *episode.facts["ale_actions"]]
            assert read.infos["lives"].tolist() == episode.facts["lives"]
            assert read.infos["pressed"].tolist() == [False, *episode.facts["pressed"]]


def _played(env: gym.Env, episode: Episode) -> np.ndarray:
    """:return: observations of an environment that replays an episode's actions from its start state"""
    env.reset()
    env.unwrapped.restore_state(decode_state(episode.facts["start_state"]))
    actions = [action.value for action in env.unwrapped._action_set]
    return np.array([env.step(actions.index(action))[0] for action in episode.facts["ale_actions"]])


def test_huggingface(tmp_path: Path, play_in: MakeGame) -> None:
    datasets = pytest.importorskip("datasets")
    record(tmp_path / "data", play_in(**SHORT), native=True)
    record(tmp_path / "data", play_in(**SHORT), episodes=9)
    export(GameplayFolder(tmp_path / "data"), "huggingface", tmp_path / "out")
    read = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert read["train"].features["action"].names == ["LEFT", "NOTHING", "RIGHT"]
    rows = {split: iter(read[split]) for split in ("train", "validation")}
    for split, episode in by_split(tmp_path / "data"):
        facts = episode.facts
        for step in range(len(episode) + 1):
            row = next(rows[split])
            assert (row["episode"], row["step"], row["agent"]) == (episode.name, step, "random")
            assert row["lives"] == facts["lives"][step]
            assert np.array_equal(np.array(row["frame"]), episode.frame(step)[:, :, 0])
            if facts["native"]:
                assert np.array_equal(np.array(row["native"]), episode.native(step))
            elif "native" in row:
                assert row["native"] is None
            said = [row[name] for name in ("action", "ale_action", "pressed", "reward", "life_lost")]
            if step == len(episode):
                assert said == [None] * 5
            else:
                expected = [facts[name][step] for name in ("ale_actions", "pressed", "rewards", "life_lost")]
                assert said == [episode.actions[step], *expected]
    assert all(next(left, None) is None for left in rows.values())


def test_arrayrecord(ten_short_games: Path, tmp_path: Path) -> None:
    module = pytest.importorskip("array_record.python.array_record_module")
    export(GameplayFolder(ten_short_games), "arrayrecord", tmp_path / "out")
    for split, episode in by_split(ten_short_games):
        reader = module.ArrayRecordReader(str(tmp_path / "out" / split / f"{episode.name}.array_record"))
        (record,) = (pickle.loads(content) for content in reader.read_all())
        frames = np.frombuffer(record["raw_video"], np.uint8).reshape(record["sequence_length"], *record["frame_shape"])
        assert np.array_equal(frames, episode.frames())
        assert np.array_equal(record["actions"][:-1], episode.actions) and len(record["actions"]) == len(frames)
        assert np.array_equal(record["rewards"], episode.rewards)
        assert record["ale_actions"].tolist() == episode.facts["ale_actions"]
        reader.close()


def test_target_that_is_there_is_left_alone(ten_short_games: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="will not be overwritten"):
        export(GameplayFolder(ten_short_games), "npz", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_export_that_fails_leaves_nothing(data: Path, tmp_path: Path) -> None:
    (GameplayFolder(data).episode(8) / "frame_000003.png").unlink()
    with pytest.raises(DamagedDataset, match="frame_000003"):
        export(GameplayFolder(data), "npz", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("missing", ["disk", pytest.param("ffmpeg", marks=pytest.mark.slow)])
def test_encoder_that_fails_leaves_nothing(ten_short_games: Path, tmp_path: Path, missing: str) -> None:
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    command = f"{sys.executable} {SCRIPTS / 'export_gameplay.py'} {ten_short_games} --to mp4 --output out"
    if missing == "disk":
        output = run("bash", "-c", f"ulimit -f 4; {command}", folder=tmp_path, code=1)  # no file may exceed 4 kB
    else:
        output = run("bash", "-c", command, folder=tmp_path, code=1, IMAGEIO_FFMPEG_EXE=str(tmp_path / "ffmpeg"))
    assert "Error: ffmpeg could not write" in output and "Traceback" not in output and "Written" not in output
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


def test_unknown_format(ten_short_games: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'npz', 'mp4', 'minari', 'arrayrecord', 'huggingface', 'lerobot'"):
        export(GameplayFolder(ten_short_games), "gif", tmp_path / "out")
    assert tuple(EXPORTERS) == FORMATS
