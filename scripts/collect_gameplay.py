"""``sb3-breakout collect``, from a checkout: ``python scripts/collect_gameplay.py --episodes 100 --output data --agents random:0.3 ddqn_per:best``."""

from sb3_breakout.cli.collect import collect

if __name__ == "__main__":
    collect()
