"""``sb3-breakout evaluate``, from a checkout: ``python scripts/evaluate.py MODEL.zip``."""

from sb3_breakout.cli.evaluate import evaluate

if __name__ == "__main__":
    evaluate()
