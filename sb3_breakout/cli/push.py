"""``sb3-breakout push``"""
import click
from sb3_breakout.cli.command import Command
@click.command(cls=Command)
def push() -> None:
    """x"""
