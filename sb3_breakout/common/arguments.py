"""Checks of arguments. Errors name the value received and the valid ones."""

import difflib
import inspect
import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

ANY_KEYWORD = inspect.Parameter.VAR_KEYWORD
ANY = (inspect.Parameter.VAR_POSITIONAL, ANY_KEYWORD)


def check_known_arguments(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """
    Refuse argument names that nothing would read.

    :param given: the names received
    :param known: the valid names
    :param where: what received them, for the message (for instance ``"DDQN.load()"``)
    :raises ValueError: naming each unknown argument and the most similar valid one
    """
    known = sorted(known)
    unknown = [name for name in given if name not in known]
    if not unknown:
        return
    hints = [f"'{name}'{did_you_mean(name, known, likeness=0.0)}" for name in unknown]
    raise ValueError(f"{where} received unknown argument(s): {', '.join(hints)}. Known arguments: {', '.join(known)}.")


def did_you_mean(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """
    Suggest a known name in place of an unknown one.

    :param name: an unknown name
    :param known: the known names
    :param likeness: smallest similarity of a name to be suggested, from 0 (any) to 1
    :return: a hint to append to the name in a message; empty if no name is similar
    """
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f" (did you mean '{nearest[0]}'?)" if nearest else ""


def constructor_arguments(cls: type) -> list[str]:
    """
    :param cls: a class
    :return: the names of its constructor's arguments, without ``self`` and private ones, including those of base classes as
        far as constructors pass on ``**kwargs``
    """
    return [name for name in _constructor_parameters(cls) if not name.startswith("_")]


def takes_any_argument(cls: type) -> bool:
    """
    :param cls: a class
    :return: whether neither its constructor nor those of its bases refuse unknown keywords
    """
    return ANY_KEYWORD in _constructor_parameters(cls).values()


def _constructor_parameters(cls: type) -> dict[str, Any]:
    """:return: kinds of parameters by name, including ``ANY_KEYWORD`` unless one of the constructors takes no ``**kwargs``"""
    kinds: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        _, *parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        kinds |= {parameter.name: parameter.kind for parameter in parameters if parameter.kind not in ANY}
        if ANY_KEYWORD not in [parameter.kind for parameter in parameters]:
            return kinds
    return kinds | {"kwargs": ANY_KEYWORD}


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """
    :raises ValueError: if ``value`` is not one of ``choices``
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, received {value!r}.")


def check_finite(name: str, value: float) -> None:
    """
    :raises ValueError: if ``value`` is not a finite number
    """
    if not _is_number(value):
        raise ValueError(f"{name} must be a finite number, received {value!r}.")


def check_positive(name: str, value: float) -> None:
    """
    :raises ValueError: if ``value`` is not a finite number above 0
    """
    if not (_is_number(value) and value > 0.0):
        raise ValueError(f"{name} must be a number above 0, received {value!r}.")


def check_not_negative(name: str, value: float) -> None:
    """
    :raises ValueError: if ``value`` is not a finite number of at least 0
    """
    if not (_is_number(value) and value >= 0.0):
        raise ValueError(f"{name} must be a finite number of at least 0, received {value!r}.")


def check_unit_interval(name: str, value: float) -> None:
    """
    :raises ValueError: if ``value`` is not in [0, 1]
    """
    if not (_is_number(value) and 0.0 <= value <= 1.0):
        raise ValueError(f"{name} must be a number in [0, 1], received {value!r}.")


def check_at_least(name: str, value: float, minimum: int) -> int:
    """
    :param value: may be a float with a whole value, as YAML and RL Zoo's ``-params`` read ``1e5``
    :return: ``value`` as an integer
    :raises ValueError: if ``value`` is not a whole number of at least ``minimum``
    """
    if not (_is_number(value) and value == int(value) and value >= minimum):
        raise ValueError(f"{name} must be a whole number of at least {minimum}, received {value!r}.")
    return int(value)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
