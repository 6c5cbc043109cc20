"""Handling of Ctrl-C and of SIGTERM, which clusters send before SIGKILL: both interrupt, but not in the middle of a step."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Termination:
    """
    Inside the block, the first SIGTERM raises ``KeyboardInterrupt``, so that the caller can save its work. Further ones are
    ignored, so that they do not interrupt the saving. Call :meth:`exit_if_received` after it.

    Only the main thread receives signals; in other threads, the block has no effect.
    """

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._interrupt)

    def __exit__(self, *exception: object) -> None:
        if threading.current_thread() is threading.main_thread() and not self.received:
            signal.signal(signal.SIGTERM, self._before)

    def exit_if_received(self) -> None:
        """
        :raises SystemExit: if SIGTERM was received, with the exit code of a process ended by SIGTERM
        """
        if self.received:
            sys.exit(128 + signal.SIGTERM)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt


@contextmanager
def interrupts_postponed() -> Iterator[None]:
    """
    Postpone SIGINT (Ctrl-C) and SIGTERM to the end of the block, so that its changes are made completely.

    Only the main thread receives signals; in other threads, the block has no effect. Signals without a Python handler are not
    postponed: they end the process, or are ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if callable(handler)}
    try:
        for number in before:
            signal.signal(number, lambda number, frame: received.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for postponed in received:
            signal.raise_signal(postponed)
