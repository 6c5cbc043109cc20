"""
Collect whole games with exact labels:
``python scripts/collect_gameplay.py --episodes 100 --output data --agents random:0.3 ddqn_per:best``.

An agent is ``random``, ``ALGO:best``, ``ALGO:final`` or ``ALGO:STEPS`` from the logs of RL Zoo, or the path of a zip file,
each with a share of the games (``:0.3``); those without divide the rest. Stopped, the same command goes on where it was;
with other settings it refuses to.
``--ray`` has the nodes of a Ray cluster play; the dataset is the same, and it is written here.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from rich.progress import track

from sb3_breakout.gameplay.collect.agents import parse_agents
from sb3_breakout.gameplay.collect.collection import Conditions, Job, collect, load_agent, missing_games
from sb3_breakout.gameplay.dataset.indexes import rebuild_indexes
from sb3_breakout.gameplay.dataset.layout import GameplayFolder


def collector(workers: int, ray: str | None) -> Callable[[Sequence[Job]], Iterator[int]]:
    """
    :param workers: number of processes
    :param ray: address of a cluster; None to play here
    :return: what plays jobs
    :raises ImportError: if Ray is asked for and not installed
    """
    if ray is None:
        return partial(collect, workers=workers)
    from sb3_breakout.gameplay.collect.ray_cluster import collect_on_ray

    return partial(collect_on_ray, address=ray)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of the dataset: new, empty, or a dataset to go on with"
    )
    parser.add_argument(
        "--episodes", type=int, default=100, help="games in the dataset at the end, those already there included"
    )
    parser.add_argument("--agents", nargs="+", default=["random"], metavar="AGENT[:SHARE]")
    parser.add_argument("-f", "--folder", type=Path, default=Path("logs"), help="logs of RL Zoo")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--ray", metavar="ADDRESS", help="play on a Ray cluster: auto, HOST:PORT, ray://HOST:PORT or local")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--sticky", type=float, default=0.0, help="probability that the emulator repeats the last action, per frame"
    )
    parser.add_argument("--resolution", choices=["agent", "native"], default="agent", help="native: RGB 210x160 as well")
    parser.add_argument("--q-values", action="store_true", help="keep the Q-values of trained agents")
    args = parser.parse_args()
    for name in ("episodes", "workers"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, received {getattr(args, name)}")
    if args.ray is not None and args.workers != 1:
        parser.error(f"--ray plays on all CPUs of a cluster, without --workers: received --workers {args.workers}")
    if args.seed < 0:
        parser.error(f"--seed must be at least 0, received {args.seed}")
    if not 0 <= args.sticky < 1:
        parser.error(f"--sticky must be at least 0 and below 1, received {args.sticky}")

    folder = GameplayFolder(args.output)
    try:
        agents = parse_agents(args.agents, args.folder)
        collect_jobs = collector(args.workers, args.ray)
        conditions = Conditions(args.sticky, args.resolution == "native", args.q_values, args.seed)
        jobs = missing_games(folder, agents, args.episodes, conditions)
        for agent in dict.fromkeys(job.agent for job in jobs):
            load_agent(agent, args.sticky)  # one that does not fit the game says so before anything is played
        folder.claim()
        try:
            for _ in track(collect_jobs(jobs), "Playing", total=args.episodes, completed=args.episodes - len(jobs)):
                pass
        finally:
            card = rebuild_indexes(folder, args.seed)
            print(f"{args.output}: {card['episodes']} episodes, {card['frames']} frames, {card['actions']}")
    except KeyboardInterrupt:
        sys.exit("Stopped: the same command goes on.")
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
