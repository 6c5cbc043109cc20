"""The pages of the algorithms list exactly the keys that are logged."""

import re
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger

from sb3_breakout import C51, DDQN, DDQNRND, DualAgentCallback, RNDRewardWrapper

ALGORITHMS = Path(__file__).parent.parent / "docs" / "algorithms"
OF_SB3 = ("time/", "eval/", "train/n_updates")  # in one sentence of the page, not in its table


def listed(name: str) -> set[str]:
    """:return: the keys in the table of an algorithm's page"""
    (table,) = re.findall(r"\| Key \| Meaning \|\n\|---\|---\|\n((?:\|.*\n)+)", (ALGORITHMS / f"{name}.md").read_text())
    return {key for row in table.splitlines() for key in re.findall(r"`([^`]+)`", row.split("|")[1])}


class Keys(KVWriter):
    """Collects all logged keys except SB3's."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        self.seen |= {key for key in key_values if not key.startswith(OF_SB3)}

    def close(self) -> None:
        """There is nothing to close."""


def logged(model: DDQN, steps: int = 600, **learn: Any) -> set[str]:
    """:return: the keys that a short training logs, except SB3's"""
    keys = Keys()
    model.set_logger(Logger(None, [keys]))
    model.DIAGNOSTICS_INTERVAL = 100  # type: ignore[misc]
    model.learn(steps, log_interval=4, **learn)
    return keys.seen


SETTINGS: dict[str, Any] = dict(learning_starts=100, buffer_size=1000, train_freq=10, seed=0, device="cpu")


def test_ddqn_per() -> None:
    env = make_vec_env("CartPole-v1", n_envs=4)
    boltzmann = logged(DDQN("MlpPolicy", env, ladder_epsilon=0.1, ladder_exponent=3.0, **SETTINGS))
    epsilon_greedy = logged(DDQN("MlpPolicy", env, exploration="epsilon_greedy", **SETTINGS))
    assert boltzmann | epsilon_greedy == listed("ddqn_per")


def test_c51_per() -> None:
    keys = logged(C51("MlpPolicy", make_vec_env("CartPole-v1", n_envs=4), v_max=100.0, **SETTINGS))
    assert keys <= listed("ddqn_per")
    changed = {
        key for pattern in listed("c51_per") for key in listed("ddqn_per") if re.fullmatch(pattern.replace("*", ".*"), key)
    }
    assert changed <= keys


def test_ddqn_rnd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DualAgentCallback, "AGREEMENT_INTERVAL", 100)
    env = RNDRewardWrapper(make_vec_env("CartPole-v1", n_envs=4))
    dual = DualAgentCallback(alpha_initial=0.5, alpha_final=0.1)
    keys = logged(DDQNRND("MlpPolicy", env, **SETTINGS), steps=2000, callback=dual)  # 1,000 only update statistics
    assert keys - listed("ddqn_per") == listed("ddqn_rnd")
