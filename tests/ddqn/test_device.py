"""Which device "auto" is, with the machines that we do not have replaced by mocks."""

import pytest
import torch as th

from sb3_breakout import DDQN
from sb3_breakout.ddqn.device import choose_device
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
