"""``sb3-breakout push``"""

from pathlib import Path

import click

from sb3_breakout.agents import find_agent
from sb3_breakout.cli.command import Command, agent_options


@click.command(cls=Command)
@click.argument("agent")
@click.option(
    "--repo", metavar="ORGANISATION/NAME", required=True, help="Repository on the Hugging Face Hub; created if needed."
)
@agent_options
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder to write, which must not exist.  [default: hub/NAME, replaced]"
)
@click.option("--no-upload", is_flag=True, help="Write the folder only.")
def push(agent: str, repo: str, algo: str | None, env: str | None, output: Path | None, no_upload: bool) -> None:
    """
    Publish a trained agent on the Hugging Face Hub.

    AGENT is a name of `sb3-breakout agents`, or a zip file that `sb3-breakout ship` has written. Writes a folder with the
    agent, its settings, a video and a model card with its scores under both protocols, and uploads it. Log in first:
    hf auth login. Others download it with `TRUST_REMOTE_CODE=True python -m rl_zoo3.load_from_hub`.

    \b
    sb3-breakout push rl-trained-agents/ddqn_per/BreakoutNoFrameskip-v4_1/BreakoutNoFrameskip-v4.zip --repo me/breakout
    """
    organisation, _, name = repo.partition("/")
    if not (organisation and name) or "/" in name:
        raise click.BadParameter(f"must be ORGANISATION/NAME, received {repo}", param_hint="--repo")
    trained = find_agent(agent, algo, env)

    from sb3_breakout.publish.repository import upload, write_repository

    folder = output or Path("hub") / name
    write_repository(trained, folder, repo, click.echo, replace=output is None)
    click.echo(f"Wrote {folder}")
    if not no_upload:
        click.echo(f"Uploading it to {repo}")
        click.echo(f"Uploaded: {upload(folder, repo)}")
