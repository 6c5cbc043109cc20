"""``sb3-breakout ship``, from a checkout: ``python scripts/ship_agent.py logs/ddqn_per/BreakoutNoFrameskip-v4_1``."""

from sb3_breakout.cli.ship import ship

if __name__ == "__main__":
    ship()
