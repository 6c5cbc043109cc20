"""Constants of the evaluation protocol, in one place and without imports, so that command lines can use them at once."""

ENV_ID = "BreakoutNoFrameskip-v4"
FRAME_SKIP = 4
MAX_STEPS = 27_000  # agent steps: half an hour of play
NOOP_MAX = 30
SEEDS = (0, 1, 2, 3)
# Probability that the emulator repeats the last action, per frame (Machado et al. 2018)
STICKINESS = {"v4": 0.0, "sticky": 0.25}
VIDEO_SCALE = 3  # pixels of a video per pixel of the screen
