"""``sb3-breakout video``, from a checkout: ``python scripts/record_videos.py --agent trained``."""

from sb3_breakout.cli.video import video

if __name__ == "__main__":
    video()
