"""Where the time of a training step goes: parts of the loop by stopwatch, arithmetic by PyTorch's profiler."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch as th
from torch.profiler import ProfilerActivity, profile

from sb3_breakout import DDQN
from sb3_breakout.ddqn import learner

ARITHMETIC = ("convolution", "addmm", "aten::mm", "aten::bmm", "cudnn", "gemm")  # in names of PyTorch's own operations
# label -> function that is timed (attribute path from the model)
STOPWATCHES = {
    "environment": "env.step",
    "act": "_sample_action",
    "add": "_store_transition",
    "sample": "replay_buffer.sample",
    "priorities": "replay_buffer.update_priorities",
    "forward": "learner.loss_function",
    "update": "learner.step",
    "optimizer": "policy.optimizer.step",
    "train": "train",
}


class Stopwatches:
    """
    Seconds spent in functions, including the functions they call.

    :param synchronize: function that waits for the device
    """

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.synchronize = synchronize

    @contextmanager
    def on(self, owner: Any, name: str, label: str) -> Iterator[None]:
        original = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            self.synchronize()
            start = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self.synchronize()
                self.seconds[label] += time.perf_counter() - start

        setattr(owner, name, timed)
        try:
            yield
        finally:
            setattr(owner, name, original)


def measure_shares(model: DDQN, steps: int, output: Path | None) -> dict[str, float]:
    """
    Print the shares of the training time by part.

    :param model: a model that has not learned yet
    :param steps: agent steps
    :param output: CSV file to write
    :return: share of the time, by part
    """
    synchronize = th.cuda.synchronize if model.device.type == "cuda" else lambda: None
    model.learn(2_000 + steps // 2)
    watches = Stopwatches(synchronize)
    owners = []
    for label, path in STOPWATCHES.items():
        *parents, name = path.split(".")
        owner: Any = model
        for parent in parents:
            owner = getattr(owner, parent)
        owners.append(watches.on(owner, name, label))
    owners.append(watches.on(th.Tensor, "backward", "backward"))
    owners.append(watches.on(learner, "clip_gradient_norm_", "clipping"))
    for game in model.env.unwrapped.games:  # type: ignore[union-attr]
        owners.append(watches.on(game, "step", "emulator"))
        owners.append(watches.on(game, "send", "emulator"))
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if model.device.type == "cuda" else [])]
    for context in owners:
        context.__enter__()
    with profile(activities=activities) as profiler:
        start = time.perf_counter()
        model.learn(steps, reset_num_timesteps=False)
        total = time.perf_counter() - start
    for context in reversed(owners):
        context.__exit__(None, None, None)
    arithmetic = sum(
        event.self_cpu_time_total if model.device.type == "cpu" else event.self_device_time_total
        for event in profiler.key_averages()
        if any(name in event.key for name in ARITHMETIC)
    )
    model.env.close()  # type: ignore[union-attr]
    shares = _parts(watches.seconds, arithmetic / 1e6, total)
    print(f"{steps / total:.0f} agent steps/s while being watched\n\n| part | share |\n| --- | --- |")
    for part, share in shares.items():
        print(f"| {part} | {share:.1%} |")
    overhead = 1.0 - sum(shares[part] for part in ("convolutions and linear layers", "optimizer and clipping", "emulator"))
    print(f"| **all but arithmetic, optimizer, clipping and emulator** | **{overhead:.1%}** |")
    if output is not None:
        pd.Series(shares, name="share").to_csv(output, index_label="part", float_format="%.3f")
    return shares


def _parts(seconds: dict[str, float], arithmetic: float, total: float) -> dict[str, float]:
    networks = seconds["forward"] + seconds["backward"] + seconds["act"]
    parts = {
        "convolutions and linear layers": arithmetic,
        "optimizer and clipping": seconds["optimizer"] + seconds["clipping"],
        "emulator": seconds["emulator"],
        "casts, activations, loss, autograd": networks - arithmetic,
        "rest of an update": seconds["update"]
        - seconds["forward"]
        - seconds["backward"]
        - seconds["optimizer"]
        - seconds["clipping"],
        "sample": seconds["sample"],
        "priorities": seconds["priorities"],
        "rest of train()": seconds["train"] - seconds["update"] - seconds["sample"] - seconds["priorities"],
        "wrappers of the environment": seconds["environment"] - seconds["emulator"],
        "add": seconds["add"],
    }
    parts["SB3's loop, callbacks, logging"] = (
        total - seconds["train"] - seconds["environment"] - seconds["act"] - seconds["add"]
    )
    return {part: spent / total for part, spent in parts.items()}
