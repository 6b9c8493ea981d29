"""What the tests of methods are given: routes made by hand, small LoRAs, a base of three weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lorafusion.gating import LearnedGates
from lorafusion.lora import LoRA, LowRank
from lorafusion.methods import METHODS, asks_base, options_of, plan
from lorafusion.plan import Candidate, Plan, Route

SHAPES = {
    "unet.one": (6, 5),
    "unet.two": (4, 7),
    "unet.conv": (4, 3, 3, 3),
    "text_encoder.q": (5, 5),
}


class Given:
    """A source whose LoRA is at hand."""

    def __init__(self, lora: LoRA) -> None:
        self.name = lora.name
        self.category = lora.category
        self._lora = lora

    def load(self) -> LoRA:
        return self._lora


def lora(index: int, category: str = "", rank: int = 2, targets: Sequence[str] = ()) -> LoRA:
    """A LoRA of random numbers, the same for the same index."""
    generator = torch.Generator().manual_seed(index)
    deltas = {}
    for target in targets or SHAPES:
        out, *rest = SHAPES[target]
        down = torch.randn(rank, *rest, generator=generator)
        up = torch.randn(out, rank, *(1,) * (len(rest) - 1), generator=generator)
        deltas[target] = LowRank(down, up, 0.5)
    return LoRA(f"lora-{index}", deltas, digest=f"{index:064x}", category=category)


def route(weights: Sequence[float], categories: Sequence[str] = ()) -> Route:
    """A route to `lora(0)`, `lora(1)` and so on, at these weights."""
    kinds = categories or [""] * len(weights)
    return Route(
        "a prompt",
        tuple(
            Candidate(Given(lora(i, kind)), weight, weight, phrase=f"thing {i}")
            for i, (weight, kind) in enumerate(zip(weights, kinds, strict=True))
        ),
    )


class FakeBase:
    """Fixed random weights, and signals of fixed random inputs that depend on the LoRA's name."""

    def weight(self, target: str) -> torch.Tensor:
        return torch.randn(SHAPES[target], generator=torch.Generator().manual_seed(99))

    def inputs(self, name: str, target: str) -> torch.Tensor:
        """[in · kernel, 40]."""
        width = int(torch.tensor(SHAPES[target][1:]).prod())
        seed = sum(map(ord, name + target))
        return torch.randn(width, 40, generator=torch.Generator().manual_seed(seed))

    def signals(
        self, lora: LoRA, text: str, probes: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        found = {}
        for target, probe in probes.items():
            z = (probe.flatten(1) @ self.inputs(lora.name, target)).double()
            found[target] = z @ z.T / z.shape[1]
        return found


def planned(name: str, asked: Route, steps: int = 6, **options: Any) -> Plan:
    """The method's plan, with a base where it asks for one, and gates where it takes them."""
    options = {**evenly(name, asked), **options}
    return plan(name, asked, steps, base=FakeBase() if asks_base(name) else None, **options)


def evenly(name: str, asked: Route, layer: str = "one", width: int = 6) -> dict[str, Any]:
    """Gates of a layer that favour no LoRA, as the option of a method that takes learned gates."""
    if "gates" not in options_of(name):
        return {}
    return {"gates": LearnedGates.even([one.name for one in asked.chosen], {layer: width})}


def change(made: Plan, step: int = 0) -> dict[str, torch.Tensor]:
    """Target -> what the plan does to it in this step, branches averaged by `mix`, in float64."""
    found: dict[str, torch.Tensor] = {}
    for target in SHAPES:
        gates = made.text_gates if target.startswith("text") else made.gates
        shares = made.mix[step].double() @ gates[step].double()
        parts = [
            share * one.deltas[target].dense(torch.float64)  # type: ignore[union-attr]
            for share, one in zip(shares, made.loras, strict=True)
            if target in one.deltas
        ]
        found[target] = sum(parts, torch.zeros(SHAPES[target], dtype=torch.float64))
    return found


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> None:
    """The same change everywhere, to float32's rounding."""
    for target in SHAPES:
        torch.testing.assert_close(one[target], other[target], atol=1e-5, rtol=1e-4)


NAMES = list(METHODS)
