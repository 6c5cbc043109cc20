"""Connecting to a Ray cluster. Ray is optional, so only code that plays on a cluster may import this module."""

import logging
import os
import re
import socket
from typing import Any

try:
    import ray
except ImportError as error:
    raise ImportError(f'{error}. A Ray cluster needs Ray here and on its nodes: pip install "sb3-breakout[ray]"') from error

__all__ = ["SAME_EVERYWHERE", "ClusterError", "connect", "first_line", "ray"]

SAME_EVERYWHERE = "Each node needs what is installed here: the same sb3_breakout, Ray and Python."
TOKEN = "If the cluster asks for a token, RAY_AUTH_MODE=token and the same ~/.ray/auth_token are needed here as well."
SECONDS_TO_ANSWER = 10.0  # time limit for the cluster's address to answer; Ray's default is minutes


class ClusterError(RuntimeError):
    """There is no cluster, or a task on it failed. The message names the address, or the failure and its reason."""


def connect(address: str, **options: Any) -> None:
    """
    Connect to a cluster.

    :param address: address as for ``ray.init``: ``auto``, ``local``, ``HOST:PORT`` or ``ray://HOST:PORT``
    :param options: further arguments of ``ray.init``
    :raises ClusterError: if there is no such cluster
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # for a cluster started here (local)
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)
    host_and_port = re.fullmatch(r"(?:ray://)?\[?([^/]+?)\]?:([0-9]+)", address)
    try:
        if host_and_port:
            socket.create_connection((host_and_port[1], int(host_and_port[2])), SECONDS_TO_ANSWER).close()
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # OSError, ValueError, RuntimeError, Ray's own
        hint = f" {TOKEN}" if type(error) is ConnectionError else ""  # raised by Ray itself, after the address answered
        raise ClusterError(f"Ray cannot be reached at {address}: {error}{hint}") from error


def first_line(error: BaseException) -> str:
    """:return: first line of an exception raised on a node; Ray's own messages are pages long"""
    reason = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
    return (str(reason).strip() or type(reason).__name__).splitlines()[0]
