"""Shared by all tests: one PyTorch thread per process, and local Ray clusters."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch as th

th.set_num_threads(1)  # tensors are small here, and waiting for threads would take longer than they save


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A local Ray cluster without nodes."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    yield cluster
    ray.shutdown()  # closes a connection that a test left open
    cluster.shutdown()
