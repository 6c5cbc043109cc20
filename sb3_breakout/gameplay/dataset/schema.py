"""
Schemas of a dataset's JSON files: types, ranges, shapes and counts. Datasets may be untrusted: all JSON is validated here, so
that no reader imports code, follows paths or allocates memory on a file's instructions.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import ale_py
import gymnasium as gym
from pydantic import AfterValidator, ConfigDict, FailFast, Field, TypeAdapter, ValidationError
from typing_extensions import NotRequired, TypedDict

from sb3_breakout.gameplay.dataset.layout import EPISODE_NAME, LARGEST_SIDE, DamagedDataset, read_file

gym.register_envs(ale_py)

PER_STEP = ("actions", "ale_actions", "pressed", "rewards", "shaped_rewards", "life_lost", "executed_actions", "q_values")
MOST_STEPS = 999_999  # frame names have six digits

Number = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
AleAction = Annotated[int, Field(ge=0, le=17)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


def _game_of_ale(env_id: str) -> str:
    """
    Accept games of ale_py only: with any other ID, gym.make would run code chosen by the author of the file
    (``module:Name-v0`` even imports it).
    """
    spec = gym.registry.get(env_id)
    if spec is None or spec.entry_point != "ale_py.env:AtariEnv":
        raise ValueError("Input should be a game of ale_py, such as BreakoutNoFrameskip-v4")
    return env_id


def _channels(shape: list[int]) -> list[int]:
    if shape[2] not in (1, 3):
        raise ValueError(f"Input should be height, width and 1 or 3 channels, received {shape}")
    return shape


class EnvKwargs(TypedDict, total=False):
    """The keywords of ``ale_py.env.AtariEnv`` that games under ``AtariPreprocessing`` can have."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # type: ignore[misc]
    game: Annotated[str, Field(pattern="^[a-z0-9_]+$")]
    mode: Annotated[int, Field(ge=0, le=255)] | None
    difficulty: Annotated[int, Field(ge=0, le=255)] | None
    obs_type: Literal["rgb"]
    frameskip: Literal[1]
    repeat_action_probability: Probability
    full_action_space: bool
    continuous: Literal[False]
    continuous_action_threshold: Number
    max_num_frames_per_episode: Annotated[int, Field(ge=0, lt=2**31)] | None
    render_mode: Literal["rgb_array"] | None
    sound_obs: Literal[False]


class Game(TypedDict):
    """How a game is played: everything that determines its frames and rewards."""

    __pydantic_config__ = ConfigDict(strict=True, extra="allow")  # type: ignore[misc]
    env_id: Annotated[str, AfterValidator(_game_of_ale)]
    env_kwargs: EnvKwargs
    rom_md5: Digest
    frame_skip: Annotated[int, Field(ge=1, le=1000)]
    frame_shape: Annotated[
        list[Annotated[int, Field(ge=1, le=LARGEST_SIDE)]], Field(min_length=3, max_length=3), AfterValidator(_channels)
    ]
    clip_reward: bool
    living_penalty: Number
    life_loss_penalty: Number
    action_repeat_probability: NotRequired[Annotated[float, Field(gt=0, lt=1)]]  # of the wrapper, if actions are sticky


class Agent(TypedDict):
    """The agent that played; further fields are allowed."""

    __pydantic_config__ = ConfigDict(strict=True, extra="allow")  # type: ignore[misc]
    name: Annotated[str, Field(min_length=1)]


class Facts(TypedDict):
    """``episode.json``, for T steps."""

    __pydantic_config__ = ConfigDict(strict=True, extra="allow")  # type: ignore[misc]
    format: Literal[1]
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)]  # T
    score: Number
    terminated: bool
    truncated: bool
    native: bool
    game: Game
    agent: Agent
    seed: NotRequired[Annotated[int, Field(ge=0, lt=2**63)] | None]
    versions: dict[str, str]
    start_state: str
    actions: Annotated[list[Literal["LEFT", "NOTHING", "RIGHT"]], FailFast()]  # (T,)
    ale_actions: Annotated[list[AleAction], FailFast()]  # (T,)
    pressed: Annotated[list[bool], FailFast()]  # (T,), by a wrapper
    rewards: Annotated[list[Number], FailFast()]  # (T,)
    shaped_rewards: Annotated[list[Number], FailFast()]  # (T,)
    life_lost: Annotated[list[bool], FailFast()]  # (T,)
    lives: Annotated[list[Annotated[int, Field(ge=0, le=255)]], FailFast()]  # (T + 1,)
    executed_actions: NotRequired[Annotated[list[Annotated[list[AleAction], Field(min_length=1)]], FailFast()]]  # (T, frames)
    q_values: NotRequired[Annotated[list[list[Number] | None], FailFast()]]  # (T, None or n_actions)


class Splits(TypedDict):
    """``splits.json``"""

    __pydantic_config__ = ConfigDict(strict=True, extra="allow")  # type: ignore[misc]
    seed: int
    train: Annotated[list[Annotated[str, Field(pattern=f"^{EPISODE_NAME}$")]], FailFast()]
    validation: Annotated[list[Annotated[str, Field(pattern=f"^{EPISODE_NAME}$")]], FailFast()]


class Card(TypedDict):
    """``dataset.json``; everything but the format is informative only."""

    __pydantic_config__ = ConfigDict(strict=True, extra="allow")  # type: ignore[misc]
    format: Literal[1]


def _counts(facts: dict[str, Any]) -> dict[str, Any]:
    steps = facts["steps"]
    for name in (*PER_STEP, "lives"):
        expected = steps + (name == "lives")  # lives are also known at the end
        if name in facts and len(facts[name]) != expected:
            raise ValueError(f"has {len(facts[name])} {name} for {steps} steps, expected {expected}")
    if len({len(values) for values in facts.get("q_values", []) if values is not None}) > 1:
        raise ValueError("has q_values of different lengths")
    if ("executed_actions" in facts) != ("action_repeat_probability" in facts["game"]):
        raise ValueError("must have executed_actions if game has an action_repeat_probability, and only then")
    return facts


def _each_once(splits: dict[str, Any]) -> dict[str, Any]:
    for name, following in pairwise(sorted(splits["train"] + splits["validation"])):
        if name == following:
            raise ValueError(f"has {name} twice, or in both splits")
    return splits


GAME = TypeAdapter(Game)
FACTS = TypeAdapter(Annotated[Facts, AfterValidator(_counts)])
SPLITS_FILE = TypeAdapter(Annotated[Splits, AfterValidator(_each_once)])
CARD = TypeAdapter(Card)
ANY_OBJECT = TypeAdapter(dict[str, Any])


def read_json(path: Path, schema: TypeAdapter) -> dict[str, Any]:
    """
    :param path: a file
    :param schema: its schema
    :return: its content
    :raises DamagedDataset: if the file cannot be read, is not JSON or violates the schema, naming file and fault
    """
    try:
        return schema.validate_json(read_file(path))
    except ValidationError as error:
        raise DamagedDataset(f"{path}: {first_fault(error)}.") from None


def first_fault(error: ValidationError) -> str:
    """:return: location of the first fault, what was expected, and what was received if that is short"""
    fault = error.errors(include_url=False, include_context=False)[0]
    says = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return says
    received = "" if isinstance(fault["input"], dict | list) else f", received {fault['input']!r:.60}"
    return f"{'.'.join(map(str, fault['loc']))}: {says}{received}"
