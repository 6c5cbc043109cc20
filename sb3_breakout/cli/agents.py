"""``sb3-breakout agents``"""

import json

import click

from sb3_breakout.agents import shipped_agents
from sb3_breakout.cli.command import Command


@click.command(cls=Command)
def agents() -> None:
    """
    List the agents that come with the package.

    Shows each agent's mean raw score over whole games with its 95 % interval, and the number of agent steps it was trained
    for. Every command that takes an agent accepts these names.

    \b
    sb3-breakout agents
    """
    for name, path in shipped_agents().items():
        report = json.loads((path.parent / "evaluation.json").read_text())
        click.echo(f"{name}, trained for {report.pop('trained_steps'):,} agent steps")
        for protocol, scores in report.items():
            low, high = scores["interval"]
            click.echo(f"  {protocol}: {scores['mean']:.1f} ({low:.1f} to {high:.1f}) over {scores['episodes']} games")
