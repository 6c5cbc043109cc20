"""The agents of a collection: ``random``, an agent trained by RL Zoo, or a zip file, each with its share of the games."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from sb3_breakout.agents import RANDOM, Game, TrainedAgent, find_agent
from sb3_breakout.envs import RandomAgent
from sb3_breakout.protocol import ENV_ID
from sb3_breakout.registry import ALGORITHMS


@dataclass(frozen=True)
class Agent:
    """
    An agent before it is loaded.

    :param name: its name in the dataset
    :param share: share of the games, in (0, 1]
    :param game: the game it plays, with its preprocessing
    :param trained: files and settings of the trained agent; None for the random agent
    """

    name: str
    share: float
    game: Game
    trained: TrainedAgent | None = None

    def load(self, env: VecEnv) -> Any:
        """
        :param env: the environment it will play in
        :return: the loaded agent, with SB3's ``predict``
        """
        return RandomAgent(env) if self.trained is None else self.trained.load()


def parse_agents(texts: Sequence[str], logs: Path, algo: str | None = None, env_id: str | None = None) -> list[Agent]:
    """
    Parse command-line arguments of the form ``NAME`` or ``NAME:SHARE``, where the name is ``random`` or one that
    :func:`~sb3_breakout.agents.find_agent` takes. Agents without a share split the remainder equally.

    :param texts: the arguments, for instance ``["random:0.3", "ddqn_per:best"]``
    :param logs: the Zoo's folder of logs
    :param algo: algorithm of the trained agents; None to take it from their files
    :param env_id: the game; None for that of the trained agents, or Breakout if there are none
    :raises ValueError: if a share is not above 0 and at most 1, the shares do not sum to 1, or the agents differ in game or
        preprocessing
    :raises FileNotFoundError: if there is no such agent
    """
    parsed = [_split_share(text) for text in texts]
    typed = [name for name, _ in parsed]
    open_shares = sum(share is None for _, share in parsed)
    rest = 1.0 - sum(share for _, share in parsed if share is not None)
    if rest < -1e-9 or (rest > 1e-9 and not open_shares) or (rest < 1e-9 and open_shares):
        raise ValueError(f"Shares must be 1 in total, received {' '.join(texts)}.")
    shares = [rest / open_shares if share is None else share for _, share in parsed]
    trained = {name: find_agent(name, algo, env_id, logs) for name in typed if name != RANDOM}
    if len({None if name == RANDOM else trained[name].path.resolve() for name in typed}) < len(typed):
        raise ValueError(f"Each agent can be named once, received {' '.join(texts)}.")
    game, names = _common_game(trained, env_id), _short_names(typed)
    games = {name: agent.game for name, agent in trained.items()}
    return [
        Agent(names[name], share, games.get(name, game), trained.get(name)) for name, share in zip(typed, shares, strict=True)
    ]


def _short_names(typed: Sequence[str]) -> dict[str, str]:
    """
    :param typed: different agents, as given on the command line
    :return: their names in the dataset, all different: as given, except that a zip file has its own name and as many of its
        parent folders as are needed to distinguish it
    """
    paths = {name: Path(name).resolve().with_suffix("") for name in typed if name.endswith(".zip")}
    depth = 1
    while True:
        names = {name: "/".join(paths[name].parts[-depth:]) if name in paths else name for name in typed}
        if len(set(names.values())) == len(typed):
            return names
        depth += 1


def _common_game(trained: dict[str, TrainedAgent], env_id: str | None) -> Game:
    """
    :return: the game that all agents play, without frame stacking
    :raises ValueError: if they differ in game or preprocessing: all frames of a dataset have the same format
    """
    games = {name: replace(agent.game, n_stack=1) for name, agent in trained.items()}
    if len(set(games.values())) > 1:
        received = "; ".join(f"{name}: {_in_words(game)}" for name, game in games.items())
        raise ValueError(f"The agents of a dataset must see one game alike, received {received}.")
    return next(iter(games.values()), Game(env_id or ENV_ID, n_stack=1))


def _in_words(game: Game) -> str:
    """:return: a game and its settings as text, for example ``PongNoFrameskip-v4 frame_skip=2``"""
    return " ".join([game.env_id, *(f"{key}={value}" for key, value in {**game.wrapper_kwargs, **game.env_kwargs}.items())])


def agents_in_turn(agents: Sequence[Agent]) -> Iterator[Agent]:
    """
    :return: endless iterator over the agents of consecutive games; after any number of games, each agent has about its share
    """
    played = [0] * len(agents)
    games = 0
    while True:
        games += 1
        due = [agent.share * games - count for agent, count in zip(agents, played, strict=True)]
        index = due.index(max(due))
        played[index] += 1
        yield agents[index]


@cache
def file_sha256(path: Path) -> str:
    """:return: SHA-256 of a file's content (cached: the file does not change while games are collected)"""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def describe(agent: Agent, model: Any) -> dict[str, Any]:
    """
    :param agent: the agent
    :param model: what ``agent.load`` returned
    :return: metadata of the agent in the dataset
    """
    if agent.trained is None:
        return {"name": agent.name}
    return {
        "name": agent.name,
        "checkpoint": agent.trained.path.name,
        "checkpoint_sha256": file_sha256(agent.trained.path),
        **describe_model(model),
    }


def describe_model(model: BaseAlgorithm) -> dict[str, Any]:
    """
    :return: metadata of a model in its current state: number of training steps, a hash of the weights, and the probability of
        random actions outside of training
    """
    weights = hashlib.sha256()
    for name, weight in model.policy.named_parameters():
        weights.update(name.encode())
        weights.update(weight.detach().cpu().numpy().tobytes())
    epsilon = getattr(model, "evaluation_epsilon", None)
    return {
        "algorithm": type(model).__name__,
        "trained_steps": model.num_timesteps,
        "weights_sha256": weights.hexdigest(),
        "evaluation_epsilon": None if epsilon is None else float(epsilon),
    }


def _split_share(text: str) -> tuple[str, float | None]:
    name, _, last = text.rpartition(":")
    if not name or not re.fullmatch(r"[0-9]*\.?[0-9]+", last):
        return text, None
    if 0 < float(last) <= 1:
        return name, float(last)
    if name in ALGORITHMS:  # the last part names a checkpoint
        return text, None
    raise ValueError(f"A share is above 0 and at most 1 (0.3 is 30 %), received {text!r}.")
