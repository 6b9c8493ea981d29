"""Each sample of a batch may have its own gates."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lorafusion.errors import RunError
from lorafusion.executors.sidepath import side_path
from lorafusion.executors.site import sites
from lorafusion.lora import LowRank
from lorafusion.pipelines import apply
from lorafusion.plan import Plan
from tests import tiny
from tests.conftest import loras_for


def layer_and_input(kind: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    if kind == "linear":
        return nn.Linear(6, 5), torch.randn(4, 7, 6)
    if kind == "vector":
        return nn.Linear(6, 5), torch.randn(4, 6)
    options = {
        "conv": {"padding": 1},
        "strided": {"stride": 2, "padding": 1},
        "dilated": {"dilation": 2},
        "reflected": {"padding": 1, "padding_mode": "reflect"},
    }[kind]
    return nn.Conv2d(6, 5, 3, **options), torch.randn(4, 6, 8, 8)


def delta_for(layer: nn.Module, rank: int) -> LowRank:
    out, *rest = layer.weight.shape
    tail = (1,) * (layer.weight.ndim - 2)
    return LowRank(torch.randn(rank, *rest), torch.randn(out, rank, *tail), 0.5)


@pytest.mark.parametrize("kind", ["linear", "vector", "conv", "strided", "dilated", "reflected"])
def test_side_path_equals_each_samples_own_weight(kind: str) -> None:
    layer, x = layer_and_input(kind)
    model = nn.ModuleDict({"layer": layer})
    parts = [{"layer": delta_for(layer, 2)}, {}, {"layer": delta_for(layer, 3)}]
    gates = torch.randn(4, 3)
    (site,) = sites(model, parts)
    ours = layer(x) + side_path(site, x, gates)
    before = layer.weight.detach().clone()
    for i in range(4):
        change = sum(
            g * part["layer"].dense() for g, part in zip(gates[i], parts, strict=True) if part
        )
        layer.weight.data = before + change
        torch.testing.assert_close(ours[i : i + 1], layer(x[i : i + 1]), rtol=1e-4, atol=1e-4)


def test_a_layer_that_sees_other_samples_is_an_error() -> None:
    layer = nn.Linear(6, 5)
    (site,) = sites(nn.ModuleDict({"layer": layer}), [{"layer": delta_for(layer, 2)}])
    with pytest.raises(RunError, match=r"layer: it was given 4 samples, with gates for 3"):
        side_path(site, torch.randn(4, 6), torch.ones(3, 1))


def test_the_side_path_follows_a_module_that_moves(sd: Any) -> None:
    """As offloading does: the weights change place, or here dtype, after the executor was opened."""
    plan = Plan.of(loras_for(sd), torch.ones(1, 1, 3))
    with apply(sd, plan, executor="inject"):
        sd.to(torch.float64)
        ours = tiny.call(sd)
    with apply(sd, plan, executor="reference"):
        expected = tiny.call(sd)
    assert tiny.relative_error(ours, expected) <= 1e-5
