"""The file format of saved buffers: later versions read files written today, or refuse them and say why."""

import io
import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from sb3_breakout.replay import PrioritizedReplayBuffer, prioritized_replay_buffer
from tests.replay.oracle import Oracle
from tests.replay.streams import FrameStackStream

WRITTEN = Path(__file__).parent / "format_2.pkl"  # made by ``written()`` when the format was new; do not rewrite it
N_STEPS, CAPACITY, STEPS = 3, 7, 19


def stream() -> FrameStackStream:
    return FrameStackStream(7, n_envs=2, n_stack=4, end=0.2, restart=0.05)


def steps() -> list:
    """Steps of the stream, with an intrinsic reward of k / 10 in step k."""
    taken = list(islice(stream(), STEPS))
    for number, step in enumerate(taken):
        for info in step.infos:
            info["intrinsic_reward"] = number / 10
    return taken


def written() -> PrioritizedReplayBuffer:
    buffer = PrioritizedReplayBuffer(
        2 * CAPACITY, stream().space, spaces.Discrete(4), "cpu", 2, n_stack=4, n_steps=N_STEPS, gamma=0.9, alpha=(0.2, 0.8)
    )
    learner = buffer.learner(1.0)
    for step in steps():
        buffer.add(*step)
    buffer.num_timesteps = 2 * STEPS
    buffer.update_schedules(0.5)
    eligible = np.flatnonzero(buffer._sampler.eligible)
    indices = buffer.store.indices_at(eligible)
    buffer.update_priorities(indices, indices + 0.5)
    learner.update_priorities(indices, indices * 2.0)
    return buffer


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.3.0", reason="older NumPy cannot read arrays that 2.3 pickled")
def test_a_file_of_this_format_is_read() -> None:
    """All its transitions equal those of the naive buffer, so renaming attributes cannot silently break old files."""
    buffer = PrioritizedReplayBuffer.load(WRITTEN)
    buffer.check_valid()
    oracle = Oracle(CAPACITY, 2, N_STEPS, 0.9)
    for step in steps():
        oracle.add(step)
    eligible = oracle.eligible()
    assert buffer.n_eligible() == len(eligible) > 5
    batch = buffer._get_samples(np.array(eligible))
    for row, index in enumerate(eligible):
        for field, expected in oracle.transition(index).items():
            np.testing.assert_allclose(getattr(batch, field)[row], expected, rtol=1e-5, err_msg=field)
    assert (buffer.num_timesteps, buffer.alpha, buffer.beta, buffer.n_steps) == (38, 0.5, 0.7, 3)
    places = np.array(eligible) % (2 * CAPACITY)
    own, learner = buffer._samplers()
    np.testing.assert_array_equal(own.errors[places], np.array(eligible) + 0.5)
    np.testing.assert_array_equal(learner.errors[places], np.array(eligible) * 2.0)
    mixed = buffer.learner(1.0).sample(50)
    one_step = mixed.discounts[:, 0] == np.float32(0.9)
    np.testing.assert_allclose(mixed.rewards[one_step, 0], (mixed.indices // 2 / 10)[one_step], rtol=1e-6)
    for step in islice(FrameStackStream(1, n_envs=2, n_stack=4), 20):
        buffer.add(*step[:5], [info | {"intrinsic_reward": 0.0} for info in step.infos])
        buffer.check_valid()


def test_a_file_names_nothing_that_may_be_renamed() -> None:
    """Of this package, a file names only the buffer class and the three functions that stream arrays."""
    named = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module.startswith("sb3_breakout"):
                named.add(f"{module}.{name}")
            return super().find_class(module, name)

    Recorder(io.BytesIO(pickle.dumps(written()))).load()
    package = "sb3_breakout.replay"
    assert named == {
        f"{package}.prioritized_replay_buffer.PrioritizedReplayBuffer",
        *(f"{package}.streamed_pickle.{name}" for name in ("_allocate", "_fill", "_join")),
    }


class Counting(PrioritizedReplayBuffer):
    """A subclass with a constructor and an attribute of its own."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        self.name = name
        super().__init__(*args, **kwargs)
        self.added = 0

    def add(self, *args: Any) -> None:
        super().add(*args)
        self.added += 1


def test_attributes_of_a_subclass_are_saved(tmp_path: Path) -> None:
    buffer = Counting("mine", 2 * CAPACITY, stream().space, spaces.Discrete(4), "cpu", 2, n_stack=4)
    for step in steps():
        buffer.add(*step)
    buffer.save(tmp_path / "buffer")
    loaded = Counting.load(tmp_path / "buffer")
    assert isinstance(loaded, Counting)
    assert (loaded.name, loaded.added) == ("mine", STEPS)
    loaded.check_valid()
    copied = pickle.loads(pickle.dumps(loaded))
    assert (copied.name, copied.added) == ("mine", STEPS)
    assert loaded.get_state()["of_subclass"] == {"name": "mine", "added": STEPS}


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(prioritized_replay_buffer, "FORMAT", 7)
        written().save(tmp_path / "newer.pkl")
    with pytest.raises(ValueError, match=r"newer\.pkl cannot be loaded: it was written in format 7, .* reads format 2"):
        PrioritizedReplayBuffer.load(tmp_path / "newer.pkl")


def test_a_file_that_names_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.pkl").write_bytes(b"csb3_breakout.replay.snapshot\n_join\n.")
    with pytest.raises(ValueError, match=r"other\.pkl .* written by another version of sb3_breakout or is damaged"):
        PrioritizedReplayBuffer.load(tmp_path / "other.pkl")
