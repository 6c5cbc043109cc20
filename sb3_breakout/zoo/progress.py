"""Progress display of ``-P`` and of the trials of ``-optimize``: score, loss and exploration."""

import sys
import time
from collections import deque
from typing import NamedTuple

import optuna
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.utils import safe_mean

NARROW = 80  # columns that the complete bar needs


class Position(NamedTuple):
    """The progress of a training."""

    done: int
    total: int
    unit: str

    @property
    def share(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        return min(self.done / max(self.total, 1), 1.0)


class ProgressBar:
    """
    Like SB3's bar (rich, which keeps printed text above the bar), with a postfix; narrow terminals show percentage and postfix
    only.
    """

    def __init__(self) -> None:
        columns: list[ProgressColumn | str] = ["{task.percentage:>3.0f}%", "{task.fields[postfix]}"]
        console = Console()
        if console.width >= NARROW:
            speed = "[progress.data.speed]{task.fields[speed]:.0f} it/s"
            columns += [BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn(), speed]
        self.progress = Progress(*columns, console=console)
        self.task_id = self.progress.add_task("", postfix="", speed=0.0)
        self.progress.start()

    def update(self, position: Position, speed: float, postfix: str) -> None:
        """
        :param position: progress of the training
        :param speed: environment steps per second
        :param postfix: key figures of the training
        """
        self.progress.update(self.task_id, completed=position.done, total=position.total, speed=speed, postfix=postfix)

    def close(self) -> None:
        """Draw the bar for the last time and release the terminal."""
        self.progress.stop()


class TrainingProgressCallback(BaseCallback):
    """
    Progress bar with the training's key figures; where the output is not a terminal, a plain line every ``LINE_INTERVAL``
    seconds and one at the end.

    - ``reward``: raw score of whole games, averaged over the last ``window`` games
    - ``loss``: training loss, averaged over the last ``window`` episodes (as the learner sees them: lives)
    - ``temp`` or ``eps``: temperature of Boltzmann exploration, or epsilon of epsilon-greedy
    - what the model has in ``figures`` (``ddqn_rnd``: ``alpha``, ``extrinsic`` and ``combined`` reward of the last episodes)

    :param window: number of games or episodes that the figures are averaged over
    :param stop: callback that ends the training after a number of episodes, if any: the progress is then that of episodes or
        steps, whichever is further
    """

    REFRESH_INTERVAL = 0.2  # seconds between two updates of the bar
    LINE_INTERVAL = 30.0

    title = ""  # in front of each line

    def __init__(self, window: int = 10, stop: StopTrainingOnMaxEpisodes | None = None) -> None:
        super().__init__()
        self.window = window
        self.stop = stop
        self._losses: deque[float] = deque(maxlen=window)  # mean loss of each of the last episodes
        self._running_losses: list[float] = []  # loss of each train() call in the running episode
        self._bar: ProgressBar | None = None
        self._finished = True

    def _on_training_start(self) -> None:
        self._first_step = self.model.num_timesteps
        self._total = self.locals["total_timesteps"] - self._first_step
        self._seen_episodes = self._episodes()
        self._seen_updates = self._updates()
        self._started = self._shown = time.monotonic()
        self._finished = False
        self._bar = ProgressBar() if self._shows_bar() else None

    def _on_rollout_start(self) -> None:
        # train() runs between two rollouts
        loss = getattr(self.model, "last_loss", None)
        if loss is not None and self._updates() != self._seen_updates:
            self._seen_updates = self._updates()
            self._running_losses.append(loss)

    def _on_step(self) -> bool:
        if self._episodes() != self._seen_episodes:
            self._seen_episodes = self._episodes()
            if self._running_losses:
                self._losses.append(safe_mean(self._running_losses))
                self._running_losses = []
        if time.monotonic() - self._shown >= (self.LINE_INTERVAL if self._bar is None else self.REFRESH_INTERVAL):
            self._shown = time.monotonic()
            self._show()
        return True

    def _on_training_end(self) -> None:
        if self._finished:  # RL Zoo calls it a second time for its first callback
            return
        self._finished = True
        self._show()
        if self._bar is not None:
            self._bar.close()

    def figures(self) -> dict[str, float]:
        """
        :return: figures of the bar, without those that do not exist yet (``reward`` before the first whole game, ``loss``
            before the first update)
        """
        figures: dict[str, float] = {}
        games = [game["r"] for game in self.model.ep_info_buffer or ()][-self.window :]
        if games:
            figures["reward"] = safe_mean(games)
        losses = self._losses or self._running_losses
        if losses:
            figures["loss"] = safe_mean(losses)
        for attribute, name in (("temperature", "temp"), ("epsilon", "eps")):
            value = getattr(self.model, attribute, None)
            if value is not None:
                figures[name] = value
        return figures | getattr(self.model, "figures", {})

    def summary(self) -> str:
        """
        :return: the figures in one line
        """
        formats = {"reward": ".2f", "loss": ".3g", "temp": ".3f", "eps": ".3f"}
        return ", ".join(f"{name}={value:{formats.get(name, '.3g')}}" for name, value in self.figures().items())

    def _shows_bar(self) -> bool:
        return sys.stdout.isatty()

    def _show(self) -> None:
        position, summary = self._position(), self.summary()
        steps = self.model.num_timesteps - self._first_step
        speed = steps / max(time.monotonic() - self._started, 1e-9)
        if self._bar is not None:
            self._bar.update(position, speed, summary)
            return
        parts = [
            self.title,
            f"{int(100 * position.share):3d}%",
            f"{position.done}/{position.total} {position.unit}",
            f"{speed:.0f} steps/s",
            summary,
        ]
        print(" | ".join(part for part in parts if part), flush=True)

    def _position(self) -> Position:
        steps = Position(self.model.num_timesteps - self._first_step, self._total, "steps")
        if self.stop is None:
            return steps
        # SB3 counts the episodes of all environments, and stops at max_episodes times their number
        episodes = Position(self.stop.n_episodes, self.stop.max_episodes * self.training_env.num_envs, "episodes")
        return max(episodes, steps, key=lambda position: position.share)

    def _episodes(self) -> int:
        return getattr(self.model, "_episode_num", 0)

    def _updates(self) -> int:
        return getattr(self.model, "_n_updates", 0)


class TrialProgressCallback(TrainingProgressCallback):
    """
    Prints the hyperparameters of a trial of ``-optimize``, and its progress in lines, since several trials may run at once.

    :param trial: the trial
    """

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self.trial = trial
        self.title = f"Trial {trial.number}"

    def _on_training_start(self) -> None:
        print(f"{self.title} tries {', '.join(f'{name}={value}' for name, value in self.trial.params.items())}", flush=True)
        super()._on_training_start()

    def _shows_bar(self) -> bool:
        return False
