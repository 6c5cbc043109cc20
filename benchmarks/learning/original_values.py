"""
The values of the original system (``hyperparams/ddqn_per_original.yml``) compared with the defaults, on MinAtar Breakout.

    pip install "sb3-breakout[benchmarks]"
    python -m benchmarks.learning.original_values --output original_values.csv

``minatar_runs.py`` explains training and scores. Rewards are not shaped, since MinAtar has no lives to lose. Ten updates of
128 transitions per agent step are slow, so trainings are shorter than in ``ablation.py``. Re-run the same command to resume.
"""

from pathlib import Path

import yaml

from benchmarks.learning.ablation import print_table
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

    runs = Runs(VARIANTS, args.seeds, args.steps, args.folder)
    runs.finish(args.processes, args.ray)
    print_table(runs)
    if args.output:
        runs.all_evaluations().to_csv(args.output, index=False, float_format="%.2f")


if __name__ == "__main__":
    main()
