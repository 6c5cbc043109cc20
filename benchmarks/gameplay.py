"""
Measure what recording costs, and how fast datasets are read: ``python -m benchmarks.gameplay``.

Writing: processor and wall time of the same games of the same agent, with and without recording, in turns. Reading: random
transitions (frame, action, reward, next frame) from the PNG files through GameplayDataset, and from an npz export in memory.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.utils import set_random_seed

from sb3_breakout import DDQN
from sb3_breakout.agents import Game
from sb3_breakout.envs import RandomAgent
from sb3_breakout.gameplay import GameplayDataset
from sb3_breakout.gameplay.collect.collection import collection_env
from sb3_breakout.gameplay.collect.play import play_game
from sb3_breakout.gameplay.dataset.exporters import export
from sb3_breakout.gameplay.dataset.indexes import rebuild_indexes
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", type=Path, help="zip file of a DDQN with 8 stacked frames (default: random)")
    parser.add_argument("--games", type=int, default=20)
    parser.add_argument("--reads", type=int, default=20_000)
    args = parser.parse_args()
    th.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = GameplayFolder(Path(temporary) / "data")
        folder.claim()
        for native in (False, True):
            measure_writing(folder, args.agent, args.games, native)
        rebuild_indexes(folder)
        measure_reading(folder, args.reads)


def measure_writing(folder: GameplayFolder, agent: Path | None, games: int, native: bool) -> None:
    """Print steps per second with and without recording, and their ratio."""
    env = collection_env(Game())
    model: Any = RandomAgent(env) if agent is None else DDQN.load(agent, device="cpu")
    steps = 0
    seconds = np.zeros((2, 2))  # (plain or recorded, wall or processor)
    first = max(folder.numbers(), default=0) + 1
    for number in range(first, first + games):

        def plain(seed: int = number) -> int:
            return play_plain(model, env, seed)

        def recorded(seed: int = number) -> int:
            return len(play_game(model, env, EpisodeWriter(folder.episode(seed), native), {"name": "agent"}, seed))

        plain_steps, took = timed(plain, model, number)
        seconds[0] += took
        seconds[1] += timed(recorded, model, number)[1]
        steps += plain_steps
    env.close()
    wall, ratios = steps / seconds[:, 0], seconds[0] / seconds[1]
    print(
        f"{'native and 84x84' if native else '84x84'}: {steps} steps, {wall[0]:.0f} per second played, "
        f"{wall[1]:.0f} recorded; ratio {ratios[0]:.2f} in wall time, {ratios[1]:.2f} in processor time",
        flush=True,
    )


def play_plain(model: Any, env: Any, seed: int) -> int:
    """
    Play a game without recording.

    :return: its length in agent steps, including the steps that the wrapper presses
    """
    env.seed(seed)
    obs = env.reset()
    while True:
        obs, _, dones, infos = env.step(model.predict(obs, deterministic=False)[0])
        if dones[0] and "episode" in infos[0]:
            return -(-infos[0]["episode"]["l"] // 4)


def timed(play: Callable[[], int], model: Any, seed: int) -> tuple[int, np.ndarray]:
    """:return: steps of a game, and (2,) seconds of wall and processor time"""
    set_random_seed(seed)
    model.action_space.seed(seed)
    start = np.array([time.perf_counter(), time.process_time()])
    steps = play()
    return steps, np.array([time.perf_counter(), time.process_time()]) - start


def measure_reading(folder: GameplayFolder, reads: int) -> None:
    """Print random transitions read per second, from PNG files and from the npz export."""
    dataset = GameplayDataset(folder.root)
    rng = np.random.default_rng(0)
    indices = rng.integers(len(dataset), size=reads)
    start = time.process_time()
    for index in indices:
        dataset[int(index)]
    png = reads / (time.process_time() - start)

    target = folder.root.with_name("npz")
    export(folder, "npz", target)
    start = time.process_time()
    episodes = [
        {name: arrays[name] for name in ("frames", "actions", "rewards")} for arrays in map(np.load, target.rglob("*.npz"))
    ]
    loading = time.process_time() - start
    steps = [(episode, step) for episode in episodes for step in range(len(episode["actions"]))]
    picks = rng.integers(len(steps), size=50 * reads)
    start = time.process_time()
    for pick in picks:
        episode, step = steps[pick]
        episode["frames"][step], episode["actions"][step], episode["rewards"][step], episode["frames"][step + 1]
    npz = len(picks) / (time.process_time() - start)
    print(f"random transitions read per second of processor time: {png:.0f} from PNG, {npz:.0f} from npz in memory")
    print(f"that is {npz / png:.0f} times as many; loading all npz files took {loading:.2f} s for {len(steps)} transitions")


if __name__ == "__main__":
    main()
