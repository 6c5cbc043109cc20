"""The models compared in speed.py, all with the same games, network, frame stack, batch, buffer and updates per step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch as th
from stable_baselines3 import DQN
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecTransposeImage
from torch import nn

from sb3_breakout import DDQN, DDQNRND, DualAgentCallback, PrioritizedReplayBuffer, RNDRewardWrapper
from sb3_breakout.envs import AleVecEnv, BreakoutWrapper
from sb3_breakout.replay.prioritized_replay_buffer import PrioritizedReplayBufferSamples

N_STACK = 8
N_STEPS = 3


class Setting(NamedTuple):
    """
    Settings shared by all models of a comparison.

    :param n_envs: number of games
    :param batch_size: transitions per update
    :param steps_per_update: agent steps per update; a multiple of ``n_envs`` or a divisor of it
    :param device: PyTorch device
    """

    n_envs: int
    batch_size: int
    steps_per_update: int
    device: str


def game(n_envs: int, vec_env_cls: Callable[..., VecEnv], wrapper: Any, above: Any = None) -> VecEnv:
    env = make_vec_env(
        "BreakoutNoFrameskip-v4",
        n_envs,
        seed=0,
        wrapper_class=wrapper,
        env_kwargs=dict(max_num_frames_per_episode=40_000),
        vec_env_cls=vec_env_cls,  # type: ignore[arg-type]
    )
    return VecTransposeImage(VecFrameStack(env if above is None else above(env), N_STACK))


def common(setting: Setting) -> dict[str, Any]:
    return dict(
        learning_rate=1e-4,
        buffer_size=100_000,
        learning_starts=2_000,
        batch_size=setting.batch_size,
        train_freq=max(setting.steps_per_update // setting.n_envs, 1),
        gradient_steps=max(setting.n_envs // setting.steps_per_update, 1),
        target_update_interval=1_000,
        device=setting.device,
        seed=0,
    )


def sb3(setting: Setting) -> DQN:
    return DQN("CnnPolicy", game(setting.n_envs, DummyVecEnv, AtariWrapper), **common(setting))


class DoubleQTarget(nn.Module):
    """
    A target network with a single output per state, the Double-Q value. SB3's DQN.train() takes the maximum over it.

    :param online: network that chooses the action
    :param target: network that values it
    """

    def __init__(self, online: nn.Module, target: nn.Module) -> None:
        super().__init__()
        self.online, self.target = online, target

    def forward(self, obs: th.Tensor) -> th.Tensor:
        return self.target(obs).gather(1, self.online(obs).argmax(dim=1, keepdim=True))  # (batch, 1)


class DoubleDQN(DQN):
    """SB3's DQN with the Double-Q target added and nothing else."""

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        target = self.q_net_target
        self.q_net_target = DoubleQTarget(self.q_net, target)  # type: ignore[assignment]
        super().train(gradient_steps, batch_size)
        self.q_net_target = target


def sb3_double(setting: Setting) -> DQN:
    return DoubleDQN("CnnPolicy", game(setting.n_envs, DummyVecEnv, AtariWrapper), **common(setting))


def sbx(setting: Setting) -> Any:
    from sbx import DQN as JaxDQN

    arguments = common(setting)
    return JaxDQN("CnnPolicy", game(setting.n_envs, DummyVecEnv, AtariWrapper), **arguments)


def ours(vec_env_cls: Callable[..., VecEnv] = AleVecEnv, **changed: Any) -> Callable[[Setting], DDQN]:
    def build(setting: Setting) -> DDQN:
        arguments: dict[str, Any] = dict(n_steps=N_STEPS, replay_buffer_kwargs=dict(alpha=0.5, beta=(0.4, 1.0)))
        env = game(setting.n_envs, vec_env_cls, BreakoutWrapper)
        return DDQN("CnnPolicy", env, **common(setting) | arguments | changed)

    return build


def played_by_an_actor(env_fns: list[Callable[[], Any]]) -> VecEnv:
    from sb3_breakout.envs import RayVecEnv

    return RayVecEnv(env_fns, address="local", games_per_actor=len(env_fns))


class TwoAgents(DDQNRND):
    """``ddqn_rnd`` that adds its callback by itself."""

    def learn(self, total_timesteps: int, **kwargs: Any) -> DDQNRND:
        return super().learn(total_timesteps, callback=DualAgentCallback(), **kwargs)


def two_agents(setting: Setting) -> DDQN:
    env = game(setting.n_envs, AleVecEnv, BreakoutWrapper, RNDRewardWrapper)
    replay = dict(alpha=0.5, beta=(0.4, 1.0))
    return TwoAgents("CnnPolicy", env, **common(setting), n_steps=N_STEPS, replay_buffer_kwargs=replay)


class UniformReplayBuffer(PrioritizedReplayBuffer):
    """Our buffer with uniform sampling; priorities are ignored."""

    def sample(self, batch_size: int, env: Any = None) -> PrioritizedReplayBufferSamples:
        known = self.store.end - self.n_steps * self.n_envs  # every return before that is known
        return self._get_samples(np.random.randint(self.store.oldest, known, size=batch_size), env)

    def update_priorities(self, indices: Any, td_errors: Any) -> None:
        pass


PEERS: dict[str, Callable[[Setting], Any]] = {
    "SB3 DQN": sb3,
    "ddqn_per": ours(),
    "SB3 DQN + Double-Q": sb3_double,
    "SBX DQN (JAX)": sbx,
    "ddqn_rnd": two_agents,
    "ddqn_per, uniform replay": ours(replay_buffer_class=UniformReplayBuffer),
    "ddqn_per, DummyVecEnv": ours(vec_env_cls=DummyVecEnv),
    "ddqn_per, overlap_updates=True": ours(overlap_updates=True),
    "ddqn_per, RayVecEnv": ours(played_by_an_actor),
    "ddqn_per, RayVecEnv, overlap_updates=True": ours(played_by_an_actor, overlap_updates=True),
    "ddqn_per, autocast=False": ours(autocast=False),
    "ddqn_per, compile=True": ours(compile=True),
    "ddqn_per, autocast=False, compile=True": ours(autocast=False, compile=True),
}
