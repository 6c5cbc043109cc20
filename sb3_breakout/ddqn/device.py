"""What "auto" means on this machine."""

import torch as th
from stable_baselines3.common.utils import get_device


def choose_device(device: th.device | str = "auto") -> th.device:
    """
    As SB3's ``get_device``, but "auto" also considers Apple's mps, after cuda and before cpu.

    :param device: "auto" or what PyTorch accepts
    """
    if device == "auto" and not th.cuda.is_available() and th.backends.mps.is_available():
        return th.device("mps")
    return get_device(device)


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
