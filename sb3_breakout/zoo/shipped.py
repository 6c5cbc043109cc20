"""``rl_zoo3 enjoy`` and ``record_video`` find the agents that come with the package, in any folder and without a network."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from sb3_breakout.agents import SHIPPED

DEFAULT_FOLDER = "rl-trained-agents"


def with_shipped_agents(get_model_path: Callable[..., Any]) -> Callable[..., Any]:
    """
    :param get_model_path: RL Zoo's
    :return: the same, which looks among the shipped agents where the default folder has no run of the algorithm on the game
    """
    signature = inspect.signature(get_model_path)
    if not {"folder", "algo", "env_name"} <= signature.parameters.keys():
        raise AttributeError("get_model_path() has no argument 'folder', 'algo' or 'env_name'")

    @wraps(get_model_path)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        runs = f"{bound.arguments['algo']}/{bound.arguments['env_name']}_*"
        folder = bound.arguments["folder"]
        if folder == DEFAULT_FOLDER and not any(Path(folder).glob(runs)) and any(SHIPPED.glob(runs)):
            bound.arguments["folder"] = str(SHIPPED)
        return get_model_path(*bound.args, **bound.kwargs)

    return wrapper
