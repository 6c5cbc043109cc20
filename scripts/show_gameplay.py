"""``sb3-breakout show``, from a checkout: ``python scripts/show_gameplay.py data``."""

from sb3_breakout.cli.dataset import show

if __name__ == "__main__":
    show()
