"""Two agents on one buffer: which one acts, what each learns from, and that they do not influence each other's learning."""

from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecFrameStack

from sb3_breakout import DDQN, DDQNRND, DualAgentCallback, PrioritizedReplayBuffer
from sb3_breakout.ddqn.learner import QLearner
from tests.ddqn.environments import Corridor
from tests.replay.streams import FrameStackStream
from tests.rnd.agents import agent, corridors, trained, weights

LEFT = 0


def learn_by_hand(bonus: float) -> tuple[DDQN, QLearner]:
    """Train both agents on the same random transitions, with a constant bonus."""
    stream = FrameStackStream(4, n_envs=2, frame_shape=(6,), dtype=np.float32)
    env = corridors()
    model = agent(env, learning_starts=0, n_steps=3)
    model.observation_space = stream.space
    model.replay_buffer = None
    model._setup_model()
    model.set_logger(Logger(None, []))
    explorer = model.second_learner(model.replay_buffer.learner(0.5))
    for step in islice(stream, 60):
        for info in step.infos:
            info["intrinsic_reward"] = bonus
        model.replay_buffer.add(*step[:2], step.action % 2, *step[3:])
        if model.replay_buffer.n_eligible():
            model.update(explorer, 2, 8)
            model.train(2, 8)
    return model, explorer


def test_a_bonus_of_a_million_is_nothing_to_the_exploiter() -> None:
    (one, one_explorer), (other, other_explorer) = learn_by_hand(0.0), learn_by_hand(1e6)
    np.testing.assert_array_equal(weights(one), weights(other))
    assert one.last_loss == other.last_loss
    batches = [model.replay_buffer.sample(50) for model in (one, other)]
    for field in ("indices", "rewards", "weights"):
        np.testing.assert_array_equal(getattr(batches[0], field), getattr(batches[1], field))
    assert not np.array_equal(weights(one_explorer), weights(other_explorer))
    assert other_explorer.view.sample(50).rewards.max() > 1e5


def test_an_explorer_forced_to_the_left_fills_the_buffer_with_left() -> None:
    callback = DualAgentCallback()
    model = trained(50, callback)
    start = model.replay_buffer.pos
    callback.explorer.policy.explore = lambda observation: (np.full(len(observation), LEFT), {}, None)  # type: ignore[method-assign]
    model.policy.explore = lambda observation: pytest.fail("the exploiter was asked")  # type: ignore[method-assign]
    model.learn(200, callback=callback, reset_num_timesteps=False)
    actions = model.replay_buffer.actions[start : model.replay_buffer.pos]
    assert len(actions) == 100 and (actions == LEFT).all()


def test_both_agents_learn_and_differ() -> None:
    callback = DualAgentCallback()
    model = agent()
    before = weights(model)
    model.learn(200, callback=callback)
    assert not np.array_equal(weights(model), before)
    assert not np.array_equal(weights(model), weights(callback.explorer))
    assert model._n_updates > 0
    model.replay_buffer.check_valid()


def test_target_network_of_the_explorer_is_copied_when_the_models_is() -> None:
    callback = DualAgentCallback()
    trained(200, callback, target_update_interval=20, gradient_steps=1)
    networks = callback.explorer.policy.q_net, callback.explorer.policy.q_net_target
    online, target = (th.nn.utils.parameters_to_vector(each.parameters()).detach() for each in networks)
    assert 0.0 < (online - target).abs().max() < 0.01  # copied a few steps of Adam (2.5e-4) ago, not at the start


def test_alpha_follows_its_schedule_and_the_samples_follow_alpha() -> None:
    mixes = []

    class Watched(DualAgentCallback):
        def _on_rollout_end(self) -> None:
            super()._on_rollout_end()
            mixes.append((self.num_timesteps, self.view.reward_mix))

    trained(400, Watched(alpha_initial=0.8, alpha_final=0.2, alpha_fraction=0.5), train_freq=1)
    seen = dict(mixes)  # alpha falls over the 180 steps after learning starts, at 40
    assert seen[42] == pytest.approx(0.8 - 0.6 * 2 / 180)
    assert seen[100] == pytest.approx(0.8 - 0.6 * 60 / 180)
    assert seen[220] == pytest.approx(0.2) and seen[400] == pytest.approx(0.2)


def test_no_training_is_without_its_bonus() -> None:
    """Learning starts at step 40 of 80; alpha falls over the next 8. From step 0 on, it would be 0 before the first update."""
    mixes: list[float] = []

    class Watched(DualAgentCallback):
        def _on_rollout_end(self) -> None:
            super()._on_rollout_end()
            mixes.append(self.view.reward_mix)

    trained(80, Watched(alpha_initial=0.5, alpha_final=0.0, alpha_fraction=0.2), train_freq=1)
    assert mixes[:23] == pytest.approx([0.5] * 20 + [0.375, 0.25, 0.125]) and mixes[-1] == 0.0


@pytest.mark.filterwarnings("ignore:Nothing is learned")
def test_a_training_that_is_over_before_learning_starts() -> None:
    refused(agent(learning_starts=100), DualAgentCallback(), r"training of 100 steps is over .* \(learning_starts=100\)")


@pytest.mark.parametrize("exploration", ["boltzmann", "epsilon_greedy"])
def test_either_rule_is_the_explorers(exploration: str) -> None:
    callback = DualAgentCallback()
    model = trained(300, callback, exploration=exploration, exploration_fraction=1.0)
    rule, unused = callback.explorer.policy.exploration, model.policy.exploration
    assert rule is not unused and rule.get_state() != unused.get_state()
    if exploration == "boltzmann":
        assert model.temperature == rule.temperature < 1.0
    else:
        assert model.epsilon == rule.epsilon < 0.1


def test_evaluation_is_of_the_exploiter_and_its_environment_stays_passive() -> None:
    evaluation = corridors(1)
    model = agent()
    asked = []
    predict = model.policy.predict
    model.policy.predict = lambda *args, **kwargs: (asked.append(1), predict(*args, **kwargs))[1]  # type: ignore[method-assign]
    callback = EvalCallback(evaluation, eval_freq=50, n_eval_episodes=1, verbose=0, warn=False)
    model.learn(200, callback=[DualAgentCallback(), callback])
    assert asked and not evaluation.active and evaluation.metrics == {}
    assert callback.last_mean_reward in (0.0, 1.0)


@pytest.mark.parametrize("arguments", [dict(n_steps=1), dict(gradient_steps=-1), dict(train_freq=(2, "step"))])
def test_variants_run(arguments: dict[str, Any]) -> None:
    model = trained(150, **arguments)
    assert model._n_updates > 0
    model.replay_buffer.check_valid()


def test_images_in_stacks_and_a_plain_ddqn() -> None:
    """The bonus wrapper below VecFrameStack, as in RL Zoo. The callback works with any DDQN."""
    env = VecFrameStack(corridors(make=lambda: Corridor("image")), 2)
    model = DDQN("CnnPolicy", env, learning_starts=20, buffer_size=200, batch_size=4, device="cpu").learn(
        60, DualAgentCallback()
    )
    assert model.replay_buffer.n_stack == 2 and model.replay_buffer.intrinsic_rewards.any()


def test_what_is_logged_and_shown() -> None:
    model = agent()
    logger = Logger(None, [])
    model.set_logger(logger)
    keys: set[str] = set()

    class Collect(DualAgentCallback):
        AGREEMENT_INTERVAL = 50

        def _on_rollout_end(self) -> None:
            super()._on_rollout_end()
            keys.update(self.logger.name_to_value)
            if "rnd/agreement" in self.logger.name_to_value:
                assert 0.0 <= self.logger.name_to_value["rnd/agreement"] <= 1.0

    model.learn(300, callback=Collect())
    assert keys >= {"rnd/alpha", "rnd/bonus", "rnd/bonus_raw", "rnd/bonus_scale", "rnd/predictor_loss", "rnd/agreement"}
    assert keys >= {"explorer/loss", "explorer/q_value", "train/loss", "train/q_value"}
    assert keys >= {"rollout/extrinsic_reward", "rollout/combined_reward"}
    assert model.figures.keys() == {"alpha", "extrinsic", "combined"}
    assert 0.0 <= model.figures["extrinsic"] <= 1.0


@pytest.mark.parametrize("name", ["alpha_initial", "alpha_final", "alpha_fraction"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "0.5"])
def test_alpha_outside_of_its_range(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be a number in \[0, 1\], received"):
        DualAgentCallback(**{name: value})


def refused(model: Any, callback: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.learn(100, callback=callback)
    assert model.num_timesteps == 0


def test_what_does_not_fit_is_said_at_the_start_of_training() -> None:
    plain = make_vec_env(Corridor, 2)
    refused(
        agent(plain), DualAgentCallback(), r"DualAgentCallback needs .*\n  vec_env_wrapper: sb3_breakout.rnd.RNDRewardWrapper"
    )
    refused(agent(), None, r"ddqn_rnd needs .*\n  callback: sb3_breakout.rnd.DualAgentCallback")
    refused(
        agent(corridors(reward="combined")), DualAgentCallback(), r"RNDRewardWrapper\(reward='extrinsic'\), not 'combined'"
    )
    dqn = DQN("MlpPolicy", corridors(), replay_buffer_class=PrioritizedReplayBuffer, device="cpu")
    refused(dqn, DualAgentCallback(), "DDQN or a subclass .* not DQN")
    uniform = agent(replay_buffer_class=ReplayBuffer, n_steps=1)
    refused(uniform, DualAgentCallback(), "replay_buffer_class=PrioritizedReplayBuffer, .* not ReplayBuffer")
    by_actor = agent(initial_priorities="td_error")
    refused(by_actor, DualAgentCallback(), "needs initial_priorities='recent': .* 'td_error' would not be the model's")


def test_one_callback_for_several_models() -> None:
    callback = DualAgentCallback()
    first = trained(100, callback)
    explorer = callback.explorer
    second = trained(41, callback, seed=1)
    assert second.explorer is callback.explorer is not explorer
    assert first.explorer is explorer
    assert not np.array_equal(weights(second.explorer), weights(explorer))


def test_a_second_training_without_the_callback() -> None:
    model = trained(60)
    with pytest.raises(ValueError, match="ddqn_rnd needs its exploration agent"):
        model.learn(60, reset_num_timesteps=False)


def test_a_buffer_filled_without_a_bonus() -> None:
    model = agent(cls=DDQN).learn(64)
    with pytest.raises(ValueError, match="64 transitions were stored without learner 'explorer'"):
        model.learn(60, callback=DualAgentCallback())


def test_bonus_missing_in_training() -> None:
    callback = DualAgentCallback()
    model = trained(60, callback)
    model.set_env(make_vec_env(Corridor, 2))
    model.replay_buffer.reset()
    zeros = np.zeros((2, 6), np.float32)
    with pytest.raises(ValueError, match=r"infos\[0\] has no 'intrinsic_reward'"):
        model.replay_buffer.add(zeros, zeros, np.zeros(2), np.zeros(2), np.zeros(2), [{}, {}])


def test_class_is_what_the_zoo_loads() -> None:
    assert issubclass(DDQNRND, DDQN) and isinstance(agent().action_space, spaces.Discrete)


def test_a_training_without_the_callback_acts_by_itself() -> None:
    model = trained(cls=DDQN)
    assert model.behaviour is not None
    assert model.learn(60).behaviour is None
