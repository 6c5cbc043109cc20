"""Memory is allocated only when needed, and too little of it is reported before training."""

import tracemalloc
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces

from sb3_breakout.replay import PrioritizedReplayBuffer, memory
from tests.replay.streams import FrameStackStream

ATARI = spaces.Box(0, 255, (8, 84, 84), np.uint8)


def test_constructing_takes_no_memory():
    """RL Zoo's `enjoy` constructs a buffer of a million transitions that it never uses."""
    tracemalloc.start()
    try:
        PrioritizedReplayBuffer(1_000_000, ATARI, spaces.Discrete(4), device="cpu", n_stack=8)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_too_little_memory_names_the_size_that_fits(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 3_000_000_000)
    buffer = PrioritizedReplayBuffer(1_000_000, ATARI, spaces.Discrete(4), device="cpu", n_stack=8)  # no error
    with pytest.raises(ValueError, match=r"1000000 transitions needs 7\.2\d GB .* 3\.00 GB are available.* fits is 4\d{5}\."):
        buffer.check_memory()
    obs = np.zeros((1, 8, 84, 84), np.uint8)
    with pytest.raises(ValueError, match="buffer_size that fits") as error:
        buffer.add(obs, obs, np.zeros(1), np.zeros(1), np.zeros(1), [{}])
    assert buffer.size() == 0
    fits = int(str(error.value).rstrip(".").split()[-1])
    PrioritizedReplayBuffer(fits, ATARI, spaces.Discrete(4), device="cpu", n_stack=8).check_memory()
    with pytest.raises(ValueError, match="buffer_size that fits"):
        PrioritizedReplayBuffer(fits + 1, ATARI, spaces.Discrete(4), device="cpu", n_stack=8).check_memory()


def test_memory_that_was_taken_is_not_asked_for_again(monkeypatch):
    stream = FrameStackStream(0)
    buffer = PrioritizedReplayBuffer(100, stream.space, spaces.Discrete(4), device="cpu")
    steps = list(islice(stream, 2))
    buffer.add(*steps[0])
    monkeypatch.setattr(memory, "available_bytes", lambda: 10)
    buffer.check_memory()
    buffer.add(*steps[1])


def test_available_memory_is_plausible():
    assert 1e6 < memory.available_bytes() < 1e14


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    """With a limit of 5 GB and 3 GB in use, 1 GB of it reclaimable file cache, 3 GB are available."""
    for name, text in (("max", "5000000000\n"), ("current", "3000000000\n"), ("stat", "anon 5\ninactive_file 1000000000\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=8_192_000_000))
    assert memory.available_bytes() == 3_000_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 8_192_000_000
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "none")
    assert memory.available_bytes() == 8_192_000_000


def test_a_reset_gives_memory_back():
    stream = FrameStackStream(0)
    buffer = PrioritizedReplayBuffer(100, stream.space, spaces.Discrete(4), device="cpu")
    for step in islice(stream, 5):
        buffer.add(*step)
    buffer.reset()
    assert not buffer.store.allocated
    for step in islice(stream, 5):
        buffer.add(*step)
    buffer.check_valid()
    assert buffer.size() == buffer.pos == 5
