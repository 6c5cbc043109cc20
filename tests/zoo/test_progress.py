"""The progress bar of ``-P``: its figures, what they are averaged over, and its lines without a terminal."""

import re
import sys
from types import SimpleNamespace

import gymnasium as gym
import optuna
import pytest
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import StopTrainingOnMaxEpisodes
from stable_baselines3.common.monitor import Monitor

from sb3_breakout import DDQN
from sb3_breakout.zoo import progress
from sb3_breakout.zoo.progress import Position, ProgressBar, TrainingProgressCallback, TrialProgressCallback


def make_ddqn(**kwargs: object) -> DDQN:
    return DDQN("MlpPolicy", Monitor(gym.make("CartPole-v1")), learning_starts=50, batch_size=8, device="cpu", **kwargs)


class FakeModel:
    """The attributes of a model that the callback reads, for tests to set."""

    def __init__(self) -> None:
        self.num_timesteps = self._n_updates = self._episode_num = 0
        self.ep_info_buffer: list[dict[str, float]] = []
        self.last_loss: float | None = None
        self.temperature: float | None = None
        self.epsilon: float | None = None
        self.logger = SimpleNamespace()
        self.env = SimpleNamespace(num_envs=1)

    def get_env(self) -> SimpleNamespace:
        return self.env


def start(model: FakeModel, total_timesteps: int = 100) -> TrainingProgressCallback:
    callback = TrainingProgressCallback()
    callback.init_callback(model)
    callback.on_training_start({"total_timesteps": total_timesteps}, {})
    return callback


def step(model: FakeModel, callback: TrainingProgressCallback, loss: float | None = None, episode_ends: bool = False) -> None:
    """One environment step, followed by an update if a loss is given."""
    callback.on_rollout_start()
    model.num_timesteps += 1
    callback.on_step()
    model._episode_num += episode_ends  # SB3 counts the episode after the callback
    if loss is not None:
        model.last_loss = loss
        model._n_updates += 1


def test_loss_is_the_mean_over_the_last_ten_episodes():
    model = FakeModel()
    callback = start(model)
    assert "loss" not in callback.figures()
    # Episode k has two updates with losses k and k + 1, so its mean is k + 0.5
    for k in range(12):
        step(model, callback, loss=k)
        step(model, callback, loss=k + 1, episode_ends=True)
    step(model, callback)
    # The mean over episodes 2 to 11, whose means are 2.5 to 11.5
    assert callback.figures()["loss"] == pytest.approx(7.0)


def test_loss_of_the_running_episode_until_one_has_ended():
    model = FakeModel()
    callback = start(model)
    for loss in (1.0, 3.0, None):
        step(model, callback, loss=loss)
    assert callback.figures()["loss"] == 2.0


def test_one_update_counts_once_however_many_rollouts_see_it():
    model = FakeModel()
    callback = start(model)
    step(model, callback, loss=4.0)
    for _ in range(3):
        step(model, callback)
    step(model, callback, loss=1.0)
    step(model, callback)
    assert callback.figures()["loss"] == 2.5


def test_reward_is_the_mean_over_the_last_ten_games():
    model = FakeModel()
    callback = start(model)
    assert "reward" not in callback.figures()
    model.ep_info_buffer = [{"r": float(score)} for score in range(13)]
    assert callback.figures()["reward"] == 7.5  # mean of 3 to 12


def test_exploration_is_named_after_its_rule():
    model = FakeModel()
    callback = start(model)
    assert callback.figures() == {}
    model.temperature = 0.5
    assert callback.summary() == "temp=0.500"
    model.temperature, model.epsilon = None, 0.25
    assert callback.summary() == "eps=0.250"


class Clock:
    """A clock that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def test_line_every_thirty_seconds_without_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    clock, model = Clock(monkeypatch), FakeModel()
    callback = start(model, total_timesteps=1000)
    for _ in range(70):  # two steps per second
        clock.now += 0.5
        step(model, callback)
    callback.on_training_end()
    callback.on_training_end()  # RL Zoo calls it twice
    assert capsys.readouterr().out.splitlines() == ["  6% | 60/1000 steps | 2 steps/s", "  7% | 70/1000 steps | 2 steps/s"]


def test_figures_in_the_last_line(capsys: pytest.CaptureFixture[str]):
    make_ddqn().learn(200, callback=TrainingProgressCallback())
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("100% | 200/200 steps | ")
    assert "reward=" in line and "loss=" in line and "temp=" in line


@pytest.mark.parametrize("total_timesteps, shown", [(1000, " 75% | 3/4 episodes"), (35, " 85% | 30/35 steps")])
def test_total_is_what_ends_the_training(capsys: pytest.CaptureFixture[str], total_timesteps: int, shown: str):
    model = FakeModel()
    model.env.num_envs = 2
    stop = StopTrainingOnMaxEpisodes(max_episodes=2)  # per environment
    callback = TrainingProgressCallback(stop=stop)
    callback.init_callback(model)
    callback.on_training_start({"total_timesteps": total_timesteps}, {})
    stop.n_episodes, model.num_timesteps = 3, 30
    callback.on_training_end()
    assert capsys.readouterr().out.startswith(shown)


def test_trials_say_what_they_try_and_draw_no_bars(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    trial = optuna.create_study().ask()
    trial.suggest_categorical("n_steps", [3])
    make_ddqn().learn(100, callback=TrialProgressCallback(trial))
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Trial 0 tries n_steps=3" and last.startswith("Trial 0 | 100% | 100/100 steps | ")


def test_ending_before_the_start_is_no_error():
    TrainingProgressCallback().on_training_end()


def without_colours(output: str) -> str:
    """Remove escape sequences. Whether there are any depends on ``TERM`` and ``CI``."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)


def test_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    callback = TrainingProgressCallback()
    make_ddqn(exploration="epsilon_greedy").learn(200, callback=callback)
    output = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)  # remove colours and cursor movements
    shown = next(line for line in reversed(output.splitlines()) if "%" in line)
    assert shown.startswith("100% reward=") and ", loss=" in shown and ", eps=" in shown
    assert "200/200" in shown and shown.endswith("it/s")
    assert len(shown) <= 80


def test_bar_keeps_the_figures_in_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "50")
    bar = ProgressBar()
    bar.update(Position(500_000, 10_000_000, "steps"), 300.0, "reward=312.40, loss=0.000123, temp=0.050")
    bar.close()
    assert "5% reward=312.40, loss=0.000123, temp=0.050" in without_colours(capsys.readouterr().out)


def test_continued_training_counts_only_its_own_steps(capsys: pytest.CaptureFixture[str]):
    model = make_ddqn().learn(60)
    model.learn(100, callback=TrainingProgressCallback(), reset_num_timesteps=False)
    assert "100/100 steps" in capsys.readouterr().out


def test_works_with_a_model_that_has_none_of_our_attributes(capsys: pytest.CaptureFixture[str]):
    DQN("MlpPolicy", Monitor(gym.make("CartPole-v1")), learning_starts=50, device="cpu").learn(
        100, callback=TrainingProgressCallback()
    )
    assert "reward=" in capsys.readouterr().out
