"""PyTorch on this machine: which device, what it does fast, memory, compiling, clipping."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.utils import get_device
from torch.nn.utils import clip_grads_with_norm_, get_total_norm


def choose_device(device: th.device | str = "auto") -> th.device:
    """
    As SB3's ``get_device``, but "auto" also considers Apple's mps, after cuda and before cpu.

    :param device: "auto" or what PyTorch accepts
    """
    if device == "auto" and not th.cuda.is_available() and th.backends.mps.is_available():
        return th.device("mps")
    return get_device(device)


def check_device(device: th.device | str) -> None:
    """
    :param device: as for :func:`choose_device`
    :raises ValueError: if there is no such device; SB3 would take the CPU in place of cuda without a word
    """
    try:
        chosen = choose_device(device)
        th.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:  # a NotImplementedError is a RuntimeError
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'mps', received {str(device)!r}: {error}") from error
    if str(device) != "auto" and th.device(device).type != chosen.type:
        raise ValueError(f"device {str(device)!r} is not available here: 'auto' takes {chosen.type!r}.")


def bfloat16_is_fast(device: th.device) -> bool:
    """
    Whether arithmetic in bfloat16 is done by the hardware. Elsewhere it is emulated, and slower than float32.

    :param device: where to compute
    """
    if device.type == "cuda":
        return th.cuda.is_bf16_supported(including_emulation=False)
    # Not exported by PyTorch, and missing where the processor is no x86
    probes = (getattr(th.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device.type == "cpu" and any(probe() for probe in probes if probe is not None)


@contextmanager
def number_of_threads(number: int) -> Iterator[None]:
    """
    :param number: of threads that PyTorch computes with inside the block
    """
    before = th.get_num_threads()
    th.set_num_threads(number)
    try:
        yield
    finally:
        th.set_num_threads(before)


def keep_freed_memory() -> None:
    """
    Let the C library keep what an update frees for the next update. glibc hands memory back to the kernel beyond twice the
    largest block that was ever mapped and freed, and every page of it that is used again is a page fault: a quarter of an
    update in float32. Such a block, as large as still counts (32 MB), raises the limit to 64 MB (``M_MMAP_THRESHOLD`` in
    mallopt(3)). Other allocators do not mind, nor does one that ``MALLOC_`` variables have set up.
    """
    np.empty(31 << 20, np.uint8)  # bytes; no page of it is touched


def clip_gradient_norm_(parameters: Iterable[th.nn.Parameter], max_norm: float) -> th.Tensor:
    """
    As ``torch.nn.utils.clip_grad_norm_``, bit by bit, but on the CPU gradients that are short enough are left alone.
    Multiplying them all by 1 would take longer than Adam's step.

    :param parameters: parameters whose gradients to clip
    :param max_norm: largest norm over all of them
    :return: scalar, the norm before clipping
    """
    parameters = [parameter for parameter in parameters if parameter.grad is not None]
    norm = get_total_norm(parameter.grad for parameter in parameters)  # type: ignore[misc]
    # On other devices the comparison would have to wait for the result
    if norm.device.type != "cpu" or not norm + 1e-6 <= max_norm:
        clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


class CompiledFunction:
    """
    A function compiled at its first call. If that fails (no C++ compiler on the machine, for instance), there
    is one warning and the function runs eagerly from then on. Only the function is compiled: modules that it receives keep
    their class and the keys of their ``state_dict``.

    :param function: function of tensors and modules
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._eager = function
        self._active: Callable[..., Any] | None = None  # a model that is loaded to play never compiles

    def __call__(self, *args: Any) -> Any:
        try:
            if self._active is None:
                self._active = th.compile(self._eager, dynamic=False)
            return self._active(*args)
        except Exception as error:  # what the compiler raises differs by backend and release
            if self._active is self._eager:
                raise
            self._active = self._eager
            result = self._eager(*args)  # an error of the function itself is raised again here
            reason = str(error).strip().split("\n", 1)[0]
            message = f"torch.compile failed ({type(error).__name__}: {reason}); training continues uncompiled."
            warnings.warn(message, stacklevel=2)
            return result
