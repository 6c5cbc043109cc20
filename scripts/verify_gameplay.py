"""``sb3-breakout verify``, from a checkout: ``python scripts/verify_gameplay.py data``."""

from sb3_breakout.cli.dataset import verify

if __name__ == "__main__":
    verify()
