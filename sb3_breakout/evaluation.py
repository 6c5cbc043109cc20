"""How well an agent plays: raw scores of whole games under a stated protocol."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecTransposeImage

from sb3_breakout.envs import AleVecEnv, BreakoutWrapper

FRAME_SKIP = 4
MAX_STEPS = 27_000  # agent steps: half an hour of play
NOOP_MAX = 30
ENV_ID = "BreakoutNoFrameskip-v4"
# Probability that the emulator repeats the last action, per frame (Machado et al. 2018)
STICKINESS = {"v4": 0.0, "sticky": 0.25}


@dataclass(frozen=True)
class Scores:
    """
    Raw scores of whole games.

    :param scores: one per game
    :param lengths: agent steps of each game
    :param protocol: how they were played
    """

    scores: list[float]
    lengths: list[int]
    protocol: dict[str, Any]

    def summary(self) -> dict[str, float]:
        """
        :return: mean, standard error, standard deviation, median, interquartile mean (mean of the middle half,
            https://arxiv.org/abs/2108.13264), best and worst score, number of episodes, and agent steps played
        """
        scores = np.sort(self.scores)
        cut = len(scores) // 4
        spread = float(scores.std(ddof=1)) if len(scores) > 1 else 0.0
        return {
            "mean": float(scores.mean()),
            "standard_error": spread / len(scores) ** 0.5,
            "standard_deviation": spread,
            "median": float(np.median(scores)),
            "iqm": float(scores[cut : len(scores) - cut].mean()),
            "best": float(scores[-1]),
            "worst": float(scores[0]),
            "episodes": len(scores),
            "steps": int(np.sum(self.lengths)),
        }

    def as_dict(self) -> dict[str, Any]:
        """:return: everything, ready for JSON"""
        return {**self.summary(), **asdict(self)}


def evaluation_env(
    protocol: str = "v4",
    n_envs: int = 8,
    n_stack: int = 8,
    max_steps: int = MAX_STEPS,
    noop_max: int = NOOP_MAX,
    seed: int = 0,
    env_id: str = ENV_ID,
    wrapper_class: Callable[..., gym.Env] = BreakoutWrapper,
    vec_env_class: type[DummyVecEnv] = AleVecEnv,
) -> VecEnv:
    """
    Games for an evaluation: 84x84 grey frames, frame skip 4, start no-ops, FIRE at each life's start.

    :param protocol: ``"v4"`` (every action is executed) or ``"sticky"`` (each frame repeats the last action with probability
        0.25)
    :param n_envs: number of games at once
    :param n_stack: frames in an observation
    :param max_steps: agent steps after which a game is cut
    :param noop_max: largest number of start no-ops
    :param seed: of the games
    :param env_id: a ``NoFrameskip-v4`` game
    :param wrapper_class: what wraps each game, called with the game and keywords of ``BreakoutWrapper``
    :param vec_env_class: what holds the games; ``DummyVecEnv`` where their screens are looked at
    :raises ValueError: for another protocol
    """
    if protocol not in STICKINESS:
        raise ValueError(f"protocol must be one of {', '.join(map(repr, STICKINESS))}, received {protocol!r}.")
    env = make_vec_env(
        env_id,
        n_envs,
        seed=seed,
        wrapper_class=wrapper_class,
        wrapper_kwargs=dict(noop_max=noop_max, frame_skip=FRAME_SKIP),
        env_kwargs=dict(repeat_action_probability=STICKINESS[protocol], max_num_frames_per_episode=FRAME_SKIP * max_steps),
        vec_env_cls=vec_env_class,
    )
    return VecTransposeImage(VecFrameStack(env, n_stack))


def env_for(model: Any, **env_arguments: Any) -> VecEnv:
    """
    Games for an evaluation of this agent, with as many frames in an observation as it sees.

    :param model: anything with the spaces of an SB3 model
    :param env_arguments: of :func:`evaluation_env`
    :raises ValueError: if no number of frames makes the agent fit the games
    """
    space = model.observation_space.shape
    env = evaluation_env(**{"n_stack": space[0] if space else 1, **env_arguments})
    for name, has, shows in (
        ("observations of shape", space, env.observation_space.shape),
        ("the actions", model.action_space, env.action_space),
    ):
        if has != shows:
            env.close()
            raise ValueError(f"The agent knows {name} {has}, the evaluation shows {shows}.")
    return env


def evaluate(model: Any, episodes: int = 100, deterministic: bool = False, **env_arguments: Any) -> Scores:
    """
    Play whole games. Each environment plays its share of them, so that short games are not counted more often than long ones.

    :param model: anything with SB3's ``predict``; a DDQN is greedy up to its ``evaluation_epsilon`` here
    :param episodes: number of games
    :param deterministic: without that epsilon
    :param env_arguments: of :func:`evaluation_env`
    :return: the scores
    :raises ValueError: if there is no game to be played, or the agent does not fit the games
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, received {episodes}.")
    arguments = {"protocol": "v4", "n_envs": min(8, episodes), "seed": 0, **env_arguments}
    env = env_for(model, **arguments)
    try:
        scores, frames = evaluate_policy(model, env, episodes, deterministic=deterministic, return_episode_rewards=True)
    finally:
        env.close()
    protocol = {
        **{"noop_max": NOOP_MAX, "max_steps": MAX_STEPS, "env_id": ENV_ID},
        **{"n_stack": model.observation_space.shape[0], **arguments},
        "epsilon": 0.0 if deterministic else getattr(model, "evaluation_epsilon", None),
        "frame_skip": FRAME_SKIP,
        "sticky_actions": STICKINESS[arguments["protocol"]],
    }
    return Scores(list(scores), [-(-int(length) // FRAME_SKIP) for length in frames], protocol)  # type: ignore[arg-type,union-attr]
