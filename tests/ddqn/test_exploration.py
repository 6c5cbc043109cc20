"""Exploration rules: hand-worked probabilities, the formula of the temperature, and frequencies of sampled actions."""

import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env

from sb3_breakout import DDQN
from sb3_breakout.ddqn.exploration import (
    Boltzmann,
    EpsilonGreedy,
    ExplorationRule,
    action_gap,
    boltzmann_probabilities,
    entropy,
    epsilon_greedy_probabilities,
    mixed_with_random,
    sample_actions,
)
from sb3_breakout.ddqn.ladder import ladder_epsilons, scores_along_the_ladder
from tests.ddqn.environments import Corridor


def test_boltzmann_by_hand() -> None:
    q_values = np.log(np.array([[1.0, 2.0, 5.0]]))
    np.testing.assert_allclose(boltzmann_probabilities(q_values, 1.0), [[0.125, 0.25, 0.625]])
    # Half the temperature squares the odds: 1 : 4 : 25
    np.testing.assert_allclose(boltzmann_probabilities(q_values, 0.5), [[1 / 30, 4 / 30, 25 / 30]])


def test_boltzmann_does_not_overflow_and_forgets_a_common_offset() -> None:
    q_values = np.array([[0.0, 1.0], [1e6, 1e6 + 1.0]])
    probabilities = boltzmann_probabilities(q_values, 0.5)
    np.testing.assert_allclose(probabilities[0], probabilities[1])
    np.testing.assert_allclose(boltzmann_probabilities(np.array([[0.0, 1e9]]), 1e-3), [[0.0, 1.0]])


def test_epsilon_greedy_by_hand() -> None:
    q_values = np.array([[0.0, 3.0, 1.0, 2.0], [9.0, 3.0, 1.0, 2.0]])
    np.testing.assert_allclose(
        epsilon_greedy_probabilities(q_values, 0.2), [[0.05, 0.85, 0.05, 0.05], [0.85, 0.05, 0.05, 0.05]]
    )


def test_entropy_and_gap_by_hand() -> None:
    assert entropy(np.full((3, 4), 0.25)) == pytest.approx(np.log(4))
    assert entropy(np.array([[1.0, 0.0]])) == 0.0
    assert action_gap(np.array([[1.0, 4.0, 3.5], [0.0, 0.0, 2.0]])) == pytest.approx((0.5 + 2.0) / 2)
    assert action_gap(np.array([[1.0]])) == 0.0


def test_sampled_frequencies_follow_the_probabilities() -> None:
    np.random.seed(0)
    probabilities = np.tile([0.5, 0.0, 0.3, 0.2], (100_000, 1))
    frequencies = np.bincount(sample_actions(probabilities), minlength=4) / 100_000
    np.testing.assert_allclose(frequencies, probabilities[0], atol=0.006)  # about 4 standard errors
    assert frequencies[1] == 0.0


@pytest.mark.parametrize("episodes", [0, 1, 3, 300, 1797, 5000])
def test_temperature_follows_the_original_formula(episodes: int) -> None:
    rule = Boltzmann(initial=1.0, minimum=0.05, decay=0.995, slowdown=3, scale="raw")
    for _ in range(episodes):
        rule.update(progress_remaining=1.0, episodes_ended=1)
    assert rule.temperature == pytest.approx(max(0.05, 0.995 ** (episodes / 3)))


def drawn_from(rule: Boltzmann, q_values: np.ndarray) -> np.ndarray:
    rule.observe(q_values)
    return rule.probabilities(q_values)


def test_raw_temperature_is_blind_to_small_gaps_and_the_scaled_one_is_not() -> None:
    """Breakout's Q-values differ by about 0.01, so softmax(Q / 0.05) is random play. Dividing by their spread avoids this."""
    q_values = np.array([[0.50, 0.51, 0.505, 0.495]] * 8, dtype=np.float32)
    rules = [Boltzmann(initial=0.05, minimum=0.05, decay=1.0, slowdown=1, scale=scale) for scale in ("raw", "q_spread")]
    raw, scaled = (entropy(drawn_from(rule, q_values)) for rule in rules)
    assert raw > 0.99 * np.log(4)
    assert scaled < 0.1


def test_scaled_boltzmann_does_not_depend_on_the_unit_of_the_reward() -> None:
    q_values = np.random.default_rng(0).normal(size=(8, 4))
    small, large = (drawn_from(Boltzmann(0.3, 0.05, 1.0, 1, "q_spread"), unit * q_values) for unit in (1e-3, 1e3))
    np.testing.assert_allclose(small, large)


def test_running_spread_follows_a_change_of_scale() -> None:
    rule = Boltzmann(1.0, 0.05, 0.995, 3, "q_spread")
    q_values = np.array([[-1.0, 1.0]])
    rule.observe(q_values)
    assert rule.q_spread == 1.0  # the first batch sets the average
    rule.observe(3 * q_values)
    assert rule.q_spread == pytest.approx(1.0 + 0.01 * 2.0)
    for _ in range(1000):
        rule.observe(3 * q_values)
    assert rule.q_spread == pytest.approx(3.0, rel=1e-3)


def test_equal_q_values_give_uniform_play() -> None:
    np.testing.assert_allclose(drawn_from(Boltzmann(0.05, 0.05, 1.0, 1, "q_spread"), np.ones((2, 4))), 0.25)


@pytest.mark.parametrize(
    ("progress_remaining", "epsilon"), [(1.0, 1.0), (0.99, 0.505), (0.98, 0.01), (0.5, 0.01), (0.0, 0.01)]
)
def test_epsilon_falls_over_the_first_200k_of_10m_steps(progress_remaining: float, epsilon: float) -> None:
    rule = EpsilonGreedy(initial=1.0, final=0.01, fraction=0.02)
    rule.update(progress_remaining, episodes_ended=0)
    assert rule.epsilon == pytest.approx(epsilon)


def test_state_round_trip() -> None:
    rule = Boltzmann(1.0, 0.05, 0.995, 3, "q_spread")
    rule.update(0.5, episodes_ended=70)
    rule.observe(np.array([[0.0, 2.0]]))
    other = Boltzmann(1.0, 0.05, 0.995, 3, "q_spread")
    other.set_state(rule.get_state())
    assert (other.temperature, other.q_spread) == (rule.temperature, rule.q_spread)


def test_ladder_by_hand() -> None:
    # 0.4 ^ 1, 0.4 ^ (1 + 7 / 2) and 0.4 ^ 8: both ends and the middle of Ape-X's range
    np.testing.assert_allclose(ladder_epsilons(3, 0.4, 7.0), [0.4, 0.4**4.5, 0.00065536])
    np.testing.assert_allclose(ladder_epsilons(1, 0.4, 7.0), [0.4])
    np.testing.assert_array_equal(ladder_epsilons(4, 0.0, 7.0), 0.0)


def test_mixed_with_random_by_hand() -> None:
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [0.25, 0.75]])
    mixed = mixed_with_random(probabilities, np.array([0.0, 0.2, 1.0]))
    np.testing.assert_allclose(mixed, [[1.0, 0.0], [0.9, 0.1], [0.5, 0.5]])


def test_each_environment_explores_as_its_step_of_the_ladder_says() -> None:
    """With a rule that always takes action 0, action 1 has a frequency of half of each environment's epsilon."""

    class First(ExplorationRule):
        def probabilities(self, q_values: np.ndarray) -> np.ndarray:
            return np.eye(q_values.shape[1])[np.zeros(len(q_values), int)]

    model = DDQN("MlpPolicy", Corridor(), exploration=First(), ladder_epsilon=0.5, ladder_exponent=2.0, seed=0)
    observations = np.zeros((3, 6), np.float32)
    others = np.mean([model.policy.explore(observations)[0] != 0 for _ in range(4000)], axis=0)
    np.testing.assert_allclose(others, np.array([0.5, 0.25, 0.125]) / 2, atol=0.02)


@pytest.mark.parametrize(
    ("returned", "fault"),
    [
        ([[0.5, 0.5], [np.nan, 1.0]], r"received \[nan, 1.0\]"),
        ([[0.5, 0.5], [2.0, 1.0]], r"received \[2.0, 1.0\]"),
        ([[0.5, 0.5], [1.5, -0.5]], r"received \[1.5, -0.5\]"),
        ([0.5, 0.5], r"the shape of the Q-values, \(2, 2\), received \(2,\)"),
    ],
)
def test_what_a_rule_returns_must_be_probabilities(returned: list, fault: str) -> None:
    class Wrong(ExplorationRule):
        def probabilities(self, q_values: np.ndarray) -> np.ndarray:
            return np.array(returned)

    model = DDQN("MlpPolicy", Corridor(), exploration=Wrong())
    with pytest.raises(ValueError, match=rf"Wrong\.probabilities\(\) must return .*{fault}"):
        model.policy.explore(np.zeros((2, 6), np.float32))


def test_scores_along_the_ladder_are_logged_apart() -> None:
    env = make_vec_env(Corridor, n_envs=4)
    model = DDQN("MlpPolicy", env, ladder_epsilon=0.4, learning_starts=10, buffer_size=100, batch_size=8, seed=0)
    ended = [{"episode": {"r": float(score), "l": 1, "t": 0.0}} for score in (10, 20, 30, 40)]
    model._setup_learn(100)
    model._update_info_buffer([ended[0], {}, {}, ended[3]])
    model._update_info_buffer([ended[1], ended[2], {}, {}])
    assert scores_along_the_ladder(model._scores, 4) == {"ep_rew_mean_boldest": 15.0, "ep_rew_mean_greediest": 40.0}
