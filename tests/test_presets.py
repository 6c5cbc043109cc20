"""The presets have the documented values, and train on Breakout."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sb3_breakout import DDQN
from tests.zoo.command_line import TRAIN, run

HYPERPARAMS = Path(__file__).parent.parent / "hyperparams"
GAME = "BreakoutNoFrameskip-v4"


def sections(name: str) -> dict[str, dict[str, Any]]:
    return yaml.safe_load((HYPERPARAMS / f"{name}.yml").read_text())


def section(name: str) -> dict[str, Any]:
    return sections(name)[GAME]


def train(preset: str, steps: int, *params: str, folder: Path) -> DDQN:
    options = ("-conf", preset, "--env", GAME, "-n", str(steps), "--eval-freq", "-1", "--seed", "0", "--device", "cpu")
    run(*TRAIN, *options, "-params", *params, folder=folder)
    return DDQN.load(folder / "logs" / "ddqn_per" / f"{GAME}_1" / f"{GAME}.zip")


@pytest.mark.parametrize(
    "name, own, of_one_game",
    [("ddqn_rnd", {"vec_env_wrapper", "callback"}, set()), ("c51_per", {"v_min", "v_max"}, {"mirrored_actions"})],
)
def test_other_algorithms_have_the_values_of_ddqn_per_but_for_their_own(
    name: str, own: set[str], of_one_game: set[str]
) -> None:
    for game, values in sections(name).items():
        assert own <= values.keys()
        shared = {key: value for key, value in values.items() if key not in own | of_one_game}
        assert shared == {key: value for key, value in sections("ddqn_per")[game].items() if key not in own}, game


def test_c51_learns_breakout_in_a_mirror() -> None:
    assert section("c51_per")["mirrored_actions"] == [0, 1, 3, 2]
    assert [game for game, values in sections("c51_per").items() if "mirrored_actions" in values] == [GAME]


def test_rnd_keeps_the_callbacks_of_ddqn_per() -> None:
    dual_agent, *others = section("ddqn_rnd")["callback"]
    assert others == section("ddqn_per")["callback"]
    assert list(dual_agent) == ["sb3_breakout.rnd.DualAgentCallback"]


def test_original_values() -> None:
    values = section("ddqn_per_original")
    assert values["batch_size"] == 128 and values["learning_rate"] == 2.5e-4 and values["max_grad_norm"] == 1.0
    assert values["gradient_steps"] == 10 and values["train_freq"] == 1 and "n_envs" not in values
    assert values["target_update_interval"] == 500 and values["buffer_size"] == 1_000_000
    assert values["temperature_scale"] == "raw"
    temperatures = [values[f"temperature_{name}"] for name in ("initial", "min", "decay", "slowdown")]
    assert temperatures == [1.0, 0.05, 0.995, 3]
    assert values["exploration_fraction"] * values["n_timesteps"] == 200_000
    assert "sb3_breakout.envs.RewardShapingWrapper" in values["env_wrapper"]  # after the unclipped rewards of BreakoutWrapper
    assert values["env_wrapper"][0] == {"sb3_breakout.envs.BreakoutWrapper": {"clip_reward": False}}
    assert values["frame_stack"] == 8


@pytest.mark.slow
def test_original_trains(tmp_path: Path) -> None:
    model = train("ddqn_per_original", 212, "learning_starts:200", "batch_size:8", folder=tmp_path)
    assert model._n_updates == 10 * 12
    assert model.observation_space.shape == (8, 84, 84)


@pytest.mark.slow
def test_rgb_at_native_size_trains_a_thousand_steps(tmp_path: Path) -> None:
    params = ("learning_starts:600", "buffer_size:1500", "n_envs:4", "batch_size:4", "gradient_steps:1")
    model = train("ddqn_per_rgb", 1000, *params, folder=tmp_path)
    assert model.num_timesteps == 1000 and model._n_updates == 100
    assert model.observation_space.shape == (12, 210, 160)  # 4 frames of 3 channels each
    assert model.last_loss is not None and model.last_loss > 0.0
    assert section("ddqn_per_rgb")["env_wrapper"][0]["sb3_breakout.envs.BreakoutWrapper"]["frame_skip"] == 2
