"""``sb3-breakout``: commands for trained agents and for gameplay. RL Zoo trains: ``python -m rl_zoo3.train``."""

import click

import sb3_breakout
from sb3_breakout.cli.agents import agents
from sb3_breakout.cli.collect import collect
from sb3_breakout.cli.dataset import export, show, verify
from sb3_breakout.cli.evaluate import evaluate
from sb3_breakout.cli.push import push
from sb3_breakout.cli.ship import ship
from sb3_breakout.cli.video import video


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(sb3_breakout.__version__)
def main() -> None:
    """
    Evaluate trained agents, record videos of them, ship them, and collect gameplay.

    \b
    Train:     rl_zoo3 train --algo ddqn_per --env BreakoutNoFrameskip-v4
    Evaluate:  sb3-breakout evaluate trained
    """


for command in (agents, evaluate, video, collect, verify, show, export, ship, push):
    main.add_command(command)
