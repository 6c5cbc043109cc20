"""Lets ``rl_zoo3 enjoy`` and ``record_video`` find the agents that come with the package, from any folder and offline."""

import inspect
import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from sb3_breakout.agents import SHIPPED, shipped_agents
from sb3_breakout.common.files import atomic_folder
from sb3_breakout.registry import ALGORITHMS

DEFAULT_FOLDER = "rl-trained-agents"


def with_shipped_agents(get_model_path: Callable[..., Any]) -> Callable[..., Any]:
    """
    Extend RL Zoo's ``get_model_path``. If RL Zoo's default folder has no run of an algorithm on a game and the package ships
    one, it is copied there, as RL Zoo does with downloads, since videos are written beside the agent. For other missing
    agents, RL Zoo would try a download from the organization ``sb3``, which has none of our algorithms: an error is raised
    instead.

    :param get_model_path: RL Zoo's function
    :return: the function, which now copies first
    :raises AttributeError: if the function does not have the expected arguments
    """
    signature = inspect.signature(get_model_path)
    if not {"folder", "algo", "env_name"} <= signature.parameters.keys():
        raise AttributeError("get_model_path() has no argument 'folder', 'algo' or 'env_name'")

    @wraps(get_model_path)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        runs = f"{given['algo']}/{given['env_name']}_*"
        if given["folder"] == DEFAULT_FOLDER and not any(Path(DEFAULT_FOLDER).glob(runs)):
            for run in SHIPPED.glob(runs):
                target = Path(DEFAULT_FOLDER, given["algo"], run.name)
                print(f"Copying the agent that comes with sb3_breakout to {target}")
                with atomic_folder(target) as aside:
                    shutil.copytree(run, aside, dirs_exist_ok=True)
        try:
            return get_model_path(*args, **kwargs)
        except (AssertionError, ValueError) as error:  # on which RL Zoo starts a download
            if given["folder"] != DEFAULT_FOLDER or given["algo"] not in ALGORITHMS:
                raise
            message = f"{error}. Shipped are {', '.join(shipped_agents())}; -f FOLDER looks in another folder."
            raise FileNotFoundError(message) from None

    return wrapper
