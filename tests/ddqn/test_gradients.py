"""Clipping against PyTorch's own."""

import pytest
import torch as th

from sb3_breakout.ddqn.gradients import clip_gradient_norm_


@pytest.mark.parametrize("scale", [0.0, 0.1, 0.999_999, 1.0, 1.000_001, 50.0, float("inf"), float("nan")])
def test_as_in_pytorch(scale: float) -> None:
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
