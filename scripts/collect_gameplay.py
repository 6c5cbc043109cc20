"""``sb3-breakout collect``, from a checkout: ``python scripts/collect_gameplay.py --output data --agents random trained``."""

from sb3_breakout.cli.collect import collect

if __name__ == "__main__":
    collect()
