"""Who plays: ``random``, an agent that RL Zoo has trained, or a zip file, each with its share of the games."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from sb3_breakout.envs import RandomAgent
from sb3_breakout.evaluation import ENV_ID
from sb3_breakout.registry import ALGORITHMS, load

RANDOM = "random"


@dataclass(frozen=True)
class Agent:
    """
    An agent before it is loaded.

    :param name: what it is called in the dataset
    :param share: of the games, in (0, 1]
    :param path: its zip file; None for the random agent
    :param algo: its algorithm's name in RL Zoo
    """

    name: str
    share: float
    path: Path | None = None
    algo: str = "ddqn_per"

    def load(self, env: VecEnv) -> Any:
        """
        :param env: what it will play in
        :return: the agent, with SB3's ``predict``
        """
        if self.path is None:
            return RandomAgent(env)
        return load(ALGORITHMS[self.algo].algorithm_class).load(self.path)


def parse_agents(texts: Sequence[str], logs: Path) -> list[Agent]:
    """
    Read what was typed: ``NAME`` or ``NAME:SHARE``, the name being ``random``, ``ALGO:best``, ``ALGO:final``, ``ALGO:STEPS``
    (a checkpoint) or the path of a zip file. Agents without a share divide what is left equally.

    :param texts: for instance ``["random:0.3", "ddqn_per:best"]``
    :param logs: the Zoo's folder of logs; of each algorithm the latest run on Breakout is meant
    :raises ValueError: if the shares are not 1 in total
    :raises FileNotFoundError: if there is no such agent
    """
    parsed = [_split_share(text) for text in texts]
    names = [name for name, _ in parsed]
    if len(set(names)) < len(names):
        raise ValueError(f"Each agent can be named once, received {' '.join(texts)}.")
    open_shares = sum(share is None for _, share in parsed)
    rest = 1.0 - sum(share for _, share in parsed if share is not None)
    if rest < -1e-9 or (rest > 1e-9 and not open_shares) or (rest < 1e-9 and open_shares):
        raise ValueError(f"Shares must be 1 in total, received {' '.join(texts)}.")
    return [_agent(name, rest / open_shares if share is None else share, logs) for name, share in parsed]


def agents_in_turn(agents: Sequence[Agent]) -> Iterator[Agent]:
    """:return: without end, who plays the next game, so that each agent has its share after any number of games (up to one)"""
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
    """:return: hash of a file's content, which does not change while games are collected"""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def describe(agent: Agent, model: Any) -> dict[str, Any]:
    """
    :param agent: the agent
    :param model: the same, loaded
    :return: what a dataset keeps of it
    """
    if agent.path is None:
        return {"name": agent.name}
    return {
        "name": agent.name,
        "checkpoint": agent.path.name,
        "checkpoint_sha256": file_sha256(agent.path),
        **describe_model(model),
    }


def describe_model(model: BaseAlgorithm) -> dict[str, Any]:
    """
    :return: what is to be known of a model as it is now: steps it was trained for, a hash of its weights, and how it explores
        (``evaluation_epsilon`` in games for a dataset; ``temperature`` or ``epsilon`` in its training)
    """
    weights = hashlib.sha256()
    for name, weight in model.policy.named_parameters():
        weights.update(name.encode())
        weights.update(weight.detach().cpu().numpy().tobytes())
    exploration = {name: getattr(model, name, None) for name in ("evaluation_epsilon", "temperature", "epsilon")}
    return {
        "algorithm": type(model).__name__,
        "trained_steps": model.num_timesteps,
        "weights_sha256": weights.hexdigest(),
        **exploration,
    }


def _split_share(text: str) -> tuple[str, float | None]:
    name, _, last = text.rpartition(":")
    if name and re.fullmatch(r"[0-9]*\.?[0-9]+", last) and 0 < float(last) <= 1:
        return name, float(last)
    return text, None


def _agent(name: str, share: float, logs: Path) -> Agent:
    if name == RANDOM:
        return Agent(name, share)
    if name.endswith(".zip"):
        path = Path(name)
        if not path.is_file():
            raise FileNotFoundError(f"There is no agent {path}.")
        return Agent(path.stem, share, path)
    algo, _, which = name.partition(":")
    if algo not in ALGORITHMS or not re.fullmatch(r"best|final|[0-9]+", which):
        known = ", ".join(f"{algo}:best, {algo}:final, {algo}:STEPS" for algo in ALGORITHMS)
        raise ValueError(f"An agent is {RANDOM}, {known} or the path of a zip file, received {name!r}.")
    file = {"best": "best_model.zip", "final": f"{ENV_ID}.zip"}.get(which, f"rl_model_{which}_steps.zip")
    runs = sorted((logs / algo).glob(f"{ENV_ID}_*/{file}"), key=_run_number)
    if not runs:
        raise FileNotFoundError(f"There is no {name}: no {logs / algo / ENV_ID}_*/{file}. --folder names the logs of RL Zoo.")
    return Agent(name, share, runs[-1], algo)


def _run_number(path: Path) -> int:
    return int(path.parent.name.rpartition("_")[2])
