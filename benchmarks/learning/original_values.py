"""
The values of the original system (``hyperparams/ddqn_per_original.yml``) beside the default ones, on MinAtar Breakout.

    pip install "sb3-breakout[benchmarks]"
    python -m benchmarks.learning.original_values --output original_values.png

How it is trained and measured is said in ``minatar_runs.py``. Only rewards are not shaped: MinAtar has no lives to lose. Ten
updates of 128 for every agent step take their time, so that the trainings are shorter than those of ``ablation.py``. Stopped,
the same command goes on.
"""

from pathlib import Path

import yaml

from benchmarks.learning.ablation import train_and_report
from benchmarks.learning.minatar_runs import Runs, argument_parser
from benchmarks.learning.zoo_runs import Variant

PRESET = Path(__file__).parents[2] / "hyperparams" / "ddqn_per_original.yml"
KEYS = "learning_rate batch_size gradient_steps target_update_interval n_steps temperature_scale replay_buffer_kwargs".split()
VALUES = yaml.safe_load(PRESET.read_text())["BreakoutNoFrameskip-v4"]
ORIGINAL = ["n_envs:1", *(f"{key}:{VALUES[key]!r}" for key in KEYS)]
VARIANTS = {"ddqn_per": Variant(), "the original's values": Variant(ORIGINAL)}


def main() -> None:
    parser = argument_parser(__doc__, seeds=(0, 1))
    parser.set_defaults(steps=20_000)
    args = parser.parse_args()

    train_and_report(Runs(VARIANTS, args.seeds, args.steps, args.folder), args.processes, args.ray, args.output)


if __name__ == "__main__":
    main()
