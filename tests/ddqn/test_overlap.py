"""``overlap_updates``: the same updates as before, done between sending the actions and waiting for their results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecEnvWrapper, VecNormalize

from sb3_breakout import DDQN, DDQNRND, DualAgentCallback
from sb3_breakout.ddqn.learner import QLearner
from tests.ddqn.environments import Corridor
from tests.rnd.agents import corridors

FAST: dict[str, Any] = dict(
    learning_starts=40,
    buffer_size=300,
    batch_size=8,
    learning_rate=(5e-2, 1e-2),  # large, so that each update changes the next actions
    n_steps=(3, 1),
    target_update_interval=30,
    policy_kwargs=dict(net_arch=[16]),
    seed=0,
    device="cpu",
)
AT_RANDOM = dict(exploration="epsilon_greedy", exploration_initial_eps=1.0, exploration_final_eps=1.0)
ALGORITHMS = ["ddqn_per", "ddqn_rnd"]
LOOPS = [dict(train_freq=1), dict(train_freq=3, gradient_steps=2), dict(train_freq=4, gradient_steps=-1)]


def make(algorithm: str, env: VecEnv | None = None, **arguments: Any) -> DDQN:
    env = env or (corridors() if algorithm == "ddqn_rnd" else make_vec_env(Corridor, 2))
    return (DDQNRND if algorithm == "ddqn_rnd" else DDQN)("MlpPolicy", env, **FAST | arguments)


def callbacks(algorithm: str, *others: BaseCallback) -> list[BaseCallback]:
    return [DualAgentCallback(), *others] if algorithm == "ddqn_rnd" else list(others)


def weights(model: DDQN) -> np.ndarray:
    """All weights of the online and target networks, of both agents if there are two."""
    agents = [model.policy, model.explorer.policy] if isinstance(model, DDQNRND) else [model.policy]
    return np.concatenate([th.nn.utils.parameters_to_vector(each.parameters()).detach().numpy() for each in agents])


def learn_by_hand(model: DDQN, callback: list[BaseCallback], n_steps: int, train_freq: int) -> None:
    """The overlapped loop written out: choose actions, update, step, store. ``model`` itself has ``overlap_updates=False``."""
    total, each = model._setup_learn(n_steps, callback)
    each.on_training_start({}, {})
    due: list[Callable[[], None]] = []
    while model.num_timesteps < total:
        for num_collected_steps in range(1, train_freq + 1):  # noqa: B007, callbacks read it
            actions, buffer_actions = model._sample_action(model.learning_starts, None, model.n_envs)
            for update in due:
                update()
            due = []
            new_obs, rewards, dones, infos = model.env.step(actions)
            model.num_timesteps += model.n_envs
            each.update_locals(locals())
            assert each.on_step()
            model._update_info_buffer(infos, dones)
            model._store_transition(model.replay_buffer, buffer_actions, new_obs, rewards, dones, infos)
            model._update_current_progress_remaining(model.num_timesteps, total)
            model._on_step()
        due = [each.on_rollout_end]
        if model.num_timesteps > model.learning_starts:
            gradient_steps = model.gradient_steps if model.gradient_steps > 0 else train_freq * model.n_envs
            due.append(lambda: model.train(gradient_steps, model.batch_size))  # noqa: B023
    for update in due:
        update()


@pytest.mark.parametrize("loop", LOOPS, ids=str)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_same_weights_as_the_loop_written_down(algorithm: str, loop: dict[str, int]) -> None:
    overlapped = make(algorithm, overlap_updates=True, **loop).learn(240, callbacks(algorithm))
    by_hand = make(algorithm, **loop)
    learn_by_hand(by_hand, callbacks(algorithm), 240, loop["train_freq"])
    assert overlapped._n_updates == by_hand._n_updates > 20
    np.testing.assert_array_equal(weights(overlapped), weights(by_hand))
    ordinary = make(algorithm, **loop).learn(240, callbacks(algorithm))
    assert not np.array_equal(weights(overlapped), weights(ordinary))  # otherwise the test would prove nothing


class Keep(BaseCallback):
    """Records the weights and the number of updates at every step, and saves model and buffer at step 96."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.weights, self.n_updates = folder, [], []

    def _on_step(self) -> bool:
        self.weights.append(weights(self.model))
        self.n_updates.append(self.model._n_updates)
        if self.num_timesteps == 96:
            self.model.save(self.folder / "model.zip")
            self.model.save_replay_buffer(self.folder / "buffer.pkl")
        return True


@pytest.mark.parametrize("loop", LOOPS, ids=str)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_actions_can_differ(algorithm: str, loop: dict[str, int], tmp_path: Path) -> None:
    """
    With random actions, training equals ordinary training bit for bit: at every step that callbacks see, in checkpoints,
    at the end, and after resuming.
    """
    ends, resumed, kept = [], [], []
    for overlap in (False, True):
        keep = Keep(tmp_path / str(overlap))
        model = make(algorithm, overlap_updates=overlap, **AT_RANDOM, **loop).learn(120, callbacks(algorithm, keep))
        ends.append(weights(model))
        kept.append(keep)
        model = type(model).load(keep.folder / "model.zip", env=model.env)
        assert model.overlap_updates is overlap
        model.load_replay_buffer(keep.folder / "buffer.pkl")
        resumed.append(weights(model.learn(60, callbacks(algorithm), reset_num_timesteps=False)))
    assert kept[0].n_updates == kept[1].n_updates
    np.testing.assert_array_equal(kept[0].weights, kept[1].weights)
    np.testing.assert_array_equal(*ends)
    np.testing.assert_array_equal(*resumed)
    assert not np.array_equal(kept[0].weights[-1], ends[0])  # the update after the last step is not lost


def test_training_by_episodes() -> None:
    one, other = (
        make("ddqn_per", make_vec_env(Corridor), train_freq=(1, "episode"), overlap_updates=overlap, **AT_RANDOM).learn(400)
        for overlap in (False, True)
    )
    assert one._n_updates == other._n_updates > 5
    np.testing.assert_array_equal(weights(one), weights(other))


def test_normalized_observations() -> None:
    """Samples are normalized with the statistics from before the step, as in the ordinary loop."""
    one, other = (
        make("ddqn_per", VecNormalize(make_vec_env(Corridor, 2)), overlap_updates=overlap, **AT_RANDOM).learn(120)
        for overlap in (False, True)
    )
    np.testing.assert_array_equal(weights(one), weights(other))


class Recorder(VecEnvWrapper):
    """
    Records the calls of ``step_async`` and ``step_wait``.

    :param calls: list to append to
    """

    def __init__(self, venv: VecEnv, calls: list[str]) -> None:
        super().__init__(venv)
        self.calls = calls

    def reset(self) -> Any:
        return self.venv.reset()

    def step_async(self, actions: np.ndarray) -> None:
        self.calls.append("send")
        super().step_async(actions)

    def step_wait(self) -> Any:
        self.calls.append("wait")
        return self.venv.step_wait()


def recorded(calls: list[str], algorithm: str = "ddqn_per", **arguments: Any) -> DDQN:
    env = corridors() if algorithm == "ddqn_rnd" else make_vec_env(Corridor, 2)
    return make(algorithm, Recorder(env, calls), learning_starts=6, overlap_updates=True, **arguments)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_order_of_calls(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    model = recorded(calls, algorithm, train_freq=2)
    update = QLearner.update
    monkeypatch.setattr(
        QLearner,
        "update",
        lambda self, *args: (calls.append("model" if self is model.learner else "explorer"), update(self, *args))[1],
    )
    model.learn(16, callbacks(algorithm))
    updates = ["explorer", "model"] if algorithm == "ddqn_rnd" else ["model"]
    prefill, later, last = 4 * ["send", "wait"], ["send", *updates, "wait", "send", "wait"], updates
    assert calls == prefill + 2 * later + last
    calls.clear()
    model.train(1, 8)  # outside of learn(): at once
    assert calls == ["model"]


@pytest.mark.parametrize("ending", ["callback", "error"])
def test_nothing_is_left_to_a_later_training(ending: str) -> None:
    """An aborted training leaves no pending update behind, nor an environment with an unanswered step."""

    class End(BaseCallback):
        def _on_rollout_start(self) -> None:
            if self.num_timesteps == 10 and ending == "error":
                raise RuntimeError("not now")

        def _on_step(self) -> bool:
            return self.num_timesteps < 10 or ending == "error"

    calls: list[str] = []
    model = recorded(calls, train_freq=1)
    if ending == "error":
        with pytest.raises(RuntimeError, match="not now"):
            model.learn(30, End())
    else:
        model.learn(30, End())
    assert calls == 5 * ["send", "wait"]
    before = model._n_updates
    model.train(2, 8)
    assert model._n_updates == before + 2
    model.learn(20, reset_num_timesteps=False)
    assert model.num_timesteps == 30


@pytest.mark.parametrize("error", [ValueError("the loss became nan"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, pytest.param(SubprocVecEnv, marks=pytest.mark.slow)])
def test_an_update_that_fails(vec_env_cls: type[VecEnv], error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an update fails, the pending step is still waited for, so the environment can be reset and training can continue."""
    calls: list[str] = []
    env = Recorder(make_vec_env(Corridor, 2, vec_env_cls=vec_env_cls), calls)  # type: ignore[arg-type]
    model = make("ddqn_per", env, train_freq=1, overlap_updates=True)
    with monkeypatch.context() as patch:

        def fail(*_: Any) -> None:
            raise error

        patch.setattr(QLearner, "update", fail)
        with pytest.raises(type(error), match=r"At environment step 42, after 0 updates: the loss|^$"):
            model.learn(100)
    assert calls == 22 * ["send", "wait"]
    assert model.learn(60).num_timesteps == 60
    env.close()


def test_the_update_says_why_and_not_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C also ends the workers of ``SubprocVecEnv``. The resulting EOFError must not hide the KeyboardInterrupt."""
    calls: list[str] = []
    model = recorded(calls, train_freq=1)

    def interrupt(*_: Any) -> None:
        def end() -> None:
            raise EOFError

        model.env.step_wait = end  # type: ignore[method-assign]
        raise KeyboardInterrupt

    monkeypatch.setattr(QLearner, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.learn(100)


def test_hindsight_asks_the_environment() -> None:
    class Goals(Corridor):
        def __init__(self) -> None:
            super().__init__()
            names = ("observation", "achieved_goal", "desired_goal")
            self.observation_space = spaces.Dict({name: self.observation_space for name in names})

    with pytest.raises(ValueError, match="overlap_updates=True with HerReplayBuffer"):
        DDQN("MultiInputPolicy", Goals(), replay_buffer_class=HerReplayBuffer, n_steps=1, overlap_updates=True)
