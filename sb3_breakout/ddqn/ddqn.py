"""Double DQN with prioritized replay, n-step returns and Boltzmann or epsilon-greedy exploration."""

import warnings
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch as th
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import FloatSchedule

from sb3_breakout.common.torch_utils import choose_device
from sb3_breakout.ddqn.acting import ActingDQN
from sb3_breakout.ddqn.assembly import make_exploration, make_learner
from sb3_breakout.ddqn.checks import check_arguments, check_run
from sb3_breakout.ddqn.exploration import ExplorationRule
from sb3_breakout.ddqn.initial_priorities import ActorTDErrors
from sb3_breakout.ddqn.ladder import scores_along_the_ladder
from sb3_breakout.ddqn.learner import Outcome, QLearner
from sb3_breakout.ddqn.overlap import OverlappingDQN
from sb3_breakout.ddqn.policies import CnnPolicy, DDQNPolicy, MlpPolicy, MultiInputPolicy, NativeCnnPolicy, counterpart
from sb3_breakout.ddqn.replay_buffer import make_replay_buffer
from sb3_breakout.ddqn.resumable import ResumableDQN
from sb3_breakout.ddqn.views import View, as_view
from sb3_breakout.replay import PrioritizedReplayBuffer
from sb3_breakout.replay.schedule import ProgressSchedule

SelfDDQN = TypeVar("SelfDDQN", bound="DDQN")


class DDQN(ActingDQN, OverlappingDQN, ResumableDQN):
    """
    Double DQN with proportional prioritized replay

    Paper: https://arxiv.org/abs/1509.06461 (Double DQN), https://arxiv.org/abs/1511.05952 (prioritized replay)

    SB3's DQN with four changes: the online network chooses the action that the target network values; transitions are drawn by
    priority, and importance weights on the Huber loss correct the resulting bias; returns are n-step; and training actions are
    drawn from a Boltzmann distribution whose temperature falls with every episode, on the scale of the Q-values.

    ``predict`` does not use this exploration: with ``deterministic=False`` it is greedy up to ``evaluation_epsilon``, in the
    middle of training too, so that evaluation, ``enjoy`` and ``record_video`` show what was learned.

    :param policy: The policy model to use (MlpPolicy, CnnPolicy, NativeCnnPolicy, MultiInputPolicy)
    :param env: The environment to learn from (if registered in Gym, can be str)
    :param learning_rate: The learning rate, it can be a function of the current progress remaining (from 1 to 0); a pair
        (start, end) or a triple (start, end, fraction of training by which the end is reached) gives a linear schedule
    :param buffer_size: how many transitions the replay buffer holds
    :param learning_starts: how many steps to collect before learning starts, by random play unless the model has
        learned before
    :param batch_size: Minibatch size for each gradient update
    :param tau: the soft update coefficient ("Polyak update", between 0 and 1), 1 for a hard update
    :param gamma: the discount factor
    :param train_freq: Update the model every ``train_freq`` steps of the vectorised environment, or a tuple of
        frequency and unit like ``(5, "step")`` or ``(2, "episode")``
    :param gradient_steps: How many gradient steps to do after each rollout (see ``train_freq``);
        ``-1`` means as many as steps done in the environment during the rollout
    :param replay_buffer_class: :class:`~sb3_breakout.replay.PrioritizedReplayBuffer` if ``None``; SB3's
        ``ReplayBuffer`` and ``NStepReplayBuffer`` work as well (uniform sampling)
    :param replay_buffer_kwargs: Keyword arguments to pass to the replay buffer on creation, for instance
        ``dict(alpha=0.5, beta=(0.4, 1.0))``. ``n_stack`` (read from the environment's ``VecFrameStack``), ``n_steps``
        and ``gamma`` are filled in; other values than the model's are an error.
    :param optimize_memory_usage: Not supported by the prioritized buffer, which stores each frame once anyway
    :param n_steps: length of the n-step returns, at least 1: a number, a pair (start, end), a triple (start, end, fraction of
        training by which the end is reached) or a function of the current progress remaining, rounded to whole steps
    :param target_update_interval: update the target network every ``target_update_interval`` environment steps
        (counted over all environments)
    :param exploration_fraction: fraction of the training over which epsilon is reduced
        (``exploration="epsilon_greedy"``)
    :param exploration_initial_eps: initial epsilon
    :param exploration_final_eps: final epsilon
    :param max_grad_norm: The maximum value for the gradient clipping
    :param stats_window_size: Window size for the rollout logging, specifying the number of episodes to average
        the reported success rate, mean episode length, and mean reward over
    :param tensorboard_log: the log location for tensorboard (if None, no logging)
    :param policy_kwargs: additional arguments to be passed to the policy on creation
    :param verbose: Verbosity level: 0 for no output, 1 for info messages (such as device or wrappers used), 2 for
        debug messages
    :param seed: Seed for the pseudo random generators
    :param device: Device (cpu, cuda, ...) on which the code should be run;
        "auto" takes cuda, then mps, then cpu, the first that is available
    :param exploration: ``"boltzmann"``, ``"epsilon_greedy"`` or an
        :class:`~sb3_breakout.ddqn.exploration.ExplorationRule` of your own
    :param temperature_initial: Boltzmann temperature before the first episode ends
    :param temperature_min: floor of the temperature
    :param temperature_decay: factor on the temperature per ``temperature_slowdown`` episodes, as the
        learner counts them (one per life where the wrapper ends episodes at a lost life)
    :param temperature_slowdown: number of episodes per factor of ``temperature_decay``
    :param temperature_scale: ``"q_spread"`` divides Q-values by their running spread over actions before the softmax,
        ``"raw"`` does not
    :param evaluation_epsilon: probability of a random action in ``predict(deterministic=False)``
    :param ladder_epsilon: probability of a random training action in the first environment, on top of ``exploration``; it
        falls from environment to environment (Ape-X, https://arxiv.org/abs/1803.00933, section 4.1); 0 for none. The scores of
        the first and the last quarter of the environments are logged separately, as ``rollout/ep_rew_mean_boldest`` and
        ``rollout/ep_rew_mean_greediest``
    :param ladder_exponent: how far epsilon falls: the last environment has ``ladder_epsilon ** (1 + ladder_exponent)``
    :param n_atoms: predict a distribution over this many returns and learn by the KL divergence (C51,
        https://arxiv.org/abs/1707.06887); ``None`` predicts the expected return and learns by the Huber loss
    :param v_min: smallest return of that distribution
    :param v_max: largest return of that distribution
    :param compile: compile the update with ``torch.compile``
    :param autocast: compute the features (all layers but the Q head) in bfloat16; ``"auto"`` does so where the hardware
        supports it natively
    :param initial_priorities: the priority of a new transition: ``"recent"``, the 0.9 quantile of the ``|TD errors|`` measured
        recently, or ``"td_error"``, its own one-step ``|TD error|``, from the Q-values that actions were chosen with (where
        available: not during the random prefill, nor at a time limit)
    :param overlap_updates: update while the environments take their next step, so that the actions of that step are chosen
        before the update; saves time where environments run in other threads (``AleVecEnv``), processes or machines
    :param mirrored_actions: for a game that looks and plays the same with left and right exchanged, the mirror image of each
        action (Breakout: ``[0, 1, 3, 2]``, LEFT and RIGHT exchanged). Each transition of a batch is then mirrored with
        probability 1/2, and ``predict`` averages the Q-values of an image and its mirror image; ``None`` for no symmetry
    :param _init_setup_model: Whether or not to build the network at the creation of the instance
    :raises ValueError: for an invalid value, naming the argument
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": MlpPolicy,
        "CnnPolicy": CnnPolicy,
        "NativeCnnPolicy": NativeCnnPolicy,
        "MultiInputPolicy": MultiInputPolicy,
    }
    DIAGNOSTICS_INTERVAL = 10_000  # environment steps between two logs of the buffer's diagnostics

    def __init__(
        self,
        policy: str | type[DDQNPolicy],
        env: GymEnv | str,
        learning_rate: float | Sequence[float] | Schedule = 2.5e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 10_000,
        batch_size: int = 128,
        tau: float = 1.0,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 4,
        gradient_steps: int = 1,
        replay_buffer_class: type[ReplayBuffer] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        optimize_memory_usage: bool = False,
        n_steps: int | Sequence[float] | Schedule = 3,
        target_update_interval: int = 500,
        exploration_fraction: float = 0.1,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.01,
        max_grad_norm: float = 1.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        exploration: str | ExplorationRule = "boltzmann",
        temperature_initial: float = 1.0,
        temperature_min: float = 0.05,
        temperature_decay: float = 0.995,
        temperature_slowdown: float = 3.0,
        temperature_scale: str = "q_spread",
        evaluation_epsilon: float = 0.01,
        ladder_epsilon: float = 0.0,
        ladder_exponent: float = 7.0,
        n_atoms: int | None = None,
        v_min: float = -10.0,
        v_max: float = 10.0,
        compile: bool = False,
        autocast: bool | str = "auto",
        initial_priorities: str = "recent",
        overlap_updates: bool = False,
        mirrored_actions: Sequence[int] | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            learning_rate,  # type: ignore[arg-type]
            buffer_size,
            learning_starts,
            batch_size,
            tau,
            gamma,
            train_freq,
            gradient_steps,
            replay_buffer_class=replay_buffer_class,
            replay_buffer_kwargs=replay_buffer_kwargs,
            optimize_memory_usage=optimize_memory_usage,
            n_steps=n_steps,  # type: ignore[arg-type]
            target_update_interval=target_update_interval,
            exploration_fraction=exploration_fraction,
            exploration_initial_eps=exploration_initial_eps,
            exploration_final_eps=exploration_final_eps,
            max_grad_norm=max_grad_norm,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=choose_device(device),
            _init_setup_model=False,
        )
        self.exploration = exploration
        self.temperature_initial = temperature_initial
        self.temperature_min = temperature_min
        self.temperature_decay = temperature_decay
        self.temperature_slowdown = temperature_slowdown
        self.temperature_scale = temperature_scale
        self.evaluation_epsilon = evaluation_epsilon
        self.ladder_epsilon = ladder_epsilon
        self.ladder_exponent = ladder_exponent
        self.n_atoms = n_atoms
        self.v_min = v_min
        self.v_max = v_max
        self.compile = compile
        self.autocast = autocast
        self.initial_priorities = initial_priorities
        self.overlap_updates = overlap_updates
        self.mirrored_actions = mirrored_actions
        # Mean loss of the latest call of train(); None before the first
        self.last_loss: float | None = None
        # Further figures for the progress bar, by name
        self.figures: dict[str, float] = {}
        self._scores = deque(maxlen=stats_window_size)
        self._last_diagnostics = 0  # environment step

        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self.replay_buffer_class = self.replay_buffer_class or PrioritizedReplayBuffer  # load() can be given None too
        self.replay_buffer_kwargs = self.replay_buffer_kwargs or {}
        check_arguments(self)
        self.policy_class = counterpart(self.policy_class)
        if self.replay_buffer is None:
            self.replay_buffer = make_replay_buffer(self)
        given = {"n_steps": self.n_steps, "policy_kwargs": self.policy_kwargs}
        # Above 1, SB3 would warn that a buffer passed by class does not get n_steps: the buffer made above has it
        self.n_steps = 1
        self.policy_kwargs = self._policy_arguments()
        super()._setup_model()
        vars(self).update(given)  # save() and load()'s comparison use the values that the user gave
        self.learner = make_learner(self, self.policy, as_view(self.replay_buffer, self.gamma), make_exploration(self))
        self.policy.continue_exploration(self._exploration_state or {})

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """
        As in SB3. An empty replay buffer is rebuilt if the new environment stacks a different number of frames.

        :param env: the environment to learn from
        :param force_reset: reset it before training
        """
        super().set_env(env, force_reset)
        if isinstance(self.replay_buffer, PrioritizedReplayBuffer) and not self.replay_buffer.size():
            fitting = make_replay_buffer(self)  # takes no memory yet
            assert isinstance(fitting, PrioritizedReplayBuffer)
            if fitting.n_stack != self.replay_buffer.n_stack:
                self.replay_buffer = fitting

    def _policy_arguments(self) -> dict[str, Any]:
        return self.policy_kwargs | {"n_atoms": self.n_atoms, "v_min": self.v_min, "v_max": self.v_max}

    def second_learner(self, view: View) -> QLearner:
        """
        :param view: view of the replay buffer that the new learner learns from
        :return: another learner with the hyperparameters of this model, and weights and exploration of its own
        """
        policy = self.policy_class(self.observation_space, self.action_space, self.lr_schedule, **self._policy_arguments())
        policy.to(self.device)
        return make_learner(self, policy, view, make_exploration(self))

    def _setup_lr_schedule(self) -> None:
        self.lr_schedule = FloatSchedule(ProgressSchedule("learning_rate", self.learning_rate, largest=np.inf))

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> tuple[int, BaseCallback]:
        total_timesteps = check_run(self, total_timesteps, reset_num_timesteps)
        continues = not self._step_open
        if isinstance(self.replay_buffer, PrioritizedReplayBuffer):
            self.replay_buffer.check_memory()
            continues = continues and self.replay_buffer.size() > 0
        if not continues:
            self._last_obs = None  # it does not continue the stored steps; SB3 then resets the environment
        self._step_open = False
        if reset_num_timesteps:
            self._scores.clear()
        self.behaviour = None  # a callback sets it when training starts
        # A new object: the environment may be reset before the next action is chosen
        self._actor_errors = ActorTDErrors(self.gamma) if self.initial_priorities == "td_error" else None
        return super()._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)

    def _on_step(self) -> None:
        """
        Update the target network and the exploration rule. Called after each step of the vectorised environment.
        """
        self._n_calls += 1
        if self.target_update_due():
            self.learner.sync_target(self.tau)
        if not self._prefilling:
            self._exploration_rule.update(self._current_progress_remaining, self._episodes_ended)
        self.exploration_rate = self.epsilon or 0.0  # SB3's name

    def target_update_due(self) -> bool:
        """:return: whether this step of the vectorised environment reached or passed a multiple of the interval"""
        return self.num_timesteps % self.target_update_interval < self.n_envs  # exact for any number of environments

    def train(self, gradient_steps: int, batch_size: int = 128) -> None:
        """
        Sample the replay buffer and do the updates (see :meth:`QLearner.update`). During ``learn`` with ``overlap_updates``,
        they are done after the actions of the next step have been sent. A model that was loaded without its buffer waits for
        ``learning_starts`` transitions again, with a warning.

        :param gradient_steps: number of updates
        :param batch_size: transitions per update
        :raises ValueError: if the loss is not finite, naming the step
        """
        if not self.enough_stored():
            message = f"No update before the replay buffer holds {self.learning_starts} transitions (learning_starts)."
            warnings.warn(message, stacklevel=2)
            return
        self.schedule_update(partial(self._train, gradient_steps, batch_size))

    def _train(self, gradient_steps: int, batch_size: int) -> None:
        assert self.replay_buffer is not None
        self.learner.view = as_view(self.replay_buffer, self.gamma)
        outcome = self.update(self.learner, gradient_steps, batch_size)
        if outcome is None:
            return
        self._n_updates += gradient_steps
        self.last_loss = outcome.loss
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/learning_rate", self.policy.optimizer.param_groups[0]["lr"])
        for name, value in outcome._asdict().items():
            self.logger.record_mean(f"train/{name}", value)

    def update(self, learner: QLearner, gradient_steps: int, batch_size: int) -> Outcome | None:
        """
        :param learner: the learner of this model, or a second one
        :param gradient_steps: number of updates
        :param batch_size: transitions per update
        :return: see :meth:`QLearner.update`
        :raises ValueError: if the loss is not finite, naming the step
        """
        progress = self._current_progress_remaining
        rate = self.lr_schedule(progress)
        try:
            return learner.update(gradient_steps, batch_size, progress, rate, self.max_grad_norm, self._vec_normalize_env)
        except ValueError as error:
            message = f"At environment step {self.num_timesteps}, after {self._n_updates} updates: {error}"
            raise ValueError(message) from error

    def enough_stored(self) -> bool:
        """:return: whether the replay buffer holds ``learning_starts`` transitions or is full"""
        buffer = self.replay_buffer
        assert buffer is not None
        return buffer.full or buffer.size() * buffer.n_envs >= self.learning_starts

    def dump_logs(self) -> None:
        """
        Write log data; every ``DIAGNOSTICS_INTERVAL`` steps also the diagnostics of the replay buffer.
        """
        rollout = self._exploration_rule.metrics()
        if self.ladder_epsilon > 0.0:
            rollout = rollout | scores_along_the_ladder(self._scores, self.n_envs)
        for name, value in rollout.items():
            self.logger.record(f"rollout/{name}", value)
        if isinstance(self.replay_buffer, PrioritizedReplayBuffer) and self._diagnostics_due():
            self._last_diagnostics = self.num_timesteps
            for name, value in self.replay_buffer.diagnostics().items():
                self.logger.record(name, value)
        super().dump_logs()

    def _diagnostics_due(self) -> bool:
        return not self._prefilling and abs(self.num_timesteps - self._last_diagnostics) >= self.DIAGNOSTICS_INTERVAL

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """
        Choose the greedy action, or with ``deterministic=False`` a random one with probability ``evaluation_epsilon``, drawn
        for each environment separately. The exploration rule of the training is not used.

        :param observation: the input observation
        :param state: The last states (passed through)
        :param episode_start: The last masks (unused)
        :param deterministic: Whether or not to return deterministic actions
        :return: the model's action and the next state
        """
        actions, state = self.policy.predict(observation, state, episode_start, deterministic)
        if not deterministic:
            at_random = np.random.random(actions.shape) < self.evaluation_epsilon
            actions = np.where(at_random, np.random.randint(self.action_space.n, size=actions.shape), actions)
        return actions, state

    def learn(
        self: SelfDDQN,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 4,
        tb_log_name: str | None = None,  # the name of the class
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfDDQN:
        name = tb_log_name or type(self).__name__
        return super().learn(total_timesteps, callback, log_interval, name, reset_num_timesteps, progress_bar)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "behaviour", "figures", "learner", "_actor_errors"]
