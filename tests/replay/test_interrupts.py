"""Ctrl-C or SIGTERM while a step is being stored takes effect only after the whole step is stored."""

import signal
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from sb3_breakout.common.termination import Termination, interrupts_postponed
from sb3_breakout.replay import PrioritizedReplayBuffer
from sb3_breakout.replay.eligibility import Eligibility
from sb3_breakout.replay.frame_store import FrameStore
from tests.replay.streams import FrameStackStream


@pytest.fixture(autouse=True)
def interrupted_by_ctrl_c() -> Iterator[None]:
    """
    Install Python's SIGINT handler: a process that a script started in the background ignores SIGINT. ``Termination`` leaves
    SIGTERM ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler), signal.getsignal(signal.SIGTERM)
    yield
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("part", [FrameStore, Eligibility])
def test_the_step_is_stored_as_a_whole(part: Any, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = FrameStackStream(0, n_envs=2, n_stack=4, end=0.2)
    buffer = PrioritizedReplayBuffer(40, stream.space, spaces.Discrete(4), "cpu", 2, n_stack=4, n_steps=3, gamma=0.9)
    steps = list(islice(stream, 12))
    for step in steps[:6]:
        buffer.add(*step)

    add = part.add

    def interrupted(self: Any, *arguments: Any) -> Any:
        signal.raise_signal(number)
        result = add(self, *arguments)
        signal.raise_signal(number)
        return result

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), Termination():
        patch.setattr(part, "add", interrupted)
        buffer.add(*steps[6])
    assert buffer.size() == 7
    buffer.check_valid()
    for step in steps[7:]:
        buffer.add(*step)
        buffer.check_valid()
    batch = buffer._get_samples(np.arange(12))
    for row, step in enumerate(steps[:6]):
        np.testing.assert_array_equal(batch.observations[2 * row : 2 * row + 2], step.obs)


def test_an_interrupt_comes_after_the_block() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_postponed():
        signal.raise_signal(signal.SIGINT)
        done.append("block")
    assert done == ["block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_have_no_signals_to_postpone() -> None:
    done = []

    def block() -> None:
        with interrupts_postponed():
            done.append("block")

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert done == ["block"]


def test_signals_without_a_handler_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restoring such a signal would remove handlers installed outside Python, such as those of faulthandler."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    monkeypatch.setattr(signal, "signal", lambda number, _: pytest.fail("changed") if number == signal.SIGTERM else None)
    with interrupts_postponed():
        pass
    monkeypatch.undo()
    signal.signal(signal.SIGTERM, before)
