"""Builds the games of an evaluation, and checks that an agent fits them."""

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from sb3_breakout.agents import frames_in
from sb3_breakout.common.arguments import check_at_least, check_choice
from sb3_breakout.envs.games import make_games
from sb3_breakout.protocol import ENV_ID, FRAME_SKIP, MAX_STEPS, NOOP_MAX, STICKINESS


def evaluation_env(
    protocol: str = "v4",
    n_envs: int = 8,
    n_stack: int = 8,
    max_steps: int = MAX_STEPS,
    noop_max: int = NOOP_MAX,
    seed: int = 0,
    env_id: str = ENV_ID,
    wrapper_kwargs: Mapping[str, Any] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> VecEnv:
    """
    Create games for an evaluation: 84x84 grey frames, frame skip 4, start no-ops, FIRE at the start of each life. Passing
    ``**vars(agent.game)`` of a :class:`~sb3_breakout.agents.TrainedAgent` reproduces the game it was trained on.

    :param protocol: ``"v4"`` (every action is executed) or ``"sticky"`` (each frame repeats the last action with probability
        0.25)
    :param n_envs: number of parallel games
    :param n_stack: frames in an observation
    :param max_steps: agent steps after which a game is truncated; start no-ops count as well
    :param noop_max: largest number of start no-ops
    :param seed: seed of the first game, one higher for each further game
    :param env_id: a ``NoFrameskip-v4`` game
    :param wrapper_kwargs: further keywords of ``AtariPreprocessing``, for instance ``dict(grayscale=False, screen_size=None)``
    :param env_kwargs: keywords of the emulator, for instance ``dict(full_action_space=True)``
    :raises ValueError: for an unknown protocol, ``max_steps`` below 1, or anything but an Atari game without frame skip
    """
    check_choice("protocol", protocol, list(STICKINESS))
    max_steps = check_at_least("max_steps", max_steps, 1)
    wrapper_kwargs = {"frame_skip": FRAME_SKIP, "noop_max": noop_max, **(wrapper_kwargs or {})}
    frame_skip = check_at_least("frame_skip", wrapper_kwargs["frame_skip"], 1)
    env_kwargs = {
        **(env_kwargs or {}),
        "repeat_action_probability": STICKINESS[protocol],
        "max_num_frames_per_episode": frame_skip * max_steps,
    }
    return make_games(env_id, n_envs, n_stack, wrapper_kwargs, env_kwargs, seed)


def env_for(model: Any, **env_arguments: Any) -> VecEnv:
    """
    Create games for an evaluation of an agent, with as many stacked frames as it observes.

    :param model: anything with the spaces of an SB3 model
    :param env_arguments: arguments of :func:`evaluation_env`
    :raises ValueError: if the agent does not fit the games with any number of frames
    """
    n_stack = frames_in(model.observation_space.shape, env_arguments.get("wrapper_kwargs"))
    env = evaluation_env(**{"n_stack": n_stack, **env_arguments})
    try:
        check_fits(model, env, env_arguments.get("env_id", ENV_ID))
    except ValueError:
        env.close()
        raise
    return env


def check_fits(model: Any, env: VecEnv, env_id: str) -> None:
    """
    :param model: anything with the spaces of an SB3 model
    :param env: the environment it is going to play in
    :param env_id: the game, for the message
    :raises ValueError: if the agent has other observations or actions
    """
    for name, has, shows in (
        ("observations of shape", model.observation_space.shape, env.observation_space.shape),
        ("the actions", model.action_space, env.action_space),
    ):
        if has != shows:
            raise ValueError(f"The agent knows {name} {has}, {env_id} shows {shows}.")
