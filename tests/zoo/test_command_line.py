"""RL Zoo's commands: train, continue, optimize, enjoy and record_video, with short trainings on CartPole-v1 and Breakout."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sb3_breakout import C51, DDQN
from tests.zoo.command_line import ENJOY, RL_ZOO3, TRAIN, TRAIN_SEVERAL, run

CARTPOLE = ("--env", "CartPole-v1", "-f", "logs")
BREAKOUT = ("--env", "BreakoutNoFrameskip-v4", "-f", "logs")


@pytest.fixture(scope="module")
def cartpole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and output of a training with most of RL Zoo's options."""
    folder = tmp_path_factory.mktemp("cartpole")
    command = "-n 608 --seed 1 --device cpu -P -tb board --save-freq 200 --save-replay-buffer --eval-freq 300".split()
    output = run(*TRAIN, *CARTPOLE, *command, "-params", "learning_starts:100", "batch_size:16", folder=folder)
    return folder, output


@pytest.fixture(scope="module")
def breakout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and output of a short training on Breakout with one of our presets."""
    folder = tmp_path_factory.mktemp("breakout")
    preset = ("-conf", "ddqn_per_original", "--eval-freq", "100000", "-n", "400")
    small = ("-params", "learning_starts:300", "gradient_steps:1", "batch_size:8", "buffer_size:1000")
    return folder, run(*TRAIN, *BREAKOUT, *preset, *small, folder=folder)


def test_training_writes_what_the_zoo_writes(cartpole: tuple[Path, str]):
    folder, output = cartpole
    run_folder = folder / "logs" / "ddqn_per" / "CartPole-v1_1"
    written = {path.name for path in run_folder.iterdir()}
    checkpoints = {f"rl_model_{steps}_steps.zip" for steps in (200, 400, 600)}
    assert written >= {"CartPole-v1.zip", "best_model.zip", "evaluations.npz", "replay_buffer.pkl", *checkpoints}
    assert output.count("Eval num_timesteps=") == 2
    config = yaml.unsafe_load((run_folder / "CartPole-v1" / "config.yml").read_text())
    assert config["learning_starts"] == 100  # from -params
    assert config["buffer_size"] == 100_000  # from section CartPole-v1 of our YAML file, found without -conf


def test_progress_where_output_is_no_terminal(cartpole: tuple[Path, str]):
    line = [line for line in cartpole[1].splitlines() if "steps/s" in line][-1]
    assert line.startswith("100% | 608/608 steps")
    assert "reward=" in line and "loss=" in line and "temp=" in line
    assert "\r" not in cartpole[1]


def test_nothing_intrinsic_is_logged(cartpole: tuple[Path, str]):
    (log,) = (cartpole[0] / "board" / "CartPole-v1").iterdir()
    assert log.name == "DDQN_1"
    board = EventAccumulator(str(log))
    board.Reload()
    keys = board.Tags()["scalars"]
    assert {"rollout/ep_rew_mean", "rollout/temperature", "train/loss", "eval/mean_reward"} <= set(keys)
    for text in [*keys, cartpole[1]]:
        assert "intrinsic" not in text and "combined" not in text


def test_tensorboard_runs_are_named_after_the_algorithm(tmp_path: Path):
    C51("MlpPolicy", "CartPole-v1", v_max=100.0, device="cpu", tensorboard_log=str(tmp_path)).learn(0)
    assert [path.name for path in tmp_path.iterdir()] == ["C51_1"]


def test_continue_training(cartpole: tuple[Path, str]):
    folder, _ = cartpole
    trained = folder / "logs" / "ddqn_per" / "CartPole-v1_1" / "CartPole-v1.zip"
    changed = ("temperature_min:0.9", "learning_starts:0")
    options = ("-n", "700", "--eval-freq", "-1", "-P", "-f", "continued")
    output = run(*TRAIN, "--env", "CartPole-v1", *options, "-i", trained, "-params", *changed, folder=folder)
    assert "Loading pretrained agent" in output and "Loading replay buffer" in output
    assert "temp=0.900" in output
    assert (folder / "continued" / "ddqn_per" / "CartPole-v1_1" / "CartPole-v1.zip").is_file()


def test_enjoy(cartpole: tuple[Path, str]):
    options = ("-n", "200", "--no-render", "--load-best")
    output = run(*ENJOY, "--algo", "ddqn_per", *CARTPOLE, *options, folder=cartpole[0])
    assert "Mean reward:" in output


def test_optimize_completes_all_trials_and_trains_with_one_of_them(tmp_path: Path):
    study = ("--storage", "study.log", "--study-name", "short")
    optimize = ("-optimize", "--n-trials", "3", "--no-optim-plots", "--n-evaluations", "1", "--eval-episodes", "1")
    small = ("-params", "learning_starts:250", "n_timesteps:300")
    (tmp_path / "mine.yml").write_text("CartPole-v1: {policy: MlpPolicy, replay_buffer_kwargs: {alpha: 2, n_stack: 1}}")
    common = ["--algo", "ddqn_per", *CARTPOLE, "-conf", "mine.yml", *study, *small]
    invocations = [[*common, *optimize], [*common, "--trial-id", "2", "--eval-freq", "-1"]]
    output = run(sys.executable, "-c", TRAIN_SEVERAL, json.dumps(invocations), folder=tmp_path)
    assert output.count("ENDED well") == 2, output
    trials = read_trials(tmp_path)
    assert [trial["state"] for trial in trials] == ["COMPLETE"] * 3
    for number in range(3):
        assert f"Trial {number} tries one_minus_gamma=" in output and f"Trial {number} | 100% | 300/300 steps" in output

    (config,) = (tmp_path / "logs" / "ddqn_per").glob("*/CartPole-v1/config.yml")
    loaded = yaml.unsafe_load(config.read_text())
    assert loaded["replay_buffer_kwargs"]["n_stack"] == 1  # not searched, so as in the YAML file
    assert loaded["replay_buffer_kwargs"]["alpha"] == pytest.approx(float(trials[2]["params_alpha"]))
    assert loaded["n_steps"] == int(trials[2]["params_n_steps"])


def read_trials(folder: Path) -> list[dict[str, str]]:
    (report,) = (folder / "logs" / "ddqn_per").glob("report_*.csv")
    with report.open() as file:
        return list(csv.DictReader(file))


def test_callbacks_of_ones_own_are_left_as_they_are(tmp_path: Path):
    checkpoints = {"stable_baselines3.common.callbacks.CheckpointCallback": {"save_freq": 50, "save_path": "mine"}}
    bar = "stable_baselines3.common.callbacks.ProgressBarCallback"
    config = {"policy": "MlpPolicy", "n_timesteps": 120, "learning_starts": 100, "callback": [checkpoints, bar]}
    (tmp_path / "mine.yml").write_text(yaml.dump({"CartPole-v1": config}))
    output = run(*TRAIN, *CARTPOLE, "-conf", "mine.yml", "--eval-freq", "-1", folder=tmp_path)
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"rl_model_50_steps.zip", "rl_model_100_steps.zip"}
    assert "120/120" in output and "steps/s" not in output  # the user's progress bar, not ours


def test_mistakes_are_refused_before_anything_starts(cartpole: tuple[Path, str], tmp_path: Path):
    trained = cartpole[0] / "logs" / "ddqn_per" / "CartPole-v1_1" / "CartPole-v1.zip"
    (tmp_path / "mine.yml").write_text("CartPole-v1: {policy: MlpPolicy, n_timesteps: 100, temperature_decoy: 0.9}")
    (tmp_path / "empty.yml").touch()
    (tmp_path / "no_policy.yml").write_text("CartPole-v1: {n_timesteps: 100}")
    common = ["--algo", "ddqn_per", *CARTPOLE, "-n", "100"]
    mistakes = {
        "'temperature_decoy' (did you mean 'temperature_decay'?)": ["-conf", "mine.yml"],
        "'learning_rte' (did you mean 'learning_rate'?)": ["-params", "learning_rte:0.1"],
        "'temprature_min' (did you mean 'temperature_min'?)": ["-i", str(trained), "-params", "temprature_min:0.1"],
        "'frame_stak' (did you mean 'frame_stack'?)": ["-optimize", "--n-trials", "1", "-params", "frame_stak:4"],
        "'alhpa' (did you mean 'alpha'?)": ["-params", "replay_buffer_kwargs:dict(alhpa=0.5)"],
        "'net_arc' (did you mean 'net_arch'?)": ["-params", "policy_kwargs:'dict(net_arc=[8])'"],
        "'seed' is not a hyperparameter, use the option --seed": ["-params", "seed:3"],
        "-n must be a whole number of at least 1, received 0": ["-n", "0"],
        "-conf: there is no file, Python package or preset 'none.yml'. Presets: c51_per, ddqn_per, ": ["-conf", "none.yml"],
        "preset 'ddqn_per_orignal' (did you mean 'ddqn_per_original'?)": ["-conf", "ddqn_per_orignal"],
        "must have a section 'PongNoFrameskip-v4' or 'atari', received neither": [
            *("--env", "PongNoFrameskip-v4", "-conf", "mine.yml")
        ],
        "--save-freq must be at least 1": ["--save-freq", "0"],
        "n_envs must be a whole number of at least 1, received 'two'": ["-params", "n_envs:'two'"],
        "a training of 100 steps would learn nothing": ["-params", "learning_starts:100"],
        "frame_stack must be a whole number of at least 1, received -1": ["-params", "frame_stack:-1"],
        "temperature_min must be": ["-params", "learning_starts:50", "temperature_min:-1.0"],  # after making the folder
        "batch_size=32 is more than the replay buffer holds": [
            "-params",
            "learning_starts:9",
            "buffer_size:31",
            "batch_size:32",
        ],
        "empty.yml must map names of environments to hyperparameters, received None": ["-conf", "empty.yml"],
        "replay_buffer_kwargs must be a dictionary of arguments, received 3": ["-params", "replay_buffer_kwargs:3"],
        "the hyperparameters must include policy, received n_timesteps": ["-conf", "no_policy.yml"],
        "optimizer_kwargs: eps is the text '1e-5'": ["-params", "policy_kwargs:dict(optimizer_kwargs=dict(eps='1e-5'))"],
    }
    invocations = json.dumps([[*common, *options] for options in mistakes.values()])
    output = run(sys.executable, "-c", TRAIN_SEVERAL, invocations, folder=tmp_path)
    ends = [line for line in output.splitlines() if line.startswith("ENDED")]
    for end, message in zip(ends, mistakes, strict=True):
        assert end.startswith("ENDED SystemExit ") and message in end
    assert not list((tmp_path / "logs").glob("*/*"))  # `enjoy` would take a left-over folder for the latest run


def test_other_algorithms_of_the_zoo_are_as_before(tmp_path: Path):
    short = ["-n", "100", "--eval-freq", "-1", "-P", *CARTPOLE]
    invocations = json.dumps([["--algo", "dqn", *short], ["--algo", "ppo", *short, "-params", "n_steps:32"]])
    output = run(sys.executable, "-c", TRAIN_SEVERAL, invocations, folder=tmp_path)
    assert output.count("ENDED well") == 2, output
    assert "/rl_zoo3/hyperparams/dqn.yml" in output and "/rl_zoo3/hyperparams/ppo.yml" in output
    assert "steps/s" not in output  # not our progress lines
    assert (tmp_path / "logs" / "dqn" / "CartPole-v1_1" / "CartPole-v1.zip").is_file()


def test_breakout_is_trained_evaluated_and_recorded_in_the_same_environment(breakout: tuple[Path, str]):
    folder, output = breakout
    assert "ddqn_per_original.yml" in output
    assert "eval_env_kwargs={'max_num_frames_per_episode': 40000}" in output
    arguments = (folder / "logs" / "ddqn_per" / "BreakoutNoFrameskip-v4_1" / "BreakoutNoFrameskip-v4" / "args.yml").read_text()
    assert yaml.unsafe_load(arguments)["env_kwargs"] == {"max_num_frames_per_episode": 40000}


def test_breakout_scores_are_raw_under_shaped_rewards(breakout: tuple[Path, str]):
    monitor = (breakout[0] / "logs" / "ddqn_per" / "BreakoutNoFrameskip-v4_1" / "0.monitor.csv").read_text()
    scores = [float(line.split(",")[0]) for line in monitor.splitlines()[2:]]
    assert scores and all(score >= 0 and score == int(score) for score in scores)  # no -0.001 per step, no -1 per life


def test_record_video_of_breakout_needs_no_memory_for_the_buffer(breakout: tuple[Path, str]):
    folder, _ = breakout
    path = folder / "logs" / "ddqn_per" / "BreakoutNoFrameskip-v4_1" / "BreakoutNoFrameskip-v4.zip"
    DDQN.load(path, buffer_size=10**9, device="cpu").save(path)  # would need 7 TB for its frames
    common = ("--algo", "ddqn_per", *BREAKOUT, "-n", "40")
    run(RL_ZOO3, "record_video", *common, "-o", "by_command", folder=folder)
    (video,) = (folder / "by_command").glob("*.mp4")
    assert video.stat().st_size > 1000
    output = run(*ENJOY, *common, "--no-render", folder=folder)
    assert "Stacking 8 frames" in output


@pytest.mark.slow
def test_optimize_on_breakout(tmp_path: Path):
    optimize = ("-optimize", "--n-trials", "3", "--no-optim-plots", "--n-evaluations", "1", "--eval-episodes", "1")
    small = ("-n", "540", "-params", "learning_starts:500", "n_envs:2", "buffer_size:5000")
    run(*TRAIN, *BREAKOUT, *optimize, *small, folder=tmp_path)
    assert [trial["state"] for trial in read_trials(tmp_path)] == ["COMPLETE"] * 3


@pytest.mark.slow
def test_optimize_from_two_processes_at_once(tmp_path: Path):
    """Two workers share a study in a journal file, as on a cluster; then a training uses one of its trials."""
    study = ("--storage", "study.log", "--study-name", "shared")
    optimize = ("-optimize", "--n-trials", "3", "--no-optim-plots", "--n-evaluations", "1", "--eval-episodes", "1")
    small = ("-params", "learning_starts:250", "n_timesteps:300")
    workers = [
        subprocess.Popen(
            [*TRAIN, *CARTPOLE, *study, *optimize, "--seed", str(seed), *small],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed in range(2)
    ]
    tried = []
    for worker in workers:
        output, _ = worker.communicate(timeout=600)
        assert worker.returncode == 0, output
        tried.append({int(number) for number in re.findall("Trial ([0-9]+) tries", output)})
    assert [len(numbers) for numbers in tried] == [3, 3]
    assert tried[0] | tried[1] == set(range(6))

    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log")))
    trials = optuna.load_study(study_name="shared", storage=storage).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 6
    assert len({trial.params["learning_rate"] for trial in trials}) == 6  # no worker repeats a trial of the other

    run(*TRAIN, *CARTPOLE, *study, "--trial-id", "5", "--eval-freq", "-1", *small, folder=tmp_path)
    (config,) = (tmp_path / "logs" / "ddqn_per").glob("*/CartPole-v1/config.yml")
    assert yaml.unsafe_load(config.read_text())["learning_rate"] == trials[5].params["learning_rate"]


@pytest.mark.slow
def test_track_with_weights_and_biases_offline(tmp_path: Path):
    pytest.importorskip("wandb")
    output = run(*TRAIN, *CARTPOLE, "--track", "-n", "1100", "--eval-freq", "-1", folder=tmp_path, WANDB_MODE="offline")
    assert "Saving to" in output
    assert list(tmp_path.glob("wandb/offline-run-*"))
