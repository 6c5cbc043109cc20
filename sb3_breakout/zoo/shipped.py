"""``rl_zoo3 enjoy`` and ``record_video`` find the agents that come with the package, in any folder and without a network."""

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
    If RL Zoo's default folder has no run of an algorithm on a game and we ship one, ours is copied there, as RL Zoo copies
    its downloads: videos are written beside an agent. RL Zoo would download agents that are missing from the organization
    ``sb3``, which has none of our algorithms: that is an error.

    :param get_model_path: RL Zoo's
    :return: the same, which copies first
    :raises AttributeError: if it has other arguments than expected
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
        except (AssertionError, ValueError) as error:  # upon which RL Zoo downloads
            if given["folder"] != DEFAULT_FOLDER or given["algo"] not in ALGORITHMS:
                raise
            message = f"{error}. Shipped are {', '.join(shipped_agents())}; -f FOLDER looks in another folder."
            raise FileNotFoundError(message) from None

    return wrapper
