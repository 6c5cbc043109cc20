"""Everything saved is restored; broken files are refused; a failed save leaves the old file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3 import DQN
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecFrameStack

from sb3_breakout import DDQN, PrioritizedReplayBuffer
from tests.ddqn.environments import Corridor

FAST: dict[str, Any] = dict(learning_starts=50, buffer_size=1000, batch_size=16, seed=0)


@pytest.fixture(scope="module")
def model() -> DDQN:
    return DDQN("MlpPolicy", Corridor(), **FAST).learn(400)


def test_temperature_and_weights_travel(model: DDQN, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model.zip")
    assert model.temperature is not None and model.temperature < 1.0
    assert loaded.temperature == model.temperature
    assert loaded.policy.exploration.get_state() == model.policy.exploration.get_state()
    for key, value in model.policy.state_dict().items():
        if isinstance(value, th.Tensor):
            assert th.equal(value, loaded.policy.state_dict()[key])
    saved, restored = model.policy.optimizer.state_dict(), loaded.policy.optimizer.state_dict()
    assert th.equal(saved["state"][0]["exp_avg"], restored["state"][0]["exp_avg"])


def test_loading_reserves_no_memory_for_the_buffer(tmp_path: Path) -> None:
    """A buffer of 10¹² transitions would not fit into memory; a model that only plays must not allocate it."""
    model = DDQN("MlpPolicy", Corridor(), **FAST)
    model.buffer_size = 10**12
    model.save(tmp_path / "model")
    assert DDQN.load(tmp_path / "model").predict(np.zeros(6, np.float32))[0] in (0, 1)


def test_training_goes_on_after_loading(model: DDQN, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    loaded = DDQN.load(tmp_path / "model", env=Corridor())
    loaded.load_replay_buffer(tmp_path / "buffer")
    assert loaded.replay_buffer.size() == model.replay_buffer.size()
    temperature = loaded.temperature
    loaded.learn(300, reset_num_timesteps=False)
    assert loaded.num_timesteps == 700
    assert loaded.temperature < temperature


@pytest.mark.parametrize(("n_steps", "at_once"), [(1, 1), ((5, 1, 0.5), 3), (lambda remaining: 2 + 3 * remaining, 4)])
def test_training_goes_on_with_other_n_steps(model: DDQN, tmp_path: Path, n_steps: Any, at_once: int) -> None:
    """The buffer was filled with n = 3. The new schedule applies once the buffer is loaded, and is saved with the model."""
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    loaded = DDQN.load(tmp_path / "model", env=Corridor(), n_steps=n_steps)
    loaded._current_progress_remaining = 0.8
    loaded.load_replay_buffer(tmp_path / "buffer")
    assert loaded.replay_buffer.n_steps == at_once
    loaded.replay_buffer.check_valid()
    loaded.learn(100, reset_num_timesteps=False)
    loaded.save(tmp_path / "again")
    again = DDQN.load(tmp_path / "again.zip", env=Corridor())
    with pytest.warns(UserWarning, match="saved at step 400 and the model at step 500"):
        again.load_replay_buffer(tmp_path / "buffer")
    assert again.replay_buffer.n_steps == loaded.replay_buffer.n_steps


def test_a_loaded_buffer_keeps_its_size(model: DDQN, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    size = model.buffer_size
    loaded = DDQN.load(tmp_path / "model", env=Corridor(), buffer_size=2 * size)
    with pytest.warns(UserWarning, match=f"holds a replay buffer with buffer_size={size}, which stays, not {2 * size}"):
        loaded.load_replay_buffer(tmp_path / "buffer")
    assert loaded.replay_buffer.buffer_size == size


def test_none_is_the_default_on_load_too(model: DDQN, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model", env=Corridor(), replay_buffer_class=None, replay_buffer_kwargs=None)
    assert isinstance(loaded.replay_buffer, PrioritizedReplayBuffer)


def test_continued_model_does_not_play_at_random_again(model: DDQN, tmp_path: Path) -> None:
    """RL Zoo's `-i` counts steps from 0 again. The random prefill must not be repeated."""
    model.save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model", env=Corridor(), learning_starts=99, temperature_initial=0.05)
    loaded.policy.explore = lambda observation: (np.ones(1, np.int64), {}, None)  # type: ignore[method-assign]
    loaded.learn(100)
    assert loaded.replay_buffer.sample(100).actions.all()


def test_exploration_can_be_another_on_load(model: DDQN, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model", exploration="epsilon_greedy", exploration_initial_eps=0.3)
    assert loaded.epsilon == 0.3 and loaded.temperature is None


def test_arguments_can_be_changed_on_load(model: DDQN, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model", temperature_min=0.5, temperature_initial=0.5)
    assert loaded.temperature == 0.5


def test_interrupted_save_keeps_the_old_file(model: DDQN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model.save(tmp_path / "model")
    before = (tmp_path / "model.zip").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(th, "save", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            model.save(tmp_path / "model")
    assert (tmp_path / "model.zip").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.99])
def test_truncated_checkpoint(model: DDQN, tmp_path: Path, fraction: float) -> None:
    model.save(tmp_path / "model")
    whole = (tmp_path / "model.zip").read_bytes()
    (tmp_path / "model.zip").write_bytes(whole[: int(fraction * len(whole))])
    with pytest.raises(ValueError, match=r"model\.zip is not a complete checkpoint"):
        DDQN.load(tmp_path / "model.zip")


def test_own_exploration_rule_is_saved(tmp_path: Path) -> None:
    from sb3_breakout.ddqn import EpsilonGreedy

    model = DDQN("MlpPolicy", Corridor(), exploration=EpsilonGreedy(0.7, 0.1, 0.5), **FAST).learn(200)
    model.save(tmp_path / "model")
    loaded = DDQN.load(tmp_path / "model")
    assert loaded.epsilon == model.epsilon


def stacked() -> VecFrameStack:
    return VecFrameStack(make_vec_env(lambda: Corridor("image")), 4)


def test_an_environment_that_is_set_later_has_its_frames_stored_once(tmp_path: Path) -> None:
    model = DDQN("CnnPolicy", stacked(), **FAST).learn(60)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    for buffer_first in (False, True):
        loaded = DDQN.load(tmp_path / "model")
        if buffer_first:
            loaded.load_replay_buffer(tmp_path / "buffer")
        loaded.set_env(stacked())
        assert loaded.replay_buffer.n_stack == 4
        assert loaded.replay_buffer.size() == (60 if buffer_first else 0)
        loaded.load_replay_buffer(tmp_path / "buffer")
        assert loaded.learn(20, reset_num_timesteps=False).replay_buffer.size() == 80


def test_a_buffer_of_ones_own_is_kept_where_it_fits() -> None:
    model = DDQN("CnnPolicy", stacked(), **FAST)
    mine = PrioritizedReplayBuffer(100, model.observation_space, model.action_space, device="cpu", n_stack=4)
    model.replay_buffer = mine
    model.set_env(stacked())
    assert model.replay_buffer is mine


def test_a_buffer_of_another_algorithm_gets_the_discount(tmp_path: Path) -> None:
    """SB3's DQN does not pass its gamma to the buffer, so the buffer takes that of the model which loads it."""
    buffer = dict(replay_buffer_class=PrioritizedReplayBuffer, buffer_size=1000)
    dqn = DQN("MlpPolicy", Corridor(), learning_starts=10, seed=0, device="cpu", **buffer).learn(40)
    dqn.save_replay_buffer(tmp_path / "buffer")
    model = DDQN("MlpPolicy", Corridor(), gamma=0.9, n_steps=2, **FAST)
    model.load_replay_buffer(tmp_path / "buffer")
    np.testing.assert_allclose(model.replay_buffer._get_samples(np.array([0])).discounts, 0.9**2, rtol=1e-6)


def played(model: DDQN) -> list[np.ndarray]:
    """Train for another 40 steps and return their actions."""
    size = model.replay_buffer.size()
    model.learn(40, reset_num_timesteps=False)
    return model.replay_buffer.actions[size : size + 40].tolist()


def test_random_numbers_go_on_unless_another_seed_is_asked_for(model: DDQN, tmp_path: Path) -> None:
    def resumed(path: str = "model", **kwargs: Any) -> DDQN:
        loaded = DDQN.load(tmp_path / path, env=Corridor(), temperature_min=1.0, temperature_initial=1.0, **kwargs)
        loaded.load_replay_buffer(tmp_path / "buffer")
        return loaded

    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    resumed().save(tmp_path / "copy")
    first = played(resumed())
    assert first == played(resumed()) == played(resumed(seed=0)) == played(resumed("copy"))
    reseeded = resumed()
    reseeded.set_random_seed(1)
    others = played(resumed(seed=1)), played(resumed(seed=2)), played(reseeded)
    assert others[0] == played(resumed(seed=1))
    assert first not in others and others[0] != others[1]
