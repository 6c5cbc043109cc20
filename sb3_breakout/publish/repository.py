"""
Writes a trained agent as a repository of the Hugging Face Hub, in the layout that ``rl_zoo3.load_from_hub`` expects::

    README.md                           model card: scores under both protocols, curve, settings
    ddqn_per-BreakoutNoFrameskip-v4.zip
    args.yml  config.yml  env_kwargs.yml
    train_eval_metrics.zip              scores of the training, game by game
    evaluation.json  curve.png  replay.mp4
"""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from huggingface_hub import EvalResult, HfApi, ModelCardData
from matplotlib.figure import Figure
from stable_baselines3.common.monitor import load_results

from sb3_breakout.agents import TrainedAgent
from sb3_breakout.common.files import atomic_folder
from sb3_breakout.protocol import FRAME_SKIP
from sb3_breakout.publish.ship import EVALUATION
from sb3_breakout.video.bulk import record_one

SMOOTHED = 100  # number of games in the running mean

CARD = """---
{metadata}
---

# {algo} playing {env_id}

Trained for {steps:,} agent steps with [Stable-Baselines3](https://github.com/DLR-RM/stable-baselines3),
[RL Zoo](https://github.com/DLR-RM/rl-baselines3-zoo) and sb3-breakout.

## Scores

Raw scores of whole games, near-greedy (epsilon {epsilon}), up to {noop_max} start no-ops, at most {max_steps:,} agent steps
per game, seeds {seeds}. `v4`: every action is executed; `sticky`: each emulator frame repeats the last action with
probability 0.25.

| protocol | mean | 95 % interval | median | interquartile mean | best | worst | games |
|---|---|---|---|---|---|---|---|
{rows}

![Scores of the training](curve.png)

A game: [replay.mp4](replay.mp4)

## Use

```bash
pip install sb3-breakout
# A model is code: download it only if you trust its author
TRUST_REMOTE_CODE=True python -m rl_zoo3.load_from_hub --algo {algo} --env {env_id} -orga {organisation} -name {name} -f logs
python -m rl_zoo3.enjoy --algo {algo} --env {env_id} -f logs
```

## Settings

```yaml
{config}```
"""


def write_repository(
    agent: TrainedAgent, folder: Path, repo_id: str, say: Callable[[str], None] = print, replace: bool = False
) -> None:
    """
    Write the folder of a repository.

    :param agent: an agent that ``sb3-breakout ship`` has written, or that comes with the package
    :param folder: folder to write
    :param repo_id: ``ORGANISATION/NAME`` of the repository
    :param say: called with a line about each stage before it begins
    :param replace: whether to replace an existing folder
    :raises FileNotFoundError: if the agent was not evaluated, or its run's settings are missing
    :raises FileExistsError: if the folder exists and ``replace`` is False
    """
    run, env_id = agent.path.parent, agent.game.env_id
    if not (run / EVALUATION).is_file():
        raise FileNotFoundError(f"There is no {run / EVALUATION}: run `sb3-breakout ship` first, and push what it writes.")
    report = json.loads((run / EVALUATION).read_text())
    args = yaml.unsafe_load((run / env_id / "args.yml").read_text())
    with atomic_folder(folder, replace) as aside:
        say("Copying the agent, its settings and its scores")
        shutil.copy(agent.path, aside / f"{args['algo']}-{env_id}.zip")
        for file in ("args.yml", "config.yml"):
            shutil.copy(run / env_id / file, aside)
        (aside / "env_kwargs.yml").write_text(yaml.dump(args["env_kwargs"] or {}))
        shutil.copy(run / EVALUATION, aside)
        with zipfile.ZipFile(aside / "train_eval_metrics.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for scores in sorted([*run.glob("*monitor.csv"), *run.glob("evaluations.npz")]):
                archive.write(scores, scores.name)
        say("Drawing curve.png")
        draw_curve(run, report["trained_steps"], agent.game.wrapper_kwargs.get("frame_skip", FRAME_SKIP), aside / "curve.png")
        say("Playing a game for replay.mp4, which takes longest")
        record_one(agent.load("cpu"), aside / "replay.mp4", seed=0, **vars(agent.game))
        say("Writing the model card, README.md")
        (aside / "README.md").write_text(model_card(args["algo"], env_id, repo_id, report, (aside / "config.yml").read_text()))


def upload(folder: Path, repo_id: str, endpoint: str | None = None, token: str | None = None) -> str:
    """
    Upload a folder to the Hugging Face Hub.

    :param folder: a folder written by :func:`write_repository`
    :param repo_id: ``ORGANISATION/NAME``; created if needed
    :param endpoint: address of the hub; None for ``HF_ENDPOINT`` or huggingface.co
    :param token: access token; None for that of ``hf auth login``
    :return: address of the commit
    :raises OSError: if the hub refuses the upload or cannot be reached
    """
    hub = HfApi(endpoint, token)
    try:
        hub.create_repo(repo_id, exist_ok=True)
        return hub.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Trained agent").commit_url
    except Exception as error:  # the type depends on the version of huggingface_hub
        raise OSError(f"{folder} was not uploaded to {hub.endpoint}/{repo_id}: {error}") from error


def model_card(algo: str, env_id: str, repo_id: str, report: dict[str, Any], config: str) -> str:
    """
    :param algo: the algorithm
    :param env_id: the game
    :param repo_id: ``ORGANISATION/NAME``
    :param report: content of ``evaluation.json``
    :param config: content of ``config.yml``
    :return: content of README.md, with the scores also as metadata
    """
    results = {name: scores for name, scores in report.items() if name != "trained_steps"}
    metadata = ModelCardData(
        library_name="stable-baselines3",
        tags=[env_id, "deep-reinforcement-learning", "reinforcement-learning", "stable-baselines3", "sb3-breakout"],
        model_name=algo,
        eval_results=[
            EvalResult(
                task_type="reinforcement-learning",
                dataset_type=env_id,
                dataset_name=env_id,
                metric_type="mean_reward",
                metric_name=f"mean_reward ({name})",
                metric_value=f"{scores['mean']:.2f} +/- {scores['standard_deviation']:.2f}",
            )
            for name, scores in results.items()
        ],
    )
    protocol = next(iter(results.values()))["protocol"]
    organisation, _, name = repo_id.partition("/")
    return CARD.format(
        metadata=metadata.to_yaml(),
        algo=algo,
        env_id=env_id,
        steps=report["trained_steps"],
        rows="\n".join(_row(name, scores) for name, scores in results.items()),
        organisation=organisation,
        name=name,
        config=yaml.dump(dict(yaml.unsafe_load(config)), sort_keys=True),
        **{key: protocol[key] for key in ("epsilon", "noop_max", "max_steps")},
        seeds=", ".join(map(str, protocol["seeds"])),
    )


def _row(name: str, scores: dict[str, Any]) -> str:
    low, high = scores["interval"] or (scores["mean"], scores["mean"])
    figures = [f"{scores[key]:.1f}" for key in ("median", "iqm", "best", "worst")]
    return f"| {name} | {scores['mean']:.1f} | {low:.1f} to {high:.1f} | {' | '.join(figures)} | {scores['episodes']} |"


def draw_curve(run: Path, trained_steps: int, frame_skip: int, target: Path) -> None:
    """
    Draw the scores of the training's games, as far as they were kept (of a resumed training, perhaps only the end). Steps of
    games that were unfinished at the end of a run are not counted.

    :param run: folder with ``monitor.csv`` files
    :param trained_steps: agent steps at the end of the training
    :param frame_skip: emulator frames per agent step, since monitors count frames
    :param target: the image file to write
    """
    games = load_results(str(run))
    steps = trained_steps - games["l"][::-1].cumsum()[::-1].to_numpy() / frame_skip
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.maximum(steps, 0), games["r"].rolling(SMOOTHED, min_periods=1).mean())
    axes.set(title="Training", xlabel="agent steps", ylabel=f"raw score, mean of {SMOOTHED} games")
    figure.savefig(target, dpi=120)
