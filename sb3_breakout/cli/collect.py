"""``sb3-breakout collect``"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from sb3_breakout.cli.command import SEED, STEPS, Command, agent_options


@click.command(cls=Command)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="New, empty, or a dataset to resume.")
@click.option("--episodes", type=STEPS, default=100, help="Games in the finished dataset, including existing ones.")
@click.option(
    "--agents",
    "names",
    multiple=True,
    default=("random",),
    metavar="AGENT[:SHARE]...",
    help="Agents that play, each with an optional share.",
)
@agent_options
@click.option("-f", "--folder", "logs", type=click.Path(path_type=Path), default=Path("logs"), help="Logs of RL Zoo.")
@click.option("--workers", type=STEPS, default=1, help="Number of processes.")
@click.option("--ray", metavar="ADDRESS", help="Play on a Ray cluster: auto, HOST:PORT, ray://HOST:PORT or local.")
@click.option("--seed", type=SEED, default=0, help="The seed of each game is derived from it and the game's number.")
@click.option(
    "--sticky",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Probability, per emulator frame, of repeating the last action. Labels are those sent; those executed are saved too.",
)
@click.option("--resolution", type=click.Choice(["agent", "native"]), default="agent", help="native: also save RGB, 210x160.")
@click.option("--q-values", is_flag=True, help="Save the Q-values of trained agents.")
def collect(
    output: Path,
    episodes: int,
    names: tuple[str, ...],
    algo: str | None,
    env: str | None,
    logs: Path,
    workers: int,
    ray: str | None,
    seed: int,
    sticky: float,
    resolution: str,
    q_values: bool,
) -> None:
    """
    Collect whole games with exact labels.

    An agent is 'random', 'trained' (the one shipped), a name of `sb3-breakout agents`, a zip file, or ALGO:best, ALGO:final or
    ALGO:STEPS from the logs of RL Zoo, each with a share of the games (:0.3); agents without a share divide the rest equally.
    Re-run the same command to resume; other settings are refused. With --ray, the nodes of a cluster play; the dataset is the
    same, and is written on this machine.

    \b
    sb3-breakout collect --episodes 100 --output data --agents random:0.3 trained
    """
    if ray is not None and workers != 1:
        raise click.UsageError(f"--ray plays on all CPUs of a cluster, without --workers: received --workers {workers}")

    from sb3_breakout.common.files import remove_abandoned
    from sb3_breakout.common.progress import progress_bar
    from sb3_breakout.gameplay.collect.agents import parse_agents
    from sb3_breakout.gameplay.collect.collection import Conditions, load_agent, missing_games
    from sb3_breakout.gameplay.dataset.indexes import read_splits, rebuild_indexes
    from sb3_breakout.gameplay.dataset.layout import GameplayFolder

    folder = GameplayFolder(output)
    agents = parse_agents(names, logs, algo, env)
    if q_values and all(agent.trained is None for agent in agents):
        raise click.UsageError("--q-values are a trained agent's, received --agents random.")
    conditions = Conditions(sticky, resolution == "native", q_values, seed)
    jobs = missing_games(folder, agents, episodes, conditions)
    for agent in dict.fromkeys(job.agent for job in jobs):
        load_agent(agent, sticky)  # fails before anything is played if an agent does not fit its game
    folder.claim()
    if folder.splits.exists():
        read_splits(folder)  # fails before anything is played if a file is damaged
    else:
        rebuild_indexes(folder, seed)  # so that a killed process leaves a readable dataset
    try:
        with progress_bar("Playing", episodes) as over:
            over(episodes - len(jobs))
            for _ in _player(workers, ray)(jobs):
                over(1)
    except KeyboardInterrupt:
        click.echo("Stopped. Re-run the same command to resume.", err=True)
        raise
    finally:
        remove_abandoned(folder.episodes)  # unfinished games of interrupted workers
        card = rebuild_indexes(folder, seed)
        click.echo(f"{output}: {card['episodes']} episodes, {card['frames']} frames, {card['actions']}")


def _player(workers: int, ray: str | None) -> Callable[[Sequence[Any]], Iterator[int]]:
    """
    :param workers: number of processes
    :param ray: address of a cluster; None to play on this machine
    :return: function that plays jobs and yields the number of each game
    :raises ImportError: if Ray is needed and not installed
    """
    if ray is None:
        from sb3_breakout.gameplay.collect.collection import collect as play_here

        return partial(play_here, workers=workers)
    from sb3_breakout.gameplay.collect.ray_cluster import collect_on_ray

    return partial(collect_on_ray, address=ray)
