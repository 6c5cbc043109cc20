"""
Replay buffers side by side: ``python -m benchmarks.replay.speed`` (method and results: docs/results/replay.md).

Peers take turns within one run, so that other load on the machine affects all of them; a figure is the median over its
rounds and a ratio the median of the ratios within a round. Times are processor times of this process, which exclude the time
that other programs take.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and torch are imported

import argparse
import ctypes
import gc
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch as th

from benchmarks.replay.correctness import check_all
from benchmarks.replay.memory import measure_memory
from benchmarks.replay.peers import PEERS, Peer
from benchmarks.replay.streams import StackStream, Step
from benchmarks.replay.trees import PRIORITY_SAMPLERS

N_PRIORITIES = 1_000_000
ADDS_PER_UPDATE = 4
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names of glibc's mallopt
OURS, UNIFORM, CPPRB = "sb3_breakout", "SB3 uniform", "cpprb"


@dataclass
class Timed:
    """``prepare()`` is not timed; its result is the argument of ``action``, which is timed."""

    prepare: Callable[[], Any]
    action: Callable[[Any], object]

    def once(self) -> float:
        """:return: seconds"""
        argument = self.prepare()
        start = time.process_time()
        self.action(argument)
        return time.process_time() - start


class Rounds:
    """
    Actions timed in turns.

    :param timed: timed actions, by name of the peer
    :param rounds: number of turns of each; the order rotates from round to round
    :param repeats: runs of an action per turn; their median is the result of the round
    """

    def __init__(self, timed: Mapping[str, Timed], rounds: int, repeats: int):
        self.microseconds: dict[str, list[float]] = {name: [] for name in timed}
        names = list(timed)
        for name in names:
            timed[name].once()  # warm up
        gc.collect()
        gc.disable()
        try:
            for turn in range(rounds):
                shift = turn % len(names)
                for name in names[shift:] + names[:shift]:
                    seconds = [timed[name].once() for _ in range(repeats)]
                    self.microseconds[name].append(float(np.median(seconds)) * 1e6)
        finally:
            gc.enable()

    def median(self, name: str) -> float:
        return float(np.median(self.microseconds[name]))

    def quartiles(self, name: str) -> tuple[float, float]:
        low, high = np.percentile(self.microseconds[name], [25, 75])
        return float(low), float(high)

    def ratio(self, name: str, reference: str) -> float:
        return float(np.median(np.divide(self.microseconds[name], self.microseconds[reference])))

    def fastest(self, prefix: str) -> str | None:
        """:return: the peer with the smallest median among those whose names start with ``prefix``"""
        return min((name for name in self.microseconds if name.startswith(prefix)), key=self.median, default=None)


class FedPeer:
    """
    A peer filled from its own copy of the stream, so that what it is fed later continues what it holds.

    :param kind: the peer
    :param transitions: its size; it is filled at once
    :param batch_size: of what it delivers
    """

    def __init__(self, kind: type[Peer], transitions: int, batch_size: int):
        self.batch_size = batch_size
        self.stream = StackStream(kind.n_envs)
        self.rng = np.random.default_rng(0)
        self.batch: tuple[th.Tensor, ...] = ()  # kept until the next one is there, as a training loop keeps it
        kind(8).add(StackStream(kind.n_envs).step())  # imports and compiles what it needs
        before = psutil.Process().memory_info().rss
        self.peer = kind(transitions)
        for _ in range(transitions // kind.n_envs):
            self.peer.add(self.stream.step())
        self.bytes_per_transition = (psutil.Process().memory_info().rss - before) / transitions

    def deliver(self, _: None = None) -> None:
        self.batch = self.peer.sample(self.batch_size)

    def training_step(self, prepared: tuple[list[Step], np.ndarray]) -> None:
        steps, td_errors = prepared
        for step in steps:
            self.peer.add(step)
        self.deliver()
        self.peer.update(td_errors)

    def prepare_training_step(self) -> tuple[list[Step], np.ndarray]:
        return self.stream.steps(ADDS_PER_UPDATE), self.rng.random(self.batch_size, dtype=np.float32)


def available(kinds: Iterable[type[Any]], build: Callable[[type[Any]], Any]) -> dict[str, Any]:
    """Build every peer that is installed; say which are not."""
    built = {}
    for kind in kinds:
        try:
            built[kind.name] = build(kind)
        except ImportError as error:
            advice = "pip install -e ." if kind.name == OURS else 'pip install -e ".[benchmarks]"'
            print(f"{kind.name} is left out: {error} ({advice})\n")
    return built


def time_priorities(arguments: argparse.Namespace) -> Rounds:
    rng = np.random.default_rng(0)
    abs_td = rng.random(N_PRIORITIES, dtype=np.float32)
    samplers = available(PRIORITY_SAMPLERS, lambda kind: kind(abs_td))

    def new_td_errors() -> np.ndarray:
        return rng.random(arguments.batch_size, dtype=np.float32)

    timed = {name: Timed(new_td_errors, sampler.sample_and_update) for name, sampler in samplers.items()}
    return Rounds(timed, arguments.rounds, arguments.repeats)


def time_buffers(peers: Mapping[str, FedPeer], arguments: argparse.Namespace) -> tuple[Rounds, Rounds]:
    """:return: one batch delivered; 4 adds + sample + update"""
    delivered = {name: Timed(lambda: None, fed.deliver) for name, fed in peers.items()}
    trained = {name: Timed(fed.prepare_training_step, fed.training_step) for name, fed in peers.items()}
    return (
        Rounds(delivered, arguments.rounds, arguments.repeats),
        Rounds(trained, arguments.rounds, arguments.repeats),
    )


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cell(rounds: Rounds, name: str) -> str:
    if name not in rounds.microseconds:
        return ""
    low, high = rounds.quartiles(name)
    return f"{rounds.median(name):.0f} ({low:.0f} to {high:.0f})"


@dataclass
class Target:
    figure: str
    measured: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.measured <= self.limit

    def row(self) -> list[str]:
        return [
            self.figure,
            f"{self.measured:.3g}{self.unit}",
            f"≤ {self.limit:g}{self.unit}",
            "yes" if self.met else "**no**",
        ]


def ratio_target(what: str, rounds: Rounds, reference: str | None, limit: float) -> list[Target]:
    if OURS not in rounds.microseconds or reference is None or reference not in rounds.microseconds:
        return []
    return [Target(f"{what} ÷ {reference}", rounds.ratio(OURS, reference), limit)]


def report_speed(arguments: argparse.Namespace) -> tuple[list[Target], dict[str, Any]]:
    """Measure the first three figures and print them."""
    peers = available(PEERS, lambda kind: FedPeer(kind, arguments.transitions, arguments.batch_size))
    if not arguments.default_allocator:
        keep_freed_memory()
    priorities = time_priorities(arguments)
    batch, training = time_buffers(peers, arguments)
    print(
        f"Median µs (quartiles), {arguments.rounds} rounds of {arguments.repeats}, batch {arguments.batch_size}, one thread\n"
    )
    header = [
        "",
        "version",
        "sample + update at 1M priorities",
        "batch delivered",
        "4 adds + sample + update",
        "resident bytes per transition",
    ]
    rows = [
        [
            kind.name,
            kind.version(),
            *(cell(rounds, kind.name) for rounds in (priorities, batch, training)),
            f"{peers[kind.name].bytes_per_transition:,.0f}",
        ]
        for kind in PEERS
        if kind.name in peers
    ]
    print(markdown_table(header, rows))
    targets = [
        *ratio_target("sample + update", priorities, CPPRB, 0.8),
        *ratio_target("batch delivered", batch, UNIFORM, 0.2),
        *ratio_target("batch delivered", batch, batch.fastest(CPPRB), 0.45),
        *ratio_target("4 adds + sample + update", training, UNIFORM, 0.3),
    ]
    figures = {
        "priorities": priorities.microseconds,
        "batch": batch.microseconds,
        "training": training.microseconds,
        "bytes_per_transition": {name: fed.bytes_per_transition for name, fed in peers.items()},
    }
    return targets, figures


def report_memory(arguments: argparse.Namespace) -> tuple[list[Target], dict[str, Any]]:
    figures = measure_memory(arguments.memory_transitions, arguments.folder)
    print(figures.markdown())
    targets = [
        Target(
            f"resident growth at {figures.transitions:,} transitions",
            figures.growth / 1e9,
            7.3 * figures.transitions / 1e6,
            " GB",
        ),
        Target("extra peak memory while saving", figures.extra_while_saving / 1e6, 64, " MB"),
        Target("extra peak memory while loading", figures.extra_while_loading / 1e6, 64, " MB"),
        Target("samples that differ after loading", figures.different_samples, 0),
    ]
    return targets, asdict(figures)


def report_correctness() -> tuple[list[Target], dict[str, Any]]:
    comparisons = check_all()
    print(markdown_table(["stream", "compared", "wrong", "missing"], [comparison.row() for comparison in comparisons]))
    wrong = sum(comparison.wrong + comparison.missing for comparison in comparisons)
    return [Target("wrong or missing transitions against SB3", wrong, 0)], {"streams": [asdict(c) for c in comparisons]}


def keep_freed_memory() -> None:
    """
    Have the allocator keep what is freed, so that no peer pays page faults for every batch it allocates anew.

    Without this each peer's time depends on what the others allocated before it. It favours the peers.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # not glibc
    mallopt(M_MMAP_THRESHOLD, 1 << 30)
    mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def conditions() -> dict[str, Any]:
    return {
        "versions": {kind.name: kind.version() for kind in PEERS} | {"torch": th.__version__, "numpy": np.__version__},
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "vector_instructions": th.backends.cpu.get_cpu_capability(),
        "load_average": os.getloadavg(),
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--transitions", type=int, default=20_000, help="held by every peer (113 kB each where stacks are full)"
    )
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument(
        "--memory", action="store_true", help="fill, save and load ours instead (minutes; needs 8 GB of memory and disk)"
    )
    parser.add_argument("--memory-transitions", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where --memory saves (default: the temporary folder)")
    parser.add_argument("--correctness", action="store_true", help="compare ours with SB3's buffers instead")
    parser.add_argument("--default-allocator", action="store_true", help="let freed memory go back to the system at once")
    parser.add_argument("--json", type=Path, default=None, help="write every round's figure here")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    warnings.filterwarnings("ignore", module="gymnasium|torchrl|tianshou")
    th.set_num_threads(1)
    figures: dict[str, Any] = {"before": conditions()}
    if arguments.memory:
        targets, figures["memory"] = report_memory(arguments)
    elif arguments.correctness:
        targets, figures["correctness"] = report_correctness()
    else:
        targets, figures["speed"] = report_speed(arguments)
    figures["after"] = conditions()
    print(markdown_table(["target", "measured", "limit", "met"], [target.row() for target in targets]))
    print("load average before {}, after {}".format(*(figures[key]["load_average"] for key in ("before", "after"))))
    print(f"{os.cpu_count()} cores with {figures['after']['vector_instructions']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures | {"targets": [asdict(t) | {"met": t.met} for t in targets]}, indent=1))


if __name__ == "__main__":
    main()
