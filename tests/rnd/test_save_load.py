"""Explorer and bonus are in every model file, and are restored when training continues."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback

from sb3_breakout import DDQN, DDQNRND, DualAgentCallback
from sb3_breakout.rnd.ddqn_rnd import EXPLORATION
from tests.ddqn.environments import Corridor
from tests.rnd.agents import agent, corridors, trained


def same(one: object, other: object) -> bool:
    """Whether two state dicts agree in every tensor and number."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))  # type: ignore[arg-type]
    return bool(th.equal(one, other)) if isinstance(one, th.Tensor) else one == other


class Attached(DualAgentCallback):
    """Records the parameters of both agents at the start of training."""

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self.start = copy.deepcopy(self.model.get_parameters())
        self.start_mix, self.start_steps = self.alpha, self.num_timesteps


def test_training_goes_on_with_all_of_it(tmp_path: Path) -> None:
    model = trained(200)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    end = model.get_parameters()
    assert set(EXPLORATION) < set(end)

    loaded = DDQNRND.load(tmp_path / "model", env=corridors())
    loaded.load_replay_buffer(tmp_path / "buffer")
    callback = Attached()
    loaded.learn(200, callback=callback, reset_num_timesteps=False)
    assert same(callback.start, end)
    assert callback.start_steps == 200 and loaded.num_timesteps == 400
    assert loaded.replay_buffer.size() == 200  # per environment
    assert loaded.rnd is loaded.env.rnd and loaded.rnd.n_frames == 400
    assert not same(loaded.get_parameters()["rnd"], end["rnd"])
    loaded.replay_buffer.check_valid()


def test_loaded_as_a_single_agent(tmp_path: Path) -> None:
    trained(200).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"model was saved by DDQNRND, which has two agents: load it with DDQNRND.load\(\)"):
        DDQN.load(tmp_path / "model")


def test_the_next_samples_of_both_learners_are_the_same_after_loading(tmp_path: Path) -> None:
    model = trained(200)
    model.save_replay_buffer(tmp_path / "buffer")
    loaded = agent()
    with pytest.warns(UserWarning, match="saved at step 200 and the model at step 0"):
        loaded.load_replay_buffer(tmp_path / "buffer")
    for one, other in ((model.replay_buffer, loaded.replay_buffer), [m.replay_buffer.learner(0.3) for m in (model, loaded)]):
        for _ in range(10):
            assert np.array_equal(one.sample(16).indices, other.sample(16).indices)


def test_every_file_of_a_run_has_it(tmp_path: Path) -> None:
    checkpoints = CheckpointCallback(save_freq=50, save_path=str(tmp_path))
    best = EvalCallback(
        corridors(1), eval_freq=80, best_model_save_path=str(tmp_path), n_eval_episodes=1, verbose=0, warn=False
    )
    model = trained(200, [DualAgentCallback(save_path=str(tmp_path)), checkpoints, best])  # type: ignore[arg-type]
    model.save(tmp_path / "final")
    for name in ("rl_model_100_steps", "rl_model_200_steps", "best_model", "final"):
        assert set(DDQNRND.load(tmp_path / name).get_parameters()) > set(EXPLORATION), name


def test_playing_builds_no_networks_and_loses_nothing(tmp_path: Path) -> None:
    model = trained(100)
    model.save(tmp_path / "model")
    loaded = DDQNRND.load(tmp_path / "model")
    assert loaded.explorer is None and loaded.rnd is None
    assert loaded.predict(np.zeros(6, np.float32), deterministic=True)[0] in (0, 1)
    loaded.save(tmp_path / "again")
    assert same(DDQNRND.load(tmp_path / "again").get_parameters(), model.get_parameters())


def test_parameters_of_a_file_put_into_a_running_agent(tmp_path: Path) -> None:
    model = trained(100)
    model.save(tmp_path / "model")
    before = copy.deepcopy(model.get_parameters())
    model.learn(100, callback=DualAgentCallback(), reset_num_timesteps=False)
    model.set_parameters(tmp_path / "model")
    assert same(model.get_parameters(), before)


def test_parameters_of_a_model_without_explorer(tmp_path: Path) -> None:
    model = trained(100)
    model.save(tmp_path / "model")
    own = DDQN.get_parameters(model)
    for each in (model, DDQNRND.load(tmp_path / "model")):
        each.set_parameters(own)
        assert same(each.get_parameters(), DDQNRND.load(tmp_path / "model").get_parameters())
        each.forget_exploration()
        assert each.get_parameters().keys() == own.keys()


def test_a_second_training_in_the_same_process_goes_on_too() -> None:
    model = trained(100)
    end = copy.deepcopy(model.get_parameters())
    callback = Attached()  # builds a new explorer, which takes over the weights of the last one
    model.learn(100, callback=callback, reset_num_timesteps=False)
    assert same(callback.start, end)
    assert model.explorer is callback.explorer


def test_without_anything_to_restore(tmp_path: Path) -> None:
    DDQNRND("MlpPolicy", corridors(), device="cpu").save(tmp_path / "untrained")
    model = DDQNRND.load(tmp_path / "untrained", env=corridors(), learning_starts=20)
    assert model.learn(64, callback=DualAgentCallback()).num_timesteps == 64


def test_bonus_of_another_frame_size(tmp_path: Path) -> None:
    trained(60).save(tmp_path / "model")
    model = DDQNRND.load(tmp_path / "model", env=corridors())
    state = model._saved_exploration["rnd"]["_extra_state"]
    state["frame_mean"] = th.zeros(7, dtype=th.float64)
    with pytest.raises(ValueError, match=r"for frames of shape \(7,\), not \(6,\)"):
        model.learn(60, callback=DualAgentCallback())


def test_export_is_a_model_of_its_own(tmp_path: Path) -> None:
    callback = DualAgentCallback(save_path=str(tmp_path))
    trained(100, callback)
    callback.on_training_end()  # RL Zoo calls it a second time
    watched = DDQN.load(tmp_path / "exploration_agent.zip")
    assert same(watched.policy.state_dict(), callback.explorer.policy.state_dict())
    observation = Corridor().reset()[0]
    actions = [each.predict(observation, deterministic=True)[0] for each in (watched, callback.explorer.policy)]
    assert actions[0] == actions[1]
    assert watched.temperature == callback.explorer.policy.exploration.temperature < 1.0


def test_no_export_where_nobody_said_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained(60)
    assert not list(tmp_path.iterdir())
