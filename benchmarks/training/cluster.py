"""
What RayVecEnv costs the learner, and how many actors keep it busy: ``python -m benchmarks.training.cluster``.

Measured with one actor on this machine: bytes per answer, messages per second, the learner's processor time per message, and
seconds per step. Given: the speed of learning. Computed from both: the number of actors at which the learner waits for a
tenth of its time, with alternating steps and updates and with ``overlap_updates``.
"""

import argparse
import itertools
import math
import pickle
import time
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.env_util import make_vec_env

from sb3_breakout.common.cluster import connect, ray
from sb3_breakout.envs import AtariPreprocessing, RayVecEnv

WAITING = 0.1  # share of time that a busy learner waits
IN_FLIGHT = 16  # messages sent before the first is waited for, as to so many actors
NETWORK = 1.25e9  # bytes per second: 10 Gbit/s


class Measured(NamedTuple):
    """
    Measurements of one actor.

    :param games: number of games
    :param n_bytes: mean bytes of its answer to a step
    :param messages: messages per second with an actor that only answers
    :param learner: the learner's processor time per message, in seconds
    :param step: seconds from sending the actions to receiving the answer
    """

    games: int
    n_bytes: int
    messages: float
    learner: float
    step: float


class Echo:
    """An actor that always returns the same answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def step(self, actions: np.ndarray) -> Any:
        return self.answer


def measure(games: int, n_steps: int) -> Measured:
    env = make_vec_env(
        "BreakoutNoFrameskip-v4",
        games,
        seed=0,
        wrapper_class=AtariPreprocessing,
        vec_env_cls=RayVecEnv,  # type: ignore[arg-type]
        vec_env_kwargs=dict(games_per_actor=games),
    )
    env.reset()
    actions = np.random.default_rng(0).integers(4, size=(n_steps, games))
    n_bytes = []
    for warm_up in actions[: n_steps // 4]:
        env.step(warm_up)
        answer = env._shares[0].answer  # type: ignore[attr-defined]
        n_bytes.append(len(pickle.dumps(answer, protocol=5)))
    start = time.perf_counter()
    for each in actions:
        env.step(each)
    step = (time.perf_counter() - start) / n_steps
    env.close()

    echo = ray.remote(num_cpus=1)(Echo).remote(answer)
    for _ in range(2):  # the first round warms up
        start, start_of_learner = time.perf_counter(), time.process_time()
        for _ in range(n_steps // IN_FLIGHT):
            for pending in [echo.step.remote(actions[0]) for _ in range(IN_FLIGHT)]:
                ray.get(pending)
        n_messages = n_steps // IN_FLIGHT * IN_FLIGHT
        messages = n_messages / (time.perf_counter() - start)
        learner = (time.process_time() - start_of_learner) / n_messages
    ray.kill(echo)
    return Measured(games, round(np.mean(n_bytes)), messages, learner, step)


def row(actor: Measured, samples_per_second: float, samples_per_step: float, overlap: bool) -> str:
    """
    :param actor: measurements of one actor
    :param samples_per_second: samples per second that the learner learns from
    :param samples_per_step: samples per agent step
    :param overlap: whether updates are done while the actors play
    :return: row of the table with the number of such actors that keep the learner busy
    """
    updates = actor.games * samples_per_step / samples_per_second  # seconds of learning per actor and step
    busy = actor.learner + updates
    during_step = updates if overlap else 0.0
    # The learner waits for step - n * during_step, and that shall be WAITING of all its time
    n_actors = math.ceil(actor.step / (during_step + busy * WAITING / (1 - WAITING)))
    steps = n_actors * actor.games / (max(actor.step - n_actors * during_step, 0.0) + n_actors * busy)
    network = steps / actor.games * actor.n_bytes / NETWORK
    shares = {"updates": updates / busy, "messages": actor.learner / busy}
    binds = max(shares, key=lambda name: shares[name])
    return (
        f"| {samples_per_second:.0f} | {'yes' if overlap else 'no'} | {actor.games} | {n_actors} | {n_actors * actor.games} "
        f"| {steps:.0f} | {binds}, {shares[binds]:.0%} of its work | {network:.1%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, nargs="+", default=[1, 4, 8, 12, 16, 32], help="per actor")
    parser.add_argument("--steps", type=int, default=1_000, help="measured for each")
    parser.add_argument(
        "--samples-per-second", type=float, nargs="+", default=[1_200, 20_000], help="that a learner learns from"
    )
    parser.add_argument(
        "--samples-per-step", type=float, default=2.0, help="of the agent: batch size / agent steps per update"
    )
    args = parser.parse_args()
    connect("local")
    actors = [measure(games, args.steps) for games in args.games]
    print("Measured on this machine, one actor:\n")
    print("| games | bytes per answer | messages/s, without emulator | learner's CPU per message, µs | agent steps/s |")
    print("| --- | --- | --- | --- | --- |")
    for each in actors:
        rates = f"{each.messages:.0f} | {each.learner * 1e6:.0f} | {each.games / each.step:.0f}"
        print(f"| {each.games} | {each.n_bytes} | {rates} |")
    print(
        f"\nComputed, at {args.samples_per_step:g} samples per agent step and the samples/s given (not measured here; choosing"
    )
    print(f"actions and storing transitions are not counted). Busy: the learner waits for {WAITING:.0%} of its time.\n")
    print("| learner's samples/s | overlap_updates | games per actor | actors | games ", end="")
    print("| agent steps/s | what binds the learner | of 10 Gbit/s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for samples_per_second, overlap in itertools.product(args.samples_per_second, (False, True)):
        for each in actors:
            print(row(each, samples_per_second, args.samples_per_step, overlap))


if __name__ == "__main__":
    main()
