"""
Files of trained agents: the algorithm that saved an agent, its game, and its observations.

A model file identifies its algorithm and the shape of its observations. RL Zoo keeps the rest beside it::

    logs/ddqn_per/BreakoutNoFrameskip-v4_1/     a run; rl-trained-agents/ has the same layout
      BreakoutNoFrameskip-v4.zip                the model; also best_model.zip, rl_model_STEPS_steps.zip, exploration_agent.zip
      BreakoutNoFrameskip-v4/
        args.yml                                algorithm, game and keywords of the game
        config.yml                              preprocessing and frame stack
"""

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import yaml

from sb3_breakout.common.arguments import did_you_mean
from sb3_breakout.protocol import ENV_ID
from sb3_breakout.registry import ALGORITHMS, installed

if TYPE_CHECKING:
    from sb3_breakout.ddqn import DDQN

LOGS = Path("logs")
SHIPPED = installed("rl-trained-agents")
RANDOM = "random"
TRAINED = "trained"  # the shipped agent of a game
PREPROCESSING = ("AtariPreprocessing", "BreakoutWrapper", "AtariWrapper")  # wrappers whose arguments have the same names
# Arguments that determine an agent's observations and actions; the protocol sets the others
SEEN = ("frame_skip", "screen_size", "grayscale", "terminal_on_life_loss", "fire_reset")
OF_THE_PROTOCOL = ("max_num_frames_per_episode", "repeat_action_probability", "render_mode")


@dataclass(frozen=True)
class Game:
    """
    A game with an agent's settings; ``vars(game)`` are arguments of :func:`~sb3_breakout.evaluation.evaluation_env`.

    :param env_id: the game
    :param n_stack: frames in an observation
    :param wrapper_kwargs: keywords of ``AtariPreprocessing``
    :param env_kwargs: keywords of the emulator, for instance ``full_action_space``
    """

    env_id: str = ENV_ID
    n_stack: int = 8
    wrapper_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class TrainedAgent:
    """
    A trained agent before it is loaded.

    :param path: its zip file
    :param algo: RL Zoo's name of the algorithm that saved it
    :param game: the game it plays
    """

    path: Path
    algo: str
    game: Game

    def load(self, device: str = "auto") -> "DDQN":
        """
        :param device: a PyTorch device, or ``"auto"``
        :return: the agent, without memory for a replay buffer
        :raises ValueError: if the file is damaged, or there is no such device
        """
        from sb3_breakout.common.torch_utils import check_device  # late: PyTorch takes a second

        check_device(device)
        return resolve_name(ALGORITHMS[self.algo]).load(self.path, device=device)


def find_agent(name: str, algo: str | None = None, env_id: str | None = None, logs: Path = LOGS) -> TrainedAgent:
    """
    Find a trained agent by name.

    :param name: path of a zip file; ``ALGO:best``, ``ALGO:final`` or ``ALGO:STEPS`` (a checkpoint) of the latest run in the
        logs; or a shipped agent: ``trained`` (the one for the game) or a name that ``sb3-breakout agents`` lists
    :param algo: the algorithm; None to read it from the file
    :param env_id: the game; None to read it from the settings beside the file
    :param logs: RL Zoo's folder of logs
    :return: the agent
    :raises FileNotFoundError: if there is no such agent
    :raises ValueError: if the name is invalid, or the file is not an agent of that algorithm
    """
    return read_agent(_locate(name, algo, env_id or ENV_ID, logs), algo, env_id)


def shipped_agents() -> dict[str, Path]:
    """
    :return: zip files of the agents that come with the package, by name (``ALGO/RUN``); agents without an evaluation are left
        out, since RL Zoo downloads others to a folder of the same name
    """
    agents = (path for path in sorted(SHIPPED.glob("*/*/*.zip")) if path.with_name("evaluation.json").is_file())
    return {"/".join(path.parent.parts[-2:]): path for path in agents}


def read_agent(path: Path, algo: str | None = None, env_id: str | None = None) -> TrainedAgent:
    """
    :param path: a zip file
    :param algo: the algorithm; None to read it from the file
    :param env_id: the game; None to read it from the settings beside the file, or Breakout without settings
    :return: the agent
    :raises ValueError: if the file is not an agent of that algorithm, or its preprocessing is unknown
    """
    members, data = _read_zip(path)
    args, config = _kept_beside(path)
    saved_by = _algorithm(path, members, data)
    if algo not in (None, saved_by, args.get("algo")):
        raise ValueError(f"{path} was saved by {saved_by}, received --algo {algo}.")
    shape = tuple(map(int, re.findall("[0-9]+", str(data["observation_space"].get("_shape")))))
    return TrainedAgent(path, saved_by, _game(path, env_id or args.get("env") or ENV_ID, shape, args, config))


def _locate(name: str, algo: str | None, env_id: str, logs: Path) -> Path:
    """
    :return: the file that :func:`find_agent` describes
    """
    if name.endswith(".zip"):
        path = Path(name)
        if not path.is_file():
            raise FileNotFoundError(f"There is no agent {path}.")
        return path
    shipped = shipped_agents()
    if name in shipped:
        return shipped[name]
    if name == TRAINED:
        latest = _latest(SHIPPED / (algo or "ddqn_per"), env_id, f"{env_id}.zip")
        if latest is None:
            by = f" by {algo}" if algo else ""
            raise FileNotFoundError(f"No agent{by} is shipped for {env_id}. There are {', '.join(shipped) or 'none'}.")
        return latest
    algo, _, which = name.partition(":")
    if algo not in ALGORITHMS or not re.fullmatch(r"best|final|[0-9]+", which):
        if Path(name).is_dir():
            files = ", ".join(sorted(path.name for path in Path(name).glob("*.zip"))) or "none here"
            raise ValueError(f"{name} is a folder: give the path of an agent's zip file in it ({files}).")
        in_logs = [f"{algo}:{which}" for algo in ALGORITHMS for which in ("best", "final", "STEPS")]
        names = [RANDOM, TRAINED, *shipped, *in_logs]
        hint = f": add :best, :final or :STEPS to {algo!r}" if algo in ALGORITHMS else did_you_mean(name, names)
        raise ValueError(f"There is no agent {name!r}{hint}. An agent is {', '.join(names)} or the path of a zip file.")
    file = {"best": "best_model.zip", "final": f"{env_id}.zip"}.get(which, f"rl_model_{which}_steps.zip")
    latest = _latest(logs / algo, env_id, file)
    if latest is None:
        raise FileNotFoundError(
            f"There is no {name}: no {logs / algo / env_id}_*/{file}{_checkpoints(logs / algo, env_id)}. --env names another "
            "game; for a run elsewhere, give the path of its zip file."
        )
    return latest


def _latest(folder: Path, env_id: str, file: str) -> Path | None:
    """
    :param folder: folder with the runs of an algorithm
    :param env_id: the game
    :param file: name of a file in a run
    :return: the file of the latest run that has it, if any
    """
    files = (run / file for run in reversed(_runs(folder, env_id)))
    return next((path for path in files if path.exists()), None)


def _runs(folder: Path, env_id: str) -> list[Path]:
    """
    :param folder: folder with the runs of an algorithm
    :param env_id: the game
    :return: RL Zoo's run folders, ``GAME_NUMBER`` or with ``--uuid`` ``GAME_NUMBER_UUID``, latest last
    """
    named = ((re.fullmatch(rf"{re.escape(env_id)}_([0-9]+)(_[0-9a-f-]{{36}})?", run.name), run) for run in folder.glob("*"))
    return [run for _, run in sorted((int(name[1]), run) for name, run in named if name)]


def _checkpoints(folder: Path, env_id: str) -> str:
    """
    :param folder: folder with the runs of an algorithm
    :param env_id: the game
    :return: text for a message, with the checkpoints that :func:`find_agent` would find, if any
    """
    names = {path.stem for run in _runs(folder, env_id) for path in run.glob("*.zip")}
    steps = sorted(int(number[1]) for number in (re.fullmatch("rl_model_([0-9]+)_steps", name) for name in names) if number)
    there = [which for which, name in (("best", "best_model"), ("final", env_id)) if name in names] + list(map(str, steps))
    return f" (there are {', '.join(f'{folder.name}:{which}' for which in there)})" if there else ""


def _read_zip(path: Path) -> tuple[list[str], dict[str, Any]]:
    """
    :return: names of the files in a model, and SB3's JSON of its attributes; nothing is unpickled
    """
    try:
        with zipfile.ZipFile(path) as file:
            return file.namelist(), json.loads(file.read("data"))
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise ValueError(f"{path} is not a complete checkpoint: the file is truncated or not a zip file of a model.") from None


def _kept_beside(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    :param path: a zip file
    :return: RL Zoo's ``args.yml`` and ``config.yml`` of the run; empty if there are none
    """
    found = sorted(path.resolve().parent.glob("*/args.yml"))
    if not found or not found[0].with_name("config.yml").is_file():
        return {}, {}
    # RL Zoo writes them with Python tags. Loading the model requires trusting its folder anyway, since a model is a pickle
    try:
        args, config = (yaml.unsafe_load(file.read_text()) for file in (found[0], found[0].with_name("config.yml")))
        return dict(args), dict(config)
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise ValueError(f"The settings in {found[0].parent} are damaged: {error}") from error


def _algorithm(path: Path, members: list[str], data: Mapping[str, Any]) -> str:
    """
    :return: RL Zoo's name of the algorithm that saved a model, derived from its content
    """
    if "evaluation_epsilon" not in data:
        raise ValueError(f"{path} was not saved by an algorithm of this package: {', '.join(ALGORITHMS)}.")
    if any(name.startswith("explorer.") for name in members):
        return "ddqn_rnd"
    return "ddqn_per" if data.get("n_atoms") is None else "c51_per"


def _game(path: Path, env_id: str, shape: tuple[int, ...], args: Mapping[str, Any], config: Mapping[str, Any]) -> Game:
    """
    :param path: file of the model, for messages
    :param env_id: the game
    :param shape: shape of the model's observations
    :param args: RL Zoo's ``args.yml``
    :param config: RL Zoo's ``config.yml``
    """
    wrapper_kwargs = _wrapper_arguments(path, config.get("env_wrapper") or []) if config else _guess(shape)
    env_kwargs = args.get("env_kwargs") or config.get("env_kwargs") or {}
    return Game(
        env_id,
        frames_in(shape, wrapper_kwargs),
        {name: value for name, value in wrapper_kwargs.items() if name in SEEN},
        {name: value for name, value in env_kwargs.items() if name not in OF_THE_PROTOCOL},
    )


def frames_in(shape: tuple[int, ...] | None, wrapper_kwargs: Mapping[str, Any] | None) -> int:
    """
    :param shape: shape of an agent's observations, channels first
    :param wrapper_kwargs: keywords of ``AtariPreprocessing``
    :return: number of stacked frames in an observation
    """
    channels = 1 if (wrapper_kwargs or {}).get("grayscale", True) else 3
    return max(shape[0] // channels, 1) if shape else 1


def _wrapper_arguments(path: Path, wrappers: Any) -> dict[str, Any]:
    """
    :param path: file of the model, for messages
    :param wrappers: ``env_wrapper`` of a ``config.yml``
    :return: arguments of ``AtariPreprocessing``
    :raises ValueError: if there is a wrapper that evaluations do not support but would need
    """
    arguments: dict[str, Any] = {}
    for wrapper in wrappers if isinstance(wrappers, list) else [wrappers]:
        name, kwargs = next(iter(wrapper.items())) if isinstance(wrapper, dict) else (wrapper, {})
        kind = name.rpartition(".")[2]
        if kind in PREPROCESSING:
            arguments |= kwargs
        elif kind != "RewardShapingWrapper":  # which only changes the rewards of the training
            raise ValueError(f"{path} was trained under {name}, which evaluations do not support: use `rl_zoo3 enjoy`.")
    return arguments


def _guess(shape: tuple[int, ...]) -> dict[str, Any]:
    """
    Guess the preprocessing of a model without settings beside it: grey if observations are 84x84, otherwise colour if the
    number of channels is a multiple of 3.

    :param shape: shape of the model's observations
    :return: arguments of ``AtariPreprocessing``
    """
    if len(shape) != 3 or shape[1:] == (84, 84):
        return {}
    channels, height, width = shape
    return {"grayscale": channels % 3 != 0, "screen_size": height if height == width else None}
