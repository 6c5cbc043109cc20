"""Bad arguments and bad data raise a clear error, and nothing is stored."""

from itertools import islice

import numpy as np
import pytest
from gymnasium import spaces

from sb3_breakout.replay import PrioritizedReplayBuffer
from tests.replay.streams import FrameStackStream, Step

IMAGE = spaces.Box(0, 255, (8, 6, 6), np.uint8)


def make(space: spaces.Space = IMAGE, buffer_size: int = 20, **kwargs) -> PrioritizedReplayBuffer:
    return PrioritizedReplayBuffer(buffer_size, space, spaces.Discrete(4), device="cpu", **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_envs": 0}, "n_envs must be a whole number of at least 1, received 0"),
        ({"n_steps": 3}, "n_steps=3 needs gamma, the algorithm's discount factor: received gamma=None"),
        ({"alpha": 1.5}, r"alpha must be a number in \[0, 1\], received 1.5"),
        ({"alpha": -0.1}, r"alpha must be a number in \[0, 1\], received -0.1"),
        ({"alpha": float("nan")}, "alpha must be a number"),
        ({"alpha": (0.5, 2)}, "alpha must be a number"),
        ({"alpha": [0.5]}, r"alpha must be a number in \[0, 1\], a pair of them .* received \[0.5\]"),
        ({"alpha": (0.5, 1.0, 0.0)}, r"triple \(start, end, fraction of training in \(0, 1\] .* received \(0.5, 1.0, 0.0\)"),
        ({"beta": [0.5, 1.0, 1.5]}, r"beta must be .* a triple .* received \[0.5, 1.0, 1.5\]"),
        ({"alpha": "high"}, "alpha must be a number"),
        ({"beta": (-1, 1)}, "beta must be a number"),
        ({"beta": lambda progress: 3.0}, "beta must be a number"),
        ({"eps": 1e-50}, "eps must be above 0 in float32 too, received 1e-50"),
        ({"n_steps": 0}, "n_steps must be a whole number of at least 1, received 0"),
        ({"n_steps": -3}, "n_steps must be a whole number of at least 1, received -3"),
        ({"n_steps": 2.5}, "n_steps must be a whole number of at least 1, a pair of them .* received 2.5"),
        ({"n_steps": (3, 0)}, r"n_steps must be a whole number of at least 1, received 0 \(from n_steps=\(3, 0\)\)"),
        ({"n_steps": (0, 3, 0.5)}, "n_steps must be a whole number of at least 1, received 0"),
        ({"n_steps": (3.5, 1)}, r"n_steps must be a whole number .* received \(3.5, 1\)"),
        ({"n_steps": lambda remaining: remaining}, "n_steps must be a whole number of at least 1, received 0"),
        ({"n_steps": lambda remaining: float("nan")}, "n_steps must be a whole number of at least 1, received nan"),
        ({"n_steps": lambda remaining: float("inf")}, "n_steps must be a whole number of at least 1, received inf"),
        ({"n_steps": (1, 21)}, "buffer_size=20 leaves 20 .* over n_steps=21: it must be at least 21"),
        ({"n_steps": 21}, "buffer_size=20 leaves 20 .* at least 21"),
        ({"n_steps": 6, "n_envs": 4}, "buffer_size=20 leaves 5 .* at least 24"),
        ({"n_stack": 0}, "n_stack must be a whole number of at least 1, received 0"),
        ({"n_stack": 3}, r"n_stack=3 must divide the first axis .* \(8, 6, 6\)"),
        ({"gamma": 1.01}, r"gamma must be a number in \[0, 1\], received 1.01"),
        ({"gamma": -0.5}, "gamma must be"),
        ({"buffer_size": 0}, "buffer_size must be a whole number of at least 1, received 0"),
        ({"eps": 0.0}, "eps must be a number above 0, received 0.0"),
        ({"optimize_memory_usage": True}, "stores every frame once in any case"),
        ({"space": spaces.Discrete(4), "n_stack": 2}, "n_stack=2 needs Box observations"),
        ({"space": spaces.Dict({"a": spaces.Dict({"b": IMAGE})})}, "Dict within a Dict"),
    ],
)
def test_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_a_schedule_that_leaves_the_range_later():
    buffer = make(
        gamma=0.9,
        alpha=lambda remaining: 6.0 * remaining * (1.0 - remaining),
        n_steps=lambda remaining: 1 + (remaining == 0.1) * 30,
    )
    with pytest.raises(ValueError, match=r"alpha must be a number in \[0, 1\], received 1.5"):
        buffer.update_schedules(0.5)
    with pytest.raises(ValueError, match=r"buffer_size=20 leaves 20 .* over n_steps=31"):
        buffer.update_schedules(0.1)
    assert buffer.n_steps == 1


def started(n_stack: int = 4, n_envs: int = 2, dtype: type = np.uint8, n_steps: int = 3) -> tuple:
    stream = FrameStackStream(0, n_envs, n_stack, (1, 6, 6), dtype, end=0.0)
    steps = list(islice(stream, 9))
    buffer = make(stream.space, 40, n_envs=n_envs, n_stack=n_stack, n_steps=n_steps, gamma=0.9)
    for step in steps[:6]:
        buffer.add(*step)
    return buffer, steps


def assert_refused_and_sound(buffer: PrioritizedReplayBuffer, steps: list[Step], wrong: Step, message: str) -> None:
    """Nothing is stored before the error, so the buffer works on with the right step."""
    size, batch = buffer.size(), buffer._get_samples(np.arange(6))
    with pytest.raises(ValueError, match=message):
        buffer.add(*wrong)
    assert buffer.size() == size
    buffer.check_valid()
    for mine, before in zip(buffer._get_samples(np.arange(6)), batch, strict=True):
        np.testing.assert_array_equal(mine, before)
    for step in steps[6:]:
        buffer.add(*step)
    buffer.check_valid()
    expected = np.stack([step.obs[1] for step in steps[:7]])
    np.testing.assert_array_equal(buffer._get_samples(np.arange(7) * 2 + 1).observations, expected)


def changed(step: Step, field: str, place: tuple, value: float) -> Step:
    array = getattr(step, field).copy()
    array[place] = value
    return step._replace(**{field: array})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_reward_not_finite(value):
    buffer, steps = started()
    assert_refused_and_sound(
        buffer, steps, changed(steps[6], "reward", (1,), value), "reward of environment 1 at step 6 is .*: nothing was stored"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("n_stack", [1, 4])
@pytest.mark.parametrize("field", ["obs", "next_obs"])
def test_observation_not_finite(n_stack, field, value):
    buffer, steps = started(n_stack, dtype=np.float32)
    wrong = changed(steps[6], field, (1, 0, 2, 2), value)
    assert_refused_and_sound(
        buffer, steps, wrong, "The .*observation of environment 1 at step 6 is not finite: nothing was stored"
    )


@pytest.mark.parametrize("frame", range(4))
@pytest.mark.parametrize("field", ["obs", "next_obs"])
def test_one_pixel_that_does_not_belong(frame, field):
    """Every pixel is compared, in all frames but the newest of next_obs, which cannot be known."""
    if (field, frame) == ("next_obs", 3):
        pytest.skip("nothing to compare it with")
    buffer, steps = started()
    wrong = changed(steps[6], field, (1, frame, 5, 1), 0)
    assert_refused_and_sound(buffer, steps, wrong, "of environment 1 at step 6 (neither continues|is not its observation)")


def test_a_stack_that_goes_on_from_elsewhere():
    """The stack neither continues the previous step nor starts with zeros: a step was lost, or another wrapper made it."""
    buffer, steps = started()
    assert_refused_and_sound(buffer, steps, steps[7], "environment 0 at step 6 neither continues .* use n_stack=1")


def test_a_stack_that_repeats_its_first_frame():
    buffer = make(n_stack=8)
    obs = np.full((1, 8, 6, 6), 5, np.uint8)
    with pytest.raises(ValueError, match="neither continues the step before it nor starts an episode"):
        buffer.add(obs, obs, np.zeros(1), np.zeros(1), np.zeros(1), [{}])


def test_a_lost_terminal_observation():
    """next_obs of a done step is the next episode's first stack, as returned by an environment that resets itself."""
    buffer, steps = started()
    reset = np.zeros_like(steps[6].next_obs)
    reset[:, -1] = 9
    wrong = steps[6]._replace(next_obs=reset, done=np.ones(2, bool))
    assert_refused_and_sound(buffer, steps, wrong, "next observation .* its terminal observation")


def test_a_stack_newest_frame_first():
    buffer = make(n_stack=8)
    obs = np.zeros((1, 8, 6, 6), np.uint8)
    obs[:, 0] = 5
    with pytest.raises(ValueError, match="newest frame last"):
        buffer.add(obs, obs, np.zeros(1), np.zeros(1), np.zeros(1), [{}])


def test_wrong_shapes_are_refused_before_anything_is_stored():
    buffer, steps = started()
    for field, array in (
        ("obs", steps[6].obs[:1]),
        ("next_obs", steps[6].next_obs[:, :, :5]),
        ("obs", steps[6].obs.swapaxes(1, 2)),  # the same size, but another shape
        ("next_obs", steps[6].next_obs.reshape(2, -1)),
        ("action", np.zeros((2, 3))),
        ("reward", np.zeros(3)),
        ("done", np.zeros(1)),
    ):
        with pytest.raises(ValueError):
            buffer.add(*steps[6]._replace(**{field: array}))
        assert buffer.size() == 6
    assert_refused_and_sound(buffer, steps, steps[6]._replace(reward=np.full(2, np.nan)), "reward")


def test_what_vec_normalize_does_to_a_terminal_is_no_other_stack():
    """SB3 normalizes and unnormalizes terminal observations, which rounds and clips them. They must be accepted."""
    stream = FrameStackStream(0, 1, 4, (3,), np.float32, end=1.0, timeout=1.0)
    buffer = make(stream.space, n_stack=4)
    for step in islice(stream, 3):
        buffer.add(*step._replace(next_obs=step.next_obs * np.float32(1 + 1e-6)))
        buffer.add(*step._replace(next_obs=np.clip(step.next_obs, -0.5, 0.5)))
        of_the_next_episode = step.next_obs.copy()
        of_the_next_episode[:, :9] = 0.0
        with pytest.raises(ValueError, match="is not its observation moved on"):
            buffer.add(*step._replace(next_obs=of_the_next_episode))
        with pytest.raises(ValueError, match="is not its observation moved on"):
            buffer.add(*step._replace(next_obs=step.next_obs * np.float32(1.1) + 1, done=np.zeros(1, bool)))


@pytest.mark.parametrize(
    ("indices", "errors", "message"),
    [
        ([0, 1], [1.0], "2 indices and 1 TD errors"),
        ([0, 12], [1.0, 1.0], r"in \[0, 12\), received 0 to 12"),
        ([-1], [1.0], r"in \[0, 12\), received -1 to -1"),
    ],
)
def test_updates(indices, errors, message):
    buffer, _ = started()
    with pytest.raises(ValueError, match=message):
        buffer.update_priorities(np.array(indices), np.array(errors))
    buffer.update_priorities(np.zeros(0, np.int64), np.zeros(0))
    buffer.check_valid()


@pytest.mark.parametrize(
    ("envs", "errors", "message"),
    [
        ([0, 1], [0.5, np.nan], "initial .TD error. of environment 1 is nan, it must be finite and not negative"),
        ([1, 0], [0.5, np.inf], "environment 0 is inf"),
        ([1], [-0.5], "environment 1 is -0.5"),
        ([1], [1e39], r"environment 1 is 1e\+39"),
        ([0, 1], [0.5], "2 environments and 1 TD errors"),
        ([0, 2], [0.5, 0.5], r"in \[0, 2\), received 0 to 2"),
        ([-1], [0.5], r"in \[0, 2\), received -1 to -1"),
    ],
)
def test_initial_priorities(envs, errors, message):
    buffer, _ = started(n_steps=1)
    before = buffer._sampler.errors.copy()
    with pytest.raises(ValueError, match=message):
        buffer.set_initial_priorities(np.array(envs), np.array(errors))
    np.testing.assert_array_equal(buffer._sampler.errors, before)
    buffer.check_valid()


def test_initial_priorities_of_nothing():
    buffer = make()
    buffer.set_initial_priorities(np.array([0]), np.array([1.0]))
    assert buffer.size() == 0


def test_nothing_to_sample():
    with pytest.raises(ValueError, match=r"Nothing can be sampled yet: 0 step"):
        make().sample(4)
