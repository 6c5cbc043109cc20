"""Videos show the game that was played, common players open them, and a file is complete or absent."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import cv2
import gymnasium as gym
import imageio_ffmpeg
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.evaluation import evaluate_policy

from sb3_breakout import DDQN
from sb3_breakout.common.files import HOST
from sb3_breakout.envs import RandomAgent
from sb3_breakout.evaluation import STICKINESS, evaluation_env
from sb3_breakout.video.camera import Moment, play_game
from sb3_breakout.video.record import annotate, record_video
from tests.common.test_files import NOBODY

MEANINGS = {"NOTHING": 0, "FIRE": 1, "RIGHT": 2, "LEFT": 3}
STEPS = 60


class Raising:
    """An agent that fails after some steps, as if the process had been interrupted."""

    def __init__(self, agent: RandomAgent, steps: int) -> None:
        self.agent, self.steps = agent, steps
        self.observation_space, self.action_space = agent.observation_space, agent.action_space

    def predict(self, observation, **arguments):
        self.steps -= 1
        if self.steps < 0:
            raise KeyboardInterrupt
        return self.agent.predict(observation, **arguments)


@pytest.fixture(scope="module")
def recorded(random_agent, tmp_path_factory) -> tuple[Path, list[Moment]]:
    """A video with its folder of frames, and the moments of the same game played again."""
    path = tmp_path_factory.mktemp("videos") / "game.mp4"
    game = dict(seed=1, max_steps=STEPS)
    last = record_video(random_agent(1), path, with_frames=True, scale=1, **game)
    moments = list(play_game(random_agent(1), **game))
    assert (last.number, last.action, last.score) == (moments[-1].number, "END", moments[-1].score)
    return path, moments


@pytest.mark.parametrize("protocol", STICKINESS)
def test_the_actions_of_a_video_play_the_same_game_again(random_agent, protocol):
    """In a bare emulator they give the same screens and scores, so the video shows every action that was executed."""
    moments = list(play_game(random_agent(0), protocol=protocol, noop_max=0, seed=5))
    plain = gym.make("BreakoutNoFrameskip-v4", repeat_action_probability=STICKINESS[protocol])
    screen, _ = plain.reset(seed=5)
    score, lives, over = 0.0, [], False
    for number, moment in enumerate(moments):
        np.testing.assert_array_equal(moment.screen, screen)
        assert (moment.number, moment.score, moment.action == "END") == (number, score, over)
        assert moment.lives == plain.unwrapped.ale.lives()
        for _ in range(4 * (not over)):
            screen, reward, over, _, info = plain.step(MEANINGS[moment.action])
            score += reward
            if over:
                break
        lives.append(info["lives"])
    assert over and lives[-1] == 0
    starts = [0] + [t + 1 for t, (before, after) in enumerate(pairwise(lives)) if 0 < after < before]
    presses = [[moment.action for moment in moments[t + (t > 0) :]][: 2 + (t > 0)] for t in starts]
    assert presses == [["FIRE", "RIGHT"]] + [["NOTHING", "FIRE", "RIGHT"]] * 4
    plain.close()


def test_the_score_of_a_video_is_that_of_an_evaluation(random_agent):
    env = evaluation_env(n_envs=1, seed=2)
    (score,), (length,) = evaluate_policy(random_agent(2), env, n_eval_episodes=1, return_episode_rewards=True)
    env.close()
    *_, last = play_game(random_agent(2), seed=2)
    assert last.score == score > 0
    assert length / 4 - 30 / 4 <= last.number <= length / 4 + 1


def test_a_game_is_cut_at_the_limit(random_agent):
    *_, last = play_game(random_agent(0), max_steps=20, noop_max=0)
    assert last.number == 20


def test_an_agent_with_a_memory_is_handed_its_state(random_agent):
    """As in ``evaluate_policy``, a recurrent policy gets the state it returned, and the starts of episodes."""

    class Remembering(Raising):
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            assert state == (len(starts) or None)
            starts.append(bool(episode_start[0]))
            return self.agent.predict(observation)[0], len(starts)

    starts = []
    list(play_game(Remembering(random_agent(0), 0), max_steps=STEPS))
    assert starts[0] and 1 < sum(starts) < len(starts)  # at the start and after a lost life


def test_the_file_is_what_browsers_play(recorded):
    path, moments = recorded
    facts = next(imageio_ffmpeg.read_frames(path))
    assert facts["codec"] == "h264" and facts["pix_fmt"].startswith("yuv420p(tv")
    assert (facts["size"], facts["fps"]) == ((160, 256), 30)
    assert facts["duration"] == pytest.approx(len(moments) / 30, abs=0.01)
    content = path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")  # the index comes first


def test_the_video_shows_what_was_played(recorded):
    path, moments = recorded
    video = cv2.VideoCapture(str(path))
    decoded = [video.read()[1][:, :, ::-1] for _ in moments]
    assert video.read()[0] is False
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == len(moments)
    video.release()
    played = np.array([annotate(moment, 1) for moment in moments], dtype=np.float32)
    for number, picture in enumerate(decoded):
        differences = np.abs(played - picture).mean(axis=(1, 2, 3))
        assert differences[number] < 3 and differences.argmin() == number  # not the picture before or after
        lit = played[number].max(axis=2) > 190  # ball, paddle and text: few pixels
        assert picture.max(axis=2)[lit].mean() > 150


def test_the_folder_holds_every_screen_losslessly(recorded):
    path, moments = recorded
    folder = path.with_suffix("")
    assert {file.name for file in folder.iterdir()} == {f"{number}.png" for number in range(len(moments))}
    for moment in moments:
        np.testing.assert_array_equal(cv2.imread(str(folder / f"{moment.number}.png"))[:, :, ::-1], moment.screen)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_text_lies_below_the_screen(scale):
    screen = np.random.default_rng(0).integers(256, size=(210, 160, 3), dtype=np.uint8)
    moment = Moment(7, screen, "LEFT", 3.0, 5)
    picture = annotate(moment, scale)
    assert (picture.shape, picture.dtype) == ((256 * scale, 160 * scale, 3), np.uint8)
    for row, column in np.ndindex(scale, scale):  # nearest neighbour: each pixel becomes a square
        np.testing.assert_array_equal(picture[row : 210 * scale : scale, column::scale], screen)
    others = [dict(number=8), dict(lives=4), dict(action="RIGHT"), dict(score=4.0)]
    for line, other in zip([0, 0, 1, 2], others, strict=True):
        (rows,) = np.nonzero((annotate(moment._replace(**other), scale) != picture).any(axis=(1, 2)))
        assert (210 + 15 * line) * scale <= rows.min() and rows.max() <= (210 + 15 * (line + 1)) * scale
    longest = annotate(Moment(107_999, screen, "DOWNRIGHTFIRE", 864.0, 5), scale)
    assert longest[210 * scale :].max() > 200 and not longest[210 * scale :, -4 * scale :].any()  # nothing is cut off


def test_bars_show_which_action_is_best():
    moment = Moment(7, np.zeros((210, 160, 3), dtype=np.uint8), "LEFT", 3.0, 5)
    plain = annotate(moment)
    for best, column in [("NOTHING", 92), ("FIRE", 108), ("RIGHT", 124), ("LEFT", 140)]:
        values = {"NOTHING": 1.0, "FIRE": 1.0, "RIGHT": 1.0, "LEFT": 1.0} | {best: 2.0}
        changed = annotate(moment._replace(q_values=values)) != plain
        heights = changed[: (256 - 9) * 3].any(axis=2).sum(axis=0).reshape(160, 3).max(axis=1)
        assert heights[column : column + 13].min() == heights.max() > 60  # the other bars have height 0
        assert np.flatnonzero(heights > 6).tolist() == list(range(column, column + 14))
    assert (annotate(moment._replace(q_values=dict.fromkeys("ABCDEFGHIJKLMNOPQR", 0.0))) != plain).any()


def test_q_values_are_those_of_the_states_shown():
    env = evaluation_env(n_envs=1, max_steps=STEPS)
    model = DDQN("CnnPolicy", env, buffer_size=10, seed=0, device="cpu")
    env.close()
    moments = list(play_game(model, with_q_values=True, deterministic=True, max_steps=STEPS))
    chosen = [moment for moment in moments if moment.q_values is not None]
    assert len(chosen) > STEPS // 2
    assert all(max(moment.q_values, key=moment.q_values.get) == moment.action for moment in chosen)
    assert moments[0].q_values is None  # FIRE, pressed by the wrapper


def test_strip_shows_the_recent_td_errors():
    moment = Moment(7, np.zeros((210, 160, 3), dtype=np.uint8), "LEFT", 3.0, 5)
    picture = annotate(moment._replace(td_errors=(0.25, float("nan"), 9.0, 1.0)), scale=2)
    assert picture.shape == (272 * 2, 160 * 2, 3)
    np.testing.assert_array_equal(picture[: 256 * 2], annotate(moment, scale=2))
    bars = picture[256 * 2 :, 152 * 2 : 156 * 2]  # a column for each moment
    assert bars.any(axis=2).sum(axis=0).tolist() == [14, 14, 0, 0, 28, 28, 28, 28]  # heights are square roots, full from 1 on
    assert (bars[-1, 6:] == (230, 159, 0)).all() and (bars[-1, [0, 4]] == (86, 180, 233)).all()
    others = [(0.25, float("nan"), 9.0, 1.1), (0.25, float("nan"), 9.0, float("nan"))]
    for other in others:  # only the number changes
        changed = (annotate(moment._replace(td_errors=other), scale=2) != picture).any(axis=(0, 2))
        assert changed[: 76 * 2].any() and not changed[76 * 2 : 155 * 2].any()


def test_td_errors_are_those_of_the_steps_shown():
    """They equal one-step errors from the Q-values shown: online network only, and a reward of at most 1 per step."""
    env = evaluation_env(n_envs=1, max_steps=STEPS)
    model = DDQN("CnnPolicy", env, buffer_size=10, seed=0, device="cpu")
    env.close()
    moments = list(play_game(model, with_q_values=True, with_td_error=True, max_steps=STEPS))
    checked = 0
    for moment, following in pairwise(moments):
        error = moment.td_errors[-1]
        assert np.isnan(error) == (moment.q_values is None)
        assert len(following.td_errors) == min(len(moment.td_errors) + 1, 80)
        if following.lives < moment.lives:
            assert error == pytest.approx(abs(moment.q_values[moment.action]), abs=1e-5)  # terminal: no reward follows
            checked += 100
        elif moment.q_values and following.q_values:
            reward = np.sign(following.score - moment.score)
            expected = reward + 0.99 * max(following.q_values.values()) - moment.q_values[moment.action]
            assert error == pytest.approx(abs(expected), abs=1e-5)
            checked += 1
    assert checked > 100 + STEPS // 4


def test_the_random_agent_has_no_td_errors(random_agent, tmp_path):
    assert all(each.td_errors is None for each in play_game(random_agent(0), with_td_error=True, max_steps=12))


def test_nothing_is_left_of_a_recording_that_fails(random_agent, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        record_video(Raising(random_agent(0), 15), tmp_path / "game.mp4", with_frames=True)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_away(random_agent, tmp_path):
    path = tmp_path / "game.mp4"
    unfinished = tmp_path / f".game.{HOST}.{NOBODY}.01234567-1.tmp"
    unfinished.mkdir()
    (unfinished / "999.png").touch()
    (tmp_path / f".game.mp4.{HOST}.{NOBODY}.01234567-0.tmp").touch()
    last = record_video(random_agent(0), path, with_frames=True, max_steps=12)
    assert {file.name for file in tmp_path.iterdir()} == {"game.mp4", "game"}
    assert len(list((tmp_path / "game").iterdir())) == last.number + 1


@pytest.mark.parametrize("name", ["game", "game.avi"])
def test_another_kind_of_file_is_refused(random_agent, tmp_path, name):
    with pytest.raises(ValueError, match=rf"A video is an MP4 file, received .*{name}: call it {name}.mp4"):
        record_video(random_agent(0), tmp_path / name)


def test_agents_of_others_have_neither_q_values_nor_td_errors():
    env = evaluation_env(n_envs=1)
    agent = DQN("CnnPolicy", env, buffer_size=1, device="cpu")
    moments = list(play_game(agent, with_q_values=True, with_td_error=True, max_steps=12))
    assert all(each.q_values is None and each.td_errors is None for each in moments)


@pytest.mark.parametrize("taken", ["game.mp4", "game"])
def test_nothing_is_overwritten(random_agent, tmp_path, taken):
    (tmp_path / taken).mkdir()
    with pytest.raises(FileExistsError, match=re.escape(f"{tmp_path / taken} exists already")):
        record_video(random_agent(0), tmp_path / "game.mp4", with_frames=True)
    assert [path.name for path in tmp_path.iterdir()] == [taken]


@pytest.mark.parametrize(
    ("observations", "actions"),
    [
        (spaces.Box(-1, 1, (4,)), spaces.Discrete(4)),
        (spaces.Box(0, 255, (8, 84, 84), np.uint8), spaces.Discrete(6)),
        (spaces.Discrete(3), spaces.Discrete(4)),
    ],
)
def test_an_agent_of_another_game_is_refused(random_agent, tmp_path, observations, actions):
    agent = random_agent(0)
    agent.observation_space, agent.action_space = observations, actions
    with pytest.raises(ValueError, match=r"The agent knows .*, BreakoutNoFrameskip-v4 shows"):
        record_video(agent, tmp_path / "game.mp4")
    assert list(tmp_path.iterdir()) == []


PAGE = """
<video src="game.mp4" muted></video>
<script>
const video = document.querySelector("video");
const say = (words) => fetch(`http://127.0.0.1:PORT/?${words}`, { mode: "no-cors" });
video.onloadedmetadata = () => { say(`${video.videoWidth}x${video.videoHeight},${video.duration}`); video.currentTime = 1; };
video.onseeked = () => say(`${video.currentTime},${video.readyState}`);
video.onerror = () => say(`error,${video.error.message}`);
</script>
"""


@pytest.fixture
def heard() -> Iterator[tuple[int, SimpleQueue[list[str]]]]:
    """A port of this machine, and the queue of what a page sends there."""
    said: SimpleQueue[list[str]] = SimpleQueue()

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.put(self.path.partition("?")[2].split(","))
            self.send_response(204)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, said
        server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_plays_it(recorded, tmp_path, heard):
    path, moments = recorded
    port, said = heard
    shutil.copy(path, tmp_path / "game.mp4")
    (tmp_path / "page.html").write_text(PAGE.replace("PORT", str(port)))
    quiet = "--disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync".split()
    own = ["--headless", "--no-sandbox", f"--user-data-dir={tmp_path / 'user'}", "--remote-debugging-port=0"]  # stays open
    command = ["chromium", *quiet, *own, (tmp_path / "page.html").as_uri()]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(tmp_path)}) as browser:
        try:
            size, duration = said.get(timeout=120)
            time, ready = said.get(timeout=120)
        finally:
            browser.terminate()
    assert size == "160x256"
    assert float(duration) == pytest.approx(len(moments) / 30, abs=0.01)
    assert time == "1" and int(ready) >= 2  # HAVE_CURRENT_DATA: that picture has been decoded
