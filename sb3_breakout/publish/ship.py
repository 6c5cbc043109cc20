"""Writes a trained agent for use, without training-only data, with its settings and scores."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from sb3_breakout.agents import TrainedAgent, read_agent
from sb3_breakout.common.files import atomic_folder
from sb3_breakout.evaluation import evaluate
from sb3_breakout.protocol import STICKINESS
from sb3_breakout.rnd import DDQNRND

OF_THIS_MACHINE = {"log_folder": "logs", "tensorboard_log": "", "trained_agent": "", "uuid": False}  # reset in args.yml
OF_THE_RUN = ("_last_obs", "_last_original_obs", "_last_episode_starts")  # useless without the games they belong to
EVALUATION = "evaluation.json"


def ship_agent(
    source: TrainedAgent,
    runs: Sequence[Path],
    target: Path,
    episodes: int = 100,
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> None:
    """
    Write a folder that has the layout of an RL Zoo run: the network, the settings of its training, its scores game by game,
    and an evaluation under all protocols.

    :param source: the agent
    :param runs: log folders of its training in order, more than one if it was resumed with ``-i``; the settings are taken from
        the last
    :param target: the folder to write; an existing one is replaced
    :param episodes: number of games of the evaluation, per protocol
    :param workers: number of processes of the evaluation
    :param say: called with the result of each protocol as text
    """
    env_id, run = source.game.env_id, runs[-1]
    with atomic_folder(target, replace=True) as aside:
        (aside / env_id).mkdir()
        save_small(source, aside / f"{env_id}.zip")
        copy_settings(run / env_id, aside / env_id)
        copy_scores(runs, aside)
        report = evaluation(aside / f"{env_id}.zip", say, episodes=episodes, workers=workers)
        (aside / EVALUATION).write_text(json.dumps(report, indent=1))


def save_small(source: TrainedAgent, target: Path) -> None:
    """
    Save a model without what only training needs: the optimizer's state, a separate target network, the explorer.

    :param source: the agent
    :param target: file to write
    """
    model = source.load("cpu")
    if isinstance(model, DDQNRND):
        model.forget_exploration()
    model.policy.optimizer.state.clear()  # SB3 requires an optimizer, but not its state
    # One tensor under two names is stored once: the target network is loaded as synchronised with the online network
    model.q_net_target.load_state_dict(model.q_net.state_dict(), assign=True)
    model.tensorboard_log = None
    model.save(target, exclude=OF_THE_RUN)


def copy_settings(source: Path, target: Path) -> None:
    """
    :param source: folder with the settings that RL Zoo saved for a training
    :param target: folder to copy them to, without the paths of this machine
    """
    shutil.copy(source / "config.yml", target)
    settings = yaml.unsafe_load((source / "args.yml").read_text())
    settings |= OF_THIS_MACHINE
    (target / "args.yml").write_text(yaml.dump(settings))


def copy_scores(runs: Sequence[Path], target: Path) -> None:
    """
    :param runs: log folders of a training, in order
    :param target: folder to copy the scores of all games and the Zoo's evaluations to
    """
    for number, run in enumerate(runs):
        for scores in run.glob("*monitor.csv"):
            shutil.copy(scores, target / (f"{number}.{scores.name}" if len(runs) > 1 else scores.name))
    if (runs[-1] / "evaluations.npz").exists():
        shutil.copy(runs[-1] / "evaluations.npz", target)


def evaluation(path: Path, say: Callable[[str], None], **arguments: Any) -> dict[str, Any]:
    """
    Evaluate a model under all protocols.

    :param path: a model file
    :param say: called with the result of each protocol as text
    :param arguments: arguments of :func:`~sb3_breakout.evaluation.evaluate`
    :return: scores under all protocols, and the number of steps the agent was trained for
    """
    agent = read_agent(path)
    model = agent.load("cpu")
    report: dict[str, Any] = {"trained_steps": model.num_timesteps}
    for protocol in STICKINESS:
        scores = evaluate(model, protocol=protocol, progress_bar=True, **arguments, **vars(agent.game))
        say(scores.text())
        report[protocol] = scores.as_dict()
    return report
