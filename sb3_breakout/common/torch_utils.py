"""Helpers for PyTorch: choice of device, bfloat16 support, threads, memory, gradient clipping and compilation."""

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
    :raises ValueError: if there is no such device; SB3 would silently use the CPU instead of cuda
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
    Whether the hardware does arithmetic in bfloat16. Otherwise it is emulated, and slower than float32.

    :param device: device to compute on
    """
    if device.type == "cuda":
        return th.cuda.is_bf16_supported(including_emulation=False)
    # Not exported by PyTorch, and missing on processors other than x86
    probes = (getattr(th.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device.type == "cpu" and any(probe() for probe in probes if probe is not None)


@contextmanager
def number_of_threads(number: int) -> Iterator[None]:
    """
    :param number: number of threads that PyTorch uses inside the block
    """
    before = th.get_num_threads()
    th.set_num_threads(number)
    try:
        yield
    finally:
        th.set_num_threads(before)


def keep_freed_memory() -> None:
    """
    Let the C library keep the memory that an update frees for the next update. glibc returns free memory to the kernel beyond
    twice the size of the largest block that was ever mapped and freed, and using it again causes page faults: a quarter of the
    time of an update in float32. Freeing one block of the largest size that counts (32 MB) raises this limit to 64 MB
    (``M_MMAP_THRESHOLD`` in mallopt(3)). Other allocators, and one configured by ``MALLOC_`` variables, are not affected.
    """
    np.empty(31 << 20, np.uint8)  # bytes; freed at once, and no page is touched


def clip_gradient_norm_(parameters: Iterable[th.nn.Parameter], max_norm: float) -> th.Tensor:
    """
    The same as ``torch.nn.utils.clip_grad_norm_``, bit for bit, but on the CPU, gradients within the limit are left alone:
    multiplying them all by 1 would take longer than Adam's step.

    :param parameters: parameters whose gradients to clip
    :param max_norm: largest norm of all gradients together
    :return: scalar, the norm before clipping
    """
    parameters = [parameter for parameter in parameters if parameter.grad is not None]
    norm = get_total_norm(parameter.grad for parameter in parameters)  # type: ignore[misc]
    # On other devices, the comparison would have to wait for the result
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
        self._active: Callable[..., Any] | None = None  # until the first call: a model loaded to play never compiles

    def __call__(self, *args: Any) -> Any:
        try:
            if self._active is None:
                self._active = th.compile(self._eager, dynamic=False)
            return self._active(*args)
        except Exception as error:  # the type of the compiler's errors depends on backend and release
            if self._active is self._eager:
                raise
            self._active = self._eager
            result = self._eager(*args)  # an error of the function itself is raised again here
            reason = str(error).strip().split("\n", 1)[0]
            message = f"torch.compile failed ({type(error).__name__}: {reason}); training continues uncompiled."
            warnings.warn(message, stacklevel=2)
            return result
