"""How the benchmarks' pictures are finished."""

from pathlib import Path
from typing import Any


def save(figure: Any, path: Path) -> None:
    """
    :param figure: matplotlib's, everything drawn; gets grids, and legends where something is labelled
    :param path: file to write
    """
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
