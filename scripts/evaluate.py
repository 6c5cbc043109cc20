"""
Evaluate an agent over whole games: ``python scripts/evaluate.py MODEL.zip``.

Prints mean, median, interquartile mean, best and standard error of the raw scores for both protocols: v4 (every action is
executed) and sticky actions (each emulator frame repeats the last action with probability 0.25).
"""

import argparse
import json
from pathlib import Path

import torch as th
from stable_baselines3.common.utils import set_random_seed

from sb3_breakout import DDQN
from sb3_breakout.envs import RandomAgent
from sb3_breakout.evaluation import ENV_ID, MAX_STEPS, STICKINESS, Scores, evaluate, evaluation_env
from sb3_breakout.files import written_aside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", help="zip file of a DDQN, or 'random'")
    parser.add_argument("--env", default=ENV_ID, help="the game: BreakoutNoFrameskip-v4 or another of that kind")
    parser.add_argument("--episodes", type=int, default=100, help="games per protocol")
    parser.add_argument("--protocols", nargs="+", choices=list(STICKINESS), default=list(STICKINESS))
    parser.add_argument("--max-steps", type=int, default=MAX_STEPS, help="agent steps after which a game is cut")
    parser.add_argument("--seed", type=int, default=0, help="of the games")
    parser.add_argument("--n-envs", type=int, default=8, help="games played at once")
    parser.add_argument("--deterministic", action="store_true", help="no random actions at all (default: 1 %%)")
    parser.add_argument("--num-threads", type=int, help="of PyTorch")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="write every score there as well")
    args = parser.parse_args()
    if args.num_threads is not None:
        th.set_num_threads(args.num_threads)
    if args.agent != "random" and not Path(args.agent).is_file():
        parser.error(f"there is no file {args.agent}")
    set_random_seed(args.seed)

    model = (
        RandomAgent(evaluation_env(n_envs=1, env_id=args.env), args.seed)
        if args.agent == "random"
        else DDQN.load(args.agent, device=args.device)
    )
    results = {}
    for protocol in args.protocols:
        games = dict(env_id=args.env, n_envs=min(args.n_envs, args.episodes), seed=args.seed, max_steps=args.max_steps)
        results[protocol] = evaluate(model, args.episodes, args.deterministic, protocol=protocol, **games)
        print(text(args.agent, model, results[protocol]), flush=True)
    if args.json:
        trained = getattr(model, "num_timesteps", 0)
        report = {
            "agent": args.agent,
            "trained_steps": trained,
            **{name: scores.as_dict() for name, scores in results.items()},
        }
        with written_aside(args.json) as aside:
            aside.write_text(json.dumps(report, indent=1))


def text(name: str, model: object, scores: Scores) -> str:
    """:return: the figures of one protocol, for people"""
    summary, protocol = scores.summary(), scores.protocol
    figures = [f"{key} {summary[key]:.1f}" for key in ("mean", "standard_error", "median", "iqm", "best", "worst")]
    conditions = [
        f"sticky actions {protocol['sticky_actions']}",
        f"epsilon {protocol['epsilon']}",
        f"up to {protocol['noop_max']} start no-ops",
        f"at most {protocol['max_steps']} steps per game",
        f"seed {protocol['seed']}",
    ]
    return (
        f"{name}, trained for {getattr(model, 'num_timesteps', 0)} agent steps\n"
        f"  {protocol['protocol']}: {', '.join(figures).replace('_', ' ')}\n"
        f"  {summary['episodes']} episodes, {summary['steps']} steps; {', '.join(conditions)}"
    )


if __name__ == "__main__":
    main()
