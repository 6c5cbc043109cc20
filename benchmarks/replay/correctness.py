"""
Every transition that our buffer samples, compared with SB3's ``ReplayBuffer`` / ``NStepReplayBuffer`` on the same stream.

The reference is one SB3 buffer per environment, read row by row. Ours is sampled until every transition has been drawn.
Transitions are identified by their observation's newest frame, which contains a unique number.
"""

from dataclasses import dataclass

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer

from benchmarks.replay.streams import StackStream, Step, frame_ids

GAMMA = 0.99
ROWS_PER_ENV = 300
CHECK_AT = (0.05, 0.6, 1.0, 1.01, 1.7, 2.3, 3.2)  # laps of the ring
DRAWS_PER_TRANSITION = 40
BATCH = 256
FIELDS = ("observations", "next_observations", "actions", "rewards", "dones", "discounts")


@dataclass(frozen=True)
class Case:
    n_envs: int
    n_steps: int
    mean_life: float
    timeout_share: float = 0.3
    n_stack: int = 8

    def __str__(self) -> str:
        return (
            f"{self.n_envs} envs, {self.n_steps}-step, {self.n_stack} frames, lives of {self.mean_life:g}, "
            f"{self.timeout_share:.0%} timeouts"
        )


CASES = (
    Case(n_envs=1, n_steps=1, mean_life=50),
    Case(n_envs=4, n_steps=1, mean_life=20),
    Case(n_envs=8, n_steps=1, mean_life=3, n_stack=4),
    Case(n_envs=3, n_steps=1, mean_life=1.2),
    Case(n_envs=1, n_steps=3, mean_life=50),
    Case(n_envs=4, n_steps=3, mean_life=6),
    Case(n_envs=8, n_steps=5, mean_life=4, n_stack=4),
    Case(n_envs=2, n_steps=10, mean_life=12),
    Case(n_envs=2, n_steps=3, mean_life=1e9),  # one life over all laps
)


@dataclass
class Comparison:
    """
    :param compared: distinct transitions compared, over all checks
    :param wrong: of these, how many differ in any field or are not among SB3's
    :param missing: transitions that SB3 holds with their whole n-step horizon, but that ours never sampled
    """

    case: str
    compared: int = 0
    wrong: int = 0
    missing: int = 0

    def row(self) -> list[str]:
        return [self.case, f"{self.compared:,}", str(self.wrong), str(self.missing)]


Record = tuple[np.ndarray, ...]  # one transition, in the order of FIELDS


def check_all() -> list[Comparison]:
    return [check(case, seed) for seed, case in enumerate(CASES)]


def check(case: Case, seed: int) -> Comparison:
    """Add one stream to both buffers and compare them at several fill levels."""
    from sb3_breakout import PrioritizedReplayBuffer

    stream = StackStream(case.n_envs, case.n_stack, (6, 5), case.mean_life, case.timeout_share, seed)
    truth = [sb3_buffer(case.n_steps, stream.observation_space, stream.action_space) for _ in range(case.n_envs)]
    ours = PrioritizedReplayBuffer(
        ROWS_PER_ENV * case.n_envs,
        stream.observation_space,
        stream.action_space,
        device="cpu",
        n_envs=case.n_envs,
        n_stack=case.n_stack,
        n_steps=case.n_steps,
        gamma=GAMMA,
    )
    result = Comparison(str(case))
    last_step = int(CHECK_AT[-1] * ROWS_PER_ENV)
    stops = {int(laps * ROWS_PER_ENV) for laps in CHECK_AT}
    for i in range(1, last_step + 1):
        step = stream.step()
        ours.add(step.obs, step.next_obs, step.action, step.reward, step.done, step.infos)
        for env, buffer in enumerate(truth):
            buffer.add(*of_one_env(step, env))
        if i in stops:
            compare(ours, truth, case, result)
    return result


def sb3_buffer(n_steps: int, observation_space: spaces.Space, action_space: spaces.Space) -> ReplayBuffer:
    if n_steps == 1:
        return ReplayBuffer(ROWS_PER_ENV, observation_space, action_space, device="cpu")
    return NStepReplayBuffer(ROWS_PER_ENV, observation_space, action_space, device="cpu", n_steps=n_steps, gamma=GAMMA)


def of_one_env(step: Step, env: int) -> tuple:
    one = slice(env, env + 1)
    return step.obs[one], step.next_obs[one], step.action[one], step.reward[one], step.done[one], step.infos[one]


def compare(ours: object, truth: list[ReplayBuffer], case: Case, result: Comparison) -> None:
    expected: dict[int, Record] = {}
    complete: set[int] = set()
    for buffer in truth:
        records, whole = all_rows(buffer, case.n_steps)
        expected |= records
        complete |= whole
    given = drawn_from(ours, DRAWS_PER_TRANSITION * len(expected))
    result.compared += len(given)
    result.wrong += sum(key not in complete or not same(record, expected[key]) for key, record in given.items())
    result.missing += len(complete - given.keys())


def all_rows(buffer: ReplayBuffer, n_steps: int) -> tuple[dict[int, Record], set[int]]:
    """:return: all transitions by number, and the numbers of those whose n-step horizon lies in the buffer"""
    size = buffer.size()
    rows = np.arange(size)
    batch = buffer._get_samples(rows)
    oldest = buffer.pos if buffer.full else 0
    age = (rows - oldest) % size  # 0: the oldest
    horizon = (rows[:, None] + np.arange(n_steps)) % size  # (size, n_steps)
    ends = buffer.dones[horizon, 0] != 0
    stored = age[:, None] + np.arange(n_steps) < size
    complete = stored[:, -1] | (ends & stored).any(axis=1)
    records = by_number(batch, th.full((size, 1), GAMMA) if batch.discounts is None else batch.discounts)
    numbers = frame_ids(batch.observations.numpy())
    return records, set(numbers[complete].tolist())


def drawn_from(ours: object, draws: int) -> dict[int, Record]:
    """
    Sample and re-prioritize until nothing new can be expected.

    All priorities lie in [0.5, 1], so the chance to miss one of N transitions in 40 N draws is below N e^-20.
    """
    rng = np.random.default_rng(0)
    given: dict[int, Record] = {}
    for _ in range(draws // BATCH + 1):
        batch = ours.sample(BATCH)  # type: ignore[attr-defined]
        given |= by_number(batch, batch.discounts)
        ours.update_priorities(batch.indices, rng.uniform(0.5, 1.0, BATCH).astype(np.float32))  # type: ignore[attr-defined]
    return given


def by_number(batch: object, discounts: th.Tensor) -> dict[int, Record]:
    columns = [discounts if field == "discounts" else getattr(batch, field) for field in FIELDS]
    arrays = [column.numpy() for column in columns]
    numbers = frame_ids(arrays[0])
    return {int(number): tuple(array[i] for array in arrays) for i, number in enumerate(numbers)}


def same(mine: Record, theirs: Record) -> bool:
    """Bit-equal, except for the last digits of discounted sums."""
    exact = all(np.array_equal(a, b) for a, b in zip(mine[:3], theirs[:3], strict=True))
    return exact and all(np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(mine[3:], theirs[3:], strict=True))
