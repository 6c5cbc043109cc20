"""Write a dataset in another format: ``python scripts/export_gameplay.py data --to npz`` makes ``data-npz`` beside it."""

import argparse
import sys
from pathlib import Path

from sb3_breakout.gameplay.dataset.exporters import EXPORTERS, export
from sb3_breakout.gameplay.dataset.layout import DamagedDataset, GameplayFolder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the dataset")
    parser.add_argument("--to", choices=list(EXPORTERS), required=True)
    parser.add_argument("--output", type=Path, help="folder to write (default: DATA-FORMAT)")
    args = parser.parse_args()
    target = args.output or args.data.resolve().with_name(f"{args.data.resolve().name}-{args.to}")
    try:
        export(GameplayFolder(args.data), args.to, target)
    except ImportError as error:
        sys.exit(f"Error: {error}. The format needs a library: pip install 'sb3-breakout[{args.to}]'")
    except (OSError, DamagedDataset) as error:
        sys.exit(f"Error: {error}")
    print(f"Written to {target}")


if __name__ == "__main__":
    main()
