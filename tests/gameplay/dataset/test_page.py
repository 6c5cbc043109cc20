"""The HTML page contains every episode, and its pictures exist."""

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from sb3_breakout.gameplay.dataset.page import write_page
from tests.gameplay.conftest import SHORT, MakeGame, record
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
        assert shown["pressed"] == [0, 1]  # FIRE and RIGHT at the start; no life is lost
        assert shown["lost"] == np.flatnonzero(-np.diff(episode.facts["lives"])).tolist()
        assert shown["score"] == sum(reward for _, reward in shown["rewards"]) == episode.facts["score"]
    assert episodes[0]["agent"] == "</script>" and page.read_text().count("</script>") == 1


def test_facts_and_q_values(tmp_path: Path, play_in: MakeGame) -> None:
    env = play_in({"action_repeat_probability": 0.25}, **SHORT)
    (episode,) = record(tmp_path / "data", env, native=True)
    file = episode.folder / "episode.json"
    q_values = [None] + [[0.12345, 1, 2, 3]] * (len(episode) - 1)
    file.write_text(json.dumps(episode.facts | {"q_values": q_values}))
    text = write_page(GameplayFolder(tmp_path / "data")).read_text()
    (shown,), facts = (json.loads(re.findall(f"const {name} = (.*);", text)[0]) for name in ("episodes", "facts"))
    assert shown["q"] == [None] + [[0.123, 1, 2, 3]] * (len(episode) - 1)
    letters = {0: "N", 1: "N", 3: "R", 4: "L"}
    assert shown["executed"] == ["".join(letters[action] for action in step) for step in episode.facts["executed_actions"]]
    assert shown["names"] == ["NOOP", "FIRE", "RIGHT", "LEFT"]
    assert facts["Game"] == "BreakoutNoFrameskip-v4, frame skip 4, 84x84 grey, native RGB frames as well, sticky actions 0.25"
    assert facts["Steps"] == f"{len(episode)} ({len(episode) + 1} frames)"
    assert facts["Agents"] == f"random: 1 games, mean score {episode.facts['score']:.1f}, best {episode.facts['score']:g}"


CHECKS = """<script>
const seen = {width: document.documentElement.scrollWidth - innerWidth, marks: $("marks").children.length};
seen.bins = [...$("scores").children].map(bar => bar.textContent);
const keys = ["ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft", "+"];
for (const key of keys) dispatchEvent(new KeyboardEvent("keydown", {key}));
Object.assign(seen, {state: $("state").textContent, speed: $("speed").value, source: $("frame").getAttribute("src")});
document.title = JSON.stringify(seen);
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
@pytest.mark.parametrize("width", [500, 1280])  # the narrowest window of Chromium, and that of a desktop
def test_page_in_a_browser(page: Path, tmp_path: Path, width: int) -> None:
    page.write_text(page.read_text() + CHECKS)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", profile, "--dump-dom")
    shown = subprocess.run(
        [str(CHROMIUM), *options, page.as_uri()], check=True, timeout=120, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ).stdout.decode()
    assert "10 of 10 episodes" in shown
    seen = json.loads(html.unescape(re.findall("<title>(.*?)</title>", shown)[0]))
    first, second = (Episode.open(GameplayFolder(page.parent).episode(number)).facts for number in (1, 2))
    assert seen["width"] <= 0  # no horizontal scrolling
    assert seen["marks"] == np.count_nonzero(first["rewards"]) + sum(first["life_lost"])
    assert [int(name.split(":")[0]) for name in seen["bins"]] == list(range(len(seen["bins"])))  # no gaps
    assert seen["source"] == "raw_gameplay/episodes/episode_000002/frame_000001.png"
    assert seen["state"].startswith(f"frame 1 of {second['steps']}: action {second['actions'][1]}, ")
    assert seen["speed"] == "2"


def test_command(data: Path, tmp_path: Path) -> None:
    assert "Written to data/index.html" in run(*SHOW, "data", folder=tmp_path)
    assert (data / "index.html").is_file()


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing is not a dataset"):
        write_page(GameplayFolder(tmp_path / "nothing"))
