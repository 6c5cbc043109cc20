"""Runs commands for the tests, each in its own process and in a given folder."""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch as th

TRAIN = (sys.executable, "-m", "rl_zoo3.train", "--algo", "ddqn_per")
ENJOY = (sys.executable, "-m", "rl_zoo3.enjoy")
RECORD_VIDEO = (sys.executable, "-m", "rl_zoo3.record_video")
RL_ZOO3 = str(Path(sys.executable).with_name("rl_zoo3"))  # the console command of this environment

# Calls the Zoo's train() several times in one process, and prints how each call ended
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

TIMEOUT = 1800  # seconds
# Forks processes from a fresh interpreter that has only imported the modules that take long to import
WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(["torch._dynamo", "rl_zoo3.exp_manager", "sb3_breakout.gameplay.collect.collection"])


def run(*command: str | Path, folder: Path, code: int = 0, **environment: str) -> str:
    """
    Run a command and wait for its end.

    :param command: words of the command; :func:`start` runs this environment's Python, ``subprocess`` anything else
    :param folder: working directory
    :param code: expected exit code
    :param environment: additional environment variables
    :return: output of the command, stdout and stderr together
    """
    words = [str(word) for word in command]
    with tempfile.NamedTemporaryFile("r+") as output:
        if words[0] == sys.executable:
            process = start(*words, folder=folder, output=Path(output.name), **environment)
            process.join(TIMEOUT)
            process.kill()  # no effect if it has ended
            process.join()
            exit_code = process.exitcode
        else:
            exit_code = subprocess.run(
                words, cwd=folder, env=variables(environment), stdout=output, stderr=subprocess.STDOUT, timeout=TIMEOUT
            ).returncode
        output.seek(0)
        text = output.read()
    assert exit_code == code, text
    return text


def start(*command: str | Path, folder: Path, output: Path = Path(os.devnull), **environment: str) -> BaseProcess:
    """
    Start a command that begins with this environment's Python, without waiting for it. It runs in a fork of an interpreter
    that has already imported PyTorch and RL Zoo, since importing them takes longer than most of these commands.

    :param command: words of the command
    :param folder: working directory
    :param output: file for stdout and stderr
    :param environment: additional environment variables
    :return: the process, leader of its own session
    """
    words = [str(word) for word in command]
    assert words[0] == sys.executable
    process = WARM.Process(target=_python, args=(words[1:], folder, variables(environment), output))
    process.start()
    atexit.register(process.kill)  # else multiprocessing would wait at exit for the process of a failed test
    return process


def variables(environment: dict[str, str]) -> dict[str, str]:
    """
    :param environment: additional environment variables
    :return: all environment variables of a command
    """
    return {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", **environment}


def _python(words: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
    """Run the words after ``python`` as the interpreter would."""
    os.setsid()
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    th.set_num_threads(1)
    option, *arguments = words
    if option == "-m":
        sys.argv, sys.path[0] = arguments, str(folder)
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[1:]], str(folder)
        exec(arguments[0], {"__name__": "__main__"})
    else:
        sys.argv, sys.path[0] = words, str(Path(option).parent)
        runpy.run_path(option, run_name="__main__")
