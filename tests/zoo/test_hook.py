"""The start-up hook: what it imports, that it reaches child processes, and that it does not break a changed RL Zoo."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
from rl_zoo3.exp_manager import ExperimentManager as Manager  # already patched

import sb3_breakout
from sb3_breakout import _hook
from sb3_breakout.zoo import patches

CHECKOUT = Path(sb3_breakout.__file__).parent.parent
START_UP_LINE = "import sb3_breakout_startup; sb3_breakout_startup.start()"


# Same effect as SB3_BREAKOUT_HOOK=0
WITHOUT_HOOK = "import sys; sys.meta_path[:] = [each for each in sys.meta_path if 'ZooFinder' not in str(each)]"


def run_python(code: str, *options: str, path: Path | None = None) -> str:
    """Run code in a fresh interpreter, with ``path`` first on its sys.path, and return the output."""
    environment = {"PYTHONPATH": os.pathsep.join(map(str, (path, CHECKOUT)))} if path else {}
    result = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=120, env=environment
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_hook_runs_when_python_starts():
    assert run_python("import sys; print('sb3_breakout._hook' in sys.modules)").strip() == "True"


def start_up(code: str, path: Path = CHECKOUT, **environment: str) -> str:
    """Output of code in an interpreter without site-packages; ``path`` and then the checkout are on its sys.path."""
    program = f"import os, sys; sys.path += [{str(path)!r}, {str(CHECKOUT)!r}]; {code}"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=120, env=environment
    )
    assert result.returncode == 0 and not result.stderr, result.stderr
    return result.stdout.strip()


def test_start_up_files_agree():
    assert (CHECKOUT / "sb3_breakout.pth").read_text().strip() == START_UP_LINE
    assert (CHECKOUT / "sb3_breakout.start").read_text().strip() == "sb3_breakout_startup:start"


def test_start_up_imports_next_to_nothing():
    """Only the hook itself. ``os`` does not count: Python imports it anyway if there is a site-packages folder."""
    added = start_up(f"before = set(sys.modules); {START_UP_LINE}; print(sorted(set(sys.modules) - before))")
    assert added == "['sb3_breakout', 'sb3_breakout._hook', 'sb3_breakout_startup']"


WHAT_STARTED = f"{START_UP_LINE}; print([name for name in sys.modules if name.startswith('sb3_breakout')])"


def test_start_up_is_refused_by_an_environment_variable():
    assert "sb3_breakout._hook" in start_up(WHAT_STARTED)
    assert "sb3_breakout._hook" in start_up(WHAT_STARTED, SB3_BREAKOUT_HOOK="1")
    assert start_up(WHAT_STARTED, SB3_BREAKOUT_HOOK="0") == "['sb3_breakout_startup']"


def test_start_up_is_silent_when_the_package_is_gone(tmp_path: Path):
    """As after deleting the folder of an editable install: only the start-up files in site-packages are left."""
    (tmp_path / "sb3_breakout_startup.py").write_text((CHECKOUT / "sb3_breakout_startup.py").read_text())
    program = f"import os, sys; sys.path.append({str(tmp_path)!r}); {WHAT_STARTED}"
    assert run_python(program, "-I", "-S").strip() == "['sb3_breakout_startup']"


@pytest.mark.parametrize("file", ["sb3_breakout/__init__.py", "sb3_breakout.py"])
def test_start_up_leaves_a_foreign_package_of_this_name_alone(tmp_path: Path, file: str):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("print('imported')")
    assert start_up(WHAT_STARTED, path=tmp_path) == "['sb3_breakout_startup']"


def test_installing_twice_changes_nothing():
    _hook.install()
    finders = list(sys.meta_path)
    _hook.install()
    assert sys.meta_path == finders
    assert finders.count(_hook.ZooFinder) == 1


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_hook_reaches_child_processes(tmp_path: Path, method: str):
    (tmp_path / "child.py").write_text("""
import multiprocessing, sys

def work(queue):
    queue.put([str(finder) for finder in sys.meta_path])

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get(timeout=60))
    process.join()
""")
    result = subprocess.run([sys.executable, tmp_path / "child.py", method], capture_output=True, text=True, timeout=120)
    assert "ZooFinder" in result.stdout, result.stderr


def test_modules_imported_before_install_are_patched(tmp_path: Path):
    """In a checkout that is not installed, ``install()`` is called after ``import rl_zoo3``."""
    make_zoo(tmp_path, cli="def main():\n    print('original')\n")
    output = run_python(
        "import sys\n"
        f"sys.path.insert(0, {str(CHECKOUT)!r})\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import rl_zoo3.cli\n"
        "original = rl_zoo3.cli.main\n"
        "import sb3_breakout\n"
        "sb3_breakout.install()\n"
        "patched = rl_zoo3.cli.main\n"
        "sb3_breakout.install()\n"
        "print(patched is original, rl_zoo3.cli.main is patched)\n",
        "-I",
        "-S",
    )
    assert output.strip() == "False True"


# A possible future rl_zoo3, in which everything we patch has moved
FUTURE_ZOO = {
    "utils": "ALGORITHMS = {}\n",
    "hyperparams_opt": "SEARCH_SPACES = {}\n",
    "exp_manager": "class ExperimentManager:\n    def __init__(self, settings):\n        pass\n",
    "cli": "def run():\n    pass\n",
}


def make_zoo(folder: Path, **modules: str) -> None:
    (folder / "rl_zoo3").mkdir()
    (folder / "rl_zoo3" / "__init__.py").touch()
    for name, code in modules.items():
        (folder / "rl_zoo3" / f"{name}.py").write_text(code)


def test_future_zoo_goes_on_with_one_warning_for_each_lost_part(tmp_path: Path):
    make_zoo(tmp_path, **FUTURE_ZOO)
    code = """
import importlib, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name in ("utils", "hyperparams_opt", "exp_manager", "cli"):
        importlib.import_module(f"rl_zoo3.{name}")
    import sb3_breakout
    sb3_breakout.install()
for warning in caught:
    print(warning.category.__name__, warning.message)
from rl_zoo3.exp_manager import ExperimentManager
ExperimentManager(settings=None)
print("the Zoo goes on")
"""
    lines = run_python(code, path=tmp_path).splitlines()
    assert len(lines) == 5, lines
    for line, name in zip(lines, FUTURE_ZOO, strict=False):
        assert re.match(rf"UserWarning sb3_breakout could not extend rl_zoo3.{name} .(Attribute|Import)Error: ", line)
    assert lines[-1] == "the Zoo goes on"


@pytest.mark.parametrize("name", list(FUTURE_ZOO))
def test_failing_patch_leaves_the_module_as_it_is(name: str):
    module = ModuleType(f"rl_zoo3.{name}")
    exec(FUTURE_ZOO[name], module.__dict__)
    before = dict(module.__dict__)
    with pytest.raises(AttributeError):
        patches.PATCHES[module.__name__](module)
    assert module.__dict__ == before


@pytest.mark.parametrize("lost", ["create_envs", "config"])
def test_manager_that_lost_something_we_extend_is_not_replaced(lost: str):
    methods = {name: None for name in vars(Manager) if name != lost}
    arguments = "config" if lost != "config" else "configuration"
    exec(f"def __init__(self, algo, {arguments}): ...", methods)
    module = ModuleType("rl_zoo3.exp_manager")
    module.ExperimentManager = original = type("ExperimentManager", (), methods)
    with pytest.raises(AttributeError, match=f"ExperimentManager has lost {lost}$"):
        patches.patch_exp_manager(module)
    assert module.ExperimentManager is original


def test_manager_is_replaced_where_it_was_imported_before():
    code = """
import importlib, sys
import rl_zoo3.train, rl_zoo3.enjoy
originals = [module.ExperimentManager for module in (rl_zoo3.exp_manager, rl_zoo3.train, rl_zoo3.enjoy)]
assert all(original.__module__ == "rl_zoo3.exp_manager" for original in originals)
import sb3_breakout
sb3_breakout.install()
print({module.ExperimentManager.__module__ for module in (rl_zoo3.exp_manager, rl_zoo3.train, rl_zoo3.enjoy)})
"""
    assert run_python(WITHOUT_HOOK + code, path=CHECKOUT).splitlines()[-1] == "{'sb3_breakout.zoo.manager'}"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [0, 1])
def test_recipes_for_those_who_refuse_the_hook(tmp_path: Path, recipe: int):
    assert _hook.__doc__ is not None
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", _hook.__doc__)
    (tmp_path / "mine.yml").write_text("CartPole-v1: {policy: MlpPolicy, n_timesteps: 200, learning_starts: 100}")
    words = f"train --algo ddqn_per -conf {tmp_path}/mine.yml -f {tmp_path}/logs --eval-freq -1".split()
    run_python(f"{WITHOUT_HOOK}\nsys.argv = {words}\n{textwrap.dedent(blocks[recipe])}", path=CHECKOUT)
    assert (tmp_path / "logs" / "ddqn_per" / "CartPole-v1_1" / "CartPole-v1.zip").is_file()


def test_zoo_that_knows_record_video_itself_keeps_its_own():
    module = ModuleType("rl_zoo3.cli")
    module.main = module.record_video = print
    patches.patch_cli(module)
    assert module.main is print


def test_unknown_script_is_told_of_record_video(monkeypatch: pytest.MonkeyPatch):
    def main() -> None:
        raise ValueError("The script record_vidoe is unknown, please use one of dict_keys(['train'])")

    module = ModuleType("rl_zoo3.cli")
    module.main = main
    patches.patch_cli(module)
    monkeypatch.setattr(sys, "argv", ["rl_zoo3", "record_vidoe"])
    with pytest.raises(ValueError, match=r"record_vidoe is unknown, .* or 'record_video'"):
        module.main()


def test_public_names_are_lazy_and_complete():
    for name in sb3_breakout.__all__:
        assert getattr(sb3_breakout, name) is not None
        assert name in dir(sb3_breakout)
    with pytest.raises(AttributeError, match="no attribute 'DQNN'"):
        _ = sb3_breakout.DQNN
