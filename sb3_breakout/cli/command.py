"""
The base of all commands.

Modules of commands import nothing slow, so that ``--help`` and shell completion answer at once. The code that does the work is
only imported when a command runs.
"""

import re
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import click

from sb3_breakout.common.termination import Termination
from sb3_breakout.registry import ALGORITHMS

STEPS = click.IntRange(min=1)
SEED = click.IntRange(0, 2**32 - 1)
FAILURES = (ImportError, OSError, ValueError, RuntimeError)  # their messages are for the user


class Command(click.Command):
    """
    A command that also accepts the syntax of ``argparse``: ``--output_dir`` for ``--output-dir``, and ``--seeds 0 1 2`` for
    ``--seeds 0 --seeds 1 --seeds 2``. Failures are reported without a traceback. SIGTERM ends the command as Ctrl-C does.
    """

    def __init__(self, name: str | None, **kwargs: Any) -> None:
        settings = {"help_option_names": ["-h", "--help"], "show_default": True}
        super().__init__(name, **kwargs, context_settings=settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """
        :param ctx: context of this call
        :param args: words of the command line
        :return: the arguments that were not parsed
        """
        several = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        return super().parse_args(ctx, _as_for_click(args, several))

    def invoke(self, ctx: click.Context) -> Any:
        """
        :param ctx: context of this call
        :raises click.ClickException: if the command fails with one of ``FAILURES``
        """
        termination = Termination()
        try:
            with termination:
                return super().invoke(ctx)
        except KeyboardInterrupt:
            termination.exit_if_received()
            raise
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):  # click handles these; `| head` breaks the pipe
            raise
        except FAILURES as error:
            raise click.ClickException(str(error)) from error


def _as_for_click(args: list[str], several: set[str]) -> list[str]:
    """
    :param args: words of a command line, as for ``argparse``
    :param several: options that take several values
    :return: the same with dashes in option names, and options with several values repeated before each value
    :raises click.UsageError: if an option that takes several values has none
    """
    typed = [_with_dashes(word) for word in args]
    words: list[str] = []
    option = None
    for word, following in zip_longest(typed, typed[1:]):
        if word in several:
            if following is None or _is_option(following):
                raise click.UsageError(f"Option {word} needs at least one value.")
            option = word
            continue
        if _is_option(word):
            option = None
        words += [word] if option is None else [option, word]
    return words


def _with_dashes(word: str) -> str:
    """:return: an option with dashes in its name; other words unchanged"""
    if not word.startswith("--"):
        return word
    name, *value = word.split("=", 1)
    return "=".join([name.replace("_", "-"), *value])


def _is_option(word: str) -> bool:
    """:return: whether the word is an option; a negative number is not"""
    return word.startswith("-") and not re.fullmatch(r"-[0-9.]+", word)


def agent_options(function: Callable[..., None]) -> Callable[..., None]:
    """
    Add the options of commands that take a trained agent: algorithm and game, for agents without the settings of their run.
    """
    algo = click.option(
        "--algo", type=click.Choice(sorted(ALGORITHMS)), help="Agent's algorithm.  [default: read from its file]"
    )
    env = click.option(
        "--env", help="Agent's game, for instance PongNoFrameskip-v4.  [default: that of its run, else Breakout]"
    )
    return algo(env(function))
