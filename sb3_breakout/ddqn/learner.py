"""The learner: updates an online and a target network from a view of a replay buffer."""

from typing import NamedTuple

import numpy as np
import torch as th
from stable_baselines3.common.utils import get_parameters_by_name, polyak_update, update_learning_rate
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout.common.torch_utils import CompiledFunction, clip_gradient_norm_, keep_freed_memory
from sb3_breakout.ddqn.policies import DDQNPolicy
from sb3_breakout.ddqn.views import View
from sb3_breakout.replay import PrioritizedReplayBufferSamples


class Outcome(NamedTuple):
    """Means over a number of updates: loss, absolute TD error, Q-value of the actions taken, gradient norm before clipping."""

    loss: float
    td_error: float
    q_value: float
    gradient_norm: float


class QLearner:
    """
    Learns the Q-values of a policy from a view of a replay buffer.

    :param policy: holds the online and the target network, their loss, the optimizer and, if any, the mirror
    :param view: view of the replay buffer to learn from
    :param compile: compile the loss with ``torch.compile``
    """

    def __init__(self, policy: DDQNPolicy, view: View, compile: bool) -> None:
        self.policy = policy
        self.view = view
        loss = policy.q_net.loss
        self.loss_function = CompiledFunction(loss) if compile else loss
        # Running statistics of batch normalization, see SB3's issue 996
        self._statistics = get_parameters_by_name(policy.q_net, ["running_"])
        self._target_statistics = get_parameters_by_name(policy.q_net_target, ["running_"])
        keep_freed_memory()

    def update(
        self,
        gradient_steps: int,
        batch_size: int,
        progress_remaining: float,
        learning_rate: float,
        max_grad_norm: float,
        env: VecNormalize | None = None,
    ) -> Outcome | None:
        """
        Sample batches and do the updates. New priorities are reported to the view once, after the last update, so that the
        device is synchronised only once.

        :param gradient_steps: number of updates
        :param batch_size: transitions per update
        :param progress_remaining: 1 at the start of training, 0 at its end
        :param learning_rate: learning rate of the optimizer
        :param max_grad_norm: maximum norm of the gradient; a larger gradient is scaled down to it
        :param env: normalizes observations and rewards
        :return: means over the updates; None if no n-step return is complete yet, so that there is nothing to sample
        :raises ValueError: if the loss is not finite; the priorities are not updated then
        """
        update_learning_rate(self.policy.optimizer, learning_rate)
        self.view.update_schedules(progress_remaining)
        if self.view.n_eligible() == 0:
            return None
        self.policy.set_training_mode(True)
        mirror = self.policy.mirror
        indices, results = [], []
        for _ in range(gradient_steps):
            batch = self.view.sample(batch_size, env)
            results.append(self.step(mirror(batch) if mirror else batch, max_grad_norm))
            indices.append(batch.indices)
        self.policy.set_training_mode(False)

        outcome = th.stack(results).cpu().numpy()  # (gradient_steps, 3 + batch)
        loss, mean_q, gradient_norm = outcome[:, :3].mean(axis=0).tolist()
        td_errors = outcome[:, 3:].reshape(-1)
        if not np.isfinite(loss):
            raise ValueError(
                f"the loss became {loss}. A smaller learning_rate, a smaller max_grad_norm or autocast=False may help."
            )
        self.view.update_priorities(np.concatenate(indices), td_errors)
        return Outcome(loss, float(np.abs(td_errors).mean()), mean_q, gradient_norm)

    def step(self, batch: PrioritizedReplayBufferSamples, max_grad_norm: float) -> th.Tensor:
        """
        One gradient step.

        :param batch: samples of the view
        :param max_grad_norm: see :meth:`update`
        :return: loss, mean Q-value, gradient norm and the TD errors, (3 + batch,), still on the device
        """
        q_net = self.policy.q_net
        loss, td_errors, mean_q = self.loss_function(q_net, self.policy.q_net_target, *batch[:-1])  # without the indices
        self.policy.optimizer.zero_grad()
        loss.backward()
        gradient_norm = clip_gradient_norm_(q_net.parameters(), max_grad_norm)
        self.policy.optimizer.step()
        return th.cat((th.stack((loss.detach(), mean_q, gradient_norm)), td_errors.reshape(-1)))

    def sync_target(self, tau: float) -> None:
        """
        Move the target network towards the online network.

        :param tau: share of the way, in [0, 1]; 1 copies the online network
        """
        online, target = self.policy.q_net, self.policy.q_net_target
        polyak_update(online.parameters(), target.parameters(), tau)
        polyak_update(self._statistics, self._target_statistics, 1.0)
