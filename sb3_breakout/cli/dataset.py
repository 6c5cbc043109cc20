"""``sb3-breakout verify``, ``show`` and ``export``"""

import sys
from pathlib import Path

import click

from sb3_breakout.cli.command import Command

FORMATS = ("npz", "mp4", "minari", "arrayrecord", "huggingface", "lerobot")
data_argument = click.argument("data", type=click.Path(path_type=Path))


@click.command(cls=Command)
@data_argument
def verify(data: Path) -> None:
    """
    Verify a dataset by replaying it.

    Compares every frame, reward and life of the dataset in folder DATA, and names every episode that differs, with its first
    fault. The exit code is 0 without faults, 1 with any, and 2 if there is no dataset, or links lead out of it.

    \b
    sb3-breakout verify data
    """
    from sb3_breakout.common.progress import progress_bar
    from sb3_breakout.gameplay.dataset.layout import DamagedDataset, GameplayFolder
    from sb3_breakout.gameplay.dataset.verification import verify_dataset

    folder = GameplayFolder(data)
    faults = 0
    try:
        folder.check()  # before the progress bar appears
        episodes = len(folder.names())
        with progress_bar("Playing again", episodes + 1) as over:
            for name, fault in verify_dataset(folder):
                over(1)
                if fault is not None:
                    faults += 1
                    click.echo(f"{name}: {fault}")
    except (FileNotFoundError, DamagedDataset) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    click.echo(f"{data}: {episodes} episodes replayed, {faults} faults")
    sys.exit(1 if faults else 0)


@click.command(cls=Command)
@data_argument
def show(data: Path) -> None:
    """
    Write a page that shows a dataset.

    Open DATA/index.html in a browser.

    \b
    sb3-breakout show data
    """
    from sb3_breakout.gameplay.dataset.layout import GameplayFolder
    from sb3_breakout.gameplay.dataset.page import write_page

    click.echo(f"Written to {write_page(GameplayFolder(data))}")


@click.command(cls=Command)
@data_argument
@click.option("--to", "form", type=click.Choice(FORMATS), required=True, help="The format.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder to write.  [default: DATA-FORMAT]")
def export(data: Path, form: str, output: Path | None) -> None:
    """
    Write a dataset in another format.

    \b
    sb3-breakout export data --to npz
    """
    from sb3_breakout.gameplay.dataset.exporters import export as write
    from sb3_breakout.gameplay.dataset.layout import GameplayFolder

    target = output or data.resolve().with_name(f"{data.resolve().name}-{form}")
    try:
        write(GameplayFolder(data), form, target, progress_bar=True)
    except ImportError as error:
        raise ImportError(f"{error}. The format needs a library: pip install 'sb3-breakout[{form}]'") from error
    click.echo(f"Written to {target}")
