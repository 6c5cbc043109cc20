"""
Patches of RL Zoo's modules, applied by ``sb3_breakout/_hook.py`` right after each module has been imported.

Each patch changes as little as possible, has no effect on other algorithms, and looks up everything it needs before it changes
anything: if something is missing in the installed rl_zoo3, it changes nothing, and the hook warns.
"""

import inspect
import runpy
import sys
from collections.abc import Callable
from functools import wraps
from pkgutil import resolve_name
from types import ModuleType

from sb3_breakout.registry import ALGORITHMS

RECORD_VIDEO = "record_video"


def patch_utils(module: ModuleType) -> None:
    """
    Add our algorithms to ``--algo``, and let ``enjoy`` and ``record_video`` find our agents.

    :param module: ``rl_zoo3.utils``
    """
    from sb3_breakout.zoo.shipped import with_shipped_agents

    module.get_model_path = with_shipped_agents(module.get_model_path)  # type: ignore[attr-defined]
    module.ALGOS.update({name: resolve_name(reference) for name, reference in ALGORITHMS.items()})


def patch_hyperparams_opt(module: ModuleType) -> None:
    """
    Add our search spaces to ``-optimize`` and ``--trial-id``.

    :param module: ``rl_zoo3.hyperparams_opt``
    """
    samplers, converters = module.HYPERPARAMS_SAMPLER, module.HYPERPARAMS_CONVERTER
    from sb3_breakout.zoo.search_space import convert_ddqn_per_params, sample_ddqn_per_params

    samplers.update(dict.fromkeys(ALGORITHMS, sample_ddqn_per_params))
    converters.update(dict.fromkeys(ALGORITHMS, convert_ddqn_per_params))


def patch_exp_manager(module: ModuleType) -> None:
    """
    :class:`~sb3_breakout.zoo.manager.Manager` replaces ``ExperimentManager``, also in modules of RL Zoo that have imported it.

    :param module: ``rl_zoo3.exp_manager``
    :raises AttributeError: if ``ExperimentManager`` lacks something that ours extends
    """
    original = module.ExperimentManager
    from sb3_breakout.zoo.manager import Manager

    extended = [name for name, value in vars(Manager).items() if getattr(value, "__override__", False)]
    lost = [name for name in extended if not hasattr(original, name)]
    lost += {"algo", "config"} - inspect.signature(original.__init__).parameters.keys()
    if lost:
        raise AttributeError(f"ExperimentManager has lost {', '.join(lost)}")
    importers = [each for name, each in sys.modules.items() if name.startswith("rl_zoo3.") and each is not module]
    for each in [module, *importers]:
        if vars(each).get("ExperimentManager") is original:
            each.ExperimentManager = Manager  # type: ignore[attr-defined]


def patch_cli(module: ModuleType) -> None:
    """
    Make ``rl_zoo3 record_video`` work like ``python -m rl_zoo3.record_video``.

    :param module: ``rl_zoo3.cli``
    """
    if hasattr(module, RECORD_VIDEO):  # this version of RL Zoo has the command
        return
    original = module.main

    @wraps(original)
    def main() -> None:
        if sys.argv[1:2] == [RECORD_VIDEO]:
            del sys.argv[1]
            # 2.9.2 has no function to call, only a script
            runpy.run_module(f"rl_zoo3.{RECORD_VIDEO}", run_name="__main__", alter_sys=True)
            return
        try:
            original()
        except ValueError as error:
            if str(error).startswith("The script"):
                raise ValueError(f"{error} or '{RECORD_VIDEO}'") from None
            raise

    module.main = main  # type: ignore[attr-defined]


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "rl_zoo3.utils": patch_utils,
    "rl_zoo3.hyperparams_opt": patch_hyperparams_opt,
    "rl_zoo3.exp_manager": patch_exp_manager,
    "rl_zoo3.cli": patch_cli,
}
