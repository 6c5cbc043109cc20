"""Loads agents to evaluate or to record, with their games."""

from pathlib import Path
from typing import Any

from sb3_breakout.agents import LOGS, RANDOM, Game, find_agent
from sb3_breakout.envs import RandomAgent
from sb3_breakout.evaluation.games import evaluation_env
from sb3_breakout.protocol import ENV_ID


def load_player(
    name: str, algo: str | None = None, env_id: str | None = None, device: str = "auto", logs: Path = LOGS
) -> tuple[Any, Game]:
    """
    Load an agent and its game.

    :param name: ``random``, or a name for :func:`~sb3_breakout.agents.find_agent`
    :param algo: the algorithm; None to read it from the file
    :param env_id: the game; None to read it from the settings beside the file, or Breakout without settings
    :param device: a PyTorch device, or ``"auto"``
    :param logs: RL Zoo's folder of logs
    :return: the agent, with SB3's ``predict``, and its game: ``evaluate(agent, **vars(game))``
    :raises FileNotFoundError: if there is no such agent
    :raises ValueError: if the file is damaged or not an agent of that algorithm, or there is no such game or device
    """
    if name != RANDOM:
        agent = find_agent(name, algo, env_id, logs)
        return agent.load(device), agent.game
    game = Game(env_id or ENV_ID)
    env = evaluation_env(n_envs=1, **vars(game))
    env.close()
    return RandomAgent(env), game
