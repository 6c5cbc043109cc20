"""Benchmarks of many trainings on a Ray cluster of this machine that loses a node."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("default")  # some versions of Ray warn of their own future and leave files open


@pytest.mark.slow
def test_trainings_that_lose_a_node(cluster: Any, tmp_path: Path) -> None:
    """Each training is there once, and its evaluations are those of the same training here; none is repeated."""
    pytest.importorskip("minatar")
    from benchmarks.learning.minatar_runs import Runs
    from benchmarks.learning.zoo_runs import Variant, evaluations

    cluster.add_node(num_cpus=1)
    node = cluster.add_node(num_cpus=1)
    variants = {"ddqn_per": Variant(["learning_starts:100"]), "1-step": Variant(["learning_starts:100", "n_steps:1"])}

    def lose_node() -> None:
        while not list(tmp_path.rglob("evaluations.npz")):
            time.sleep(0.1)
        cluster.remove_node(node, allow_graceful=False)

    thread = threading.Thread(target=lose_node)
    thread.start()
    runs = Runs(variants, (0, 1), 500, tmp_path / "there")
    runs.finish(processes=1, cluster=cluster.address)
    thread.join()
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert len(files) == 4 and {path.name for path in files} == {"evaluations.npz"}

    runs.finish(processes=1, cluster=cluster.address)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    here = Runs({"1-step": variants["1-step"]}, (1,), 500, tmp_path / "here")
    here.finish(processes=1)
    for theirs, ours in zip(*(evaluations(each._folder(1, "1-step")) for each in (runs, here)), strict=True):
        np.testing.assert_array_equal(theirs, ours)
