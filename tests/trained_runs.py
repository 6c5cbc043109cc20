"""Makes run folders like RL Zoo's for every kind of agent of this package, with small, hardly trained networks."""

from pathlib import Path
from typing import Any

import yaml
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecFrameStack

from sb3_breakout import C51, DDQN, DDQNRND, DualAgentCallback, RNDRewardWrapper
from sb3_breakout.evaluation import ENV_ID, evaluation_env
from sb3_breakout.registry import hyperparameter_file

PONG = "PongNoFrameskip-v4"
SMALL = dict(
    policy_kwargs=dict(features_extractor_kwargs=dict(features_dim=8)),
    buffer_size=200,
    learning_starts=8,
    batch_size=2,
    seed=0,
    device="cpu",
)
COLOUR = dict(screen_size=None, grayscale=False, frame_skip=2)  # as in ddqn_per_rgb.yml
# Kind of agent -> algorithm, preset, game, frames per observation, and name of the model file
KINDS: dict[str, tuple[str, str, str, int, str]] = {
    "ddqn_per": ("ddqn_per", "ddqn_per", ENV_ID, 8, f"{ENV_ID}.zip"),
    "original": ("ddqn_per", "ddqn_per_original", ENV_ID, 8, f"{ENV_ID}.zip"),
    "colour": ("ddqn_per", "ddqn_per_rgb", ENV_ID, 4, f"{ENV_ID}.zip"),
    "pong": ("ddqn_per", "ddqn_per", PONG, 4, f"{PONG}.zip"),
    "c51_per": ("c51_per", "c51_per", ENV_ID, 8, f"{ENV_ID}.zip"),
    "exploiter": ("ddqn_rnd", "ddqn_rnd", ENV_ID, 8, f"{ENV_ID}.zip"),
    "explorer": ("ddqn_rnd", "ddqn_rnd", ENV_ID, 8, "exploration_agent.zip"),
}


def make_run(logs: Path, kind: str) -> Path:
    """
    :param logs: RL Zoo's log folder
    :param kind: key of ``KINDS``
    :return: path of the model file, in a run with ``args.yml``, ``config.yml`` and the scores of two games
    """
    algo, preset, env_id, n_stack, name = KINDS[kind]
    run = logs / algo / f"{env_id}_1"
    sections = yaml.safe_load(Path(hyperparameter_file(algo, preset)).read_text())
    config = sections.get(env_id, sections.get("atari"))
    env = evaluation_env(n_envs=1, n_stack=n_stack, env_id=env_id, wrapper_kwargs=COLOUR if kind == "colour" else None)
    (run / env_id).mkdir(parents=True)
    _save(algo, env, run, env_id, kind == "colour")
    env.close()
    (run / env_id / "config.yml").write_text(yaml.dump(config))
    args = {"algo": algo, "env": env_id, "env_kwargs": config.get("env_kwargs"), "log_folder": "/of/mine", "uuid": True}
    (run / env_id / "args.yml").write_text(yaml.dump(args))
    (run / "0.monitor.csv").write_text(f'#{{"t_start": 100.0, "env_id": "{env_id}"}}\nr,l,t\n1.0,400,0.5\n3.0,800,0.7\n')
    return run / name


def _save(algo: str, env: VecEnv, run: Path, env_id: str, colour: bool) -> None:
    classes: dict[str, type[DDQN]] = {"ddqn_per": DDQN, "c51_per": C51, "ddqn_rnd": DDQNRND}
    arguments: dict[str, Any] = {**SMALL}
    if algo != "ddqn_rnd":
        policy = "NativeCnnPolicy" if colour else "CnnPolicy"
        classes[algo](policy, env, **arguments).learn(0).save(run / env_id)
        return
    stack = env.venv if isinstance(env, VecEnvWrapper) else None
    assert isinstance(stack, VecFrameStack)  # the bonus needs single frames, below the stack
    model = DDQNRND("CnnPolicy", VecFrameStack(RNDRewardWrapper(stack.venv), stack.stacked_obs.n_stack), **arguments)
    model.learn(12, callback=DualAgentCallback(save_path=str(run))).save(run / env_id)
