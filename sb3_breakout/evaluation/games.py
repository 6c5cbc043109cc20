"""The games of an evaluation, and who plays them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from sb3_breakout.common.arguments import check_at_least, check_choice
from sb3_breakout.envs.games import make_games
from sb3_breakout.evaluation.balls import balls_at_paddle, miss_rates
from sb3_breakout.evaluation.game_watch import GameWatch
from sb3_breakout.evaluation.scores import INTERVAL, Scores
from sb3_breakout.protocol import ENV_ID, FRAME_SKIP, MAX_STEPS, NOOP_MAX, SEEDS, STICKINESS

# SB3 gives game k of a vector environment the seed s + k: of neighbouring seeds all games but one would be the same
GAMES_OF_A_SEED = 10_000


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
    Games for an evaluation: 84x84 grey frames, frame skip 4, start no-ops, FIRE at each life's start.
    ``vars(agent.game)`` of a :class:`~sb3_breakout.agents.TrainedAgent` are the arguments that reproduce what it was
    trained on.

    :param protocol: ``"v4"`` (every action is executed) or ``"sticky"`` (each frame repeats the last action with probability
        0.25)
    :param n_envs: number of games at once
    :param n_stack: frames in an observation
    :param max_steps: agent steps after which a game is truncated
    :param noop_max: largest number of start no-ops
    :param seed: of the games
    :param env_id: a ``NoFrameskip-v4`` game
    :param wrapper_kwargs: further keywords of ``AtariPreprocessing``, for instance ``dict(grayscale=False, screen_size=None)``
    :param env_kwargs: of the emulator, for instance ``dict(full_action_space=True)``
    :raises ValueError: for another protocol, no steps, or another kind of game
    """
    check_choice("protocol", protocol, list(STICKINESS))
    check_at_least("max_steps", max_steps, 1)
    wrapper_kwargs = {"frame_skip": FRAME_SKIP, "noop_max": noop_max, **(wrapper_kwargs or {})}
    env_kwargs = {
        **(env_kwargs or {}),
        "repeat_action_probability": STICKINESS[protocol],
        "max_num_frames_per_episode": wrapper_kwargs["frame_skip"] * max_steps,
    }
    return make_games(env_id, n_envs, n_stack, wrapper_kwargs, env_kwargs, seed)


def env_for(model: Any, **env_arguments: Any) -> VecEnv:
    """
    Games for an evaluation of this agent, with as many frames in an observation as it sees.

    :param model: anything with the spaces of an SB3 model
    :param env_arguments: of :func:`evaluation_env`
    :raises ValueError: if no number of frames makes the agent fit the games
    """
    space = model.observation_space.shape
    env = evaluation_env(**{"n_stack": space[0] if space else 1, **env_arguments})
    try:
        check_fits(model, env, env_arguments.get("env_id", ENV_ID))
    except ValueError:
        env.close()
        raise
    return env


def check_fits(model: Any, env: VecEnv, env_id: str) -> None:
    """
    :param model: anything with the spaces of an SB3 model
    :param env: the environment it is to play in
    :param env_id: the game, for the message
    :raises ValueError: if it sees or does something else
    """
    for name, has, shows in (
        ("observations of shape", model.observation_space.shape, env.observation_space.shape),
        ("the actions", model.action_space, env.action_space),
    ):
        if has != shows:
            raise ValueError(f"The agent knows {name} {has}, {env_id} shows {shows}.")


def evaluate(
    model: Any,
    episodes: int = 100,
    deterministic: bool = False,
    seeds: Sequence[int] = SEEDS,
    **env_arguments: Any,
) -> Scores:
    """
    Play whole games, all of a seed at once. Each environment plays one, so that short games are not counted more often
    than long ones. Seeds the agent's actions and the generators of Python, NumPy and PyTorch.

    :param model: anything with SB3's ``predict``; a DDQN is greedy up to its ``evaluation_epsilon`` here
    :param episodes: number of games over all seeds
    :param deterministic: without that epsilon
    :param seeds: of the games and of the agent's random actions, each with an equal share of the games
    :param env_arguments: of :func:`evaluation_env`, without ``n_envs`` and ``seed``
    :return: the scores
    :raises ValueError: if a seed has no game to be played, or the agent does not fit the games
    """
    shares = _shares(episodes, seeds)
    frame_skip = dict(env_arguments.get("wrapper_kwargs") or {}).get("frame_skip", FRAME_SKIP)
    arguments: dict[str, Any] = {"protocol": "v4", "env_id": ENV_ID, "noop_max": NOOP_MAX, "max_steps": MAX_STEPS}
    arguments |= env_arguments
    env = env_for(model, n_envs=shares[0], **arguments)
    watches = env.env_method("insert", GameWatch)
    games, openings, moves, balls = [], set(), set(), []
    try:
        for seed, share in zip(seeds, shares, strict=True):
            set_random_seed(seed)
            model.action_space.seed(seed)  # a RandomAgent's
            env.seed(GAMES_OF_A_SEED * seed)
            for game in _play(model, env, watches[:share], deterministic):
                games.append((game.score, game.length))
                openings.add(game.opening)
                moves.add(game.moves)
                balls += balls_at_paddle(game.heights, game.lives, frame_skip)
    finally:
        env.close()
    scores, lengths = map(list, zip(*games, strict=True))
    protocol = {
        "n_stack": model.observation_space.shape[0],
        **arguments,
        "frame_skip": frame_skip,
        "sticky_actions": STICKINESS[arguments["protocol"]],
        "epsilon": 0.0 if deterministic else getattr(model, "evaluation_epsilon", None),
        "seeds": list(seeds),
        "games_per_seed": shares,
        "interval": INTERVAL,
    }
    return Scores(scores, lengths, protocol, len(openings), len(moves), miss_rates(balls) if balls else None)


def evaluate_under(
    protocols: Sequence[str], model: Any, say: Callable[[str], None] = print, **arguments: Any
) -> dict[str, dict[str, Any]]:
    """
    Evaluate under several protocols, and report each result as soon as it is known.

    :param protocols: ``"v4"``, ``"sticky"``
    :param model: as for :func:`evaluate`
    :param say: takes each result as text
    :param arguments: further ones of :func:`evaluate`
    :return: every figure and score of each protocol, ready for JSON
    :raises ValueError: as :func:`evaluate`
    """
    results = {}
    for protocol in protocols:
        scores = evaluate(model, protocol=protocol, **arguments)
        say(scores.text())
        results[protocol] = scores.as_dict()
    return results


def _play(model: Any, env: VecEnv, games: list[GameWatch], deterministic: bool) -> list[GameWatch]:
    """
    :param model: who plays
    :param env: where
    :param games: those to be played, the first ones of ``env``
    :param deterministic: passed to ``predict``
    :return: what was seen of them, valid until the next reset
    """
    observations: Any = env.reset()
    actions = np.zeros(env.num_envs, dtype=int)
    while playing := [number for number, game in enumerate(games) if not game.over]:
        actions[playing], _ = model.predict(observations[playing], deterministic=deterministic)
        observations, *_ = env.step(actions)
    return games


def _shares(episodes: int, seeds: Sequence[int]) -> list[int]:
    """
    :param episodes: number of games
    :param seeds: to divide them among
    :return: number of games of each seed, the largest first
    :raises ValueError: if there is none, or a seed is invalid or given twice
    """
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**32 for seed in seeds):
        raise ValueError(f"seeds must be different whole numbers from 0 to 2**32 - 1, received {list(seeds)}.")
    check_at_least("episodes", episodes, 1)
    if episodes < len(seeds):
        raise ValueError(f"episodes must be at least the number of seeds, {len(seeds)}, received {episodes}.")
    return [len(share) for share in np.array_split(np.arange(episodes), len(seeds))]
