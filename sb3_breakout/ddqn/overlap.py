"""DQN that learns while its environments take a step."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from stable_baselines3.common.type_aliases import RolloutReturn
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from sb3_breakout.ddqn.arguments import DDQNArguments

SelfOverlapping = TypeVar("SelfOverlapping", bound="OverlappingDQN")


class UpdatesDuringStep(VecEnvWrapper):
    """
    Runs pending updates between sending the actions and waiting for the results.

    :param venv: the training environment
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.due: list[Callable[[], None]] = []

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        try:
            while self.due:
                self.due.pop(0)()
        except BaseException:
            with suppress(Exception):  # an environment that was left in the middle of a step could not be reset
                self.venv.step_wait()
            raise
        return self.venv.step_wait()


class OverlappingDQN(DDQNArguments):
    """
    SB3's DQN that can update while the environments take their next step.

    Paper: https://arxiv.org/abs/2111.01264 (concurrent training)

    An update sees the same transitions, schedules and target network as without overlap. Only the actions of the current step
    are chosen before it instead of after it (so that with ``initial_priorities="td_error"`` the newest transitions have their
    errors already). No update is pending when ``on_step`` of a callback is called (where checkpoints are saved), nor when
    training ends.

    Base class of :class:`~sb3_breakout.ddqn.DDQN`, not to be used on its own.
    """

    _updates_during_step: UpdatesDuringStep | None = None  # set while learn() runs with overlap_updates

    def schedule_update(self, update: Callable[[], None]) -> None:
        """
        :param update: function to call at once or, with ``overlap_updates``, after the actions of the next step have been sent
            (if there is a next step)
        """
        if self._updates_during_step is None or self.num_timesteps >= self._total_timesteps:
            update()
        else:
            self._updates_during_step.due.append(update)

    def collect_rollouts(self, env: VecEnv, *args: Any, **kwargs: Any) -> RolloutReturn:
        """
        Collect experiences; with ``overlap_updates``, pending updates are done during the first step.

        :param env: the training environment
        :param args: see SB3
        :param kwargs: see SB3
        :return: see SB3
        """
        if self.overlap_updates and self._updates_during_step is None:
            self._updates_during_step = UpdatesDuringStep(env)
        return super().collect_rollouts(self._updates_during_step or env, *args, **kwargs)

    def learn(self: SelfOverlapping, *args: Any, **kwargs: Any) -> SelfOverlapping:
        try:
            return super().learn(*args, **kwargs)
        finally:
            self._updates_during_step = None

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_updates_during_step"]
