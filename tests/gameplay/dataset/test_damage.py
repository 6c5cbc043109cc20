"""Any damage to a dataset makes all its readers stop with an error that names the file and the reason."""

import base64
import json
import os
import shutil
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sb3_breakout.gameplay import DamagedDataset, GameplayDataset
from sb3_breakout.gameplay.dataset import png
from sb3_breakout.gameplay.dataset.exporters import export
from sb3_breakout.gameplay.dataset.indexes import rebuild_indexes
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from sb3_breakout.gameplay.dataset.page import write_page
from sb3_breakout.gameplay.dataset.verification import verify_dataset
from tests.zoo.command_line import run

VERIFY = (sys.executable, Path(__file__).parents[3] / "scripts" / "verify_gameplay.py")
DAMAGED, SOUND = "episode_000001", "episode_000002"

Damage = Callable[[Path], Any]


@pytest.fixture
def two_games(ten_short_games: Path, tmp_path: Path) -> Path:
    """A dataset of two episodes, both in the split "train"."""
    folder = GameplayFolder(tmp_path / "data")
    for name in (DAMAGED, SOUND):
        shutil.copytree(GameplayFolder(ten_short_games).episodes / name, folder.episodes / name)
    rebuild_indexes(folder)
    assert json.loads(folder.splits.read_text())["train"] == [DAMAGED, SOUND]
    return folder.root


def say(**changes: Any) -> Damage:
    """Change values in episode.json."""
    return edit(lambda facts: facts.update(changes))


def say_of_game(**changes: Any) -> Damage:
    return edit(lambda facts: facts["game"].update(changes))


def say_of_env(**changes: Any) -> Damage:
    return edit(lambda facts: facts["game"]["env_kwargs"].update(changes))


def third(name: str, value: Any) -> Damage:
    """Change the entry of step 3 in a list."""
    return edit(lambda facts: facts[name].__setitem__(3, value))


def edit(change: Callable[[Any], Any]) -> Damage:
    def damage(folder: Path) -> None:
        content = json.loads((folder / "episode.json").read_text())
        change(content)
        (folder / "episode.json").write_text(json.dumps(content, indent=1))

    return damage


def write(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def replace_by_folder(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def replace_by_link(name: str) -> Damage:
    """Replace a file by a link to the same file in another place."""

    def damage(folder: Path) -> None:
        (folder / name).rename(folder.parent.parent.parent.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent.parent.parent.parent / "elsewhere")

    return damage


def cut(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def picture(shape: tuple[int, ...], dtype: Any = np.uint8) -> Damage:
    return write("frame_000003.png", cv2.imencode(".png", np.zeros(shape, dtype))[1].tobytes())


def become_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("mine")


def become_a_link(folder: Path) -> None:
    folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere")


def become_a_pipe(folder: Path) -> None:
    (folder / "episode.json").unlink()
    os.mkfifo(folder / "episode.json")  # a reader that opened it would wait for ever


DEEP = 100_000 * b"["

# Damage, and the error when the episode is opened
AT_OPENING: list[tuple[Damage, str]] = [
    (cut("episode.json"), r"episode.json: Invalid JSON: .* line \d+"),
    (lambda folder: (folder / "episode.json").unlink(), "episode.json is missing"),
    (write("episode.json", b"[]"), "episode.json: Input should be an object"),
    (write("episode.json", b"\xff\xfe"), "episode.json: Invalid JSON"),
    (write("episode.json", DEEP), "episode.json: Invalid JSON: recursion limit"),
    (write("episode.json", b'{"agent": ' + DEEP), "episode.json: Invalid JSON: recursion limit"),
    (replace_by_folder("episode.json"), "episode.json is not a regular file"),
    (replace_by_link("episode.json"), "episode.json is not a regular file"),
    (become_a_pipe, "episode.json is not a regular file"),
    (become_a_file, "episode.json cannot be read: Not a directory"),
    (become_a_link, "episode_000001 is a link, which is not followed"),
    (say(format=2), "format: Input should be 1, received 2"),
    (edit(lambda facts: facts.pop("agent")), "agent: Field required"),
    (say(agent={}), "agent.name: Field required"),
    (say(agent={"name": ""}), "agent.name: String should have at least 1 character"),
    (say(agent="random"), "agent: Input should be an object"),
    (say(steps="19"), "steps: Input should be a valid integer, received '19'"),
    (say(steps=0), "steps: Input should be greater than or equal to 1"),
    (say(steps=-1), "steps: Input should be greater than or equal to 1"),
    (say(steps=10**9), "steps: Input should be less than or equal to 999999"),
    (say(steps=True), "steps: Input should be a valid integer"),
    (say(score=float("inf")), "score: Input should be a finite number"),
    (say(score="many"), "score: Input should be a valid number"),
    (say(seed="0"), "seed: Input should be a valid integer"),
    (say(native="no"), "native: Input should be a valid boolean"),
    (say(terminated=1), "terminated: Input should be a valid boolean"),
    (say(versions=[]), "versions: Input should be an object"),
    (say(start_state=None), "start_state: Input should be a valid string"),
    (edit(lambda facts: facts["actions"].pop()), r"has \d+ actions for \d+ steps"),
    (edit(lambda facts: facts["lives"].pop()), r"has \d+ lives for \d+ steps"),
    (say(q_values=[None]), r"has 1 q_values for \d+ steps"),
    (say(q_values=[["high"]]), "q_values.0.0: Input should be a valid number"),
    (third("actions", "JUMP"), "actions.3: Input should be 'LEFT', 'NOTHING' or 'RIGHT', received 'JUMP'"),
    (third("actions", ["LEFT"]), "actions.3: Input should be 'LEFT', 'NOTHING' or 'RIGHT'"),
    (third("ale_actions", 18), "ale_actions.3: Input should be less than or equal to 17"),
    (third("ale_actions", [3]), "ale_actions.3: Input should be a valid integer"),
    (third("rewards", float("nan")), "rewards.3: Input should be a finite number"),
    (third("rewards", "1.0"), "rewards.3: Input should be a valid number, received '1.0'"),
    (third("shaped_rewards", None), "shaped_rewards.3: Input should be a valid number"),
    (third("pressed", 0), "pressed.3: Input should be a valid boolean"),
    (edit(lambda facts: facts["pressed"].pop()), r"has \d+ pressed for \d+ steps"),
    (third("life_lost", 0), "life_lost.3: Input should be a valid boolean"),
    (third("lives", -1), "lives.3: Input should be greater than or equal to 0"),
    (say_of_game(frame_skip=0), "game.frame_skip: Input should be greater than or equal to 1"),
    (say_of_game(frame_shape=[10**6, 10**6, 1]), "game.frame_shape.0: Input should be less than or equal to 1024"),
    (say_of_game(frame_shape=[84, 84]), "game.frame_shape: List should have at least 3 items"),
    (say_of_game(frame_shape=[84, 84, 4]), "game.frame_shape: Input should be height, width and 1 or 3 channels"),
    (say_of_game(rom_md5="../rom"), "game.rom_md5: String should match pattern"),
    (say_of_game(living_penalty=float("nan")), "game.living_penalty: Input should be a finite number"),
    (say_of_game(env_id="stranger:Foo-v0"), "game.env_id: Input should be a game of ale_py"),
    (say_of_game(env_id="CartPole-v1"), "game.env_id: Input should be a game of ale_py"),
    (say_of_game(env_id=7), "game.env_id: Input should be a valid string"),
    (say_of_env(render_mode="human"), "game.env_kwargs.render_mode: Input should be 'rgb_array'"),
    (say_of_env(additional_wrappers=[]), "game.env_kwargs.additional_wrappers: Extra inputs are not permitted"),
    (say_of_env(game="../../rom"), "game.env_kwargs.game: String should match pattern"),
    (say_of_env(max_num_frames_per_episode=2**40), "max_num_frames_per_episode: Input should be less than"),
    (say_of_game(action_repeat_probability=0.25), "must have executed_actions if game has an action_repeat_probability"),
    (
        edit(lambda facts: facts.update(q_values=[[1.0]] * (facts["steps"] - 1) + [[1.0, 2.0]])),
        "q_values of different lengths",
    ),
    (say(executed_actions=[[1]] * 24), "executed_actions"),
    (say_of_env(repeat_action_probability=2), "repeat_action_probability: Input should be less than or equal to 1"),
    (lambda folder: (folder / "frame_000007.png").unlink(), "frame_000007.png is missing"),
    (write("frame_000099.png", b""), "frame_000099.png is not expected"),
    (replace_by_folder("frame_000003.png"), "frame_000003.png is not a regular file"),
    (replace_by_link("frame_000003.png"), "frame_000003.png is not a regular file"),
]
# ... and when its pictures are read
AT_READING: list[tuple[Damage, str]] = [
    (write("frame_000003.png", b""), "frame_000003.png is not a complete PNG file"),
    (write("frame_000003.png", b"no picture"), "frame_000003.png is not a complete PNG file"),
    (cut("frame_000003.png"), "frame_000003.png is not a complete PNG file"),
    (write("frame_000003.png", png.HEADER + png.END_OF_FILE), "frame_000003.png is not a complete PNG file"),
    (picture((84, 84), np.uint16), "frame_000003.png has 16 bits"),
    (picture((84, 84, 3)), r"frame_000003.png has .* shape \(84, 84, 3\); expected 8 bits and \(84, 84, 1\)"),
    (picture((84, 84, 4)), "frame_000003.png has .* colour type 6"),
    (picture((42, 84)), r"frame_000003.png has .* shape \(42, 84, 1\)"),
]
# ... and when it is replayed
AT_PLAYING: list[tuple[Damage, str]] = [
    (say(start_state=""), "start_state is not a state of the emulator .* cut off"),
    (say(start_state="é"), "start_state is not a state of the emulator"),
    (edit(lambda facts: facts.update(start_state=facts["start_state"][:400])), "start_state is not a state .* cut off"),
    (say(start_state=base64.b64encode(zlib.compress(b"")).decode()), "cannot be replayed from start_state"),
    (say(start_state=base64.b64encode(zlib.compress(bytes(100))).decode()), "cannot be replayed from start_state"),
    (say_of_env(mode=200), "cannot be replayed .* Invalid game mode"),
    (say_of_env(max_num_frames_per_episode=1), "frame 1 differs from the replayed one"),
    (say_of_game(frame_shape=[20, 84, 1]), "frame_000000.png has"),
    (say_of_game(frame_shape=[84, 84, 3]), "frame_000000.png has"),
]


def check_verification(root: Path, fault: str) -> None:
    name, found = next(verify_dataset(GameplayFolder(root)))
    assert name == DAMAGED and found is not None
    with pytest.raises(DamagedDataset, match=fault):
        raise DamagedDataset(found)


@pytest.mark.parametrize(("damage", "fault"), AT_OPENING, ids=[fault for _, fault in AT_OPENING])
def test_at_opening(two_games: Path, tmp_path: Path, damage: Damage, fault: str) -> None:
    damage(GameplayFolder(two_games).episodes / DAMAGED)
    check_verification(two_games, fault)
    readers: list[Callable[[], object]] = [
        lambda: GameplayDataset(two_games),
        lambda: write_page(GameplayFolder(two_games)),
        lambda: export(GameplayFolder(two_games), "npz", tmp_path / "out"),
        lambda: rebuild_indexes(GameplayFolder(two_games)),
    ]
    for reader in readers:
        with pytest.raises(DamagedDataset, match=f"{DAMAGED}.*{fault}"):
            reader()
    assert not (tmp_path / "out").exists() and not (two_games / "index.html").exists()


@pytest.mark.parametrize(("damage", "fault"), AT_READING, ids=[fault for _, fault in AT_READING])
def test_at_reading(two_games: Path, tmp_path: Path, damage: Damage, fault: str) -> None:
    damage(GameplayFolder(two_games).episodes / DAMAGED)
    check_verification(two_games, fault)
    with pytest.raises(DamagedDataset, match=fault):
        list(GameplayDataset(two_games))
    with pytest.raises(DamagedDataset, match=fault):
        export(GameplayFolder(two_games), "npz", tmp_path / "out")


@pytest.mark.parametrize(("damage", "fault"), AT_PLAYING, ids=[fault for _, fault in AT_PLAYING])
def test_at_playing(two_games: Path, damage: Damage, fault: str) -> None:
    damage(GameplayFolder(two_games).episodes / DAMAGED)
    check_verification(two_games, fault)
    assert dict(verify_dataset(GameplayFolder(two_games)))[SOUND] is None


@pytest.mark.parametrize(
    "name", ["episode_\N{SUPERSCRIPT TWO}", "episode_1", "episode_0000003", "episode_x", "episode_000003.bak"]
)
def test_names_that_are_none(two_games: Path, name: str) -> None:
    folder = GameplayFolder(two_games)
    shutil.copytree(folder.episodes / SOUND, folder.episodes / name)
    assert folder.numbers() == [1, 2]
    found = dict(verify_dataset(folder))
    assert found[DAMAGED] is None and found[SOUND] is None
    assert "is not an episode: episodes are named like episode_000001" in (found[name] or "")


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("splits.json", b"{}", "splits.json: seed: Field required"),
        ("splits.json", b"[]", "splits.json: Input should be an object"),
        ("splits.json", None, "splits.json is missing"),
        ("splits.json", b'{"seed": 0, "train": "all", "validation": []}', "splits.json: train: Input should be a valid array"),
        (
            "splits.json",
            b'{"seed": 0, "train": [1], "validation": []}',
            "splits.json: train.0: Input should be a valid string",
        ),
        (
            "splits.json",
            b'{"seed": 0, "train": ["episode_000001"], "validation": ["episode_000001"]}',
            "splits.json: has episode_000001 twice, or in both splits",
        ),
        ("splits.json", b'{"seed": 0, "train": ["../../../theirs"], "validation": []}', "splits.json: train.0: String should"),
        ("splits.json", b'{"seed": 0, "train": ["/theirs"], "validation": []}', "splits.json: train.0: String should match"),
        (
            "splits.json",
            b'{"seed": 0, "train": ["episode_000009"], "validation": []}',
            r"episode_000009.episode\.json is missing",
        ),
        ("dataset.json", b"", "dataset.json: Invalid JSON"),
        ("dataset.json", b'{"format": 2}', "dataset.json: format: Input should be 1"),
    ],
)
def test_damaged_indexes(two_games: Path, tmp_path: Path, file: str, content: bytes | None, fault: str) -> None:
    path = two_games / file
    path.unlink() if content is None else path.write_bytes(content)
    *episodes, indexes = verify_dataset(GameplayFolder(two_games))
    assert episodes == [(DAMAGED, None), (SOUND, None)]
    assert indexes[0] == "indexes" and file in (indexes[1] or "")
    with pytest.raises(DamagedDataset, match=fault):
        GameplayDataset(two_games)
    with pytest.raises(DamagedDataset, match=fault):
        write_page(GameplayFolder(two_games))
    with pytest.raises(DamagedDataset, match=fault):
        export(GameplayFolder(two_games), "npz", tmp_path / "out")


@pytest.mark.parametrize("place", ["raw_gameplay", "raw_gameplay/episodes", "actions"])
def test_folders_that_lead_elsewhere(two_games: Path, place: str) -> None:
    (two_games / place).rename(two_games.parent / "elsewhere")
    (two_games / place).symlink_to(two_games.parent / "elsewhere")
    with pytest.raises(DamagedDataset, match=f"{place} is a link, which is not followed"):
        list(verify_dataset(GameplayFolder(two_games)))
    with pytest.raises(DamagedDataset, match=f"{place} is a link, which is not followed"):
        GameplayDataset(two_games)


def test_nothing_is_imported(two_games: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stranger.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("stranger:Foo-v0", "stranger:BreakoutNoFrameskip-v4"):
        say_of_game(env_id=name)(GameplayFolder(two_games).episodes / DAMAGED)
        check_verification(two_games, "should be a game of ale_py")
    assert "stranger" not in sys.modules


def test_little_is_unpacked(two_games: Path) -> None:
    """Neither a compressed state of 64 MB nor a PNG file that claims 400 million pixels is unpacked whole."""
    bomb = base64.b64encode(zlib.compress(bytes(2**26))).decode()
    say(start_state=bomb)(GameplayFolder(two_games).episodes / DAMAGED)
    tracemalloc.start()
    check_verification(two_games, "larger than 1048576 bytes")
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()
    huge = png.HEADER + struct.pack(">IIBB", 20_000, 20_000, 8, 0) + bytes(100) + png.END_OF_FILE
    (two_games / "huge.png").write_bytes(huge)
    with pytest.raises(DamagedDataset, match=r"huge.png has .* shape \(20000, 20000, 1\)"):
        png.read(str(two_games / "huge.png"))


def test_command_judges_every_episode(data: Path, tmp_path: Path) -> None:
    """Ten damaged episodes give ten lines and no traceback."""
    faults = [*AT_OPENING[2:9], *AT_PLAYING[:2], AT_READING[4]]
    folder = GameplayFolder(data)
    for number, (damage, _) in enumerate(faults, start=1):
        damage(folder.episode(number))
    output = run(*VERIFY, "data", folder=tmp_path, code=1)
    assert [line[:14] for line in output.splitlines() if line.startswith("episode_")] == [
        f"episode_{number:06d}" for number in range(1, 11)
    ]
    assert "10 episodes replayed, 10 faults" in output and "Traceback" not in output
