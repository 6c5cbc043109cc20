"""``python -m sb3_breakout``"""

from sb3_breakout.cli import main

main(prog_name="sb3-breakout")
