"""Double DQN that learns a distribution over returns."""

from typing import Any

from sb3_breakout.ddqn.ddqn import DDQN


class C51(DDQN):
    """
    ``c51_per`` in RL Zoo: :class:`~sb3_breakout.ddqn.ddqn.DDQN` with a categorical head. The network predicts a distribution
    over ``n_atoms`` returns between ``v_min`` and ``v_max``. The loss is a KL divergence, and so are the
    priorities.

    Paper: https://arxiv.org/abs/1707.06887

    :param args: arguments of ``DDQN``
    :param n_atoms: number of returns (atoms) in the distribution
    :param kwargs: keyword arguments of ``DDQN``
    :raises ValueError: as in ``DDQN``, and if ``n_atoms`` is ``None``
    """

    def __init__(self, *args: Any, n_atoms: int = 51, **kwargs: Any) -> None:
        super().__init__(*args, n_atoms=n_atoms, **kwargs)  # type: ignore[misc]

    def _setup_model(self) -> None:
        if self.n_atoms is None:
            raise ValueError(
                "C51 predicts a distribution over n_atoms returns, received n_atoms=None. A model that was trained without "
                "one is a DDQN (--algo ddqn_per)."
            )
        super()._setup_model()
