"""Checks of available memory."""

import pathlib

import psutil

CGROUP = pathlib.Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """
    :return: memory in bytes that this process can still take without swapping, within the limit of its container
    """
    free: int = psutil.virtual_memory().available
    limit = _available_in_cgroup()
    return free if limit is None else min(free, limit)


def _available_in_cgroup() -> int | None:
    """:return: the container's limit minus its usage, in bytes, not counting reclaimable file cache; None without a limit"""
    try:
        limit = int((CGROUP / "memory.max").read_text())  # "max" where there is no limit: ValueError
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return limit - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return None


class NotEnoughMemoryError(ValueError):
    """The requested size does not fit into the available memory."""


def require_for_buffer(n_transitions: int, bytes_each: float) -> None:
    """
    Check that a replay buffer fits into the available memory.

    :param n_transitions: number of transitions that the replay buffer is to hold
    :param bytes_each: bytes per transition
    :raises NotEnoughMemoryError: if it does not fit, naming the buffer size that would
    """
    available = available_bytes()
    if n_transitions * bytes_each > available:
        raise NotEnoughMemoryError(
            f"A replay buffer of {n_transitions} transitions needs {n_transitions * bytes_each / 1e9:.2f} GB of memory, "
            f"{available / 1e9:.2f} GB are available: the largest buffer_size that fits is {int(available / bytes_each)}."
        )


def require(n_bytes: int, what: str) -> None:
    """
    Check that an allocation fits into the available memory.

    :param n_bytes: number of bytes about to be filled
    :param what: what needs it, for the message
    :raises NotEnoughMemoryError: if less is available
    """
    available = available_bytes()
    if n_bytes > available:
        raise NotEnoughMemoryError(f"{what} needs {n_bytes / 1e9:.2f} GB of memory, {available / 1e9:.2f} GB are available.")
