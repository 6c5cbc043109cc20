"""``scripts/record_videos.py``: which files it writes, and which it leaves alone."""

import json
import re
from pathlib import Path

import imageio_ffmpeg
import pytest
import torch as th

from sb3_breakout import DDQN
from sb3_breakout.common.files import HOST
from sb3_breakout.evaluation import evaluation_env
from sb3_breakout.video.bulk import number_random
from tests.common.test_files import NOBODY

WITHOUT_GPU = pytest.mark.skipif(th.cuda.is_available(), reason="there is one")
WITHOUT_MPS = pytest.mark.skipif(th.backends.mps.is_available(), reason="there is one")
FILE = "the fixture's"
SHORT = ("--max_steps", 15, "--device", "cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small agent that was never trained."""
    path = tmp_path_factory.mktemp("model") / "small.zip"
    env = evaluation_env(n_envs=1, n_stack=2)
    DDQN("CnnPolicy", env, policy_kwargs={"features_extractor_kwargs": {"features_dim": 8}}, seed=0, device="cpu").save(path)
    env.close()
    return path


@pytest.fixture
def bulk(script, checkpoint):
    """Records three videos, one of them of the random agent: ``bulk("--seed", 1)``."""
    short = ("--bulk", "--total_videos", 3, "--percent_random", 40, *SHORT)
    return lambda *options: script("record_videos", *short, "--checkpoint", checkpoint, *options)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Modification time and size of every file."""
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*.[mp]*")}


def test_bulk_makes_videos_and_folders_of_frames(bulk, tmp_path, capsys):
    bulk()
    names = ["bulk_random_agent_1", "bulk_trained_agent_1", "bulk_trained_agent_2"]
    folder = tmp_path / "bulk_videos"
    assert {path.name for path in folder.iterdir()} == {*names, *(f"{name}.mp4" for name in names), "bulk_videos.json"}
    said = capsys.readouterr().out
    for name in names:
        count, _ = imageio_ffmpeg.count_frames_and_secs(folder / f"{name}.mp4")
        assert {path.name for path in (folder / name).iterdir()} == {f"{number}.png" for number in range(count)}
        assert f"{name}.mp4: {count} frames, score 0, seed {int(name[-1]) - 1}\n" in said
    first, second = ((folder / f"bulk_trained_agent_{k}.mp4").read_bytes() for k in (1, 2))
    assert first != second  # different seeds, different games


def test_bulk_goes_on_where_it_was(bulk, tmp_path, capsys):
    """A repeated command continues, also with more videos. An unfinished video is recorded again, with the same content."""
    bulk()
    folder = tmp_path / "bulk_videos"
    video = folder / "bulk_trained_agent_1.mp4"
    before, content = tree(folder), video.read_bytes()
    (folder / "bulk_trained_agent_1").rename(folder / f".bulk_trained_agent_1.{HOST}.{NOBODY}.01234567-0.tmp")
    capsys.readouterr()
    bulk("--total_videos", 4)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert ["recorded before" in line for line in lines] == [True, False, False, True]
    assert video.read_bytes() == content
    after = tree(folder)
    kept = [name for name in before if not name.startswith("bulk_trained_agent_1")]
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert not list(folder.glob(".*"))


def test_other_settings_do_not_mix_with_recorded_videos(bulk, tmp_path, capsys):
    bulk()
    before = tree(tmp_path)
    for option, now in (("--seed", 1), ("--max_steps", 16), ("--protocol", "sticky")):
        with pytest.raises(SystemExit) as end:
            bulk(option, now)
        assert end.value.code == 1
        fault = f"bulk_videos holds videos of the random agent that were recorded with {option[2:]} [^ ]+, received {now}: use"
        assert re.search(fault, capsys.readouterr().err)
    assert tree(tmp_path) == before


def test_fewer_videos_of_an_agent_than_there_are(bulk, tmp_path, capsys):
    bulk()
    before = tree(tmp_path)
    for changed in (("--total_videos", 2), ("--percent_random", 70)):
        with pytest.raises(SystemExit):
            bulk(*changed)
        assert "bulk_videos holds bulk_trained_agent_2.mp4, which is not among the videos" in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_foreign_files_are_left_alone(bulk, tmp_path, capsys):
    (tmp_path / "bulk_videos").mkdir()
    foreign = tmp_path / "bulk_videos" / "bulk_trained_agent_2.mp4"
    foreign.write_text("mine")
    with pytest.raises(SystemExit):
        bulk()
    assert "bulk_trained_agent_2.mp4 was not recorded by --bulk" in capsys.readouterr().err
    assert list((tmp_path / "bulk_videos").iterdir()) == [foreign]
    assert foreign.read_text() == "mine"


@pytest.mark.parametrize("name", ["bulk_trained_agent_1", "bulk_trained_agent_1.mp4"])
def test_foreign_files_beside_videos_of_another_agent(script, bulk, tmp_path, capsys, name):
    script("record_videos", "--bulk", "--total_videos", 1, "--percent_random", 100, *SHORT)
    (tmp_path / "bulk_videos" / name).mkdir()
    with pytest.raises(SystemExit):
        bulk()
    assert f"{name} was not recorded by --bulk" in capsys.readouterr().err
    assert (tmp_path / "bulk_videos" / name).exists()


def test_only_random_videos_need_no_trained_agent(script, tmp_path):
    script("record_videos", "--bulk", "--total_videos", 1, "--percent_random", 100, "--checkpoint", "none.zip", *SHORT)
    assert (tmp_path / "bulk_videos" / "bulk_random_agent_1.mp4").is_file()
    assert list(json.loads((tmp_path / "bulk_videos" / "bulk_videos.json").read_text())) == ["random"]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (("--agent", "random"), "random"),
        (("--checkpoint", FILE), "trained"),
        (("--agent", "trained", "--checkpoint", FILE), "trained"),
        (("--agent", FILE), "model0_small"),
    ],
)
def test_one_video(script, checkpoint, tmp_path, agent, name):
    script("record_videos", *(checkpoint if word is FILE else word for word in agent), *SHORT)
    assert [path.name for path in (tmp_path / "videos").iterdir()] == [f"{name}_agent.mp4"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--agent", "nobody.zip"), 1, "There is no agent nobody.zip"),
        (("--agent", "nobody"), 1, "no agent 'nobody'. An agent is random, trained, c51_per/BreakoutNoFrameskip-v4_1"),
        (("--agent", "traind"), 1, "There is no agent 'traind' (did you mean 'trained'?)"),
        (("--bulk", "--checkpoint", "nobody.zip"), 1, "There is no agent nobody.zip"),
        (("--bulk", "--agent", "random"), 2, "--bulk records both agents"),
        (("--total_videos", 20), 2, "--total-videos is for many videos: add --bulk."),
        (("--agent", "random", "--checkpoint", "b.zip"), 2, "--checkpoint is for a trained agent, received --agent random."),
        (("--agent", "random", "--q_values"), 2, "--q-values is for a trained agent, received --agent random."),
        (("--agent", "a.zip", "--checkpoint", "b.zip"), 2, "--checkpoint is for --agent trained, received --agent a.zip."),
        (("--bulk", "--total_videos", 0), 2, "'--total-videos': 0 is not in the range x>=1"),
        (("--bulk", "--percent_random", 101), 2, "'--percent-random': 101.0 is not in the range 0<=x<=100"),
        (("--agent", "random", "--max_steps", 0), 2, "'--max-steps': 0 is not in the range x>=1"),
        (("--agent", "random", "--max_steps", 1), 1, "A game of 4 frames"),
        (("--seed", -1), 2, "'--seed': -1 is not in the range 0<=x<=4294967295"),
        (("--algo", "dqn"), 2, "'dqn' is not one of 'c51_per', 'ddqn_per', 'ddqn_rnd'"),
        (("--agent", "random", "--env", "CartPole-v1"), 1, "received 'CartPole-v1'"),
    ],
)
def test_what_cannot_be_done_is_said(script, tmp_path, capsys, options, code, message):
    with pytest.raises(SystemExit) as end:
        script("record_videos", *options)
    assert end.value.code == code
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.rglob("*.mp4")) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--algo", "c51_per"), "small.zip was saved by ddqn_per, received --algo c51_per"),
        (("--device", "foo"), "device must be 'auto', 'cpu', 'cuda' or 'mps', received 'foo'"),
        pytest.param(("--device", "mps"), "received 'mps'", marks=WITHOUT_MPS),
        pytest.param(("--device", "cuda"), "'cuda' is not available here", marks=WITHOUT_GPU),
        (("--env", "PongNoFrameskip-v4"), "The agent knows the actions Discrete(4), PongNoFrameskip-v4 shows Discrete(6)"),
    ],
)
def test_what_does_not_fit_the_agent_is_said(script, checkpoint, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as end:
        script("record_videos", "--agent", checkpoint, "--max_steps", 15, *options)
    assert end.value.code == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.rglob("*.mp4")) == []


@pytest.mark.parametrize(
    ("total", "percent", "expected"),
    [(20, 30, 6), (3, 50, 2), (1, 50, 1), (7, 30, 2), (5, 30, 2), (20, 0, 0), (20, 100, 20), (1, 49, 0), (200, 0.5, 1)],
)
def test_share_of_the_random_agent(total, percent, expected):
    """Halves are rounded up. Python's round() would turn 2.5 into 2."""
    assert number_random(total, percent) == expected
