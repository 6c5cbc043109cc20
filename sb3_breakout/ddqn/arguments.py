"""Names of arguments: a misspelt one is an error that names the nearest right one."""

import difflib
from collections.abc import Iterable


def check_known_arguments(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """
    Refuse argument names that nothing would read.

    :param given: the names received
    :param known: the names that mean something
    :param where: what received them, for the message (for instance ``"DDQN.load()"``)
    :raises ValueError: naming each unknown argument and the nearest known one
    """
    known = sorted(known)
    unknown = [name for name in given if name not in known]
    if not unknown:
        return
    hints = []
    for name in unknown:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        hints.append(f"'{name}' (did you mean '{nearest[0]}'?)")
    raise ValueError(f"{where} received unknown argument(s): {', '.join(hints)}. Known arguments: {', '.join(known)}.")
