"""``sb3-breakout ship``"""

from pathlib import Path

import click

from sb3_breakout.agents import read_agent
from sb3_breakout.cli.command import STEPS, Command, agent_options


@click.command(cls=Command)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--checkpoint", help="File in the last folder.  [default: the final model]")
@agent_options
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("rl-trained-agents"), help="Parent of the folder to write."
)
@click.option("--name", help="Name of the folder to write.  [default: that of the run]")
@click.option("--episodes", type=STEPS, default=100, help="Games of the evaluation, per protocol.")
@click.option("--workers", type=STEPS, default=1, help="Number of processes of the evaluation.")
@click.option("--force", is_flag=True, help="Replace an agent that was shipped before.")
def ship(
    runs: tuple[Path, ...],
    checkpoint: str | None,
    algo: str | None,
    env: str | None,
    output: Path,
    name: str | None,
    episodes: int,
    workers: int,
    force: bool,
) -> None:
    """
    Make a trained agent small enough to ship.

    RUN is the log folder of its training; for one that was resumed with -i, give the folders of all its runs, the latest one
    last.

    Writes to rl-trained-agents/, where `rl_zoo3 enjoy` and `record_video` look by default: the network, the settings of the
    training, its scores game by game, and an evaluation under both protocols.

    \b
    sb3-breakout ship logs/ddqn_per/BreakoutNoFrameskip-v4_1
    """
    run = runs[-1].resolve()
    if not run.is_dir():
        hint = f": give {run.parent} --checkpoint {run.name}" if run.is_file() else ""
        raise click.UsageError(f"There is no folder {run}{hint}.")
    games = [settings.parent.name for settings in run.glob("*/args.yml")]
    if not games:
        raise click.UsageError(f"{run} is not the log folder of a training: there is no GAME/args.yml in it.")
    source = run / (checkpoint or f"{games[0]}.zip")
    if not source.is_file():
        raise click.UsageError(f"There is no model {source}.")
    agent = read_agent(source, algo, env)
    target = output / agent.algo / (name or run.name)
    if target.exists() and not force:
        raise click.UsageError(f"{target} exists already; --force replaces it")

    from sb3_breakout.publish.ship import ship_agent

    ship_agent(agent, runs, target, episodes, workers, click.echo)
    click.echo(f"Wrote {target}")
