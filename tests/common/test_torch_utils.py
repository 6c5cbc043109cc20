"""Devices (those we do not have replaced by mocks), memory, clipping against PyTorch's own, and a compiler that fails."""

import os
import platform
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
    monkeypatch.delattr(th.cpu, "_is_avx512_bf16_supported")  # a release without these probes
    assert not bfloat16_is_fast(cpu)
    assert not bfloat16_is_fast(th.device("mps"))


@pytest.mark.parametrize("scale", [0.0, 0.1, 0.999_999, 1.0, 1.000_001, 50.0, float("inf"), float("nan")])
def test_clipping_is_pytorchs(scale: float) -> None:
    first = th.randn(7, 5, generator=th.Generator().manual_seed(0))
    networks = []
    for _ in range(2):
        network = [th.nn.Parameter(th.zeros(7, 5)), th.nn.Parameter(th.zeros(3)), th.nn.Parameter(th.zeros(2))]
        network[0].grad = scale * first / first.norm()
        network[1].grad = th.zeros(3)  # the third has none
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
    assert function(2) == 3  # no second warning: it would be an error here


def test_an_error_of_the_function_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(th, "compile", lambda function, **_: function)
    with pytest.raises(ZeroDivisionError):
        CompiledFunction(lambda x: 1 / x)(0)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the memory allocator of other C libraries")
def test_freed_memory_is_kept() -> None:
    script = """
import resource, sys
import torch as th
from sb3_breakout.common.torch_utils import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def update():
    blocks = [th.zeros(10 << 20, dtype=th.uint8) for _ in range(4)]
    del blocks[::-1]
for _ in range(3):
    update()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    update()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    faults = {}
    for what in ("keep", "leave"):
        run = subprocess.run([sys.executable, "-c", script, what], env=environment, capture_output=True, text=True, check=True)
        faults[what] = int(run.stdout)
    assert faults["keep"] < 100 < 1_000 < faults["leave"]  # of 3 * 10,240 pages
