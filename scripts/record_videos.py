"""
Record annotated videos of whole games.

One game:            python scripts/record_videos.py --agent random|trained|MODEL.zip
Many, with frames:   python scripts/record_videos.py --bulk --output_dir bulk_videos --total_videos 20 --percent_random 30

With --bulk each video has a folder of the same name beside it with its pictures, without text and lossless: 0.png, 1.png, ...
Game k of each agent has the seed --seed + k - 1. Started again, --bulk goes on with the first video that is missing.
"""

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stable_baselines3.common.utils import set_random_seed

from sb3_breakout.envs import RandomAgent
from sb3_breakout.evaluation import MAX_STEPS, STICKINESS, evaluation_env
from sb3_breakout.files import written_aside
from sb3_breakout.registry import ALGORITHMS, load
from sb3_breakout.video.record import is_recorded, record_video

TRAINED = Path(__file__).parents[1] / "rl-trained-agents/ddqn_per/BreakoutNoFrameskip-v4_1/BreakoutNoFrameskip-v4.zip"
SETTINGS = "bulk_videos.json"  # in the output folder: what its videos were recorded with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", help="of a single video: 'random', 'trained' (default) or a zip file")
    parser.add_argument(
        "--checkpoint", type=Path, default=TRAINED, help="zip file of the trained agent (default: the one shipped)"
    )
    parser.add_argument("--algo", choices=sorted(ALGORITHMS), default="ddqn_per", help="what trained it")
    parser.add_argument("--bulk", action="store_true", help="record many videos, with their frames")
    parser.add_argument("--output_dir", type=Path, help="default: bulk_videos with --bulk, else videos")
    parser.add_argument("--total_videos", type=int, default=20, help="with --bulk")
    parser.add_argument("--percent_random", type=float, default=30, help="with --bulk: share of the random agent's videos")
    parser.add_argument("--seed", type=int, default=0, help="of the first game")
    parser.add_argument("--max_steps", type=int, default=MAX_STEPS, help="agent steps after which a game is cut")
    parser.add_argument(
        "--protocol",
        choices=list(STICKINESS),
        default="v4",
        help="'sticky': the emulator repeats actions at random; games differ more",
    )
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    try:
        bulk(args) if args.bulk else single(args)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


def single(args: argparse.Namespace) -> None:
    """
    Record one video, without a folder of frames.

    :param args: the command's
    """
    agent = args.agent or "trained"
    if agent not in ("random", "trained"):
        args.checkpoint, agent = Path(agent), Path(agent).stem
    make = random_agent if agent == "random" else trained_agent(args)
    path = (args.output_dir or Path("videos")) / f"{agent}_agent.mp4"
    print(record(make, path, seed=args.seed, **game(args)), flush=True)


def bulk(args: argparse.Namespace) -> None:
    """
    Record the videos that are missing, with their frames.

    :param args: the command's
    :raises FileExistsError: if a file is in the way that other settings have made, or another program
    """
    if args.agent is not None:
        raise ValueError(
            "--bulk records both agents: choose their shares with --percent_random, the trained one with --checkpoint."
        )
    n_random = number_random(args.total_videos, args.percent_random)
    counts = {"random": n_random, "trained": args.total_videos - n_random}
    agents: dict[str, Callable[[int], Any]] = {"random": random_agent}
    settings = {"random": {"seed": args.seed, **game(args)}}
    if counts["trained"]:
        agents["trained"] = trained_agent(args)
        settings["trained"] = settings["random"] | {"sha256": hashlib.sha256(args.checkpoint.read_bytes()).hexdigest()}
    folder = args.output_dir or Path("bulk_videos")
    plan = [(kind, k, folder / f"bulk_{kind}_agent_{k}.mp4") for kind, count in counts.items() for k in range(1, count + 1)]
    keep_settings(folder, settings, [path for *_, path in plan])

    for number, (kind, k, path) in enumerate(plan, start=1):
        if is_recorded(path):
            done = f"{path}: recorded before"
        else:
            done = record(agents[kind], path, with_frames=True, seed=args.seed + k - 1, **game(args))
        print(f"[{number}/{len(plan)}] {done}", flush=True)


def number_random(total: int, percent: float) -> int:
    """
    :param total: number of videos, at least 1
    :param percent: of them that the random agent plays, 0 to 100
    :return: how many that is, a half rounded up
    :raises ValueError: if one of them is out of range
    """
    if total < 1:
        raise ValueError(f"--total_videos must be at least 1, received {total}.")
    if not 0 <= percent <= 100:
        raise ValueError(f"--percent_random must be between 0 and 100, received {percent:g}.")
    return int(total * percent / 100 + 0.5)


def keep_settings(folder: Path, settings: dict[str, dict[str, Any]], videos: list[Path]) -> None:
    """
    Write down what an agent's videos are recorded with, or see that it is what they were recorded with.

    :param folder: of the videos
    :param settings: of each agent
    :param videos: that will be recorded
    :raises FileExistsError: if it holds videos that were recorded otherwise
    """
    file = folder / SETTINGS
    known = json.loads(file.read_text()) if file.exists() else {}
    for kind, wanted in settings.items():
        if known.get(kind, wanted) != wanted:
            raise FileExistsError(
                f"{folder} holds videos of the {kind} agent that were recorded with {known[kind]}, received {wanted}: "
                "use the same settings, or another --output_dir."
            )
    foreign = [video for video in videos if video.exists() and not known]
    if foreign:
        raise FileExistsError(f"{foreign[0]} was not recorded by --bulk (there is no {file}): choose another --output_dir.")
    with written_aside(file) as aside:
        aside.write_text(json.dumps(known | settings, indent=1))


def random_agent(seed: int) -> RandomAgent:
    """
    :param seed: of its actions
    :return: the random agent
    """
    env = evaluation_env(n_envs=1)
    env.close()
    return RandomAgent(env, seed)


def trained_agent(args: argparse.Namespace) -> Callable[[int], Any]:
    """
    :param args: the command's
    :return: function that seeds and returns the trained agent
    :raises FileNotFoundError: if there is none
    """
    if not args.checkpoint.is_file():
        raise FileNotFoundError(f"there is no trained agent {args.checkpoint}: name one with --checkpoint.")
    model = load(ALGORITHMS[args.algo].algorithm_class).load(args.checkpoint, device=args.device)

    def seeded(seed: int) -> Any:
        set_random_seed(seed)  # of its few random actions
        return model

    return seeded


def game(args: argparse.Namespace) -> dict[str, Any]:
    """
    :param args: the command's
    :return: what is the same in every game, as :func:`~sb3_breakout.video.record.play_game` takes it
    """
    return {"max_steps": args.max_steps, "protocol": args.protocol}


def record(agent: Callable[[int], Any], path: Path, seed: int, **how: Any) -> str:
    """
    :param agent: makes the agent of a seed
    :param path: of the video
    :param seed: of the game and the agent
    :param how: further arguments of :func:`~sb3_breakout.video.record.record_video`
    :return: what was recorded, for people
    """
    last = record_video(agent(seed), path, seed=seed, **how)
    return f"{path}: {last.number + 1} frames, score {last.score:g}, seed {seed}"


if __name__ == "__main__":
    main()
