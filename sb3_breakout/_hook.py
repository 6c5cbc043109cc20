"""
The start-up hook that registers our algorithms with RL Zoo.

RL Zoo reads its table of algorithms before any option could name a plug-in, so the table must be extended while RL Zoo is
being imported. ``sb3_breakout.pth`` (Python <= 3.14) or ``sb3_breakout.start`` (PEP 829) calls ``install()`` in every Python
process of the environment, through ``sb3_breakout_startup.py``. That only adds an entry to ``sys.meta_path``. The patches
(``sb3_breakout.zoo.patches``) are loaded and applied when one of the modules below is imported, right after it has been
executed.

With ``SB3_BREAKOUT_HOOK=0`` in the environment, nothing happens at start-up. A program can then call ``install()`` itself::

    import sb3_breakout
    from rl_zoo3.train import train

    sb3_breakout.install()
    train()

or register the algorithm itself, as RL Zoo's documentation shows. The additions of ``sb3_breakout.zoo.manager`` are then
missing, and ``-conf`` must name a hyperparameter file that does not need them (no ``vec_env_class``)::

    import rl_zoo3, rl_zoo3.exp_manager, rl_zoo3.train
    from sb3_breakout import DDQN

    rl_zoo3.ALGOS["ddqn_per"] = DDQN
    rl_zoo3.train.train()

This file also runs in processes that have nothing to do with reinforcement learning, so it imports nothing but ``sys``.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PATCHED_MODULES = ("rl_zoo3.utils", "rl_zoo3.hyperparams_opt", "rl_zoo3.exp_manager", "rl_zoo3.cli")


def _patch(module: "ModuleType") -> None:
    """
    Apply our patch to a module of RL Zoo; if that fails, warn and leave the module unchanged.

    :param module: one of ``PATCHED_MODULES``, completely executed
    """
    try:
        from sb3_breakout.zoo.patches import PATCHES

        PATCHES[module.__name__](module)
    except Exception as error:
        import warnings

        warnings.warn(
            f"sb3_breakout could not extend {module.__name__} ({type(error).__name__}: {error}). RL Zoo continues without "
            "this part of sb3_breakout; the installed rl_zoo3 is probably newer than this sb3_breakout knows.",
            stacklevel=2,
        )
    module._sb3_breakout_seen = True  # type: ignore[attr-defined]


def _patch_after_execution(loader: "Loader") -> None:
    """
    Make a loader patch the module that it executes next.

    :param loader: loader that is about to execute a module of RL Zoo; it is restored afterwards
    """
    execute = loader.exec_module

    def exec_module(module: "ModuleType") -> None:
        loader.exec_module = execute  # type: ignore[method-assign]
        execute(module)
        _patch(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


class ZooFinder:
    """Meta-path finder that delegates to the other finders and patches RL Zoo's modules after their execution."""

    @staticmethod
    def find_spec(name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        """
        :param name: full name of the module being imported
        :param path: where to search, for a submodule
        :param target: the module being reloaded, if any
        :return: the spec of one of ``PATCHED_MODULES``, which patches the module after executing it; None for all others
        """
        if name not in PATCHED_MODULES:
            return None
        others = [finder for finder in sys.meta_path if finder is not ZooFinder and hasattr(finder, "find_spec")]
        for finder in others:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    _patch_after_execution(spec.loader)
                return spec
        return None


def install() -> None:
    """
    Register our algorithms with RL Zoo in this process. Calling it again changes nothing.

    If the package is installed with pip, this happens at interpreter start-up. Call it when using the package from a plain
    checkout, before or after importing ``rl_zoo3``.
    """
    if ZooFinder not in sys.meta_path:
        sys.meta_path.insert(0, ZooFinder)
    for name in PATCHED_MODULES:
        module = sys.modules.get(name)
        if module is not None and not hasattr(module, "_sb3_breakout_seen"):
            _patch(module)
