"""
Play a dataset again and compare every frame, reward and life: ``python scripts/verify_gameplay.py data``.

Names every episode that differs, with its first fault. The exit code is 0 if there is none, 1 if there is one, and 2 if there
is no dataset, or links lead out of it.
"""

import argparse
import sys
from pathlib import Path

from rich.progress import track

from sb3_breakout.gameplay.dataset.layout import DamagedDataset, GameplayFolder
from sb3_breakout.gameplay.dataset.verification import verify_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the dataset")
    args = parser.parse_args()
    folder = GameplayFolder(args.data)
    episodes = len(folder.names())
    faults = 0
    try:
        for name, fault in track(verify_dataset(folder), "Playing again", total=episodes + 1):
            if fault is not None:
                faults += 1
                print(f"{name}: {fault}", flush=True)
    except (FileNotFoundError, DamagedDataset) as error:
        print(f"Error: {error}")
        sys.exit(2)
    print(f"{args.data}: {episodes} episodes played again, {faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
