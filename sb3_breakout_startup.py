"""
Called at the start of every Python process of the environment, by ``sb3_breakout.pth`` or ``sb3_breakout.start``.

It lies beside them in site-packages, not in the package, so that Python still starts silently when the folder of an editable
install is gone. See ``sb3_breakout/_hook.py`` for what it starts, and how to disable it.
"""

import os
import sys


def start() -> None:
    """Install the start-up hook of sb3_breakout, unless it is disabled or another package has this name."""
    if os.environ.get("SB3_BREAKOUT_HOOK") == "0":
        return
    for finder in sys.meta_path:
        spec = finder.find_spec("sb3_breakout", None)
        if spec is not None:
            folders = spec.submodule_search_locations or ()
            if any(os.path.isfile(os.path.join(folder, "_hook.py")) for folder in folders):
                from sb3_breakout._hook import install

                install()
            return
