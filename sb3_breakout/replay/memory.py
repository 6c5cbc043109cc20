"""How much memory there is."""

import pathlib

import psutil

CGROUP = pathlib.Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """
    :return: memory this process may still take without swapping, a container's limit respected
    """
    free: int = psutil.virtual_memory().available
    limit = _available_in_cgroup()
    return free if limit is None else min(free, limit)


def _available_in_cgroup() -> int | None:
    """A container's limit less what it uses, the file cache that can be dropped not counted as used."""
    try:
        limit = int((CGROUP / "memory.max").read_text())  # "max" where there is no limit: ValueError
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return limit - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return None


class NotEnoughMemoryError(ValueError):
    """What was asked for does not fit into this machine's memory."""


def require_for_buffer(n_transitions: int, bytes_each: float) -> None:
    """
    :param n_transitions: how many a replay buffer shall hold
    :param bytes_each: memory for one of them
    :raises NotEnoughMemoryError: if there is less, naming the size that fits
    """
    available = available_bytes()
    if n_transitions * bytes_each > available:
        raise NotEnoughMemoryError(
            f"A replay buffer of {n_transitions} transitions needs {n_transitions * bytes_each / 1e9:.2f} GB of memory, "
            f"{available / 1e9:.2f} GB are available: the largest buffer_size that fits is {int(available / bytes_each)}."
        )


def require(n_bytes: int, what: str) -> None:
    """
    :param n_bytes: how much memory is about to be filled
    :param what: what needs it, for the message
    :raises NotEnoughMemoryError: if there is less
    """
    available = available_bytes()
    if n_bytes > available:
        raise NotEnoughMemoryError(f"{what} needs {n_bytes / 1e9:.2f} GB of memory, {available / 1e9:.2f} GB are available.")
