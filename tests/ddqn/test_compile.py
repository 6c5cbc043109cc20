"""torch.compile and bfloat16 change neither the updates nor the saved files, and neither is used where it should not be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from sb3_breakout import DDQN
from tests.ddqn.environments import Corridor

FAST: dict[str, Any] = dict(learning_starts=50, buffer_size=1000, batch_size=16, seed=0)


@pytest.mark.parametrize("fast", [True, False])
def test_autocast_auto_follows_the_hardware(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    monkeypatch.setattr("sb3_breakout.ddqn.assembly.bfloat16_is_fast", lambda device: fast)
    arguments: dict[str, Any] = dict(buffer_size=100, device="cpu")
    assert DDQN("CnnPolicy", Corridor("image"), **arguments).q_net.autocast is fast
    assert DDQN("CnnPolicy", Corridor("image"), autocast=not fast, **arguments).q_net.autocast is not fast
    with pytest.raises(ValueError, match="autocast must be one of 'auto', True, False, received 'bf16'"):
        DDQN("CnnPolicy", Corridor("image"), autocast="bf16", **arguments)


def test_named_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(th.backends.mps, "is_available", lambda: True)
    assert DDQN("MlpPolicy", Corridor(), device="cpu").device == th.device("cpu")


def test_autocast_keeps_the_head_in_float32() -> None:
    model = DDQN("CnnPolicy", Corridor("image"), autocast=True, **FAST)
    dtypes: dict[str, th.dtype] = {}
    model.q_net.features_extractor.register_forward_hook(lambda _, __, output: dtypes.update(features=output.dtype))
    model.q_net.q_net.register_forward_hook(lambda _, __, output: dtypes.update(head=output.dtype))
    model.learn(60)
    assert dtypes == {"features": th.bfloat16, "head": th.float32}
    assert all(parameter.dtype == th.float32 for parameter in model.policy.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised by the compiler
def test_compiled_update_equals_eager(tmp_path: Path) -> None:
    eager = DDQN("MlpPolicy", Corridor(), **FAST).learn(300)
    compiled = DDQN("MlpPolicy", Corridor(), compile=True, **FAST).learn(300)
    for mine, other in zip(eager.q_net.parameters(), compiled.q_net.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), atol=1e-4)
    compiled.save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model", compile=False)
    assert loaded.policy.state_dict().keys() == eager.policy.state_dict().keys()
    observation = np.eye(6, dtype=np.float32)
    np.testing.assert_array_equal(loaded.policy.q_values(observation), compiled.policy.q_values(observation))


def test_loading_to_play_compiles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(function: Any, **_: Any) -> Any:
        raise AssertionError("compiled")

    DDQN("MlpPolicy", Corridor(), compile=True, **FAST).save(tmp_path / "model")
    monkeypatch.setattr(th, "compile", never)
    DDQN.load(tmp_path / "model").predict(np.eye(6, dtype=np.float32)[0])
