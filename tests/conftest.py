"""What all tests share: one thread per process, and clusters of this machine."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch as th

th.set_num_threads(1)  # tensors here are small, and threads that wait for each other make tests slow, not fast


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Ray cluster without nodes."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    yield cluster
    ray.shutdown()  # the connection, where a test left it open
    cluster.shutdown()
