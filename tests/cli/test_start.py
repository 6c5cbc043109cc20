"""Help, command-line errors and the list of agents appear at once: nothing slow is imported for them."""

import os
import subprocess
import sys

import click
import pytest

from sb3_breakout.cli import main
from sb3_breakout.cli.dataset import FORMATS
from sb3_breakout.gameplay.dataset.exporters import EXPORTERS

HEAVY = ("torch", "numpy", "stable_baselines3", "gymnasium", "rl_zoo3")


@pytest.mark.parametrize("words", [["--help"], ["evaluate", "--help"], ["agents"], ["--version"]], ids=" ".join)
def test_nothing_that_takes_long_is_imported(words):
    code = f"""
import sys
from sb3_breakout.cli import main
try:
    main({words})
finally:
    print("imported:", [name for name in {HEAVY} if name in sys.modules])
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "imported: []"


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_has_an_example(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"], prog_name="sb3-breakout")
    assert end.value.code == 0
    assert f"\n  sb3-breakout {name}" in capsys.readouterr().out


def test_python_m_is_the_same_command():
    output = subprocess.run(
        [sys.executable, "-m", "sb3_breakout", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert output.startswith("Usage: sb3-breakout [OPTIONS] COMMAND")
    assert {line.split()[0] for line in output.split("Commands:\n")[1].splitlines()} == set(main.commands)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["collect", "--output", "data", "--agents"], "--agents"),
        (["evaluate", "random", "--seeds", "--protocols", "v4"], "--seeds"),
        (["evaluate", "random", "--seeds", "0", "--seeds", "--episodes", "1"], "--seeds"),
    ],
    ids=" ".join,
)
def test_option_without_a_value(words, option):
    with pytest.raises(click.UsageError, match=f"Option {option} needs at least one value"):
        main(words, standalone_mode=False)


def test_a_reader_that_has_read_enough_is_no_error():
    """``sb3-breakout agents | head -1`` closes the pipe early. No traceback may be printed."""
    end, output = os.pipe()
    os.close(end)
    shown = subprocess.run([sys.executable, "-m", "sb3_breakout", "agents"], stdout=output, stderr=subprocess.PIPE)
    os.close(output)
    assert shown.returncode == 1 and shown.stderr == b""


def test_every_exporter_has_a_format():
    assert set(EXPORTERS) <= set(FORMATS)
