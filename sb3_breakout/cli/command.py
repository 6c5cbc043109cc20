"""
What all commands have in common.

Their modules import nothing slow, so that ``--help`` and shell completion answer at once. The code that does the work is
imported when a command runs.
"""

import re
from collections.abc import Callable
from typing import Any

import click

from sb3_breakout.registry import ALGORITHMS

STEPS = click.IntRange(min=1)
SEED = click.IntRange(0, 2**32 - 1)
FAILURES = (ImportError, OSError, ValueError, RuntimeError)  # whose messages say what to do


class Command(click.Command):
    """
    A command that may also be typed as for ``argparse``: ``--output_dir`` for ``--output-dir``, and ``--seeds 0 1 2`` for
    ``--seeds 0 --seeds 1 --seeds 2``. Failures are reported without a traceback.
    """

    def __init__(self, name: str | None, **kwargs: Any) -> None:
        settings = {"help_option_names": ["-h", "--help"], "show_default": True}
        super().__init__(name, **kwargs, context_settings=settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """
        :param ctx: of this call
        :param args: what was typed
        :return: what is left of it
        """
        several = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        return super().parse_args(ctx, _as_for_click(args, several))

    def invoke(self, ctx: click.Context) -> Any:
        """
        :param ctx: of this call
        :raises click.ClickException: for what has failed
        """
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except FAILURES as error:
            raise click.ClickException(str(error)) from error


def _as_for_click(args: list[str], several: set[str]) -> list[str]:
    """
    :param args: words of a command line, as for ``argparse``
    :param several: options that take several values
    :return: the same with dashes in the names of options, and an option with several values in front of each of them
    :raises click.UsageError: if an option that takes several values is given none
    """
    words: list[str] = []
    option = without_value = None
    for word in args:
        if word.startswith("--"):
            name, *value = word.split("=", 1)
            word = "=".join([name.replace("_", "-"), *value])
        is_option = word.startswith("-") and not re.fullmatch(r"-[0-9.]+", word)
        if is_option and without_value is not None:
            break
        if word in several:
            option = without_value = word
            continue
        if is_option:
            option = None
        without_value = None
        words += [word] if option is None else [option, word]
    if without_value is not None:
        raise click.UsageError(f"Option {without_value} needs at least one value.")
    return words


def agent_options(function: Callable[..., None]) -> Callable[..., None]:
    """Options of every command that takes a trained agent, for agents without the settings of their run."""
    algo = click.option("--algo", type=click.Choice(sorted(ALGORITHMS)), help="Its algorithm.  [default: read from its file]")
    env = click.option("--env", help="Its game, for instance PongNoFrameskip-v4.  [default: that of its run, else Breakout]")
    return algo(env(function))
