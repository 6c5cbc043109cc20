"""``sb3-breakout export``, from a checkout: ``python scripts/export_gameplay.py data --to npz``."""

from sb3_breakout.cli.dataset import export

if __name__ == "__main__":
    export()
