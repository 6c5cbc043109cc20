"""``-i``: a training that was killed resumes as if it had not been interrupted."""

import os
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import load_results

from sb3_breakout import DDQN, PrioritizedReplayBuffer
from sb3_breakout.zoo.resuming import REPLAY_BUFFER, ReplayBufferCheckpoint
from tests.zoo.command_line import TRAIN, run, start

STEPS, HALF = 1600, 800
OPTIONS = (
    *"--env CartPole-v1 -f logs --seed 3 --device cpu --eval-freq -1 --log-interval 1000 --save-freq 400".split(),
    "-params",
)
PARAMETERS = (
    *"learning_starts:100 batch_size:16 train_freq:4 gradient_steps:2 learning_rate:'lin_1e-3'".split(),
    "replay_buffer_kwargs:dict(alpha=(0.6,0.2),beta=(0.4,1.0))",
)


def wait_for(folder: Path, pattern: str, process: BaseProcess) -> Path:
    """:return: the first path that matches the pattern, once there is one"""
    while not (found := sorted(folder.glob(pattern))):
        assert process.exitcode is None, f"the process ended before there was {pattern}"
        time.sleep(0.002)
    return found[0]


def kill(process: BaseProcess) -> None:
    process.kill()
    process.join()


def leave_half_a_save(folder: Path) -> None:
    """Leave the unfinished file of a process that was killed while saving."""
    code = f"""
import os, signal
from sb3_breakout.common.files import atomic_write
with atomic_write({str(folder / REPLAY_BUFFER)!r}) as aside:
    aside.write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    run(sys.executable, "-c", code, folder=folder, code=-signal.SIGKILL)
    assert len(list(folder.glob(".*.tmp"))) == 1


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Run folders of an uninterrupted training, and of one that was killed (kill -9) half way and then continued."""
    through, killed = tmp_path_factory.mktemp("through"), tmp_path_factory.mktemp("killed")
    run(*TRAIN, "-n", str(STEPS), *OPTIONS, *PARAMETERS, folder=through)
    first = killed / "logs" / "ddqn_per" / "CartPole-v1_1"
    process = start(*TRAIN, "-n", str(STEPS), *OPTIONS, *PARAMETERS, folder=killed)
    checkpoint = wait_for(first, f"rl_model_{HALF}_steps.zip", process)
    kill(process)
    leave_half_a_save(first)
    run(*TRAIN, "-n", str(STEPS), "-i", checkpoint, *OPTIONS, *PARAMETERS, folder=killed)
    return through / "logs" / "ddqn_per" / "CartPole-v1_1", killed / "logs" / "ddqn_per" / "CartPole-v1_2"


def test_counters_and_schedules(folders: tuple[Path, Path]) -> None:
    through, resumed = (DDQN.load(folder / "CartPole-v1.zip", device="cpu") for folder in folders)
    for name in ("num_timesteps", "_total_timesteps", "_current_progress_remaining"):
        assert getattr(resumed, name) == getattr(through, name), name
    assert resumed.num_timesteps == STEPS
    # SB3 saves checkpoints between the last step of a rollout and the call of train() that follows
    assert resumed._n_updates == through._n_updates - through.gradient_steps
    rates = [model.policy.optimizer.param_groups[0]["lr"] for model in (through, resumed)]
    assert rates[0] == pytest.approx(rates[1], rel=1e-6) and rates[0] < 1e-5
    steps = [int(model.policy.optimizer.state_dict()["state"][0]["step"]) for model in (through, resumed)]
    assert steps == [through._n_updates, resumed._n_updates]


def test_exploration_goes_on(folders: tuple[Path, Path]) -> None:
    """The temperature depends on the number of all episodes, including those before the interruption."""
    half = DDQN.load(folders[1].parent / "CartPole-v1_1" / f"rl_model_{HALF}_steps.zip", device="cpu")
    resumed = DDQN.load(folders[1] / "CartPole-v1.zip", device="cpu")
    assert 0 < half.policy.exploration.episodes < resumed.policy.exploration.episodes
    assert resumed.temperature < half.temperature < 1.0
    assert resumed._episode_num > half._episode_num


def test_buffer_goes_on(folders: tuple[Path, Path]) -> None:
    through, resumed = (PrioritizedReplayBuffer.load(folder / REPLAY_BUFFER) for folder in folders)
    assert through.size() == STEPS - 1  # SB3 saves checkpoints before it stores the step
    # The buffer that was resumed from is of that checkpoint, or of the previous one if the kill came first
    assert STEPS - 1 - resumed.size() in (1, 401)
    for buffer in (through, resumed):  # alpha moves in steps of 0.01
        assert buffer.alpha == pytest.approx(0.2, abs=0.011) and buffer.beta == pytest.approx(1.0, abs=0.01)


def test_learning_goes_on(folders: tuple[Path, Path]) -> None:
    """Scores after the interruption are those of a trained agent, not of random play (22 steps)."""
    assert load_results(str(folders[1])).r.mean() > 30


def test_one_buffer_however_many_checkpoints(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        assert [path.name for path in folder.glob("*replay_buffer*")] == [REPLAY_BUFFER]


def test_what_killed_saves_left_is_removed(folders: tuple[Path, Path]) -> None:
    assert not list(folders[1].parent.glob("**/.*"))


@pytest.mark.slow
def test_disk_use_of_a_training_that_is_killed_again_and_again(tmp_path: Path) -> None:
    """Each run keeps its checkpoints and one buffer. At most one unfinished file of a killed save remains."""
    options = ("-n", "100000", *OPTIONS[:-1], "--save-freq", "60")
    runs, trained = tmp_path / "logs" / "ddqn_per", ()
    for number in range(1, 6):
        process = start(*TRAIN, *options, *trained, "-params", "learning_starts:10", "batch_size:2", folder=tmp_path)
        last = runs / f"CartPole-v1_{number}"
        wait_for(last, REPLAY_BUFFER, process)
        wait_for(last, ".*.tmp", process)  # a save is in progress
        kill(process)
        assert sum(len(list(each.glob(".*.tmp"))) for each in runs.iterdir()) <= 1
        newest = max(last.glob("rl_model_*.zip"), key=lambda path: int(path.name.split("_")[2]))
        trained = ("-i", newest)
    for each in runs.iterdir():
        names = {path.name for path in each.iterdir() if not path.name.startswith(("rl_model_", ".", "0.monitor"))}
        assert names == {REPLAY_BUFFER, "CartPole-v1"}
    steps = [int(path.name.split("_")[2]) for path in runs.glob("*/rl_model_*.zip")]
    assert len(steps) == len(set(steps))  # no checkpoint is written twice


@pytest.mark.parametrize("overlap", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("vec_env", ["dummy", pytest.param("subproc", marks=pytest.mark.slow)])
def test_sigterm_saves_and_exits(tmp_path: Path, vec_env: str, overlap: bool) -> None:
    """SIGTERM goes to each process of the job, as on a cluster."""
    options = ("-n", "1000000", *OPTIONS[:-1], "--vec-env", vec_env, "--save-replay-buffer", *OPTIONS[-1:])
    process = start(*TRAIN, *options, *PARAMETERS, f"overlap_updates:{overlap}", folder=tmp_path)
    folder = tmp_path / "logs" / "ddqn_per" / "CartPole-v1_1"
    wait_for(folder, "rl_model_*.zip", process)
    os.killpg(process.pid, signal.SIGTERM)
    process.join(timeout=60)
    assert process.exitcode == 143
    model = DDQN.load(folder / "CartPole-v1.zip", env=gym.make("CartPole-v1"))
    assert 400 <= model.num_timesteps < 1_000_000
    model.load_replay_buffer(folder / REPLAY_BUFFER)
    assert model.num_timesteps - model.replay_buffer.size() in (0, 1)  # 1: the interrupted step


def test_nothing_left_to_learn(folders: tuple[Path, Path]) -> None:
    output = run(
        *TRAIN, "-n", "1200", "-i", folders[0] / "CartPole-v1.zip", *OPTIONS, *PARAMETERS, folder=folders[0].parents[2], code=1
    )
    assert "trained for 1600 steps" in output and "ends at 1200 steps in total" in output
    assert "Traceback" not in output


def test_with_a_buffer_of_another_step(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    checkpoint = folders[0] / "rl_model_400_steps.zip"
    output = run(*TRAIN, "-n", "500", "-i", checkpoint, *OPTIONS, *PARAMETERS, folder=tmp_path)
    assert f"{REPLAY_BUFFER} was saved at step {STEPS} and the model at step 400: training resumes at step 400" in output
    resumed = DDQN.load(tmp_path / "logs" / "ddqn_per" / "CartPole-v1_1" / "CartPole-v1.zip")
    assert resumed.num_timesteps == 500


def test_without_its_buffer_the_agent_plays_before_it_learns(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    model = tmp_path / "alone.zip"
    model.write_bytes((folders[0] / "CartPole-v1.zip").read_bytes())
    network = "policy_kwargs:dict(net_arch=[8])"
    output = run(*TRAIN, "-n", "1800", "-i", model, *OPTIONS, *PARAMETERS, network, folder=tmp_path)
    assert f"policy_kwargs (net_arch) are not those that {model} was trained with, and are ignored" in output
    assert f"There is no {REPLAY_BUFFER} beside {model}: the agent plays 100 steps before it learns again" in output
    before, after = DDQN.load(model), DDQN.load(tmp_path / "logs" / "ddqn_per" / "CartPole-v1_1" / "CartPole-v1.zip")
    assert after._n_updates - before._n_updates == pytest.approx((200 - 100) / 4 * 2, abs=2)


def test_killed_in_the_middle_of_checkpoints(tmp_path: Path) -> None:
    """Checkpoints can be loaded, at whatever moment the process was killed."""
    code = (
        "from pathlib import Path\n"
        "from sb3_breakout import DDQN\n"
        "model = DDQN('MlpPolicy', 'CartPole-v1', learning_starts=10, buffer_size=1000, seed=0).learn(300)\n"
        "while True:\n"
        "    model.save('model')\n"
        "    model.save_replay_buffer('replay_buffer')\n"
        "    Path('saved').touch()\n"
    )
    rng = np.random.default_rng(0)
    for _ in range(4):
        process = start(sys.executable, "-c", code, folder=tmp_path)
        saved = wait_for(tmp_path, "saved", process)
        time.sleep(0.05 + 0.2 * rng.random())
        kill(process)
        saved.unlink()
        model = DDQN.load(tmp_path / "model.zip", env=gym.make("CartPole-v1"))
        model.load_replay_buffer(tmp_path / "replay_buffer.pkl")
        assert model.num_timesteps == model.replay_buffer.size() == 300


def test_random_numbers_go_on(tmp_path: Path) -> None:
    model = DDQN("MlpPolicy", "CartPole-v1", learning_starts=10, buffer_size=1000, seed=0).learn(100)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    np.random.randint(2**31)  # resuming draws a seed for the environment
    expected = np.random.random(5)

    class Draw(BaseCallback):
        def _on_training_start(self) -> None:
            self.drawn = np.random.random(5)

        def _on_step(self) -> bool:
            return True

    draw = Draw()
    for reset, same in ((False, True), (True, False)):
        loaded = DDQN.load(tmp_path / "model", env=gym.make("CartPole-v1"))
        loaded.load_replay_buffer(tmp_path / "buffer")
        loaded.learn(20, callback=draw, reset_num_timesteps=reset)
        assert (draw.drawn == expected).all() == same
        loaded.learn(20, callback=draw, reset_num_timesteps=False)  # continues from here, not from the file again
        assert (draw.drawn != expected).all()


def test_buffer_that_cannot_be_written(tmp_path: Path) -> None:
    """If a buffer cannot be written, for example to a full disk, training continues."""
    (tmp_path / "file").touch()
    model = DDQN("MlpPolicy", "CartPole-v1", learning_starts=10, buffer_size=1000, seed=0)
    with pytest.warns(UserWarning, match="was not saved to .*training continues"):
        model.learn(100, callback=ReplayBufferCheckpoint(60, str(tmp_path / "file")))
    assert model.num_timesteps == 100
