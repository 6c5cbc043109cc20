"""Vectorised environment on a Ray cluster. Games of a lost node are truncated, and new ones start on another node."""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain, pairwise
from typing import Any, NamedTuple
from unittest import mock

import gymnasium as gym
import numpy as np
from stable_baselines3.common import monitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn

from sb3_breakout import __version__
from sb3_breakout.common.arguments import check_at_least
from sb3_breakout.common.cluster import SAME_EVERYWHERE, ClusterError, connect, first_line, ray
from sb3_breakout.envs.ale_vec_env import AleVecEnv

PACKAGES = ("ale-py", "gymnasium", "numpy", "stable-baselines3")  # those that affect frames, rewards and infos
SECONDS_TO_START = 300.0  # for an actor to start; after a loss, a node may have to join first
SECONDS_TO_ANSWER = 60.0  # a step takes milliseconds: an actor that needs this long is lost
LOST_AT_MOST = 3  # losses without a step in between: nodes fail by chance, a game that crashes its process fails every time


class RayVecEnv(VecEnv):
    """
    :class:`AleVecEnv` whose games play on a Ray cluster, several in each actor.

    Paper: https://arxiv.org/abs/1803.00933 (Ape-X: many actors, one learner)

    Frames, rewards, lives, infos, statistics and monitor files are those of ``AleVecEnv`` with the same seeds. Per step, one
    message goes to each actor, with actions, and one back, with the newest frames of its games. ``VecFrameStack`` stacks them
    in this process.

    An actor that is lost with its node, or does not answer, is restarted where CPUs are free, possibly on a node that joins
    later. The episodes of its games are truncated: the last action, whose result was lost, gets a reward of 0, and its next
    observation is the last one that the agent saw. Attributes set with ``set_attr`` are lost as well.

    Each actor takes one CPU of the cluster. Every node needs the same Python and packages.

    :param env_fns: functions that each build one game, as :class:`AleVecEnv` takes them
    :param address: address of the cluster, as for ``ray.init``: ``auto`` (``$RAY_ADDRESS``, or the cluster this machine is
        part of), ``local``, ``HOST:PORT`` or ``ray://HOST:PORT``; not used if the process is already connected to a cluster
    :param games_per_actor: largest number of games that an actor plays; with 8, a reply stays below the 100 kB up to which Ray
        sends it directly; a larger one takes three times the learner's processor time
    :raises ClusterError: if there is no such cluster, it has too few CPUs, or a node has other packages than this machine
    :raises ValueError: if ``games_per_actor`` is below 1, or ``AleVecEnv`` does not support an environment
    """

    def __init__(self, env_fns: list[Callable[[], gym.Env]], address: str = "auto", games_per_actor: int = 8) -> None:
        games_per_actor = check_at_least("games_per_actor", games_per_actor, 1)
        here = AleVecEnv(env_fns)  # refuses environments that the actors could not play, and opens the monitor files
        self._logs = [_Log.take_from(game.env) for game in here.games]
        here.close()
        if not ray.is_initialized():
            connect(address)
        n_envs, n_actors = len(env_fns), -(-len(env_fns) // games_per_actor)
        _check_size(n_envs, n_actors)
        bounds = pairwise(n_envs * actor // n_actors for actor in range(n_actors + 1))
        self._shares = [_Share(slice(*bound), env_fns[slice(*bound)]) for bound in bounds]
        self._rng = np.random.default_rng()
        self._start(self._shares)
        super().__init__(n_envs, here.observation_space, here.action_space)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """
        Set the seeds of the next reset, and of the games that replace lost ones.

        :param seed: seed of the first game, one higher for each further game; None for a random one
        :return: (n_envs,) the seeds
        """
        seeds = super().seed(seed)
        self._rng = np.random.default_rng(seeds[0])
        return seeds

    def reset(self) -> np.ndarray:
        """
        Start new games in all actors.

        :return: (n_envs, height, width, channels) uint8
        """
        for share in self._shares:
            share.first = None
            share.pending = share.actor.reset.remote(self._seeds[share.games], self._options[share.games])
        self._start(self._wait(self._shares, SECONDS_TO_ANSWER))
        frames, reset_infos = zip(*(share.first or share.answer for share in self._shares), strict=True)
        for share in self._shares:
            share.first = None
        self._reset_seeds()
        self._reset_options()
        self._frames = np.concatenate(frames)
        self.reset_infos = list(chain(*reset_infos))
        return self._frames

    def step_async(self, actions: np.ndarray) -> None:
        """
        Start a step of all games.

        :param actions: (n_envs,) integers
        """
        for share in self._shares:
            if share.first is None:
                share.pending = share.actor.step.remote(actions[share.games])

    def step_wait(self) -> VecEnvStepReturn:
        """
        Wait for the end of the step.

        :return: observations (n_envs, height, width, channels) uint8, rewards (n_envs,) float32, dones (n_envs,) bool, infos
        :raises ClusterError: if an actor was lost and cannot be started again
        :raises ValueError: if one of the actions is not an action of the game
        """
        self._start(self._wait([share for share in self._shares if share.first is None], SECONDS_TO_ANSWER))
        results = [self._result(share) for share in self._shares]
        frames, rewards, dones, infos, reset_infos = zip(*results, strict=True)
        self._frames = np.concatenate(frames)
        self.reset_infos = list(chain(*reset_infos))
        all_infos = list(chain(*infos))
        for log, info in zip(self._logs, all_infos, strict=True):
            if "episode" in info:
                log.keep(info["episode"])
        return self._frames, np.concatenate(rewards), np.concatenate(dones), all_infos

    def close(self) -> None:
        """Stop the actors and close the monitor files; the connection to the cluster stays open, since others may use it."""
        for share in self._shares:
            ray.kill(share.actor)
        for log in self._logs:
            log.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [value for (value,) in self._ask(indices, "get_attr", attr_name)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        self._ask(indices, "set_attr", attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        return [value for (value,) in self._ask(indices, "env_method", method_name, *method_args, **method_kwargs)]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        return [value for (value,) in self._ask(indices, "env_is_wrapped", wrapper_class)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """:raises NotImplementedError: always, as in ``AleVecEnv``"""
        raise NotImplementedError("RayVecEnv is for training and cannot be rendered: use DummyVecEnv to watch or record.")

    def _ask(self, indices: VecEnvIndices, method: str, /, *args: Any, **kwargs: Any) -> list[Any]:
        """:return: the result of a method of ``AleVecEnv`` for each game; a lost actor is replaced and asked again"""
        answers = []
        for index in self._get_indices(indices):
            game = range(self.num_envs)[index]
            (share,) = (share for share in self._shares if game in range(share.games.start, share.games.stop))
            lost = [share]
            while lost:
                share.pending = share.actor.ask.remote(method, *args, indices=game - share.games.start, **kwargs)
                lost = self._wait([share], SECONDS_TO_ANSWER)
                self._start(lost)
            answers.append(share.answer)
        return answers

    def _result(self, share: "_Share") -> tuple[Any, ...]:
        """:return: the results of a step of these games: frames, rewards, dones, infos and the infos of the last resets"""
        if share.first is None:
            share.losses = 0
            return share.answer
        (frames, reset_infos), share.first = share.first, None
        infos = [{"TimeLimit.truncated": True, "terminal_observation": seen} for seen in self._frames[share.games]]
        return frames, np.zeros(len(frames), np.float32), np.ones(len(frames), bool), infos, reset_infos

    def _start(self, shares: list["_Share"]) -> None:
        """
        Start actors on free CPUs, and new games in them.

        :param shares: shares without an actor, or whose actor is lost
        :raises ClusterError: if no CPUs become free in time, a node cannot play, or an actor is lost repeatedly
        """
        while shares:
            for share in shares:
                if share.losses > LOST_AT_MOST:
                    raise ClusterError(f"An actor was lost {share.losses} times in a row: {first_line(share.reason)}")
                share.start(self._rng.integers(2**31, size=len(share.env_fns)).tolist())
            try:
                lost = self._wait(shares, SECONDS_TO_START)
            except Exception as error:  # the same games were built on this machine, so the node is at fault
                raise ClusterError(f"A node cannot play: {first_line(error)} {SAME_EVERYWHERE}") from error
            for share in shares:
                if share not in lost:
                    share.first = share.answer
                elif isinstance(share.reason, ray.exceptions.GetTimeoutError):
                    raise ClusterError(f"No actor could be started within {SECONDS_TO_START:g} seconds: {_room()}.")
            shares = lost

    @staticmethod
    def _wait(shares: list["_Share"], seconds: float) -> list["_Share"]:
        """
        Wait for the replies of actors.

        :param shares: shares whose actors were called
        :param seconds: time limit for all of them together
        :return: the shares whose actor is lost; the others have their answer
        :raises Exception: the exception of a game
        """
        deadline = time.monotonic() + seconds
        lost = []
        for share in shares:
            try:
                share.answer = ray.get(share.pending, timeout=max(deadline - time.monotonic(), 0.0))
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.RayError as error:  # the actor or its node died, or did not answer
                share.reason = error
                share.losses += 1
                lost.append(share)
        return lost


@dataclass(eq=False)
class _Share:
    """
    A share of the games, and the actor that plays them.

    :param games: indices of the games
    :param env_fns: functions that each build one of these games
    """

    games: slice
    env_fns: list[Callable[[], gym.Env]]
    actor: Any = None
    pending: Any = None  # reference to the actor's next answer
    answer: Any = None
    first: Any = None  # (frames, infos) of new games, until reset() or the step that truncates the old games returns them
    losses: int = 0  # since the last step
    reason: Any = None  # exception of the last loss

    def start(self, seeds: list[int]) -> None:
        """
        Start an actor, and new games in it.

        :param seeds: seeds of the games
        """
        if self.actor is not None:
            ray.kill(self.actor)  # it may still be running without answering
        self.actor = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(GamesOnNode).remote()
        self.pending = self.actor.start.remote(self.env_fns, _versions(), seeds)


class _Log(NamedTuple):
    """The file that ``Monitor``'s records of a game are written to."""

    writer: monitor.ResultsWriter | None
    t_start: float  # seconds, as in the header of the file

    @classmethod
    def take_from(cls, game: gym.Env) -> "_Log":
        """:return: the log of a game, taken over from its ``Monitor``, which then no longer closes it"""
        assert isinstance(game, monitor.Monitor)
        log = cls(game.results_writer, game.t_start)
        game.results_writer = None
        return log

    def keep(self, record: dict[str, Any]) -> None:
        """
        Write a record with the time since the log was created; the actor's own clock may have started later.

        :param record: record of ``Monitor``
        """
        record["t"] = round(time.time() - self.t_start, 6)
        if self.writer is not None:
            self.writer.write_row(record)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class GamesOnNode:
    """An actor: a share of the games, on a node."""

    def start(self, env_fns: list[Callable[[], gym.Env]], versions: dict[str, str], seeds: list[int]) -> tuple[Any, ...]:
        """
        Build the games and start them.

        :param env_fns: functions that each build one
        :param versions: versions of the learner's packages
        :param seeds: seeds of the games
        :return: first frames (games, height, width, channels) uint8, and infos
        :raises RuntimeError: if other versions are installed on this node
        """
        here = _versions()
        if here != versions:
            other = ", ".join(
                f"{name} {here[name]} (learner: {versions[name]})" for name in here if here[name] != versions[name]
            )
            raise RuntimeError(f"Node {socket.gethostname()} has {other}.")
        with _without_files():
            self._env = AleVecEnv(env_fns)
        return self.reset(seeds, [{}] * len(seeds))

    def reset(self, seeds: Sequence[int | None], options: list[dict[str, Any]]) -> tuple[Any, ...]:
        """
        Start new games.

        :return: first frames (games, height, width, channels) uint8, and infos
        """
        self._env._seeds, self._env._options = list(seeds), options
        return self._env.reset(), self._env.reset_infos

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        """:return: frames, rewards, dones and infos of ``AleVecEnv``, and the infos of the last resets"""
        return *self._env.step(actions), self._env.reset_infos

    def ask(self, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """:return: the result of a method of ``AleVecEnv``"""
        return getattr(self._env, method)(*args, **kwargs)


@contextmanager
def _without_files() -> Iterator[None]:
    """Keep ``Monitor`` from writing files: the learner does, and the node may not even have the folder."""
    with mock.patch.object(monitor, "ResultsWriter", return_value=None), mock.patch.object(os, "makedirs"):
        yield


def _versions() -> dict[str, str]:
    return {"sb3-breakout": __version__} | {name: version(name) for name in PACKAGES}


def _room() -> str:
    """:return: text with the numbers of CPUs in the cluster"""
    total, free = (resources().get("CPU", 0) for resources in (ray.cluster_resources, ray.available_resources))
    return f"the cluster has {total:g} CPUs, {free:g} of them free"


def _check_size(n_envs: int, n_actors: int) -> None:
    """
    :param n_envs: number of games
    :param n_actors: number of actors
    :raises ClusterError: if the cluster cannot hold them
    """
    if ray.cluster_resources().get("CPU", 0) < n_actors:
        raise ClusterError(
            f"{n_envs} games in {n_actors} actors need {n_actors} CPUs, {_room()}: add nodes, lower n_envs, or raise "
            "games_per_actor."
        )
