"""``--algo ddqn_rnd`` on RL Zoo's command line."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sb3_breakout import DDQN, DDQNRND
from sb3_breakout.rnd.ddqn_rnd import EXPLORATION
from tests.zoo.command_line import ENJOY, TRAIN_SEVERAL, run

CARTPOLE = ["--algo", "ddqn_rnd", "--env", "CartPole-v1", "-f", "logs", "--device", "cpu"]
SHORT = ["-params", "learning_starts:100", "batch_size:16"]
RUN = Path("logs", "ddqn_rnd", "CartPole-v1_1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and output of one process: a training, its continuation, two trainings that are refused, and one of PPO."""
    folder = tmp_path_factory.mktemp("ddqn_rnd")
    hyperparams = "CartPole-v1: {{policy: MlpPolicy, n_timesteps: 100, {}}}"
    (folder / "no_callback.yml").write_text(hyperparams.format("vec_env_wrapper: sb3_breakout.rnd.RNDRewardWrapper"))
    (folder / "no_wrapper.yml").write_text(hyperparams.format("callback: sb3_breakout.rnd.DualAgentCallback"))
    ppo = "vec_env_wrapper: [{sb3_breakout.rnd.RNDRewardWrapper: {reward: combined}}], callback: sb3_breakout.rnd.RNDCallback"
    (folder / "ppo.yml").write_text(hyperparams.format(ppo))
    watched = "-n 600 --seed 1 -P -tb board --save-freq 200 --save-replay-buffer --eval-freq 300 --eval-episodes 1".split()
    invocations = [
        [*CARTPOLE, *watched, *SHORT],
        [*CARTPOLE, "-n", "700", "--eval-freq", "-1", "-i", str(RUN / "CartPole-v1.zip"), "-P", *SHORT],
        [*CARTPOLE, "-n", "100", "-conf", "no_callback.yml", *SHORT[:1], "learning_starts:50"],
        [*CARTPOLE, "-n", "100", "-conf", "no_wrapper.yml", *SHORT[:1], "learning_starts:50"],
        ["--algo", "ppo", *CARTPOLE[2:], "-n", "100", "-conf", "ppo.yml", "-params", "n_steps:32", "batch_size:32"],
    ]
    return folder, run(sys.executable, "-c", TRAIN_SEVERAL, json.dumps(invocations), folder=folder)


def test_how_each_ended(trained: tuple[Path, str]) -> None:
    ends = [line for line in trained[1].splitlines() if line.startswith("ENDED")]
    assert [end.split()[1] for end in ends] == ["well", "well", "SystemExit", "SystemExit", "well"], trained[1]
    assert "  callback: sb3_breakout.rnd.DualAgentCallback\n" in trained[1]
    assert "  vec_env_wrapper: sb3_breakout.rnd.RNDRewardWrapper\n" in trained[1]


def test_every_file_is_there(trained: tuple[Path, str]) -> None:
    folder = trained[0] / RUN
    models = ["CartPole-v1.zip", "best_model.zip", *(f"rl_model_{steps}_steps.zip" for steps in (200, 400, 600))]
    for name in models:
        assert set(DDQNRND.load(folder / name, device="cpu").get_parameters()) > set(EXPLORATION), name
    assert DDQN.load(folder / "exploration_agent.zip", device="cpu").num_timesteps > 0
    config = yaml.unsafe_load((folder / "CartPole-v1" / "config.yml").read_text())
    assert config["callback"] == "sb3_breakout.rnd.DualAgentCallback" and config["target_update_interval"] == 200


def test_continued_with_both_agents(trained: tuple[Path, str]) -> None:
    first, second = (trained[0] / RUN.with_name(f"CartPole-v1_{number}") / "CartPole-v1.zip" for number in (1, 2))
    models = [DDQNRND.load(path, device="cpu") for path in (first, second)]
    steps = [model.num_timesteps for model in models]
    assert 600 <= steps[0] < 616 and 700 <= steps[1] < 716  # train_freq: 16
    assert [model.get_parameters()["rnd"]["_extra_state"]["n_frames"] for model in models] == steps
    assert "Loading replay buffer" in trained[1]


def test_figures_in_the_progress_lines(trained: tuple[Path, str]) -> None:
    last = [line for line in trained[1].splitlines() if "steps/s" in line][-1]
    for name in ("reward=", "loss=", "temp=", "extrinsic=", "combined=", "alpha="):
        assert name in last


def test_tensorboard(trained: tuple[Path, str]) -> None:
    (log,) = (trained[0] / "board" / "CartPole-v1").iterdir()
    board = EventAccumulator(str(log))
    board.Reload()
    keys = set(board.Tags()["scalars"])
    assert keys >= {"rnd/alpha", "rnd/bonus", "rnd/bonus_raw", "rnd/bonus_scale", "explorer/loss", "explorer/q_value"}
    assert keys >= {"rollout/combined_reward", "rollout/extrinsic_reward", "train/loss", "train/q_value", "eval/mean_reward"}


def test_enjoy(trained: tuple[Path, str]) -> None:
    output = run(*ENJOY, *CARTPOLE[:6], "-n", "200", "--no-render", "--exp-id", "1", folder=trained[0])
    assert "Mean reward:" in output


@pytest.mark.slow
def test_breakout(tmp_path: Path) -> None:
    """The shipped Breakout section, shortened: games in threads, frame stacks, 84x84 pixels."""
    options = "--env BreakoutNoFrameskip-v4 -n 1600 --eval-freq 800 --eval-episodes 1 --device cpu -params".split()
    small = ["learning_starts:800", "n_envs:2", "buffer_size:3000", "env_kwargs:dict(max_num_frames_per_episode=400)"]
    run(sys.executable, "-m", "rl_zoo3.train", "--algo", "ddqn_rnd", *options, *small, folder=tmp_path)
    model = DDQNRND.load(tmp_path / "logs" / "ddqn_rnd" / "BreakoutNoFrameskip-v4_1" / "best_model.zip", device="cpu")
    state = model.get_parameters()["rnd"]["_extra_state"]
    assert state["frame_mean"].shape == (1, 84, 84)
