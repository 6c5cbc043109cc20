"""TD errors for videos, against formulas written out here."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th

from sb3_breakout import C51, DDQN
from sb3_breakout.video.td_error import td_error

GAMMA = 0.9
STEP = dict(
    obs=np.array([[0.1, -0.2, 0.3, 0.4]], np.float32),
    actions=np.array([1]),
    rewards=np.array([0.5]),
    next_obs=np.array([[-0.5, 0.6, 0.7, -0.8]], np.float32),
)


@pytest.mark.parametrize("terminated", [False, True])
def test_expected_returns(terminated: bool) -> None:
    model = DDQN("MlpPolicy", gym.make("CartPole-v1"), buffer_size=10, gamma=GAMMA, seed=1, device="cpu")
    with th.no_grad():  # the target network must not be used
        model.q_net_target.q_net[-1].bias.fill_(100.0)
    now, then = model.policy.q_values(STEP["obs"])[0], model.policy.q_values(STEP["next_obs"])[0]
    target = 0.5 if terminated else 0.5 + GAMMA * then.max()
    assert td_error(model, **STEP, terminated=terminated) == pytest.approx(abs(target - now[1]), abs=1e-6)


@pytest.mark.parametrize("terminated", [False, True])
def test_distributions(terminated: bool) -> None:
    atoms = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    arguments = dict(buffer_size=10, gamma=GAMMA, n_atoms=5, v_min=-1.0, v_max=1.0, seed=1, device="cpu")
    model = C51("MlpPolicy", gym.make("CartPole-v1"), **arguments)

    def distributions(obs: np.ndarray) -> np.ndarray:
        with th.no_grad():
            return model.q_net.log_probabilities(th.as_tensor(obs))[0].exp().numpy().astype(np.float64)  # (2, 5)

    now, then = distributions(STEP["obs"])[1], distributions(STEP["next_obs"])
    then = then[(then @ atoms).argmax()]
    target = np.zeros(5)
    for probability, atom in zip(then, atoms, strict=True):
        value = min(1.0, 0.5 if terminated else 0.5 + GAMMA * atom)
        place = (value + 1.0) / 0.5
        low = int(np.floor(place))
        target[low] += probability * (1.0 - (place - low))
        target[min(low + 1, 4)] += probability * (place - low)
    assert target.sum() == pytest.approx(1.0)
    divergence = sum(p * np.log(p / q) for p, q in zip(target, now, strict=True) if p > 0)
    assert td_error(model, **STEP, terminated=terminated) == pytest.approx(divergence, abs=1e-5) != 0.0
