"""Write a page that shows a dataset in a browser: ``python scripts/show_gameplay.py data``, then open ``data/index.html``."""

import argparse
import sys
from pathlib import Path

from sb3_breakout.gameplay.dataset.layout import DamagedDataset, GameplayFolder
from sb3_breakout.gameplay.dataset.page import write_page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the dataset")
    args = parser.parse_args()
    try:
        print(f"Written to {write_page(GameplayFolder(args.data))}")
    except (OSError, DamagedDataset) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
