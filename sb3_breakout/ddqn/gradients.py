"""Clipping that costs nothing where there is nothing to clip."""

from collections.abc import Iterable

import torch as th
from torch.nn.utils import clip_grads_with_norm_, get_total_norm


def clip_gradient_norm_(parameters: Iterable[th.nn.Parameter], max_norm: float) -> th.Tensor:
    """
    As ``torch.nn.utils.clip_grad_norm_``, bit by bit, but on the CPU gradients that are short enough are left alone.
    To multiply them all by 1 takes longer than Adam's step.

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
