"""W-Composite: one prediction per LoRA, averaged by what the prompt asks for.

Tsoumplekas et al., arXiv:2606.03792, section 3 (Weighted Composite), after its published code; the w_i of
equation 4 in arXiv:2402.16843, which the latter's code leaves at 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from lorafusion.lora import LoRA
from lorafusion.methods.card import Calls, Card
from lorafusion.methods.composite import composite
from lorafusion.plan import Candidate, Plan

CARD = Card(formula="e = sum_l w_l e_l / sum_l w_l", calls=Calls(1, 0))


def w_composite(chosen: Sequence[Candidate], loras: Sequence[LoRA], steps: int) -> Plan:
    """Composite at the route's weights: gates [S, L, L] the identity, mix w / sum w.

    The paper's own weights are those of the router `ptw`. This is `composite` with
    weights="routed", under the name it is published by.

    Raises:
        BadOption: the weights sum to nothing.
    """
    return composite(chosen, loras, steps, weights="routed")
