"""The progress bar of ``-P``: how well the agent plays, what it still gets wrong, how much it explores."""

import sys
import time
from collections import deque

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import safe_mean


class RateColumn(ProgressColumn):
    """Environment steps per second, averaged over the training."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / (task.elapsed or 1.0):.0f} it/s", style="progress.data.speed")


class ProgressBar:
    """
    SB3's bar (rich, which keeps printed text above the bar) with a postfix, put first so that narrow terminals show it.

    :param total: how many environment steps the bar stands for
    """

    def __init__(self, total: int) -> None:
        self.progress = Progress(
            "{task.percentage:>3.0f}%",
            "{task.fields[postfix]}",
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            RateColumn(),
        )
        self.task_id = self.progress.add_task("", total=total, postfix="")
        self.progress.start()

    def update(self, completed: int, postfix: str) -> None:
        """
        :param completed: environment steps so far
        :param postfix: the training's key figures
        """
        self.progress.update(self.task_id, completed=completed, postfix=postfix)

    def close(self) -> None:
        """Draw the bar for the last time and give the terminal back."""
        self.progress.stop()


class TrainingProgressCallback(BaseCallback):
    """
    Progress bar with the training's key figures, or plain lines where the output is no terminal.

    - ``reward``: raw score of whole games, averaged over the last ``window`` games
    - ``loss``: training loss, averaged over the last ``window`` episodes (as the learner sees them: lives)
    - ``temp`` or ``eps``: temperature of Boltzmann exploration, or epsilon of epsilon-greedy
    - what the model has in ``figures`` (``ddqn_rnd``: ``alpha``, ``extrinsic`` and ``combined`` reward of the last episodes)

    :param window: how many games or episodes the figures are averaged over
    :param every_percent: where the output is no terminal, how many percent of the training lie between two lines
    """

    REFRESH_INTERVAL = 0.2  # seconds between two updates of the bar

    def __init__(self, window: int = 10, every_percent: int = 5) -> None:
        super().__init__()
        self.window = window
        self.every_percent = every_percent
        self._losses: deque[float] = deque(maxlen=window)  # mean loss of each of the last episodes
        self._running_losses: list[float] = []  # loss of each train() call in the running episode
        self._bar: ProgressBar | None = None
        self._finished = True

    def _on_training_start(self) -> None:
        self._first_step = self.model.num_timesteps
        self._total = self.locals["total_timesteps"] - self._first_step
        self._seen_episodes = self._episodes()
        self._seen_updates = self._updates()
        self._started = self._refreshed = time.monotonic()
        self._next_percent = self.every_percent
        self._finished = False
        self._bar = ProgressBar(self._total) if sys.stdout.isatty() else None

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
        if self._bar is None:
            self._maybe_print_line()
        elif time.monotonic() - self._refreshed > self.REFRESH_INTERVAL:
            self._refreshed = time.monotonic()
            self._bar.update(self._done(), self.summary())
        return True

    def _on_training_end(self) -> None:
        if self._finished:  # RL Zoo ends its first callback a second time
            return
        self._finished = True
        if self._bar is None:
            self._maybe_print_line(last=True)
        else:
            self._bar.update(self._done(), self.summary())
            self._bar.close()

    def figures(self) -> dict[str, float]:
        """
        :return: what the bar shows, without the figures that do not exist yet (``reward`` before the first whole game,
            ``loss`` before the first update)
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

    def _maybe_print_line(self, last: bool = False) -> None:
        done = self._done()
        percent = min(100 * done // max(self._total, 1), 100)
        if percent < self._next_percent and not last:
            return
        if last and percent < self._next_percent - self.every_percent + 1:
            return  # the line of this percentage has been printed
        self._next_percent = percent - percent % self.every_percent + self.every_percent
        seconds = max(time.monotonic() - self._started, 1e-9)
        parts = [f"{percent:3d}%", f"{done}/{self._total} steps", f"{done / seconds:.0f} steps/s", self.summary()]
        print(" | ".join(part for part in parts if part), flush=True)

    def _done(self) -> int:
        return self.model.num_timesteps - self._first_step

    def _episodes(self) -> int:
        return getattr(self.model, "_episode_num", 0)

    def _updates(self) -> int:
        return getattr(self.model, "_n_updates", 0)
