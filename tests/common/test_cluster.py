"""Connecting to clusters that ask for a token."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.zoo.command_line import run

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster()
cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
CONNECT = "import sys; from sb3_breakout.common.cluster import connect; connect(sys.argv[1])"


@pytest.mark.slow
def test_token_that_is_missing_or_wrong(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 32}
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **token},
    )
    with cluster:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        command = (sys.executable, "-c", CONNECT, address)
        run(*command, folder=tmp_path, **token)
        for other in ({}, token | {"RAY_AUTH_TOKEN": "b" * 32}):
            output = run(*command, folder=tmp_path, code=1, **other)
            assert (
                f"ClusterError: Ray cannot be reached at {address}" in output and "If the cluster asks for a token" in output
            )
