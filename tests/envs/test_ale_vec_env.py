"""AleVecEnv against DummyVecEnv: with the same actions, all results must be equal."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor, load_results
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecTransposeImage

from sb3_breakout.envs import AleVecEnv, AtariPreprocessing, RewardShapingWrapper

WITHOUT_NOOPS: dict[str, Any] = dict(noop_max=0)  # their number is drawn by different generators in the two


def both(
    n_envs: int, wrapper: Any = AtariPreprocessing, folders: tuple[Any, Any] = (None, None), **kwargs: Any
) -> list[VecEnv]:
    kwargs = {"wrapper_kwargs": WITHOUT_NOOPS} | kwargs
    return [
        make_vec_env("BreakoutNoFrameskip-v4", n_envs, 0, monitor_dir=folder, wrapper_class=wrapper, vec_env_cls=cls, **kwargs)
        for cls, folder in zip((AleVecEnv, DummyVecEnv), folders, strict=True)
    ]


def one_game() -> VecEnv:
    return make_vec_env(
        "BreakoutNoFrameskip-v4", 1, 0, wrapper_class=AtariPreprocessing, wrapper_kwargs=WITHOUT_NOOPS, vec_env_cls=AleVecEnv
    )


def play_both(envs: list[VecEnv], n_steps: int, seed: int = 0) -> list[dict[str, Any]]:
    """Play the same random actions in both and compare all results. Returns the infos of ended episodes."""
    rng = np.random.default_rng(seed)
    firsts = [env.reset() for env in envs]
    np.testing.assert_array_equal(*firsts)
    ended = []
    for step in range(n_steps):
        actions = rng.integers(envs[0].action_space.n, size=envs[0].num_envs)
        (obs, rewards, dones, infos), (obs_2, rewards_2, dones_2, infos_2) = (env.step(actions) for env in envs)
        np.testing.assert_array_equal(obs, obs_2, err_msg=f"step {step}")
        np.testing.assert_array_equal(rewards, rewards_2)
        np.testing.assert_array_equal(dones, dones_2)
        for info, info_2 in zip(infos, infos_2, strict=True):
            same_info(info, info_2)
        ended += [info for info, done in zip(infos, dones, strict=True) if done]
    for env in envs:
        env.close()
    return ended


def same_info(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"terminal_observation", "episode", "seeds"}:
        assert ours[name] == theirs[name], name
    game_over = ours["lives"] == 0 or ours["TimeLimit.truncated"]  # only a game's last picture may differ
    if "terminal_observation" in ours and not game_over:
        np.testing.assert_array_equal(ours["terminal_observation"], theirs["terminal_observation"])
    if "episode" in ours:
        assert ours["episode"].keys() == theirs["episode"].keys()
        assert (ours["episode"]["r"], ours["episode"]["l"]) == (theirs["episode"]["r"], theirs["episode"]["l"])


@pytest.mark.parametrize("n_envs", [1, 3])
def test_whole_games(n_envs: int, tmp_path: Any) -> None:
    folders = (tmp_path / "ale", tmp_path / "dummy")
    ended = play_both(both(n_envs, folders=folders), n_steps=700 if n_envs == 1 else 400)
    games = [info["episode"] for info in ended if "episode" in info]
    assert len(ended) > len(games) > 0, "lives and whole games must both have ended"
    ours, theirs = (load_results(str(folder)) for folder in folders)
    assert len(ours) == len(games)
    for column in ("r", "l"):
        assert sorted(ours[column]) == sorted(theirs[column])


@pytest.mark.parametrize("limit", [150, 151, 153, 301])
def test_truncated_games(limit: int) -> None:
    """The emulator's frame limit is reached in a step, during the presses after a lost life, or between skipped frames."""
    ended = play_both(both(1, env_kwargs=dict(max_num_frames_per_episode=limit)), n_steps=200)
    assert any(info["TimeLimit.truncated"] for info in ended)


@pytest.mark.parametrize(
    "settings",
    [
        dict(frame_skip=2, screen_size=None, grayscale=False),
        dict(frame_skip=1),
        dict(screen_size=64, grayscale=False),
        dict(terminal_on_life_loss=False, clip_reward=False),
        dict(fire_reset=False),
    ],
    ids=str,
)
def test_every_choice_of_the_wrapper(settings: dict[str, Any]) -> None:
    play_both(both(1, wrapper_kwargs=WITHOUT_NOOPS | settings), n_steps=150)


def test_shaped_rewards() -> None:
    def shaped(env: gym.Env) -> gym.Env:
        return RewardShapingWrapper(AtariPreprocessing(env, clip_reward=False, **WITHOUT_NOOPS))

    play_both(both(1, wrapper=shaped, wrapper_kwargs={}), n_steps=200)


def test_full_action_space() -> None:
    play_both(both(1, env_kwargs=dict(full_action_space=True)), n_steps=100)


def test_stacked_for_training() -> None:
    play_both([VecTransposeImage(VecFrameStack(env, 4)) for env in both(2)], n_steps=150)


def test_other_colours() -> None:
    """AleVecEnv takes the maximum of two grey frames, the wrapper that of two RGB frames. In Pong they differ slightly."""
    ale, dummy = (
        make_vec_env(
            "PongNoFrameskip-v4", 1, 0, wrapper_class=AtariPreprocessing, wrapper_kwargs=WITHOUT_NOOPS, vec_env_cls=cls
        )
        for cls in (AleVecEnv, DummyVecEnv)
    )
    largest = int(np.abs(ale.reset().astype(int) - dummy.reset()).max())
    for action in np.random.default_rng(0).integers(6, size=(200, 1)):
        (obs, rewards, dones, infos), (obs_2, rewards_2, dones_2, infos_2) = (env.step(action) for env in (ale, dummy))
        largest = max(largest, int(np.abs(obs.astype(int) - obs_2).max()))
        assert (rewards, dones) == (rewards_2, dones_2)
        same_info(infos[0], infos_2[0])
    assert 0 < largest <= 20
    ale.close()
    dummy.close()


def lengths_of_no_ops(seeds: range, noop_max: int) -> set[int]:
    env = make_vec_env(
        "BreakoutNoFrameskip-v4",
        wrapper_class=AtariPreprocessing,
        wrapper_kwargs=dict(noop_max=noop_max, fire_reset=False),
        vec_env_cls=AleVecEnv,
    )
    lengths = set()
    for seed in seeds:
        env.seed(seed)
        env.reset()
        lengths.add(env.reset_infos[0]["episode_frame_number"])
    env.close()
    return lengths


def test_start_no_ops() -> None:
    """The number of start no-ops is from 0 to noop_max. In SB3 it is at least 1."""
    assert lengths_of_no_ops(range(12), noop_max=2) == {0, 1, 2}
    assert lengths_of_no_ops(range(3), noop_max=0) == {0}


@pytest.mark.parametrize(
    "where", [dict(wrapper_kwargs=dict(action_repeat_probability=0.9)), dict(env_kwargs=dict(repeat_action_probability=0.9))]
)
def test_sticky_actions(where: dict[str, Any]) -> None:
    """The same seed and actions give another game if most frames repeat the previous action."""
    sticky, plain = (
        make_vec_env("BreakoutNoFrameskip-v4", 1, 0, wrapper_class=AtariPreprocessing, vec_env_cls=AleVecEnv, **kwargs)
        for kwargs in (where, {})
    )
    differences = 0
    for env in (sticky, plain):
        env.seed(3)
        env.reset()
    for action in np.random.default_rng(0).integers(4, size=(20, 1)):
        differences += int((sticky.step(action)[0] != plain.step(action)[0]).any())
    assert differences > 0
    sticky.close()
    plain.close()


def test_seeds_make_games_repeatable() -> None:
    def frames(seed: int = 4_294_967_000) -> np.ndarray:  # RL Zoo draws seeds as large as this
        env = make_vec_env("BreakoutNoFrameskip-v4", 1, seed, wrapper_class=AtariPreprocessing, vec_env_cls=AleVecEnv)
        seen = [env.reset()] + [env.step(np.array([2]))[0] for _ in range(60)]
        env.close()
        return np.array(seen)

    np.testing.assert_array_equal(frames(), frames())
    assert (frames() != frames(seed=0)).any()


def test_reset_between_two_halves_of_a_step() -> None:
    ale, dummy = both(1)
    for env in (ale, dummy):
        env.reset()
        env.step_async(np.array([2]))
    np.testing.assert_array_equal(ale.reset(), dummy.reset())
    np.testing.assert_array_equal(ale.step(np.array([3]))[0], dummy.step(np.array([3]))[0])
    ale.close()
    dummy.close()


def test_what_the_zoo_asks_of_a_vec_env() -> None:
    env, dummy = both(2)
    assert env.env_is_wrapped(Monitor) == env.env_is_wrapped(AtariPreprocessing) == [True, True]
    assert env.get_attr("observation_space") == dummy.get_attr("observation_space")
    assert env.env_method("get_episode_rewards") == [[], []]
    with pytest.raises(NotImplementedError, match="DummyVecEnv"):
        env.render("rgb_array")
    env.close()
    dummy.close()


def test_games_without_a_limit() -> None:
    """In ALE a limit of 0 frames means no limit. Passed to ale-py's vector interface, it would end each game at once."""
    ale, dummy = both(1, env_kwargs={"max_num_frames_per_episode": 0})
    np.testing.assert_array_equal(ale.reset(), dummy.reset())
    for action in np.random.default_rng(0).integers(4, size=(100, 1)):
        seen, expected = ale.step(action), dummy.step(action)
        np.testing.assert_array_equal(seen[0], expected[0])
        assert seen[2] == expected[2]
    ale.close()
    dummy.close()


def test_closed_environment() -> None:
    env = one_game()
    env.reset()
    env.close()
    env.close()
    for use in (env.reset, lambda: env.step(np.array([0]))):
        with pytest.raises(gym.error.ClosedEnvironmentError, match="closed: create a new one"):
            use()


@pytest.mark.parametrize("action", [7, -1, 1.5])
def test_impossible_actions(action: float) -> None:
    """Impossible actions are refused. Sent to the emulator's thread, they would make it wait for ever."""
    env = one_game()
    env.reset()
    with pytest.raises(ValueError, match=r"Discrete\(4\)"):
        env.step(np.array([action]))
    env.close()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda env: AtariWrapper(Monitor(env)), "must be a game under AtariPreprocessing"),
        (lambda env: AtariPreprocessing(env), "Monitor directly below"),
        (lambda env: AtariPreprocessing(Monitor(TimeLimit(env, 1000))), "cannot keep TimeLimit"),
        (lambda env: AtariPreprocessing(Monitor(env, reset_keywords=("seed",))), "reset_keywords"),
    ],
)
def test_environments_built_otherwise(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AleVecEnv([lambda: build(gym.make("BreakoutNoFrameskip-v4", render_mode="rgb_array"))])


def test_other_modes_of_the_game() -> None:
    with pytest.raises(ValueError, match="difficulty=1"):
        both(1, env_kwargs=dict(difficulty=1))
