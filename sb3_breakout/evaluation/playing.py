"""Plays the games of an evaluation, all games of a seed in parallel."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from sb3_breakout.agents import frames_in
from sb3_breakout.common.arguments import check_at_least
from sb3_breakout.common.progress import progress_bar as bar
from sb3_breakout.common.random_state import random_state_kept
from sb3_breakout.common.workers import worker_processes
from sb3_breakout.evaluation.balls import Ball, balls_at_paddle, miss_rates
from sb3_breakout.evaluation.game_watch import GameWatch
from sb3_breakout.evaluation.games import env_for
from sb3_breakout.evaluation.scores import INTERVAL, Scores
from sb3_breakout.protocol import ENV_ID, FRAME_SKIP, MAX_STEPS, NOOP_MAX, SEEDS, STICKINESS

# SB3 gives game k of a vector environment the seed s + k: neighbouring seeds would have all games but one in common
GAMES_OF_A_SEED = 10_000


class Played(NamedTuple):
    """
    The result of a game.

    :param score: raw score
    :param length: number of agent steps
    :param opening: hash of the pictures of its first steps
    :param moves: hash of all actions and rewards
    :param balls: for Breakout, the balls that came down to the paddle
    """

    score: float
    length: int
    opening: str
    moves: str
    balls: list[Ball]


@dataclass(frozen=True)
class Job:
    """The games of one seed, to be played in parallel."""

    seed: int
    games: int
    deterministic: bool
    env_arguments: dict[str, Any]


class SavedModel(NamedTuple):
    """A model in a form that can be sent to another process: its environment and its functions cannot be pickled."""

    algorithm_class: type[BaseAlgorithm]
    file: bytes
    device: th.device

    @classmethod
    def of(cls, model: BaseAlgorithm) -> "SavedModel":
        """:param model: the model to save, in its current state"""
        file = BytesIO()
        model.save(file)
        return cls(type(model), file.getvalue(), model.device)

    def load(self) -> BaseAlgorithm:
        """:return: the model, without environment"""
        return self.algorithm_class.load(BytesIO(self.file), device=self.device)


def evaluate(
    model: Any,
    episodes: int = 100,
    deterministic: bool = False,
    seeds: Sequence[int] = SEEDS,
    workers: int = 1,
    progress_bar: bool = False,
    **env_arguments: Any,
) -> Scores:
    """
    Play whole games, all games of a seed in parallel. Each environment plays one game, so that short games do not count more
    often than long ones. The states of the random number generators are restored.

    :param model: anything with SB3's ``predict``; a DDQN is greedy up to its ``evaluation_epsilon`` here
    :param episodes: number of games, over all seeds
    :param deterministic: whether to play without that epsilon
    :param seeds: seeds of the games and of the agent's random actions; each gets an equal share of the games
    :param workers: number of processes that the seeds and PyTorch's threads are divided among; more than one need ``if
        __name__ == "__main__":`` in a script
    :param progress_bar: show the number of finished games on stderr
    :param env_arguments: arguments of :func:`evaluation_env`, without ``n_envs`` and ``seed``
    :return: the scores
    :raises ValueError: if there are fewer games than seeds, a seed is invalid, or the agent does not fit the games
    """
    workers = check_at_least("workers", workers, 1)
    shares = _shares(episodes, seeds)
    arguments: dict[str, Any] = {"protocol": "v4", "env_id": ENV_ID, "noop_max": NOOP_MAX, "max_steps": MAX_STEPS}
    arguments |= env_arguments
    jobs = [Job(seed, share, deterministic, arguments) for seed, share in zip(seeds, shares, strict=True)]
    with bar(f"Playing ({arguments['protocol']})", episodes, progress_bar) as over:
        games = [game for games_of_a_seed in _play_all(model, jobs, workers, over) for game in games_of_a_seed]
    balls = [ball for game in games for ball in game.balls]
    protocol = {
        "n_stack": frames_in(model.observation_space.shape, arguments.get("wrapper_kwargs")),
        **arguments,
        "frame_skip": _frame_skip(arguments),
        "sticky_actions": STICKINESS[arguments["protocol"]],
        "epsilon": 0.0 if deterministic else getattr(model, "evaluation_epsilon", None),
        "seeds": list(seeds),
        "games_per_seed": shares,
        "interval": INTERVAL,
    }
    return Scores(
        scores=[game.score for game in games],
        lengths=[game.length for game in games],
        protocol=protocol,
        distinct_openings=len({game.opening for game in games}),
        distinct_games=len({game.moves for game in games}),
        balls=miss_rates(balls) if balls else None,
    )


def _play_all(model: Any, jobs: Sequence[Job], workers: int, over: Callable[[int], None]) -> Iterator[list[Played]]:
    """
    :param over: called with the number of games that have ended since the last call
    :return: the games of each job, in the order of the jobs
    """
    if workers == 1:
        yield from (_play(model, job, over) for job in jobs)
        return
    env_for(model, n_envs=1, **jobs[0].env_arguments).close()  # refuses an unsuitable agent before any process starts
    sent = SavedModel.of(model) if isinstance(model, BaseAlgorithm) else model
    processes = min(workers, len(jobs))
    threads = max(th.get_num_threads() // processes, 1)
    with worker_processes(processes) as pool:
        playing = {pool.submit(_play_in_process, sent, job, threads): job for job in jobs}
        for games, job in playing.items():
            yield games.result()
            over(job.games)


def _play_in_process(sent: Any, job: Job, threads: int) -> list[Played]:
    """:return: see :func:`_play`"""
    th.set_num_threads(threads)
    return _play(sent.load() if isinstance(sent, SavedModel) else sent, job, lambda _: None)


def _play(model: Any, job: Job, over: Callable[[int], None]) -> list[Played]:
    """
    :param model: the agent that plays
    :param job: the games to play
    :param over: see :func:`_play_all`
    :return: the games, independent of what was played before
    """
    env = env_for(model, n_envs=job.games, seed=GAMES_OF_A_SEED * job.seed, **job.env_arguments)
    try:
        games = env.env_method("insert", GameWatch)
        with _seeded(model, job.seed):
            _play_to_the_end(model, env, games, job.deterministic, over)
        return [_seen(game, _frame_skip(job.env_arguments)) for game in games]
    finally:
        env.close()


@contextmanager
def _seeded(model: Any, seed: int) -> Iterator[None]:
    """
    Seed the agent's random actions inside the block, and restore the states of all generators afterwards.

    :param model: the agent that plays
    :param seed: seed of the generators of Python, NumPy and PyTorch, and of the agent's action space (used by ``RandomAgent``)
    """
    own = model.action_space.np_random.bit_generator.state
    with random_state_kept():
        set_random_seed(seed)
        model.action_space.seed(seed)
        try:
            yield
        finally:
            model.action_space.np_random.bit_generator.state = own


def _play_to_the_end(
    model: Any, env: VecEnv, games: Sequence[GameWatch], deterministic: bool, over: Callable[[int], None]
) -> None:
    """
    :param model: the agent that plays
    :param env: the environment to play in
    :param games: the games of ``env``
    :param deterministic: passed to ``predict``
    :param over: see :func:`_play_all`
    """
    observations: Any = env.reset()
    actions = np.zeros(env.num_envs, dtype=int)
    left = len(games)
    while playing := [number for number, game in enumerate(games) if not game.over]:
        actions[playing], _ = model.predict(observations[playing], deterministic=deterministic)
        observations, *_ = env.step(actions)
        over(left - len(playing))
        left = len(playing)
    over(left)


def _seen(game: GameWatch, frame_skip: int) -> Played:
    """
    :param game: a finished game
    :param frame_skip: emulator frames per agent step
    """
    balls = balls_at_paddle(game.heights, game.lives, frame_skip)
    return Played(game.score, game.length, game.opening, game.moves, balls)


def _frame_skip(env_arguments: dict[str, Any]) -> int:
    """:return: emulator frames per agent step"""
    return int(dict(env_arguments.get("wrapper_kwargs") or {}).get("frame_skip", FRAME_SKIP))


def _shares(episodes: int, seeds: Sequence[int]) -> list[int]:
    """
    :param episodes: number of games
    :param seeds: seeds to divide the games among
    :return: number of games of each seed, the largest first
    :raises ValueError: if a seed has no game, is invalid or is given twice
    """
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**32 for seed in seeds):
        raise ValueError(f"seeds must be different whole numbers from 0 to 2**32 - 1, received {list(seeds)}.")
    episodes = check_at_least("episodes", episodes, 1)
    if episodes < len(seeds):
        raise ValueError(
            f"episodes must be at least {len(seeds)}, a game for each of the seeds {' '.join(map(str, seeds))}, received "
            f"{episodes}: play more games, or give fewer seeds."
        )
    return [len(share) for share in np.array_split(np.arange(episodes), len(seeds))]
