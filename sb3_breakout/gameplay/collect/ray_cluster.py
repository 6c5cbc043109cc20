"""
Plays the games of a collection on a Ray cluster, one task per game; games of a lost node are replayed on another.

The nodes share no files with the collector: agents are sent to them, and the files of complete episodes are sent back.
"""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from sb3_breakout.common.cluster import SAME_EVERYWHERE, ClusterError, connect, first_line, ray
from sb3_breakout.gameplay.collect.agents import Agent
from sb3_breakout.gameplay.collect.collection import Job, load_agent, play
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter

GAMES_PER_CPU = 2  # one in play and one waiting: no CPU is idle, and memory does not grow with the collection
LOST_AT_MOST = 20  # losses of a game: nodes fail by chance, but a game that always crashes would be retried for ever


def collect_on_ray(jobs: Sequence[Job], address: str) -> Iterator[int]:
    """
    Play games on a cluster and save them locally, as :func:`~sb3_breakout.gameplay.collect.collection.collect` does on one
    machine.

    :param jobs: the games
    :param address: address of the cluster, as for ``ray.init``: ``auto``, ``local``, ``HOST:PORT`` or ``ray://HOST:PORT``
    :return: the number of each game, as soon as it is saved
    :raises ClusterError: if there is no such cluster, or a game fails or is lost repeatedly; all games before it are complete
    :raises OSError: if a game cannot be written or an agent cannot be read; all games before it are complete
    """
    connect(address)
    try:
        play_there = ray.remote(max_retries=LOST_AT_MOST)(_play)
        agents = {job.agent for job in jobs}
        # Each checkpoint is sent once
        checkpoints = {agent: agent.trained and ray.put(agent.trained.path.read_bytes()) for agent in agents}
        waiting = iter(jobs)
        running: dict[ray.ObjectRef, Job] = {}
        while True:
            room = GAMES_PER_CPU * max(int(ray.cluster_resources().get("CPU", 0)), 1)  # nodes may join or leave
            for job in islice(waiting, max(room - len(running), 0)):
                running[play_there.remote(job, checkpoints[job.agent])] = job
            if not running:
                return
            (done,), _ = ray.wait(list(running))
            job = running.pop(done)
            files = _fetch(done, job)
            EpisodeWriter(job.folder).keep(files)
            yield job.number
    finally:
        ray.shutdown()


def _fetch(reference: "ray.ObjectRef", job: Job) -> dict[str, bytes]:
    """:return: content of each file of the episode, by name"""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:  # the game failed on the node, and would fail again, or it was lost too often
        raise ClusterError(
            f"Game {job.number} cannot be played on this cluster: {first_line(error)} {SAME_EVERYWHERE}"
        ) from error


def _play(job: Job, checkpoint: bytes | None) -> dict[str, bytes]:
    """
    Play a game on a node.

    :param job: the game; its paths are those of the collector's machine
    :param checkpoint: content of the agent's file, if any
    :return: content of each file of the episode, by name
    :raises RuntimeError: if the game fails, naming the node
    """
    try:
        agent = job.agent if checkpoint is None else _load_here(job.agent, checkpoint, job.conditions.sticky)
        with TemporaryDirectory() as aside:
            folder = Path(aside) / job.folder.name
            play(replace(job, agent=agent, folder=folder))
            return {path.name: path.read_bytes() for path in folder.iterdir()}
    except Exception as error:
        raise RuntimeError(f"{error} (node {socket.gethostname()})") from error


@cache
def _load_here(agent: Agent, checkpoint: bytes, sticky: float) -> Agent:
    """:return: the agent, already loaded for ``play`` (cached); its temporary file, named as at the collector, is deleted"""
    assert agent.trained is not None
    with TemporaryDirectory() as aside:
        path = Path(aside) / agent.trained.path.name
        path.write_bytes(checkpoint)
        here = replace(agent, trained=replace(agent.trained, path=path))
        load_agent(here, sticky)
    return here
