"""A loaded buffer continues exactly where it was saved; damaged files are refused."""

import copy
import pickle
import tracemalloc
from itertools import islice

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.save_util import load_from_pkl, save_to_pkl

from sb3_breakout.replay import PrioritizedReplayBuffer, memory, streamed_pickle
from tests.replay.streams import FrameStackStream

CAPACITY = 17


def make(stream: FrameStackStream, n_steps: int = 3, capacity: int = CAPACITY, **kwargs) -> PrioritizedReplayBuffer:
    return PrioritizedReplayBuffer(
        capacity * stream.n_envs,
        stream.space,
        spaces.Discrete(4),
        device="cpu",
        n_envs=stream.n_envs,
        n_stack=stream.n_stack,
        n_steps=n_steps,
        gamma=0.99,
        **kwargs,
    )


def train(buffer: PrioritizedReplayBuffer, steps: list, progress: float = 0.7) -> list:
    """Do everything that changes a buffer, at each step, and return the batches."""
    batches = []
    for step in steps:
        buffer.add(*step)
        buffer.update_schedules(progress)
        batches.append(buffer.sample(7))
        buffer.update_priorities(batches[-1].indices, batches[-1].rewards)
    buffer.check_valid()
    return batches


def assert_same(one: list, other: list) -> None:
    assert len(one) == len(other)
    for mine, its in zip(one, other, strict=True):
        for field in mine._fields:
            np.testing.assert_array_equal(getattr(mine, field), getattr(its, field), err_msg=field)


WAYS = {
    "save": lambda buffer, path: (buffer.save(path), PrioritizedReplayBuffer.load(path))[1],
    "sb3": lambda buffer, path: (save_to_pkl(path, buffer), load_from_pkl(path))[1],
    "sb3 reads ours": lambda buffer, path: (buffer.save(path), load_from_pkl(path))[1],
    "pickle": lambda buffer, path: pickle.loads(pickle.dumps(buffer)),
    "old pickle": lambda buffer, path: pickle.loads(pickle.dumps(buffer, protocol=4)),
    "deepcopy": lambda buffer, path: copy.deepcopy(buffer),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("steps_before", [6, 40])
def test_the_next_ten_samples_are_the_same(way, steps_before, tmp_path):
    """For a partly filled buffer and after two laps: pending returns, RNG, priorities and schedules are all restored."""
    stream = FrameStackStream(3, n_envs=2, n_stack=4, restart=0.05)
    buffer = make(stream, alpha=(0.2, 0.9), beta=lambda progress: 1.0 - 0.5 * progress)
    steps = iter(stream)
    train(buffer, list(islice(steps, steps_before)), progress=0.9)
    for step in islice(steps, 2):
        buffer.add(*step)
    loaded = WAYS[way](buffer, tmp_path / "buffer.pkl")
    loaded.check_valid()
    future = list(islice(steps, 10))
    assert_same(train(buffer, future), train(loaded, future))
    assert buffer.diagnostics() == loaded.diagnostics()
    assert (buffer.pos, buffer.full, buffer.alpha, buffer.beta) == (loaded.pos, loaded.full, loaded.alpha, loaded.beta)


def test_an_empty_buffer(tmp_path):
    stream = FrameStackStream(0)
    make(stream).save(tmp_path / "deep" / "buffer")  # creates the folder and adds .pkl
    loaded = PrioritizedReplayBuffer.load(tmp_path / "deep" / "buffer", device="cpu")
    assert loaded.size() == 0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["buffer.pkl"]


def test_after_loading_the_environment_was_reset():
    """With `-i`, the environment is reset: the last transitions keep their next observation and bootstrap."""
    stream = FrameStackStream(0, n_stack=4, end=0.0)
    buffer = make(stream, n_steps=3)
    steps = list(islice(stream, 5))
    for step in steps:
        buffer.add(*step)
    loaded = pickle.loads(pickle.dumps(buffer))
    for step in islice(FrameStackStream(1, n_stack=4, end=0.0), 4):
        loaded.add(*step)
    batch = loaded._get_samples(np.arange(2, 5))
    np.testing.assert_array_equal(batch.next_observations, np.repeat(steps[-1].next_obs, 3, axis=0))
    assert not batch.dones.any()
    np.testing.assert_allclose(batch.discounts[:, 0], [0.99**3, 0.99**2, 0.99], rtol=1e-6)


def large(capacity: int, steps: int) -> PrioritizedReplayBuffer:
    """A buffer with frames of 64 kB."""
    space = spaces.Box(0, 255, (2, 256, 256), np.uint8)
    buffer = PrioritizedReplayBuffer(capacity, space, spaces.Discrete(2), device="cpu", n_stack=2)
    obs = np.zeros((1, 2, 256, 256), np.uint8)
    for step in range(steps):
        next_obs = np.stack([obs[:, 1], np.full((1, 256, 256), step % 255 + 1, np.uint8)], axis=1)
        buffer.add(obs, next_obs, np.zeros(1), np.zeros(1), np.zeros(1, bool), [{}])
        obs = next_obs
    return buffer


def test_only_what_is_filled_is_written(tmp_path):
    buffer = large(capacity=100_000, steps=4)  # 6.5 GB if it were full
    buffer.save(tmp_path / "small.pkl")
    assert (tmp_path / "small.pkl").stat().st_size < 2e6
    loaded = PrioritizedReplayBuffer.load(tmp_path / "small.pkl")
    assert loaded.buffer_size == 100_000
    assert_same([buffer._get_samples(np.arange(4))], [loaded._get_samples(np.arange(4))])


def test_neither_saving_nor_loading_takes_a_second_copy(tmp_path, monkeypatch):
    """With 25 MB of frames and chunks of 256 kB, peak memory exceeds that of the frames by only a few chunks."""
    monkeypatch.setattr(streamed_pickle, "CHUNK_BYTES", 1 << 18)
    buffer = large(capacity=380, steps=380)
    frames = 24.9e6
    tracemalloc.start()
    try:
        buffer.save(tmp_path / "buffer.pkl")
        assert tracemalloc.get_traced_memory()[1] < 1.5e6
        tracemalloc.reset_peak()
        loaded = PrioritizedReplayBuffer.load(tmp_path / "buffer.pkl")
        assert frames < tracemalloc.get_traced_memory()[1] < frames + 1.5e6
    finally:
        tracemalloc.stop()
    assert loaded.size() == 380


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    stream = FrameStackStream(0)
    buffer = make(stream)
    buffer.save(tmp_path / "buffer.pkl")
    before = (tmp_path / "buffer.pkl").read_bytes()
    for step in islice(stream, 5):
        buffer.add(*step)
    monkeypatch.setattr(streamed_pickle.zlib, "crc32", lambda data: 1 / 0)  # fails in the middle of writing
    with pytest.raises(ZeroDivisionError):
        buffer.save(tmp_path / "buffer.pkl")
    assert (tmp_path / "buffer.pkl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["buffer.pkl"]


def test_a_truncated_file_is_refused(tmp_path):
    stream = FrameStackStream(0, n_stack=4)
    buffer = make(stream)
    for step in islice(stream, 20):
        buffer.add(*step)
    path = tmp_path / "buffer.pkl"
    buffer.save(path)
    whole = path.read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"buffer\.pkl cannot be read .* truncated or damaged"):
            PrioritizedReplayBuffer.load(path)


def test_a_flipped_bit_in_the_frames_is_noticed(tmp_path):
    buffer = large(capacity=6, steps=6)
    path = tmp_path / "buffer.pkl"
    buffer.save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"buffer\.pkl .*are damaged"):
        PrioritizedReplayBuffer.load(path)


def test_a_file_of_something_else(tmp_path):
    save_to_pkl(tmp_path / "list.pkl", [1, 2])
    with pytest.raises(ValueError, match="holds a list, not a PrioritizedReplayBuffer"):
        PrioritizedReplayBuffer.load(tmp_path / "list.pkl")
    with pytest.raises(FileNotFoundError):
        PrioritizedReplayBuffer.load(tmp_path / "none.pkl")


def test_a_file_too_large_for_this_machine(tmp_path, monkeypatch):
    large(capacity=6, steps=6).save(tmp_path / "buffer.pkl")
    monkeypatch.setattr(memory, "available_bytes", lambda: 100_000)
    with pytest.raises(ValueError, match=r"buffer\.pkl cannot be loaded: .* 0\.00 GB are available"):
        PrioritizedReplayBuffer.load(tmp_path / "buffer.pkl")


def test_device_is_set_while_loading(tmp_path):
    make(FrameStackStream(0)).save(tmp_path / "buffer.pkl")
    assert PrioritizedReplayBuffer.load(tmp_path / "buffer.pkl", device="meta").device.type == "meta"
