"""Nothing is overwritten, no unfinished files remain, and episodes never change their split."""

import errno
import json
import sys
from pathlib import Path

import pytest

from sb3_breakout.common.files import HOST
from sb3_breakout.gameplay.dataset.indexes import rebuild_indexes, split_of
from sb3_breakout.gameplay.dataset.layout import GameplayFolder, frame_name
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter
from tests.common.test_files import NOBODY
from tests.gameplay.conftest import SHORT, MakeGame, record
from tests.zoo.command_line import run

ROOT = Path(__file__).parents[3]
# For n = 0, 1, ..., creates a dataset in a process that is killed before its n-th change to the disk, until one is not killed.
# Each time the parent then creates the dataset in the same folder
KILLED_STARTS = """
import os, signal, sys
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
changes_left = None
def count(event, arguments):
    global changes_left
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if changes_left is not None and (writes or event in ("os.mkdir", "os.rename", "os.remove")):
        if changes_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        changes_left -= 1
sys.addaudithook(count)
kills, killed = 0, True
while killed:
    folder = GameplayFolder(f"{sys.argv[1]}/{kills}")
    if (child := os.fork()) == 0:
        changes_left = kills
        folder.claim()
        os._exit(0)
    killed = os.waitpid(child, 0)[1] == signal.SIGKILL
    folder.claim()
    kills += killed
print(kills)
"""


def content_of(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_files_of_a_dataset(ten_short_games: Path) -> None:
    folder = GameplayFolder(ten_short_games)
    card, splits, actions = (json.loads(path.read_text()) for path in (folder.card, folder.splits, folder.actions))
    assert sorted(path.name for path in ten_short_games.iterdir()) == [
        "actions",
        "dataset.json",
        "raw_gameplay",
        "splits.json",
    ]
    episode = ten_short_games / "raw_gameplay" / "episodes" / "episode_000001"
    steps = json.loads((episode / "episode.json").read_text())["steps"]
    assert (episode / "frame_000000.png").is_file() and (episode / f"frame_{steps:06d}.png").is_file()
    assert card["episodes"] == 10 and card["frames"] == card["steps"] + 10 == len(list(folder.episodes.rglob("*.png")))
    assert sum(card["actions"].values()) == sum(card["ale_actions"].values()) == card["steps"]
    assert card["agents"]["random"]["episodes"] == 10 and sum(card["scores"].values()) == 10
    assert len(card["games"][0]["rom_md5"]) == 32 and card["versions"][0]["ale-py"]
    assert len(splits["train"]) == 9 and len(splits["validation"]) == 1
    assert {*splits["train"], *splits["validation"]} == actions.keys()


def test_split_stays_as_episodes_are_added() -> None:
    for seed in range(5):
        splits = [split_of(number, seed) for number in range(1, 201)]
        for block in range(20):
            assert splits[10 * block : 10 * block + 10].count("validation") == 1
    assert len({tuple(split_of(number, seed) for number in range(1, 101)) for seed in range(5)}) == 5


def test_split_keeps_its_seed(data: Path) -> None:
    folder = GameplayFolder(data)
    before = folder.splits.read_text()
    rebuild_indexes(folder, split_seed=7)
    assert folder.splits.read_text() == before


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"is not empty \(thesis.txt\)"):
        GameplayFolder(tmp_path).claim()
    assert content_of(tmp_path) == {str(tmp_path / "thesis.txt"): b"mine"}


def test_start_on_a_full_disk_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = GameplayFolder(tmp_path / "data")
    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            folder.claim()
    folder.claim()
    folder.check()


def test_start_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    kills = int(run(sys.executable, "-c", KILLED_STARTS, tmp_path, folder=ROOT))
    assert kills >= 4  # it makes two folders and a file, and renames the file
    for number in range(kills + 1):
        folder = GameplayFolder(tmp_path / str(number))
        folder.check()
        assert folder.episodes.is_dir()


def test_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(OSError, match="data"):
        GameplayFolder(tmp_path / "data").claim()
    with pytest.raises(OSError, match="data"):
        GameplayFolder(tmp_path / "data" / "below").claim()
    assert (tmp_path / "data").read_text() == "mine"


def test_episode_that_is_there_is_not_overwritten(data: Path, play_in: MakeGame) -> None:
    before = content_of(data)
    with pytest.raises(FileExistsError, match="episode_000003"):
        EpisodeWriter(GameplayFolder(data).episode(3))
    late = EpisodeWriter(GameplayFolder(data).episode(11))  # below, the same episode is recorded first
    record(data, play_in(**SHORT))
    with pytest.raises(OSError, match=r"episode_000011 could not be written \(it is there by now: does another process"):
        late.finish({})
    after = content_of(data)
    assert after.keys() > before.keys()
    assert all(after[path] == content for path, content in before.items() if path.endswith(".png"))
    assert not list(GameplayFolder(data).episodes.glob(".*"))


def test_full_disk(data: Path, play_in: MakeGame, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content_of(data)
    original = EpisodeWriter._write

    def write(self: EpisodeWriter, name: str, content: bytes) -> None:
        if name == frame_name(10):
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, name, content)

    monkeypatch.setattr(EpisodeWriter, "_write", write)
    with pytest.raises(
        OSError, match=r"episode_000011 could not be written \(No space left on device\), and nothing of it was kept"
    ):
        record(data, play_in(**SHORT))
    assert content_of(data) == before
    monkeypatch.undo()
    record(data, play_in(**SHORT))
    assert GameplayFolder(data).numbers() == list(range(1, 12))


def test_leftovers_of_killed_processes(data: Path) -> None:
    folder = GameplayFolder(data)
    old = folder.episodes / f".episode_000011.{HOST}.{NOBODY}.01234567-0.tmp"
    old.mkdir()
    (old / "frame_000000.png").write_bytes(b"")
    young = EpisodeWriter(folder.episode(12))
    left = [path.name for path in folder.episodes.glob(".*")]
    assert len(left) == 1 and left[0].startswith(".episode_000012.")
    folder.claim()
    assert [path.name for path in folder.episodes.glob(".*")] == left  # the one still being written stays
    assert folder.numbers() == list(range(1, 11))
    young.give_up()
