"""The page knows every episode and points at pictures that are there."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from sb3_breakout.gameplay.dataset.page import write_page
from tests.zoo.command_line import run

SHOW = (sys.executable, Path(__file__).parents[3] / "scripts" / "show_gameplay.py")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def page(data: Path) -> Path:
    file = GameplayFolder(data).episode(1) / "episode.json"
    content = json.loads(file.read_text())
    content["agent"]["name"] = "</script>"
    file.write_text(json.dumps(content))
    return write_page(GameplayFolder(data))


def test_what_the_page_knows(page: Path) -> None:
    (text,) = re.findall(r"const episodes = (.*);", page.read_text())
    episodes = json.loads(text)
    assert [episode["name"] for episode in episodes] == [f"episode_{number:06d}" for number in range(1, 11)]
    assert [episode["split"] for episode in episodes].count("validation") == 1
    for shown in episodes:
        episode = Episode.open(page.parent / "raw_gameplay" / "episodes" / shown["name"])
        assert shown["actions"] == "".join(label[0] for label in episode.facts["actions"])
        assert shown["score"] == sum(reward for _, reward in shown["rewards"]) == episode.facts["score"]
    assert episodes[0]["agent"] == "</script>" and page.read_text().count("</script>") == 1


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
def test_page_in_a_browser(page: Path, tmp_path: Path) -> None:
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom")
    shown = subprocess.run(
        [str(CHROMIUM), *options, page.as_uri()], check=True, timeout=120, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ).stdout.decode()
    assert "10 of 10 episodes" in shown and "frame 0 of" in shown and "action NOTHING" in shown
    assert 'src="raw_gameplay/episodes/episode_000001/frame_000000.png"' in shown


def test_command(data: Path, tmp_path: Path) -> None:
    assert "Written to data/index.html" in run(*SHOW, "data", folder=tmp_path)
    assert (data / "index.html").is_file()


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing is no dataset"):
        write_page(GameplayFolder(tmp_path / "nothing"))
