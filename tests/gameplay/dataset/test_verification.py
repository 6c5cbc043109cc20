"""Verification accepts recorded episodes and rejects any change to them."""

import json
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import pytest
from stable_baselines3.common.env_util import make_vec_env

from sb3_breakout.envs import AtariPreprocessing, RewardShapingWrapper
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.indexes import rebuild_indexes
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from sb3_breakout.gameplay.dataset.verification import Replays, verify_dataset
from tests.gameplay.conftest import SHORT, MakeGame, record


def faults(root: Path) -> dict[str, str]:
    return {name: fault for name, fault in verify_dataset(GameplayFolder(root)) if fault is not None}


def fault_of_episode(folder: Path) -> str | None:
    with closing(Replays()) as replays:
        return replays.find_fault(Episode.open(folder))


def change(file: Path, edit: Callable[[Any], None]) -> None:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def episode(root: Path, number: int = 4) -> Path:
    return GameplayFolder(root).episode(number)


@pytest.mark.parametrize(
    ("wrapper", "env_kwargs"), [({"action_repeat_probability": 0.25}, {}), ({}, {"repeat_action_probability": 0.25})]
)
def test_games_of_five_lives_with_sticky_actions(
    tmp_path: Path, play_in: MakeGame, wrapper: dict[str, float], env_kwargs: dict[str, float]
) -> None:
    env = play_in(wrapper, **env_kwargs)
    first, second = record(tmp_path / "data", env, episodes=2)  # the second continues with the emulator of the first
    assert first.facts["lives"][-1] == second.facts["lives"][-1] == 0
    assert faults(tmp_path / "data") == {}


def execute(step: int, *actions: int) -> Callable[[Any], None]:
    """Change the executed actions of a step."""
    return lambda facts: facts["executed_actions"].__setitem__(step, list(actions))


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (execute(0, 1, 1, 3, 1), r"executed_actions: 3 in step 0 was neither sent \(1\) nor executed before \(1\)"),
        (execute(0, 4, 1, 1, 1), r"executed_actions: 4 in step 0 was neither sent \(1\) nor executed before \(0\)"),
        (execute(0, 1, 1, 1), "executed_actions: step 0 is recorded with 3 frames, replayed with 4"),
        (execute(0, 1, 1, 1, 1, 1), "executed_actions: step 0 is recorded with 5 frames, replayed with 4"),
        (execute(0, 1, 1, 2, 1), "ALE action 2 of step 0 is not an action of the game"),
    ],
)
def test_executed_actions_that_were_not(tmp_path: Path, play_in: MakeGame, edit: Callable[[Any], None], fault: str) -> None:
    (recorded,) = record(tmp_path / "data", play_in(dict(action_repeat_probability=0.25), **SHORT))
    change(recorded.folder / "episode.json", edit)
    found = fault_of_episode(recorded.folder)
    assert found is not None and re.search(fault, found)


def test_executed_actions_decide_the_pictures(tmp_path: Path, play_in: MakeGame) -> None:
    """A late LEFT or RIGHT moves the paddle less. Recorded as if it had been on time, it must be found to be false."""
    (recorded,) = record(tmp_path / "data", play_in(dict(action_repeat_probability=0.25), **SHORT))
    sent = recorded.facts["ale_actions"]
    late = next(
        step for step, row in enumerate(recorded.facts["executed_actions"]) if sent[step] in (3, 4) and row[0] != sent[step]
    )
    change(recorded.folder / "episode.json", execute(late, *[sent[late]] * 4))
    assert re.match(r"frame \d+ differs|executed_actions: ", str(fault_of_episode(recorded.folder)))


def test_other_pictures_and_rewards(tmp_path: Path, play_in: MakeGame) -> None:
    colour = play_in(dict(screen_size=None, grayscale=False, frame_skip=2), **SHORT)
    assert record(tmp_path / "data", colour)[0].frame(0).shape == (210, 160, 3)
    record(tmp_path / "data", play_in(dict(screen_size=48, clip_reward=False), **SHORT), native=True)

    def shaped(env: Any) -> Any:
        return RewardShapingWrapper(AtariPreprocessing(env, clip_reward=False))

    env = make_vec_env("BreakoutNoFrameskip-v4", wrapper_class=shaped, env_kwargs=SHORT)
    assert record(tmp_path / "data", env)[0].facts["shaped_rewards"][0] == -0.001
    env.close()
    assert faults(tmp_path / "data") == {}


def flip_label(facts: Any) -> None:
    facts["actions"][7] = {"LEFT": "RIGHT", "RIGHT": "NOTHING", "NOTHING": "LEFT"}[facts["actions"][7]]


def flip_action(facts: Any) -> None:
    facts["ale_actions"][7] = {0: 4, 1: 4, 3: 4, 4: 3}[facts["ale_actions"][7]]


def change_entry(name: str, value: Any) -> Callable[[Any], None]:
    def edit(facts: Any) -> None:
        facts[name][7] = value

    return edit


def cut_last_step(facts: Any) -> None:
    facts["steps"] -= 1
    for name in ("actions", "ale_actions", "pressed", "rewards", "shaped_rewards", "life_lost", "lives"):
        facts[name].pop()


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (flip_label, "actions: step 7 is recorded as"),
        (flip_action, "7"),
        (change_entry("rewards", 1.0), "rewards: step 7 is recorded as 1.0, replayed as 0.0"),
        (change_entry("shaped_rewards", 0.5), "shaped_rewards: step 7"),
        (change_entry("lives", 4), "lives: frame 7 is recorded with 4, replayed with 5"),
        (change_entry("life_lost", True), "life_lost: step 7"),
        (change_entry("ale_actions", 17), "ALE action 17 of step 7 is not an action of the game"),
        (lambda facts: facts.update(score=99.0), "end"),
        (lambda facts: facts.update(truncated=False), "end"),
        (lambda facts: facts.update(start_state="AAAA"), "start_state"),
        (lambda facts: facts["game"].update(rom_md5=32 * "0"), "another ROM"),
    ],
)
def test_changed_fact(data: Path, edit: Callable[[Any], None], fault: str) -> None:
    change(episode(data) / "episode.json", edit)
    assert fault in (fault_of_episode(episode(data)) or "")


def test_missing_end(data: Path) -> None:
    change(episode(data) / "episode.json", cut_last_step)
    sorted(episode(data).glob("frame_*"))[-1].unlink()
    assert "end" in (fault_of_episode(episode(data)) or "")


def test_altered_frame(data: Path) -> None:
    path = str(episode(data) / "frame_000012.png")
    picture = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    picture[40, 40] ^= 1
    cv2.imwrite(path, picture)
    assert fault_of_episode(episode(data)) == "frame 12 differs from the replayed one"


def test_each_fault_is_reported(data: Path) -> None:
    folder = GameplayFolder(data)
    for number in (6, 7, 8, 9, 10):
        shutil.rmtree(folder.episode(number))
    rebuild_indexes(folder)
    (episode(data, 2) / "frame_000003.png").unlink()
    file = episode(data, 3) / "frame_000005.png"
    file.write_bytes(file.read_bytes()[:-20])
    change(episode(data, 4) / "episode.json", flip_label)
    found = faults(data)
    assert found.keys() == {"episode_000002", "episode_000003", "episode_000004"}
    assert "frame_000003.png is missing" in found["episode_000002"]
    assert "frame_000005.png is not a complete PNG" in found["episode_000003"]


def test_indexes_must_agree(tmp_path: Path, play_in: MakeGame) -> None:
    folder = GameplayFolder(tmp_path / "data")
    record(folder.root, play_in(**SHORT))
    change(folder.actions, lambda content: flip_label(content["episode_000001"]))
    assert "actions.json disagrees with the episodes on episode_000001" in faults(folder.root)["indexes"]
    shutil.rmtree(folder.episode(1))
    assert "actions.json disagrees with the episodes on episode_000001" in faults(folder.root)["indexes"]
    rebuild_indexes(folder)
    assert faults(folder.root) == {}


def test_native_frames(tmp_path: Path, play_in: MakeGame) -> None:
    record(tmp_path / "data", play_in(**SHORT), native=True)
    assert faults(tmp_path / "data") == {}
    native = sorted(episode(tmp_path / "data", 1).glob("native_*"))
    shutil.copy(native[0], native[9])
    assert faults(tmp_path / "data") == {"episode_000001": "native frame 9 differs from the replayed one"}
