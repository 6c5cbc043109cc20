"""Mixing extrinsic and intrinsic rewards."""

import numpy as np

from sb3_breakout.common.rewards import mixed_rewards


def test_mix_on_hand_worked_numbers() -> None:
    mixed = mixed_rewards(np.array([1.0, -2.0], np.float32), np.array([3.0, 5.0], np.float32), 0.25)
    np.testing.assert_array_equal(mixed, [1.5, -0.25])
    assert mixed.dtype == np.float32
