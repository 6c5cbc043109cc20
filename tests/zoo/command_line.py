"""How the tests type commands: as real processes, in a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

TRAIN = (sys.executable, "-m", "rl_zoo3.train", "--algo", "ddqn_per")
RL_ZOO3 = str(Path(sys.executable).with_name("rl_zoo3"))  # the console command of this environment

# Several invocations of the Zoo's train() in one process, each followed by a line with how it ended: importing takes longer
# than these short trainings do
TRAIN_SEVERAL = """
import json, sys
from rl_zoo3.train import train
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["train", *arguments]
    try:
        train()
        print("ENDED well", flush=True)
    except (Exception, SystemExit) as error:
        print("ENDED", type(error).__name__, error, flush=True)
"""


def run(*command: str | Path, folder: Path, code: int = 0, **environment: str) -> str:
    """
    :param command: what is typed
    :param folder: where
    :param code: the exit code that it must have
    :param environment: additional environment variables
    :return: its output, stdout and stderr together
    """
    result = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    assert result.returncode == code, result.stdout
    return result.stdout
