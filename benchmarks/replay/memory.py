"""
Memory of our buffer while it is filled, saved and loaded. Each phase runs in its own process. The kernel reports resident
memory (RSS) before and after, and its peak (high-water mark) in between.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch as th

from benchmarks.replay.streams import StackStream

N_ENVS = 8
MEAN_LIFE = 50.0
BATCH = 128
BYTES_ON_DISK = 7_500  # per transition, required free space
PROGRESS_EVERY = 50_000


@dataclass
class MemoryFigures:
    """Results, in bytes unless the name has another unit."""

    transitions: int
    lives: int
    growth: int
    fill_seconds: float
    file: int
    extra_while_saving: int
    save_seconds: float
    loaded_growth: int
    extra_while_loading: int
    load_seconds: float
    different_samples: int
    batch_microseconds: float

    def markdown(self) -> str:
        rows = [
            ("transitions, in lives averaging", f"{self.transitions:,} / {self.transitions / max(self.lives, 1):.1f}"),
            (
                "resident growth by filling",
                f"{self.growth / 1e9:.3f} GB, {self.growth / self.transitions:,.0f} bytes per transition",
            ),
            ("seconds to fill (the game's own part included)", f"{self.fill_seconds:.0f}"),
            ("one batch of 128 delivered then", f"{self.batch_microseconds:.0f} µs"),
            ("file", f"{self.file / 1e9:.3f} GB"),
            ("extra peak memory while saving", f"{self.extra_while_saving / 1e6:.1f} MB, {self.save_seconds:.1f} s"),
            ("resident growth by loading", f"{self.loaded_growth / 1e9:.3f} GB"),
            ("extra peak memory while loading", f"{self.extra_while_loading / 1e6:.1f} MB, {self.load_seconds:.1f} s"),
            ("of the next ten samples, different after loading", str(self.different_samples)),
        ]
        return "\n".join(["| | |", "| --- | --- |", *(f"| {what} | {value} |" for what, value in rows)]) + "\n"


def measure_memory(transitions: int, folder: Path | None) -> MemoryFigures:
    """
    :param transitions: number of transitions to add
    :param folder: folder for the file, which is deleted afterwards; None for the temporary folder
    :return: the results
    :raises OSError: if there is too little space in the folder
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        free = shutil.disk_usage(name).free
        if free < transitions * BYTES_ON_DISK:
            raise OSError(f"{name} has {free / 1e9:.1f} GB free, saving needs {transitions * BYTES_ON_DISK / 1e9:.1f} GB.")
        path = Path(name) / "buffer.pkl"
        filled = in_own_process("fill", path, transitions)
        loaded = in_own_process("load", path, transitions)
    different = sum(a != b for a, b in zip(filled.pop("samples"), loaded.pop("samples"), strict=True))
    return MemoryFigures(transitions=transitions, different_samples=different, **filled, **loaded)


def in_own_process(phase: str, path: Path, transitions: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.replay.memory", phase, str(path), str(transitions)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def status_bytes(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def resident() -> int:
    return status_bytes("VmRSS")


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    return status_bytes("VmHWM")


def fill(path: Path, transitions: int) -> dict[str, Any]:
    """Fill a buffer, sample from it so that its working memory counts, and save it."""
    from sb3_breakout import PrioritizedReplayBuffer

    stream = StackStream(N_ENVS, mean_life=MEAN_LIFE)
    before = resident()
    buffer = PrioritizedReplayBuffer(
        transitions, stream.observation_space, stream.action_space, device="cpu", n_envs=N_ENVS, n_stack=stream.n_stack
    )
    lives = 0
    start = time.perf_counter()
    for i in range(transitions // N_ENVS):
        step = stream.step()
        buffer.add(step.obs, step.next_obs, step.action, step.reward, step.done, step.infos)
        lives += int(step.done.sum())
        if i % (PROGRESS_EVERY // N_ENVS) == 0:
            print(f"filled {i * N_ENVS:,}", file=sys.stderr)
    fill_seconds = time.perf_counter() - start
    microseconds = [timed_update(buffer) for _ in range(300)]
    after = resident()
    reset_peak()
    start = time.perf_counter()
    buffer.save(path)
    save_seconds = time.perf_counter() - start
    return {
        "lives": lives,
        "growth": after - before,
        "fill_seconds": fill_seconds,
        "batch_microseconds": float(np.median(microseconds)),
        "extra_while_saving": peak() - after,
        "save_seconds": save_seconds,
        "file": path.stat().st_size,
        "samples": ten_samples(buffer),
    }


def load(path: Path, transitions: int) -> dict[str, Any]:
    """
    Load what ``fill`` saved. The extra memory is the peak minus what is resident afterwards, such as a second copy.
    """
    from sb3_breakout import PrioritizedReplayBuffer

    before = resident()
    reset_peak()
    start = time.perf_counter()
    buffer = PrioritizedReplayBuffer.load(path)
    load_seconds = time.perf_counter() - start
    after = resident()
    return {
        "loaded_growth": after - before,
        "extra_while_loading": peak() - after,
        "load_seconds": load_seconds,
        "samples": ten_samples(buffer),
    }


def timed_update(buffer: Any) -> float:
    """:return: microseconds to sample one batch, without the update of its priorities"""
    start = time.process_time()
    batch = buffer.sample(BATCH)
    microseconds = (time.process_time() - start) * 1e6
    buffer.update_priorities(batch.indices, np.random.default_rng().random(BATCH, dtype=np.float32))
    return microseconds


def ten_samples(buffer: Any) -> list[str]:
    """:return: a digest of each of the next ten batches"""
    digests = []
    for _ in range(10):
        digest = hashlib.sha256()
        for array in buffer.sample(BATCH):
            digest.update(np.ascontiguousarray(array).tobytes())
        digests.append(digest.hexdigest())
    return digests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phase", choices=["fill", "load"])
    parser.add_argument("path", type=Path)
    parser.add_argument("transitions", type=int)
    arguments = parser.parse_args()
    th.set_num_threads(1)
    phase = fill if arguments.phase == "fill" else load
    print(json.dumps(phase(arguments.path, arguments.transitions)))


if __name__ == "__main__":
    main()
