"""``sb3-breakout collect``, from a checkout: ``python scripts/collect_gameplay.py --output data --agents random:0.3 trained``."""

from sb3_breakout.cli.collect import collect

if __name__ == "__main__":
    collect()
