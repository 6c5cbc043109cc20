"""``sb3-breakout video``"""

import re
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sb3_breakout.agents import RANDOM, TRAINED
from sb3_breakout.cli.command import SEED, STEPS, Command, agent_options
from sb3_breakout.protocol import MAX_STEPS, STICKINESS, VIDEO_SCALE


@click.command(cls=Command)
@click.option("--agent", help="Agent of a single video: 'random', 'trained' (default), or any value of --checkpoint.")
@click.option("--checkpoint", default=TRAINED, help="The trained agent, named as for `evaluate`.")
@agent_options
@click.option("--bulk", is_flag=True, help="Record many videos, with their frames.")
@click.option("--output-dir", type=click.Path(path_type=Path), help="[default: bulk_videos with --bulk, else videos]")
@click.option("--total-videos", type=STEPS, default=20, help="With --bulk: number of videos.")
@click.option("--percent-random", type=click.FloatRange(0, 100), default=30, help="With --bulk: share of the random agent.")
@click.option("--seed", type=SEED, default=0, help="Seed of the first game.")
@click.option("--max-steps", type=STEPS, default=MAX_STEPS, help="Agent steps after which a game is truncated.")
@click.option("--protocol", type=click.Choice(list(STICKINESS)), default="v4", help="sticky: games differ more.")
@click.option("--scale", type=STEPS, default=VIDEO_SCALE, help="Pixels of the video per pixel of the screen.")
@click.option("--q-values", "with_q_values", is_flag=True, help="Show the trained agent's Q-values.")
@click.option("--td-error", "with_td_error", is_flag=True, help="Show its absolute TD errors, the basis of priorities.")
@click.option("--device", default="auto", help="PyTorch device: cpu, cuda, mps or auto.")
@click.pass_context
def video(
    context: click.Context,
    agent: str | None,
    checkpoint: str,
    algo: str | None,
    env: str | None,
    bulk: bool,
    output_dir: Path | None,
    total_videos: int,
    percent_random: float,
    device: str,
    **how: Any,
) -> None:
    """
    Record annotated videos of whole games.

    With --bulk, each video has a folder of the same name beside it with its pictures, lossless and without text: 0.png, 1.png
    and so on. Game k of each agent has the seed SEED + k - 1. Re-run the same command to resume.

    \b
    sb3-breakout video --agent trained
    sb3-breakout video --bulk --total-videos 20 --percent-random 30
    """
    from sb3_breakout.evaluation import load_player
    from sb3_breakout.video.bulk import record_bulk, record_one

    if bulk and agent is not None:
        raise click.UsageError("--bulk records both agents: --agent is for a single video, --percent-random for their shares.")
    if not bulk:
        _refuse_given(context, ["total_videos", "percent_random"], "for many videos: add --bulk")
    if agent == RANDOM:
        not_its = ["checkpoint", "with_q_values", "with_td_error"]
        _refuse_given(context, not_its, "for a trained agent, received --agent random")
    elif agent not in (None, TRAINED):
        _refuse_given(context, ["checkpoint"], f"for --agent trained, received --agent {agent}")
    if bulk:
        folder = output_dir or Path("bulk_videos")
        record_bulk(folder, total_videos, percent_random, checkpoint, algo, env, device, click.echo, **how)
        return
    agent = agent or TRAINED
    model, game = load_player(checkpoint if agent == TRAINED else agent, algo, env, device)
    path = (output_dir or Path("videos")) / f"{_file_name(agent)}_agent.mp4"
    click.echo(record_one(model, path, **how, **vars(game)))


def _refuse_given(context: click.Context, names: list[str], purpose: str) -> None:
    """
    :param context: context of this call
    :param names: parameters that this call would not use
    :param purpose: what they are for
    :raises click.UsageError: if one of them was given
    """
    for parameter in context.command.params:
        if parameter.name in names and context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"{parameter.opts[0]} is {purpose}.")


def _file_name(agent: str) -> str:
    """
    :return: an agent's name without slashes and colons; for a file, with its folder, since many are called best_model.zip
    """
    path = Path(agent).resolve()
    return f"{path.parent.name}_{path.stem}".lstrip("_") if path.suffix == ".zip" else re.sub("[/:]", "_", agent)
