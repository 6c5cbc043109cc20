"""torch.compile where it works, eager where it does not."""

import warnings
from collections.abc import Callable
from typing import Any

import torch as th


class CompiledFunction:
    """
    A function compiled at its first call. If that fails (no C++ compiler on the machine, for instance), one warning
    says so and the function runs eagerly from then on. Only the function is compiled: modules that it receives keep
    their class and the keys of their ``state_dict``.

    :param function: function of tensors and modules
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._eager = function
        self._active: Callable[..., Any] | None = None  # a model that is loaded to play never compiles

    def __call__(self, *args: Any) -> Any:
        try:
            if self._active is None:
                self._active = th.compile(self._eager, dynamic=False)
            return self._active(*args)
        except Exception as error:  # what the compiler raises differs by backend and release
            if self._active is self._eager:
                raise
            self._active = self._eager
            result = self._eager(*args)  # an error of the function itself is raised again here
            reason = str(error).strip().split("\n", 1)[0]
            message = f"torch.compile failed ({type(error).__name__}: {reason}); training goes on uncompiled."
            warnings.warn(message, stacklevel=2)
            return result
