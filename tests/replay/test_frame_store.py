"""The frame store keeps every frame once, in bounded memory."""

from itertools import islice

import numpy as np
import pytest
from gymnasium import spaces

from sb3_breakout.replay import FrameStore, PrioritizedReplayBuffer
from tests.replay.streams import FrameStackStream


def filled(stream: FrameStackStream, capacity: int, steps: int) -> tuple[FrameStore, list]:
    store = FrameStore(capacity, stream.n_envs, stream.obs_shape, stream.dtype, stream.n_stack)
    kept = list(islice(stream, steps))
    for step in kept:
        starts = store.window.starts(step.obs)
        store.window.check(step.obs, step.next_obs, starts, step.done, 0)
        store.add(step.obs, step.next_obs, starts)
        store.check_valid()
    return store, kept


@pytest.mark.parametrize("span", [1, 2, 3])
def test_gather_gives_back_what_was_added(span):
    """For any number of steps between obs and next_obs, whether the two stacks share frames or not."""
    stream = FrameStackStream(0, n_envs=2, n_stack=4, end=0.0)
    store, kept = filled(stream, 20, 30)
    steps = np.arange(10, 27)
    for spans in (np.full(17, span), np.where(steps % 2, span, 1)):
        block, ahead = store.gather(steps, steps % 2, spans, 3)
        for row, (step, width) in enumerate(zip(steps, spans, strict=True)):
            np.testing.assert_array_equal(block[row, :4], kept[step].obs[step % 2])
            np.testing.assert_array_equal(block[row, ahead : ahead + 4], kept[step + width - 1].next_obs[step % 2])


def test_observation_and_next_observation_share_frames():
    """A transition of two stacks of 8 is gathered as 9 frames, not 16."""
    store, _ = filled(FrameStackStream(0, n_stack=8), 20, 20)
    block, ahead = store.gather(np.arange(20), np.zeros(20, np.int64), np.ones(20, np.int64), 1)
    assert block.shape[1] == 9 and ahead == 1


def test_memory_is_bounded_when_every_step_ends_an_episode():
    """The worst case: each step adds a terminal frame of its own, and their memory must be reused."""
    store, _ = filled(FrameStackStream(0, n_envs=2, n_stack=4, end=1.0), 40, 400)
    assert store._frames.shape[:2] == (2, 40 + 4 + 1)
    assert 2 * 40 <= len(store._finals) <= 2 * (40 + 4) * 9 / 8 + 16


def test_few_ends_take_little_memory():
    store, _ = filled(FrameStackStream(0, n_stack=4, end=0.02), 1000, 3000)
    assert len(store._finals) < 60


def test_strides_of_any_layout_are_accepted():
    """Contiguous memory and views with gaps are stored alike; the latter are only slower to compare."""
    wide = np.zeros((1, 4, 2, 5), np.uint8)
    wide[0, 3] = 7
    nxt = np.zeros((1, 4, 2, 5), np.uint8)
    nxt[0, 2], nxt[0, 3] = 7, 9
    for cut in (slice(None), slice(0, 3), slice(None, None, 2)):
        obs, next_obs = wide[..., cut], nxt[..., cut]
        store = FrameStore(3, 1, obs.shape[1:], np.uint8, 4)
        store.window.check(obs, next_obs, np.arange(1), np.zeros(1, bool), 0)
        store.add(obs, next_obs, np.arange(1))
        block, ahead = store.gather(np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1, np.int64), 1)
        np.testing.assert_array_equal(block[:, :4], obs)
        np.testing.assert_array_equal(block[:, ahead : ahead + 4], next_obs)


def test_what_is_added_is_copied():
    stream = FrameStackStream(0, n_stack=4, end=0.0)
    buffer = PrioritizedReplayBuffer(8, stream.space, spaces.Discrete(4), device="cpu", n_stack=4)
    first, second = islice(stream, 2)
    expected = first.next_obs.copy()
    buffer.add(*first)
    first.next_obs[:] = 0  # the caller reuses its array
    buffer.add(*second)
    np.testing.assert_array_equal(buffer._get_samples(np.array([0])).next_observations, expected)


def test_samples_go_to_the_device():
    """The frames of a batch are copied to the device once; both observations are views of that copy."""
    stream = FrameStackStream(0, n_stack=4)
    buffer = PrioritizedReplayBuffer(8, stream.space, spaces.Discrete(4), device="meta", n_stack=4, gamma=0.9)
    for step in islice(stream, 5):
        buffer.add(*step)
    batch = buffer.sample(3)
    for tensor in batch[:-1]:
        assert tensor.device.type == "meta" and len(tensor) == 3
    assert batch.observations.shape == batch.next_observations.shape == (3, *stream.obs_shape)
    assert batch.observations._base is batch.next_observations._base
    buffer.update_priorities(batch.indices, np.ones(3))
