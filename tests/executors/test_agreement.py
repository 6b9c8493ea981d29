"""fold and inject give the numbers of the float64 reference, on every kind of pipeline."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lorafusion.pipelines import apply
from lorafusion.plan import Plan
from tests import tiny
from tests.conftest import loras_for

TURNS = torch.arange(tiny.STEPS) % 3

PLANS = {
    "one mixture": (torch.tensor([0.7, -0.4, 0.5]).expand(tiny.STEPS, 1, 3), None),
    "turns": (torch.eye(3)[TURNS].unsqueeze(1), None),
    "branches": (torch.eye(3).expand(tiny.STEPS, 3, 3), torch.tensor([[0.5, 0.3, 0.2]])),
}


def predictions(pipe: Any, plan: Plan, executor: str, **kwargs: Any) -> list[torch.Tensor]:
    """Every output of the denoiser during one run."""
    seen: list[torch.Tensor] = []
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    handle = denoiser.register_forward_hook(lambda module, args, output: seen.append(output[0]))
    try:
        with apply(pipe, plan, executor=executor):
            tiny.call(pipe, **kwargs)
    finally:
        handle.remove()
    return seen


@pytest.mark.parametrize("shape", PLANS)
@pytest.mark.parametrize("executor", ["fold", "inject"])
def test_denoiser_outputs_agree_with_the_reference(pipe: Any, executor: str, shape: str) -> None:
    gates, mix = PLANS[shape]
    if mix is not None:
        mix = mix.expand(tiny.STEPS, -1)
    plan = Plan.of(loras_for(pipe), gates, mix)
    nothing = Plan.of(plan.loras, torch.zeros_like(gates), mix)
    judge = predictions(pipe, plan, "reference")
    ours = predictions(pipe, plan, executor)
    base = predictions(pipe, nothing, executor)
    assert len(ours) == len(judge) == tiny.STEPS
    for mine, right, untouched in zip(ours, judge, base, strict=True):
        assert tiny.relative_error(mine, right) <= 1e-5
        assert tiny.relative_error(untouched, right) > 1e-2  # the LoRAs do change the picture


@pytest.mark.parametrize("executor", ["fold", "inject", "reference"])
def test_closed_gates_leave_the_base_model_bit_for_bit(pipe: Any, executor: str) -> None:
    plan = Plan.of(loras_for(pipe), torch.zeros(tiny.STEPS, 1, 3))
    with apply(pipe, plan, executor=executor):
        closed = tiny.call(pipe)
    base = tiny.call(pipe)
    if executor == "reference":  # float64 throughout, rounded at the end of each call
        assert tiny.relative_error(closed, base) <= 1e-5
    else:
        assert torch.equal(closed, base)


def test_the_order_of_loras_does_not_matter(sd: Any) -> None:
    loras = loras_for(sd)
    gates = torch.tensor([0.9, 0.2, 0.4])
    order = [2, 0, 1]
    with apply(sd, Plan.of(loras, gates.expand(tiny.STEPS, 1, 3)), executor="fold"):
        one = tiny.call(sd)
    moved = Plan.of(tuple(loras[i] for i in order), gates[order].expand(tiny.STEPS, 1, 3))
    with apply(sd, moved, executor="fold"):
        other = tiny.call(sd)
    assert tiny.relative_error(one, other) <= 1e-5
