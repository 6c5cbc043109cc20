"""Which device "auto" is, with the machines that we do not have replaced by mocks."""

from typing import Any

import pytest
import torch as th

from sb3_breakout import DDQN
from sb3_breakout.ddqn.device import bfloat16_is_fast, choose_device
from tests.ddqn.environments import Corridor


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str) -> None:
    monkeypatch.setattr(th.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(th.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto").type == expected


def test_a_named_device_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(th.backends.mps, "is_available", lambda: True)
    assert choose_device("cpu") == th.device("cpu")
    assert DDQN("MlpPolicy", Corridor(), device="cpu").device == th.device("cpu")


@pytest.mark.parametrize("fast", [True, False])
def test_autocast_auto_follows_the_hardware(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    monkeypatch.setattr("sb3_breakout.ddqn.ddqn.bfloat16_is_fast", lambda device: fast)
    arguments: dict[str, Any] = dict(buffer_size=100, device="cpu")
    assert DDQN("CnnPolicy", Corridor("image"), **arguments).q_net.autocast is fast
    assert DDQN("CnnPolicy", Corridor("image"), autocast=not fast, **arguments).q_net.autocast is not fast
    with pytest.raises(ValueError, match="autocast must be one of 'auto', True, False, received 'bf16'"):
        DDQN("CnnPolicy", Corridor("image"), autocast="bf16", **arguments)


def test_where_bfloat16_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = th.device("cpu")
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(th.cpu, probe, lambda: False, raising=False)
    assert not bfloat16_is_fast(cpu)
    monkeypatch.setattr(th.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert bfloat16_is_fast(cpu)
    monkeypatch.delattr(th.cpu, "_is_amx_tile_supported")
    monkeypatch.delattr(th.cpu, "_is_avx512_bf16_supported")  # a release without these probes
    assert not bfloat16_is_fast(cpu)
    assert not bfloat16_is_fast(th.device("mps"))
