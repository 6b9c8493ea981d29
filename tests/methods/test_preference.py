"""Strengths: what weight 1 of a LoRA means, under every method and for both parts of a model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lorafusion.errors import BadOption
from lorafusion.lora import DoRA, LoRA, LowRank, Spectral, sources_of
from lorafusion.methods import card_of
from lorafusion.methods.preference import opened, scaled
from lorafusion.plan import Candidate, Plan, Route
from tests.methods.given import NAMES, Given, change, lora, planned, route, same

LIKED = {"lora-0": (0.8, 0.5), "lora-1": (-0.25, 0.0)}
REWRITING = [name for name in NAMES if getattr(card_of(name), "rewrites", False)]


def asked() -> Route:
    return route([0.9, 0.4], ["character", "style"])


def liked(made: Route) -> Route:
    pairs = ((one, *LIKED[one.name]) for one in made.candidates)
    given = (replace(one, strength=a, text_strength=b) for one, a, b in pairs)
    return replace(made, candidates=tuple(given))


def by_hand(one: LoRA) -> LoRA:
    """The LoRA with its changes multiplied in plain sight."""
    denoiser, text = LIKED[one.name]
    deltas = {
        target: LowRank(d.down, d.up * (text if target.startswith("text") else denoiser), d.scale)
        for target, d in one.deltas.items()
        if isinstance(d, LowRank)
    }
    return replace(one, deltas=deltas)


@pytest.mark.parametrize("name", REWRITING)
def test_a_method_that_rewrites_is_given_the_loras_at_their_strengths(name: str) -> None:
    made = planned(name, liked(asked()))
    candidates = (
        replace(one, source=Given(by_hand(one.source.load()))) for one in asked().candidates
    )
    same(change(made), change(planned(name, Route("a prompt", tuple(candidates)))))
    told = {inner["name"]: inner for inner in sources_of(made.loras[0])}
    assert told.keys() == LIKED.keys()
    if name in ("svd", "ties", "np-lora"):  # those that take every LoRA at weight 1
        assert told["lora-0"]["weight"] == pytest.approx(0.8)
        assert told["lora-0"]["text_weight"] == pytest.approx(0.5)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REWRITING])
def test_other_methods_gates_are_multiplied(name: str) -> None:
    plain, made = planned(name, asked()), planned(name, liked(asked()))
    assert [one.name for one in made.loras] == [one.name for one in plain.loras]
    for index, one in enumerate(made.loras):
        (inner,) = sources_of(one)
        denoiser, text = LIKED[inner["name"]]
        assert torch.equal(made.gates[..., index], plain.gates[..., index] * denoiser)
        assert torch.equal(made.text_gates[..., index], plain.text_gates[..., index] * text)
    assert torch.equal(made.mix, plain.mix)


def test_strength_one_is_no_change_at_all() -> None:
    whole = asked()
    loras = tuple(one.source.load() for one in whole.chosen)
    made = Plan.of(loras, torch.ones(2, 1, 2))
    assert opened(made, whole.chosen, loras) is made
    assert all(a is b for a, b in zip(scaled(whole.chosen, loras), loras, strict=True))


def test_a_method_that_hides_what_it_rewrites_is_refused() -> None:
    whole = liked(asked())
    loras = tuple(one.source.load() for one in whole.chosen)
    (merged,) = planned("svd", asked()).loras
    with pytest.raises(BadOption, match="made of 2 LoRAs.*rewrites"):
        opened(Plan.of((merged,), torch.ones(2, 1, 1)), whole.chosen, loras)


def test_kinds_that_can_and_cannot_be_multiplied() -> None:
    shifts = LoRA("s", {"unet.one": Spectral(torch.ones(5), (6, 5))})
    (twice,) = scaled([Candidate(Given(shifts), 1.0, 1.0, strength=2.0)], [shifts])
    assert twice.deltas["unet.one"].shift.tolist() == [2.0] * 5
    plain = lora(0).deltas["unet.one"]
    assert isinstance(plain, LowRank)
    turned = LoRA("d", {"unet.one": DoRA(plain, torch.ones(6, 1))})
    with pytest.raises(BadOption, match="'d' has a DoRA"):
        scaled([Candidate(Given(turned), 1.0, 1.0, strength=2.0)], [turned])
