"""
Evaluate an agent over whole games: ``python scripts/evaluate.py MODEL.zip``.

Prints the mean raw score with its 95 % bootstrap interval, median, interquartile mean, best and worst, how many games were
distinct, and for Breakout how many balls were missed at which speed. Under both protocols: v4 (every action is executed) and
sticky actions (each emulator frame repeats the last action with probability 0.25). The same command prints the same figures.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch as th

from sb3_breakout import DDQN
from sb3_breakout.envs import RandomAgent
from sb3_breakout.evaluation import ENV_ID, MAX_STEPS, SEEDS, STICKINESS, evaluate, evaluation_env
from sb3_breakout.files import written_aside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", help="zip file of a DDQN, or 'random'")
    parser.add_argument("--env", default=ENV_ID, help="the game: BreakoutNoFrameskip-v4 or another of that kind")
    parser.add_argument("--episodes", type=int, default=100, help="games per protocol, over all seeds")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="the games are divided among them")
    parser.add_argument("--protocols", nargs="+", choices=list(STICKINESS), default=list(STICKINESS))
    parser.add_argument("--max-steps", type=int, default=MAX_STEPS, help="agent steps after which a game is cut")
    parser.add_argument("--deterministic", action="store_true", help="no random actions at all (default: 1 %%)")
    parser.add_argument("--num-threads", type=int, help="of PyTorch")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write every score there as well")
    args = parser.parse_args()
    if args.num_threads is not None:
        th.set_num_threads(args.num_threads)
    if args.agent != "random" and not Path(args.agent).is_file():
        parser.error(f"there is no file {args.agent}")
    try:
        report = play(args)
    except ValueError as error:
        parser.error(str(error))
    if args.json:
        with written_aside(args.json) as aside:
            aside.write_text(json.dumps(report, indent=1))


def play(args: argparse.Namespace) -> dict[str, Any]:
    """
    :param args: the command's
    :return: every figure, under each protocol
    :raises ValueError: if the agent is none, does not fit the game, or the arguments do not fit together
    """
    model = (
        RandomAgent(evaluation_env(n_envs=1, env_id=args.env))
        if args.agent == "random"
        else DDQN.load(args.agent, device=args.device)
    )
    report: dict[str, Any] = {"agent": args.agent, "trained_steps": getattr(model, "num_timesteps", 0)}
    print(f"{args.agent}, trained for {report['trained_steps']} agent steps", flush=True)
    for protocol in args.protocols:
        games = dict(protocol=protocol, env_id=args.env, max_steps=args.max_steps)
        scores = evaluate(model, args.episodes, args.deterministic, args.seeds, **games)
        print(f"  {scores.text()}".replace("\n", "\n  "), flush=True)
        report[protocol] = scores.as_dict()
    return report


if __name__ == "__main__":
    main()
