"""
Make a C51 agent from a trained agent with scalar Q-values: the same layers, but a distribution of returns instead of its mean.

    python -m benchmarks.learning.warm_start AGENT.zip logs/warm_start
    python -m rl_zoo3.train --algo c51_per --env BreakoutNoFrameskip-v4 -i logs/warm_start/rl_model_60000_steps.zip \\
        -n 2000000 --seed 11 -params n_steps:1 learning_rate:[5e-5,1e-5,0.75]

The first command lets the trained agent play while only the new head learns, and writes a checkpoint and its replay buffer
(0.4 GB). The second command then trains all layers.
"""

import argparse
from pathlib import Path

import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from sb3_breakout import C51, DDQN, AleVecEnv
from sb3_breakout.ddqn import DDQNPolicy
from sb3_breakout.ddqn.networks import CategoricalQNetwork
from sb3_breakout.envs.games import make_games
from sb3_breakout.protocol import ENV_ID, FRAME_SKIP

WIDTH = 1.5  # standard deviation of the first distributions
MAX_STEPS = 10_000  # agent steps of a game, as in the YAML file


class PlayedBy(BaseCallback):
    """
    Takes the training actions from another agent.

    :param policy: policy of that agent
    """

    def __init__(self, policy: DDQNPolicy) -> None:
        super().__init__()
        self.policy = policy

    def _on_training_start(self) -> None:
        self.model.behaviour = self.policy

    def _on_step(self) -> bool:
        return True


def copy_layers(q_net: nn.Module, categorical: CategoricalQNetwork, width: float) -> None:
    """
    Copy the layers of a scalar network to a categorical one. Each distribution becomes a Gaussian around the scalar Q-value,
    truncated at the bounds. Its logits are linear in the Q-value, so a linear layer gives them. The best action is the same.

    :param q_net: network of scalar Q-values
    :param categorical: the same network except for its head, changed in place
    :param width: standard deviation of the Gaussian
    """
    categorical.features_extractor.load_state_dict(q_net.features_extractor.state_dict())  # type: ignore[union-attr]
    (scalar,), (head,) = q_net.q_net, categorical.q_net  # type: ignore[misc]
    returns = categorical.support / width**2  # (n_atoms,)
    with th.no_grad():
        head.weight.copy_((returns[:, None] * scalar.weight[:, None, :]).flatten(0, 1))
        head.bias.copy_((returns * scalar.bias[:, None] - returns * categorical.support / 2).flatten())


def warm_start(agent: DDQN, folder: Path, steps: int, seed: int) -> Path:
    """
    :param agent: agent with scalar Q-values
    :param folder: folder for the checkpoint and its buffer
    :param steps: agent steps in which only the head learns
    :param seed: seed of this training
    :return: path of the checkpoint
    """
    limit = {"max_num_frames_per_episode": FRAME_SKIP * MAX_STEPS}
    n_stack = agent.observation_space.shape[0]  # type: ignore[index]
    model = C51(
        "CnnPolicy",
        make_games(ENV_ID, 32, n_stack, {}, limit, seed, AleVecEnv),
        v_min=0.0,
        v_max=20.0,
        buffer_size=300_000,
        learning_rate=2.5e-4,
        batch_size=64,
        learning_starts=10_000,
        train_freq=1,
        gradient_steps=4,
        target_update_interval=2_000,
        max_grad_norm=10.0,
        n_steps=3,
        ladder_epsilon=0.1,
        ladder_exponent=3.0,
        replay_buffer_kwargs={"alpha": 0.5, "beta": 0.7},
        seed=seed,
        verbose=1,
    )
    copy_layers(agent.q_net, model.q_net, WIDTH)
    model.learner.sync_target(1.0)
    model.q_net.features_extractor.requires_grad_(False)
    # The agent plays with the model's exploration rule, which continues from the agent's
    model.policy.continue_exploration(agent.policy.exploration.get_state())
    agent.policy.exploration, agent.policy.ladder = model.policy.exploration, model.policy.ladder
    model._n_updates = 1  # skips the random prefill
    model.learn(steps, PlayedBy(agent.policy))

    model.q_net.features_extractor.requires_grad_(True)
    checkpoint = folder / f"rl_model_{model.num_timesteps}_steps.zip"
    model.save(checkpoint)
    model.save_replay_buffer(folder / "replay_buffer.pkl")
    return checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", type=Path, help="model file of ddqn_per")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--steps", type=int, default=60_000, help="agent steps in which the head alone learns")
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()

    th.set_num_threads(1)
    args.folder.mkdir(parents=True, exist_ok=True)
    print(warm_start(DDQN.load(args.agent), args.folder, args.steps, args.seed))


if __name__ == "__main__":
    main()
