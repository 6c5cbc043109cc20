"""Records one video, or many with their frames, of a random and a trained agent."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stable_baselines3.common.utils import set_random_seed

from sb3_breakout.agents import RANDOM, TRAINED, Game, TrainedAgent, find_agent
from sb3_breakout.common.files import atomic_write
from sb3_breakout.evaluation import load_player
from sb3_breakout.protocol import ENV_ID
from sb3_breakout.video.record import record_video

SETTINGS = "bulk_videos.json"  # file in the output folder with the settings of its videos


def record_one(agent: Any, path: Path, seed: int, **how: Any) -> str:
    """
    Record one video.

    :param agent: the agent that plays
    :param path: path of the video
    :param seed: seed of the game and the agent
    :param how: further arguments of :func:`~sb3_breakout.video.record.record_video`
    :return: a line that describes the recording
    """
    set_random_seed(seed)
    agent.action_space.seed(seed)  # used by RandomAgent
    last = record_video(agent, path, seed=seed, **how)
    return f"{path}: {last.number + 1} frames, score {last.score:g}, seed {seed}"


def record_bulk(
    folder: Path,
    total: int,
    percent_random: float,
    checkpoint: str = TRAINED,
    algo: str | None = None,
    env_id: str | None = None,
    device: str = "auto",
    say: Callable[[str], None] = print,
    **how: Any,
) -> None:
    """
    Record the videos that are missing, each with a folder of its frames. Game k of each agent has the seed ``seed + k - 1``.

    :param folder: folder of the videos
    :param total: number of videos, including existing ones
    :param percent_random: percentage of the videos that the random agent plays, 0 to 100; a half is rounded up
    :param checkpoint: the trained agent, a name for :func:`~sb3_breakout.agents.find_agent`; not needed if all videos are of
        the random agent
    :param algo: algorithm of the trained agent; None to take it from its file
    :param env_id: game of the trained agent; None to take it from the settings beside its file
    :param device: device of the trained agent
    :param say: called with a line about each video
    :param how: ``seed``, ``max_steps`` and ``protocol`` of the games; ``scale``, ``with_q_values`` and ``with_td_error`` of
        the videos
    :raises FileExistsError: if the folder has a video that was recorded with other settings or by another program
    """
    n_random = number_random(total, percent_random)
    counts = {RANDOM: n_random, TRAINED: total - n_random}
    trained = find_agent(checkpoint, algo, env_id) if counts[TRAINED] else None
    game = Game(env_id or ENV_ID) if trained is None else trained.game
    plan = [(kind, k, folder / f"bulk_{kind}_agent_{k}.mp4") for kind, count in counts.items() for k in range(1, count + 1)]
    keep_settings(folder, _settings(trained, **how, env_id=game.env_id), plan)

    agents = {RANDOM: load_player(RANDOM, env_id=game.env_id), TRAINED: (trained and trained.load(device), game)}
    for number, (kind, k, path) in enumerate(plan, start=1):
        frames = path.with_suffix("")
        if path.exists() and frames.exists():
            done = f"{path}: recorded before"
        else:  # one of them may exist, if a process was killed between the two
            path.unlink(missing_ok=True)
            shutil.rmtree(frames, ignore_errors=True)
            agent, seen = agents[kind]
            done = record_one(agent, path, with_frames=True, **{**how, **vars(seen), "seed": how["seed"] + k - 1})
        say(f"[{number}/{len(plan)}] {done}")


def number_random(total: int, percent: float) -> int:
    """
    :param total: number of videos
    :param percent: percentage of the videos that the random agent plays, 0 to 100
    :return: number of videos that the random agent plays, a half rounded up
    """
    return int(total * percent / 100 + 0.5)


def keep_settings(folder: Path, settings: dict[str, dict[str, Any]], plan: list[tuple[str, int, Path]]) -> None:
    """
    Save the settings of the agents' videos, or check that existing videos have the same settings.

    :param folder: folder of the videos
    :param settings: settings of each agent's videos
    :param plan: agent, number and path of each video that will be recorded
    :raises FileExistsError: if the folder has videos that were recorded with other settings or by another program, or that are
        not in the plan
    """
    file = folder / SETTINGS
    known = json.loads(file.read_text()) if file.exists() else {}
    for kind, wanted in settings.items():
        for name, now in wanted.items():
            before = known.get(kind, wanted).get(name)
            if before != now:
                raise FileExistsError(
                    f"{folder} holds videos of the {kind} agent that were recorded with {name} {before}, received {now}: use "
                    "the same settings, or another --output-dir."
                )
    places = [place for kind, _, video in plan if kind not in known for place in (video, video.with_suffix(""))]
    foreign = [place for place in places if place.exists()]
    if foreign:
        raise FileExistsError(f"{foreign[0]} was not recorded by --bulk (it is not in {file}): choose another --output-dir.")
    surplus = {path for kind in known for path in folder.glob(f"bulk_{kind}_agent_*.mp4")} - {video for *_, video in plan}
    if surplus:
        raise FileExistsError(
            f"{folder} holds {min(surplus).name}, which is not among the videos that --total-videos and --percent-random now "
            "ask for: ask for as many of each agent or more, or choose another --output-dir."
        )
    with atomic_write(file) as aside:
        aside.write_text(json.dumps(known | settings, indent=1))


def _settings(trained: TrainedAgent | None, **how: Any) -> dict[str, dict[str, Any]]:
    """:return: the settings that determine the videos of each agent"""
    if trained is None:
        return {RANDOM: how}
    return {RANDOM: how, TRAINED: how | {"sha256": hashlib.sha256(trained.path.read_bytes()).hexdigest()}}
