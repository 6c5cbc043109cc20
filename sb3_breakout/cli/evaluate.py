"""``sb3-breakout evaluate``"""

import json
from pathlib import Path
from textwrap import indent
from typing import Any

import click

from sb3_breakout.agents import RANDOM, find_agent
from sb3_breakout.cli.command import SEED, STEPS, Command, agent_options
from sb3_breakout.protocol import MAX_STEPS, SEEDS, STICKINESS


@click.command(cls=Command)
@click.argument("agent")
@agent_options
@click.option("--episodes", type=STEPS, default=100, help="Games per protocol, over all seeds.")
@click.option("--seeds", type=SEED, multiple=True, default=SEEDS, metavar="SEED...", help="Seeds to divide the games among.")
@click.option(
    "--protocols",
    type=click.Choice(list(STICKINESS)),
    multiple=True,
    default=list(STICKINESS),
    metavar="[v4|sticky]...",
    help="v4: without sticky actions.",
)
@click.option("--max-steps", type=STEPS, default=MAX_STEPS, help="Agent steps after which a game is truncated.")
@click.option("--deterministic", is_flag=True, help="No random actions at all.  [default: 1 %]")
@click.option("--workers", type=STEPS, default=1, help="Number of processes; each plays one seed at a time.")
@click.option("--num-threads", type=STEPS, help="Number of PyTorch threads, divided among the processes.")
@click.option("--device", default="auto", help="PyTorch device: cpu, cuda, mps or auto.")
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="File for all scores, as JSON.")
def evaluate(
    agent: str,
    algo: str | None,
    env: str | None,
    episodes: int,
    seeds: tuple[int, ...],
    protocols: tuple[str, ...],
    max_steps: int,
    deterministic: bool,
    workers: int,
    num_threads: int | None,
    device: str,
    output: Path | None,
) -> None:
    """
    Evaluate AGENT over whole games.

    AGENT is 'trained' (the one shipped), a name of `sb3-breakout agents`, a zip file, ALGO:best, ALGO:final or ALGO:STEPS from
    the logs, or 'random'.

    Prints the mean raw score with its 95 % bootstrap interval, median, interquartile mean, best and worst, how many games were
    distinct, and for Breakout how many balls were missed, by speed. Both protocols are used: v4 (every action is executed) and
    sticky (each emulator frame repeats the last action with probability 0.25). The same command prints the same figures.

    \b
    sb3-breakout evaluate logs/ddqn_per/BreakoutNoFrameskip-v4_1/best_model.zip --json scores.json
    """
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)  # to fail before the games are played, not after
    import torch as th

    from sb3_breakout.common.files import atomic_write
    from sb3_breakout.evaluation import evaluate as play
    from sb3_breakout.evaluation import load_player

    if num_threads is not None:
        th.set_num_threads(num_threads)
    if agent == RANDOM and deterministic:
        raise click.UsageError("--deterministic is for a trained agent, received random.")
    trained = None if agent == RANDOM else find_agent(agent, algo, env)
    model, game = load_player(RANDOM, env_id=env) if trained is None else (trained.load(device), trained.game)
    report: dict[str, Any] = {"agent": agent, "trained_steps": getattr(model, "num_timesteps", 0)}
    # The path shows the run of a name like `ddqn_per:best`
    click.echo(agent if trained is None else f"{trained.path}, {model.num_timesteps:,} agent steps of training")
    how = dict(episodes=episodes, deterministic=deterministic, seeds=seeds, workers=workers, max_steps=max_steps, **vars(game))
    for protocol in protocols:
        scores = play(model, protocol=protocol, progress_bar=True, **how)
        click.echo(indent(scores.text(), "  "))
        report[protocol] = scores.as_dict()
        if output is not None:  # after each protocol, so that an interrupt during the next one loses nothing
            with atomic_write(output) as aside:
                aside.write_text(json.dumps(report, indent=1))
