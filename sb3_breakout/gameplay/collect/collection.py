"""Collects a dataset of whole games, sequentially or in parallel. Existing games are skipped."""

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from sb3_breakout.agents import Game
from sb3_breakout.common.torch_utils import number_of_threads
from sb3_breakout.common.workers import worker_processes
from sb3_breakout.envs.games import make_games
from sb3_breakout.evaluation import check_fits
from sb3_breakout.gameplay.collect.agents import Agent, agents_in_turn, describe, file_sha256
from sb3_breakout.gameplay.collect.play import play_game, recorder_of
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.layout import GameplayFolder, episode_name
from sb3_breakout.gameplay.dataset.provenance import stickiness
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter


@dataclass(frozen=True)
class Conditions:
    """
    How the games of a collection are played.

    :param sticky: probability, per emulator frame, that the last action is repeated
    :param native: whether the emulator's screen is saved as well
    :param with_q_values: whether the Q-values of trained agents are saved
    :param seed: seed of the collection; the seed of each game is derived from it and the game's number
    """

    sticky: float = 0.0
    native: bool = False
    with_q_values: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Job:
    """One game to be played."""

    number: int
    agent: Agent
    folder: Path
    conditions: Conditions

    @property
    def seed(self) -> int:
        """Seed of the game."""
        return int(np.random.SeedSequence([self.conditions.seed, self.number]).generate_state(1)[0] // 2)

    @property
    def with_q_values(self) -> bool:
        """Whether Q-values are saved: they are requested and the agent has them."""
        return self.conditions.with_q_values and self.agent.trained is not None


def missing_games(folder: GameplayFolder, agents: Sequence[Agent], episodes: int, conditions: Conditions) -> list[Job]:
    """
    :param folder: the dataset
    :param agents: the agents that play
    :param episodes: number of episodes in the finished dataset
    :param conditions: how games are played
    :return: the games that are still missing. Agent and seed of each game depend on these arguments only
    :raises ValueError: if the dataset has more episodes, or an existing one was played by another agent or under other
        conditions
    :raises DamagedDataset: if an existing episode is damaged, naming file and fault
    """
    there = set(folder.numbers())
    if max(there, default=0) > episodes:
        raise ValueError(
            f"{folder.root} holds {episode_name(max(there))}, received --episodes {episodes}: ask for {max(there)} or more, "
            "or choose another folder. Nothing was changed."
        )
    turns = enumerate(islice(agents_in_turn(agents), episodes), start=1)
    jobs = [Job(number, agent, folder.episode(number), conditions) for number, agent in turns]
    for job in jobs:
        if job.number in there:
            _check_played_alike(job, Episode.open(job.folder))
    return [job for job in jobs if job.number not in there]


def collect(jobs: Sequence[Job], workers: int = 1) -> Iterator[int]:
    """
    Play games and save them.

    :param jobs: the games
    :param workers: number of processes; the dataset does not depend on it
    :return: the number of each game, as soon as it is saved
    :raises OSError: if a game cannot be written; all games before it are complete
    """
    if workers == 1:
        yield from map(play, jobs)
        return
    with worker_processes(workers) as pool:
        for done in as_completed([pool.submit(play, job) for job in jobs]):
            yield done.result()


def play(job: Job) -> int:
    """
    Play one game. Deterministic: the same job gives the same game.

    :return: number of the game
    """
    with number_of_threads(1):  # floating-point sums depend on the number of threads
        model, env, about = load_agent(job.agent, job.conditions.sticky)
        set_random_seed(job.seed)
        model.action_space.seed(job.seed)
        play_game(model, env, EpisodeWriter(job.folder, job.conditions.native), about, job.seed, job.with_q_values)
    return job.number


def collection_env(game: Game, sticky: float = 0.0) -> VecEnv:
    """
    Create an environment with one game under the protocol of the Zoo's evaluation: start no-ops, FIRE at the start of each
    life, the agent's observations.

    :param game: the game and its preprocessing
    :param sticky: probability, per emulator frame, that the last action is repeated
    """
    wrapper_kwargs = {**game.wrapper_kwargs, "action_repeat_probability": sticky}
    env_kwargs = {**game.env_kwargs, "repeat_action_probability": 0.0}  # its executed actions cannot be read
    return make_games(game.env_id, 1, game.n_stack, wrapper_kwargs, env_kwargs)


@cache
def load_agent(agent: Agent, sticky: float) -> tuple[Any, VecEnv, dict[str, Any]]:
    """
    Load an agent once per process.

    :param agent: the agent
    :param sticky: probability, per emulator frame, that the last action is repeated
    :return: the agent, an environment that fits it, and the agent's metadata in the dataset
    :raises ValueError: if the agent's observation or action space differs from the game's
    """
    env = collection_env(agent.game, sticky)
    model = agent.load(env)
    try:
        check_fits(model, env, agent.game.env_id)
    except ValueError as error:
        env.close()
        raise ValueError(f"{agent.name}: {error}") from None
    return model, env, describe(agent, model)


def _check_played_alike(job: Job, episode: Episode) -> None:
    """
    :raises ValueError: if an existing episode differs from the one that would be played now
    """
    facts, conditions = episode.facts, job.conditions
    was = {
        "game": facts["game"]["env_id"],
        "--sticky": stickiness(facts["game"]),
        "--agents": facts["agent"]["name"],
        "the agent's file (SHA-256)": facts["agent"].get("checkpoint_sha256"),
        "--resolution": "native" if facts["native"] else "agent",
        "--q-values": "q_values" in facts,
    }
    wanted = (
        job.agent.game.env_id,
        conditions.sticky,
        job.agent.name,
        None if job.agent.trained is None else file_sha256(job.agent.trained.path),
        "native" if conditions.native else "agent",
        job.with_q_values,
    )
    for (name, before), now in zip(was.items(), wanted, strict=True):
        _check_same(episode, name, before, now)
    if facts.get("seed") != job.seed:  # game seeds are derived from the collection's seed
        raise ValueError(_differs(episode, "another --seed", conditions.seed))
    _, env, _ = load_agent(job.agent, conditions.sticky)
    for name, now in recorder_of(env).facts.items():
        _check_same(episode, name, facts["game"].get(name), now)


def _check_same(episode: Episode, name: str, before: Any, now: Any) -> None:
    if before != now:
        raise ValueError(_differs(episode, f"{name} {before}", now))


def _differs(episode: Episode, before: str, now: Any) -> str:
    return (
        f"{episode.folder} was collected with {before}, received {now}: use the same settings, or another folder. Nothing was "
        "changed."
    )
