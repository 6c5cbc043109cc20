"""
Time to change alpha at a million transitions, which recomputes all priorities and the tree from the stored |TD errors|.

    python -m benchmarks.replay.alpha
"""

import time

import numpy as np

from sb3_breakout.replay.priority_sampler import PrioritySampler

TRANSITIONS = 1_000_000
REPEATS = 15


def main() -> None:
    rng = np.random.default_rng(0)
    sampler = PrioritySampler(TRANSITIONS, alpha=0.5, eps=1e-6, rng=rng)
    places = np.arange(TRANSITIONS)
    sampler.enter(places)
    sampler.admit(places)
    sampler.update(places, rng.random(TRANSITIONS, dtype=np.float32))
    seconds = []
    for alpha in np.linspace(0.5, 0.6, REPEATS):
        start = time.process_time()
        sampler.set_alpha(alpha)
        seconds.append(time.process_time() - start)
    print(f"{np.median(seconds) * 1e3:.1f} ms (median of {REPEATS}; target: at most 50 ms)")


if __name__ == "__main__":
    main()
