"""
Training speed side by side: ``python -m benchmarks.training.speed`` (results: docs/results/speed.md and speed_details.md).

The models take turns, a number of steps each, round after round, so that other load on the machine affects all of them. A
figure is the median over the rounds, a ratio the median of the ratios within a round. Times are wall-clock times; ratios are
also given in processor time, which excludes the time that other programs take.
"""

import argparse
import json
import multiprocessing
import os
import time
import warnings
from multiprocessing.connection import Connection
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


def learner(name: str, setting: Setting, threads: int, steps: int, connection: Connection) -> None:
    """
    Run a model that learns for one turn per request, and answers with its wall and processor seconds.

    :param name: key of ``PEERS``
    :param setting: settings of the model
    :param threads: number of PyTorch threads
    :param steps: agent steps per turn
    :param connection: connection to the requesting process
    """
    warnings.filterwarnings("ignore", message=".*memory.*")
    th.set_num_threads(threads)
    try:
        model = PEERS[name](setting)
    except ImportError as error:
        connection.send(str(error))
        return
    model.learn(2_000 + steps // 2)  # random prefill, compilation, first updates
    connection.send(None)
    while connection.recv():
        start = np.array([time.perf_counter(), time.process_time()])
        model.learn(steps, reset_num_timesteps=False)
        if setting.device == "cuda":
            th.cuda.synchronize()
        connection.send(np.array([time.perf_counter(), time.process_time()]) - start)
    model.env.close()


class Turns:
    """
    Models that learn in turns, each in its own process, since a model's use of memory would change the speed of the others
    in the same process.

    :param names: keys of ``PEERS``
    :param setting: settings of each model
    :param threads: number of PyTorch threads of each model
    :param steps: agent steps per turn
    """

    def __init__(self, names: list[str], setting: Setting, threads: int, steps: int) -> None:
        self.setting = setting
        self.steps = steps
        self.processes: dict[str, Connection] = {}
        self.seconds: dict[str, list[np.ndarray]] = {}  # (wall, processor)
        context = multiprocessing.get_context("spawn")
        for name in names:
            connection, theirs = context.Pipe()
            context.Process(target=learner, args=(name, setting, threads, steps, theirs), daemon=True).start()
            theirs.close()  # recv() then fails if the learner does
            if (missing := connection.recv()) is not None:
                print(f"{name} is left out: {missing}")
                continue
            self.processes[name] = connection
            self.seconds[name] = []

    def play(self, rounds: int) -> None:
        names = list(self.processes)
        for turn in range(rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                self.processes[name].send(True)
                self.seconds[name].append(self.processes[name].recv())

    def ratio(self, name: str, clock: int) -> str:
        """
        :param name: name of a model
        :param clock: 0 for wall time, 1 for processor time
        :return: median and quartiles of how many times faster ``BASELINE`` is
        """
        theirs, ours = np.array(self.seconds[name])[:, clock], np.array(self.seconds[BASELINE])[:, clock]
        low, median, high = np.quantile(theirs / ours, [0.25, 0.5, 0.75])
        return f"{median:.2f} ({low:.2f} to {high:.2f})"

    def table(self) -> str:
        lines = [
            f"| | agent steps/s | updates/s | {BASELINE} is faster by | in processor time |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, seconds in self.seconds.items():
            rate = self.steps / float(np.median(np.array(seconds)[:, 0]))
            updates = rate / self.setting.steps_per_update
            lines.append(f"| {name} | {rate:.0f} | {updates:.1f} | {self.ratio(name, 0)} | {self.ratio(name, 1)} |")
        return "\n".join(lines)

    def close(self) -> None:
        for connection in self.processes.values():
            connection.send(False)


def growth(setting: Setting, sizes: tuple[int, int] = (50_000, 1_000_000), updates: int = 60) -> dict[int, float]:
    """
    Updates per second of ``train()`` with the buffer filled to each size.

    :return: updates per second, by size
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
    Measure the games alone, with random actions, in turns.

    :return: median seconds of ``steps`` agent steps, by kind of environment
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
    if BASELINE not in args.peers:
        parser.error(f"--peers: all others are compared with {BASELINE}, received {', '.join(args.peers)}")
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
        turns = Turns(args.peers, setting, args.threads, args.steps)
        turns.play(args.rounds)
        print(turns.table())
        results["seconds"] = {name: np.array(seconds).tolist() for name, seconds in turns.seconds.items()}
        turns.close()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
