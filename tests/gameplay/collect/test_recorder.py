"""The recorder records exactly what the emulator executed, and does not change the game."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from ale_py import AtariEnv
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.env_util import make_vec_env, unwrap_wrapper
from stable_baselines3.common.monitor import Monitor

from sb3_breakout.envs import AleVecEnv, AtariPreprocessing, RandomAgent, RewardShapingWrapper
from sb3_breakout.envs.atari_wrappers import MaxAndSkip
from sb3_breakout.gameplay import GameRecorder
from sb3_breakout.gameplay.collect.play import play_game, recorder_of
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from sb3_breakout.gameplay.dataset.page import write_page
from sb3_breakout.gameplay.dataset.verification import verify_dataset
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter
from tests.gameplay.conftest import SHORT, MakeGame, record


def breakout(wrapper: dict[str, Any] | None = None, **env_kwargs: Any) -> AtariPreprocessing:
    return AtariPreprocessing(Monitor(gym.make("BreakoutNoFrameskip-v4", **env_kwargs)), **(wrapper or {}))


def play(env: gym.Env, actions: np.ndarray) -> list[tuple[Any, ...]]:
    """Play the actions and return all that ``reset`` and ``step`` returned."""
    seen: list[tuple[Any, ...]] = [env.reset(seed=3)]
    for action in actions:
        *step, info = env.step(int(action))
        info.pop("episode", None)  # contains the elapsed time
        seen.append((*step, info))
        if step[2] or step[3]:
            seen.append(env.reset())
    env.close()
    return seen


def test_game_of_five_lives(tmp_path: Path, play_in: MakeGame) -> None:
    (episode,) = record(tmp_path / "data", play_in(repeat_action_probability=0.25))
    facts, steps = episode.facts, len(episode)
    assert len(list(episode.folder.glob("frame_*.png"))) == steps + 1 == len(facts["lives"])
    assert facts["lives"][0] == 5 and facts["lives"][-1] == 0 and sum(facts["life_lost"]) == 5
    assert facts["terminated"] and not facts["truncated"]
    assert facts["score"] == sum(facts["rewards"])
    assert facts["ale_actions"][:2] == [1, 3]  # FIRE and RIGHT, pressed by the wrapper at the start
    lost = [step for step in range(steps - 1) if facts["life_lost"][step]]
    assert len(lost) == 4
    for step in lost:  # after a lost life the wrapper presses NOOP, FIRE and RIGHT
        assert facts["ale_actions"][step + 1 : step + 4] == [0, 1, 3]
        assert facts["actions"][step + 1 : step + 4] == ["NOTHING", "NOTHING", "RIGHT"]
    pressed = {0, 1} | {step + k for step in lost for k in (1, 2, 3)}
    assert facts["pressed"] == [step in pressed for step in range(steps)]


def test_metadata_that_is_no_json_leaves_nothing(tmp_path: Path, play_in: MakeGame) -> None:
    env = play_in(**SHORT)
    folder = GameplayFolder(tmp_path)
    folder.claim()
    with pytest.raises(TypeError, match="not JSON serializable"):
        play_game(RandomAgent(env), env, EpisodeWriter(folder.episode(1)), {"name": "random", "of": folder}, seed=0)
    assert list(folder.episodes.iterdir()) == []


def test_every_step_of_the_emulator_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []
    original = MaxAndSkip.step

    def step(self: MaxAndSkip, action: int) -> Any:
        result = original(self, action)
        heard.append((int(action), float(result[1])))
        return result

    monkeypatch.setattr(MaxAndSkip, "step", step)
    env = breakout(**SHORT)
    recorder = GameRecorder.put_into(env)
    recorder.record(EpisodeWriter(tmp_path / "episode_000001"), agent={"name": "hand"})
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    while recorder.recording:
        env.step(int(rng.integers(4)))
    facts = Episode.open(tmp_path / "episode_000001").facts
    indices = {0: 0, 1: 1, 3: 2, 4: 3}
    assert [(indices[action], reward) for action, reward in zip(facts["ale_actions"], facts["rewards"], strict=True)] == heard
    assert facts["truncated"] and not facts["terminated"]


def test_recorded_game_is_the_same_game(tmp_path: Path) -> None:
    actions = np.random.default_rng(1).integers(4, size=400)
    recorded, plain = breakout(repeat_action_probability=0.25), breakout(repeat_action_probability=0.25)
    recorder = GameRecorder.put_into(recorded)
    recorder.record(EpisodeWriter(tmp_path / "episode_000001"), agent={"name": "hand"})
    for step, (one, other) in enumerate(zip(play(recorded, actions), play(plain, actions), strict=True)):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True)), step
    assert (tmp_path / "episode_000001").is_dir()


def test_executed_actions_are_those_of_the_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a game with sticky actions, some actions start frames late, and the frame limit cuts the last step short."""
    executed: list[int] = []
    step = AtariEnv.step
    monkeypatch.setattr(AtariEnv, "step", lambda self, action: executed.append(action) or step(self, action))
    env = breakout(dict(action_repeat_probability=0.25), max_num_frames_per_episode=301)
    recorder = GameRecorder.put_into(env)
    for number in (1, 2):
        recorder.record(EpisodeWriter(tmp_path / f"episode_{number:06d}"), agent={"name": "hand"})
        env.reset(seed=number)
        no_ops = len(executed) - 2 * 4  # without FIRE and RIGHT, four frames each
        rng = np.random.default_rng(number)
        while recorder.recording:
            if env.step(int(rng.integers(4)))[2]:
                env.reset()
        facts = Episode.open(tmp_path / f"episode_{number:06d}").facts
        assert [{0: 0, 1: 1, 3: 2, 4: 3}[each] for row in facts["executed_actions"] for each in row] == executed[no_ops:]
        assert [len(row) for row in facts["executed_actions"][:-1]] == [4] * (len(facts["actions"]) - 1)
        late = [row[0] != sent for row, sent in zip(facts["executed_actions"], facts["ale_actions"], strict=True)]
        assert 0.1 < np.mean(late) < 0.3  # below 0.25: a repeated action can be the same one
        assert facts["game"]["action_repeat_probability"] == 0.25 and facts["truncated"]
        executed.clear()
    assert {len(Episode.open(path).facts["executed_actions"][-1]) for path in tmp_path.iterdir()} != {4}


def test_frame_is_what_the_agent_saw(tmp_path: Path) -> None:
    env = breakout(dict(noop_max=0, fire_reset=False, terminal_on_life_loss=False), **SHORT)
    recorder = GameRecorder.put_into(env)
    recorder.record(EpisodeWriter(tmp_path / "episode_000001", native=True), agent={"name": "hand"})
    seen = [env.reset(seed=0)[0]]
    screens = [env.unwrapped.ale.getScreenRGB()]  # type: ignore[attr-defined]
    while recorder.recording:
        seen.append(env.step(len(seen) % 4)[0])
        screens.append(env.unwrapped.ale.getScreenRGB())  # type: ignore[attr-defined]
    episode = Episode.open(tmp_path / "episode_000001")
    assert np.array_equal(episode.frames(), seen)
    assert all(np.array_equal(episode.native(step), screen) for step, screen in enumerate(screens))


def test_game_that_is_left_is_not_kept(tmp_path: Path) -> None:
    env = breakout()
    recorder = GameRecorder.put_into(env)
    recorder.record(EpisodeWriter(tmp_path / "episode_000001"), agent={"name": "hand"})
    env.reset(seed=0)
    env.step(0)
    env.reset(seed=1)
    assert not recorder.recording and list(tmp_path.iterdir()) == []


def test_rewards_of_the_learner(tmp_path: Path) -> None:
    env = RewardShapingWrapper(breakout(dict(clip_reward=False, terminal_on_life_loss=False, fire_reset=False)))
    recorder = GameRecorder.put_into(env)
    recorder.record(EpisodeWriter(tmp_path / "episode_000001"), agent={"name": "hand"})
    env.reset(seed=0)
    paid = []
    while recorder.recording:
        paid.append(env.step(len(paid) % 4)[1])
    facts = Episode.open(tmp_path / "episode_000001").facts
    assert facts["shaped_rewards"] == paid
    assert min(paid) == -1.001


def test_a_game_with_a_screen_of_another_size(tmp_path: Path) -> None:
    env = make_vec_env(
        "PooyanNoFrameskip-v4",
        wrapper_class=AtariPreprocessing,
        wrapper_kwargs={"screen_size": None},
        env_kwargs={"max_num_frames_per_episode": 200},
    )
    (episode,) = record(tmp_path / "data", env, native=True)
    env.close()
    assert episode.facts["game"]["frame_shape"] == [220, 160, 1] and episode.native(0).shape == (220, 160, 3)
    assert all(fault is None for _, fault in verify_dataset(GameplayFolder(tmp_path / "data")))
    assert f'"aspect":{160 / 220}' in write_page(GameplayFolder(tmp_path / "data")).read_text()
    first = episode.folder / "frame_000000.png"
    first.write_bytes(first.read_bytes()[:60])
    fault = dict(verify_dataset(GameplayFolder(tmp_path / "data")))["episode_000001"]
    assert fault is not None and "frame_000000.png is not a complete PNG file" in fault


def test_games_in_threads_are_refused() -> None:
    env = make_vec_env("BreakoutNoFrameskip-v4", wrapper_class=AtariPreprocessing, vec_env_cls=AleVecEnv)
    with pytest.raises(ValueError, match="from a DummyVecEnv with one of them; received AleVecEnv with 1 games"):
        recorder_of(env)
    env.close()


def test_game_that_no_reader_would_make_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        gym.registry, "Mine-v0", EnvSpec("Mine-v0", entry_point=lambda **kwargs: AtariEnv("breakout", **kwargs))
    )
    env = AtariPreprocessing(gym.make("Mine-v0", frameskip=1, disable_env_checker=True))
    with pytest.raises(ValueError, match=r"cannot be recorded.*env_id: Input should be a game of ale_py.*'Mine-v0'"):
        GameRecorder.put_into(env)
    env.close()


def test_unknown_wrapper_below_is_refused() -> None:
    env = AtariPreprocessing(TimeLimit(gym.make("BreakoutNoFrameskip-v4"), 1000))
    with pytest.raises(ValueError, match="TimeLimit"):
        GameRecorder.put_into(env)
    assert unwrap_wrapper(env, GameRecorder) is None
    env.close()
