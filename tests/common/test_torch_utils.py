"""Choice of devices (mocked), memory, gradient clipping against PyTorch's, and a failing compiler."""

import ctypes
import os
import subprocess
import sys
from typing import Any

import pytest
import torch as th

from sb3_breakout.common.torch_utils import CompiledFunction, bfloat16_is_fast, choose_device, clip_gradient_norm_


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


def test_where_bfloat16_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = th.device("cpu")
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(th.cpu, probe, lambda: False, raising=False)
    assert not bfloat16_is_fast(cpu)
    monkeypatch.setattr(th.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert bfloat16_is_fast(cpu)
    monkeypatch.delattr(th.cpu, "_is_amx_tile_supported")
    monkeypatch.delattr(th.cpu, "_is_avx512_bf16_supported")  # as in a PyTorch release without these functions
    assert not bfloat16_is_fast(cpu)
    assert not bfloat16_is_fast(th.device("mps"))


@pytest.mark.parametrize("scale", [0.0, 0.1, 0.999_999, 1.0, 1.000_001, 50.0, float("inf"), float("nan")])
def test_clipping_is_pytorchs(scale: float) -> None:
    first = th.randn(7, 5, generator=th.Generator().manual_seed(0))
    networks = []
    for _ in range(2):
        network = [th.nn.Parameter(th.zeros(7, 5)), th.nn.Parameter(th.zeros(3)), th.nn.Parameter(th.zeros(2))]
        network[0].grad = scale * first / first.norm()
        network[1].grad = th.zeros(3)  # the third parameter has no gradient
        networks.append(network)
    ours = clip_gradient_norm_(iter(networks[0]), 1.0)
    theirs = th.nn.utils.clip_grad_norm_(networks[1], 1.0)
    th.testing.assert_close(ours, theirs, atol=0.0, rtol=0.0, equal_nan=True)
    th.testing.assert_close(networks[0][0].grad, networks[1][0].grad, atol=0.0, rtol=0.0, equal_nan=True)
    assert networks[0][2].grad is None


def test_failing_compilation_warns_once_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: Any, **_: Any) -> Any:
        def run(*args: Any) -> Any:
            raise RuntimeError("no C++ compiler")

        return run

    monkeypatch.setattr(th, "compile", broken)
    function = CompiledFunction(lambda x: x + 1)
    with pytest.warns(UserWarning, match="torch.compile failed .*no C.. compiler.*uncompiled"):
        assert function(1) == 2
    assert function(2) == 3  # a second warning would be an error


def test_an_error_of_the_function_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(th, "compile", lambda function, **_: function)
    with pytest.raises(ZeroDivisionError):
        CompiledFunction(lambda x: 1 / x)(0)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs the mallinfo2 of glibc 2.33"
)
def test_freed_memory_is_kept() -> None:
    script = """
import ctypes
from sb3_breakout.common.torch_utils import keep_freed_memory

class Statistics(ctypes.Structure):  # struct mallinfo2
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Statistics
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]

def mapped(size):  # whether a block of that size is mapped for itself, and so given back when freed
    before = libc.mallinfo2().hblks
    assert libc.malloc(size)
    return libc.mallinfo2().hblks - before

before = mapped(30 << 20)
keep_freed_memory()
print(before, mapped(30 << 20))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "0"]
