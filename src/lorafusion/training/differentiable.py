"""Differentiable: the executor with which gradients find their way back through many mixtures."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from lorafusion.executors.inject import Inject
from lorafusion.executors.mixture import Mixture


class Differentiable(Inject):
    """`Inject`, but each mixture has numbers of its own.

    `Inject` writes new gates over the old ones, which is quick; gradients of a run with the old ones
    still need them.
    """

    def set(self, gates: Float[Tensor, " l"]) -> None:
        """Open the LoRAs this far, for every sample alike."""
        self._mixed.whole = Mixture(self._layouts)
        super().set(gates)
