"""Plays whole games for the recorder."""

from typing import Any

from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from sb3_breakout.envs import AleVecEnv, AtariPreprocessing
from sb3_breakout.gameplay.collect.recorder import GameRecorder
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter


def recorder_of(env: VecEnv) -> GameRecorder:
    """
    Return the recorder of an environment; insert one if there is none.

    :param env: one game in a ``DummyVecEnv``, under any wrappers
    :raises ValueError: if the environment is of another kind, or its game cannot be recorded
    """
    games = env.unwrapped
    if not isinstance(games, DummyVecEnv) or isinstance(games, AleVecEnv) or games.num_envs != 1:
        raise ValueError(
            f"Games are recorded one at a time, from a DummyVecEnv with one of them; received {type(games).__name__} with "
            f"{games.num_envs} games."
        )
    game = AtariPreprocessing.of(games.envs[0]).game
    return game if isinstance(game, GameRecorder) else GameRecorder.put_into(games.envs[0])


def play_game(
    model: Any, env: VecEnv, writer: EpisodeWriter, agent: dict[str, Any], seed: int, with_q_values: bool = False
) -> Episode:
    """
    Play a game until all lives are lost, and record it.

    :param model: anything with SB3's ``predict``
    :param env: one game in a ``DummyVecEnv``
    :param writer: writes the episode
    :param agent: metadata of the model, serializable as JSON; at least its ``name``
    :param seed: seed of the game
    :param with_q_values: whether to save the Q-values of a DDQN for each state in which it chose an action
    :return: the episode
    :raises OSError: if the episode cannot be written; nothing of it is kept
    """
    recorder = recorder_of(env)
    recorder.record(writer, agent=agent, seed=seed)
    try:
        env.seed(seed)
        obs = env.reset()
        while recorder.recording:
            actions, _ = model.predict(obs, deterministic=False)
            if with_q_values:
                recorder.note(model.policy.q_values(obs)[0])
            obs, *_ = env.step(actions)
    finally:
        recorder.stop()
    return Episode.open(writer.folder)
