"""
Training speed side by side: ``python -m benchmarks.training.speed`` (what it measures: README.md beside it).

Every model learns for some steps in its turn, round after round, so that whatever else the machine does strikes them all. A
figure is the median over the rounds, a ratio the median of the ratios within a round. The clock is the wall's.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.replay.streams import StackStream
from benchmarks.training.peers import PEERS, Setting, game, ours
from benchmarks.training.shares import measure_shares
from sb3_breakout.envs import AleVecEnv, BreakoutWrapper

BASELINE = "ddqn_per"


class Turns:
    """
    Models that learn in turns.

    :param names: which of ``PEERS``
    :param setting: of each
    :param steps: agent steps per turn
    """

    def __init__(self, names: list[str], setting: Setting, steps: int) -> None:
        self.setting = setting
        self.steps = steps
        self.models: dict[str, Any] = {}
        self.seconds: dict[str, list[float]] = {}
        for name in names:
            try:
                model = PEERS[name](setting)
            except ImportError as error:
                print(f"{name} is left out: {error}")
                continue
            model.learn(2_000 + steps // 2)  # random prefill, compilation, first updates
            self.models[name] = model
            self.seconds[name] = []

    def play(self, rounds: int) -> None:
        names = list(self.models)
        for turn in range(rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                self.synchronize()
                start = time.perf_counter()
                self.models[name].learn(self.steps, reset_num_timesteps=False)
                self.synchronize()
                self.seconds[name].append(time.perf_counter() - start)

    def synchronize(self) -> None:
        if self.setting.device == "cuda":
            th.cuda.synchronize()

    def ratio(self, name: str) -> np.ndarray:
        """:return: quartiles of how many times faster ``BASELINE`` is"""
        return np.quantile(np.array(self.seconds[name]) / np.array(self.seconds[BASELINE]), [0.25, 0.5, 0.75])

    def table(self) -> str:
        lines = [
            f"| | agent steps/s | updates/s | {BASELINE} is faster by |",
            "| --- | --- | --- | --- |",
        ]
        for name, seconds in self.seconds.items():
            rate = self.steps / float(np.median(seconds))
            updates = rate / self.setting.steps_per_update
            low, median, high = self.ratio(name)
            lines.append(f"| {name} | {rate:.0f} | {updates:.1f} | {median:.2f} ({low:.2f} to {high:.2f}) |")
        return "\n".join(lines)

    def close(self) -> None:
        for model in self.models.values():
            model.env.close()


def growth(setting: Setting, sizes: tuple[int, int] = (50_000, 1_000_000), updates: int = 60) -> dict[int, float]:
    """
    Updates per second of ``train()`` with the buffer filled to each size.

    :return: by size
    """
    n_envs = setting.n_envs
    model = ours(buffer_size=sizes[-1], learning_starts=0)(setting)
    model.learn(800)
    stream = StackStream(n_envs=n_envs)
    rates = {}
    for size in sizes:
        while model.replay_buffer.size() * n_envs < size:
            step = stream.step()
            model.replay_buffer.add(step.obs, step.next_obs, step.action, step.reward, step.done, step.infos)
        model.train(4, setting.batch_size)
        seconds = []
        for _ in range(updates // 2):
            start = time.perf_counter()
            model.train(2, setting.batch_size)
            seconds.append(time.perf_counter() - start)
        rates[size] = 2 / float(np.median(seconds))
    model.env.close()
    return rates


def env_speed(n_envs: int, steps: int, rounds: int) -> dict[str, float]:
    """
    Games alone, with random actions, in turns.

    :return: median seconds for so many steps, by what holds the games
    """
    games = {
        "AleVecEnv": game(n_envs, AleVecEnv, BreakoutWrapper),
        "DummyVecEnv": game(n_envs, DummyVecEnv, BreakoutWrapper),
        "DummyVecEnv, SB3's AtariWrapper": game(n_envs, DummyVecEnv, AtariWrapper),
    }
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in games}
    for env in games.values():
        env.reset()
    for _ in range(rounds):
        actions = rng.integers(4, size=(steps // n_envs, n_envs))
        for name, env in games.items():
            start = time.perf_counter()
            for action in actions:
                env.step(action)
            seconds[name].append(time.perf_counter() - start)
    for env in games.values():
        env.close()
    return {name: float(np.median(times)) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS)[:7], metavar="NAME")
    parser.add_argument("--n-envs", type=int, default=32, help="number of games")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps-per-update", type=int, default=16, help="a multiple of --n-envs, or a divisor of it")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=th.get_num_threads(), help="of PyTorch")
    parser.add_argument("--steps", type=int, default=800, help="agent steps per turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--shares", action="store_true", help="instead: where the time of a training step goes")
    parser.add_argument("--envs", action="store_true", help="instead: steps per second of the games alone")
    parser.add_argument("--output", type=Path, help="with --shares: CSV file to write")
    parser.add_argument(
        "--growth", action="store_true", help="instead: updates per second at 50,000 and 1,000,000 transitions"
    )
    parser.add_argument("--json", type=Path, help="write all figures there")
    args = parser.parse_args()
    th.set_num_threads(args.threads)
    warnings.filterwarnings("ignore", message=".*memory.*")

    setting = Setting(args.n_envs, args.batch_size, args.steps_per_update, args.device)
    print(f"{setting}, {args.threads} threads, load {os.getloadavg()[0]:.1f}")
    results: dict[str, Any] = {"arguments": {name: str(value) for name, value in vars(args).items()}, "torch": th.__version__}
    if args.growth:
        results["growth"] = rates = growth(setting)
        for size, rate in rates.items():
            print(f"{size:>9,} transitions: {rate:.1f} updates/s")
        print(f"ratio {rates[1_000_000] / rates[50_000]:.2f}")
    elif args.envs:
        results["envs"] = seconds = env_speed(args.n_envs, args.steps, args.rounds)
        for name, median in seconds.items():
            print(f"{name}: {args.steps / median:.0f} steps/s, AleVecEnv is faster by {median / seconds['AleVecEnv']:.2f}")
    elif args.shares:
        results["shares"] = measure_shares(ours()(setting), args.steps, args.output)
    else:
        turns = Turns(args.peers, setting, args.steps)
        turns.play(args.rounds)
        print(turns.table())
        results["seconds"] = turns.seconds
        turns.close()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
