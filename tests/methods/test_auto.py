"""Auto and its parts: purified LoRAs, strengths, timing."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lorafusion.errors import BadOption
from lorafusion.lora import LoRA, LowRank
from lorafusion.methods import plan
from lorafusion.methods.purify import purified
from lorafusion.methods.strengths import evened, room, size, within
from lorafusion.methods.timing import ramps
from lorafusion.plan import Plan
from tests.methods.given import SHAPES, FakeBase, change, lora, planned, route, same


def test_purified_loras_sum_to_ssr() -> None:
    asked = route([1.0, 1.0, 1.0])
    loras = [one.source.load() for one in asked.chosen]
    terms = purified(asked.chosen, loras, FakeBase())
    together = Plan.of(terms, torch.ones(6, 1, 3))
    same(change(together), change(planned("ssr", asked)))
    assert [term.category for term in terms] == ["", "", ""]


def test_a_purified_lora_keeps_to_its_own_signals() -> None:
    """For what LoRA 0 sees, LoRA 1 does less than it did, and LoRA 0 what it did."""
    base, target = FakeBase(), "unet.two"
    asked = route([1.0, 1.0])
    loras = [one.source.load() for one in asked.chosen]
    terms = purified(asked.chosen, loras, base, ridge=1e-9)
    inputs = [base.inputs(one.name, target).double() for one in loras]

    def does(one: LoRA, x: torch.Tensor) -> torch.Tensor:
        delta = one.deltas[target]
        assert isinstance(delta, LowRank)
        return delta.dense(torch.float64) @ x

    before = sum(does(loras[1 - i], inputs[i]).square().sum() for i in (0, 1))
    after = sum(
        (does(terms[0], inputs[i]) + does(terms[1], inputs[i]) - does(loras[i], inputs[i]))
        .square()
        .sum()
        for i in (0, 1)
    )
    assert after < before


def test_a_lora_alone_is_pure_already() -> None:
    only = [lora(0)]
    assert purified(route([1.0]).chosen, only, FakeBase())[0] is only[0]


def test_size_is_the_norm_over_the_denoiser() -> None:
    one = lora(3)
    parts = [
        delta.dense(torch.float64).square().sum()  # type: ignore[union-attr]
        for target, delta in one.deltas.items()
        if target.startswith("unet")
    ]
    assert size(one) == pytest.approx(math.sqrt(float(sum(parts))))


def test_sizes_are_brought_together() -> None:
    one = lora(0)
    nine = replace(
        one,
        deltas={t: replace(d, scale=d.scale * 9) for t, d in one.deltas.items()},  # type: ignore[type-var]
    )
    assert evened([one, nine], 1.0).tolist() == pytest.approx([3.0, 1 / 3])
    assert evened([one, nine], 0.5).tolist() == pytest.approx([3.0**0.5, 3.0**-0.5])
    assert evened([one, nine], 0.0).tolist() == [1.0, 1.0]
    assert evened([LoRA("empty", {})], 1.0).tolist() == [1.0]


def test_a_budget_binds_only_who_exceeds_it() -> None:
    strengths = torch.tensor([1.0, 0.5])
    assert within(strengths, 3.0).tolist() == [1.0, 0.5]
    assert within(strengths, 0.75).tolist() == [0.5, 0.25]
    assert within(strengths, 0.0).tolist() == [1.0, 0.5]


def test_places_act_early_and_styles_late_at_the_same_mean() -> None:
    found = ramps(["background", "style", "character", ""], 5, 0.5)
    assert found[0].tolist() == [1.5, 0.5, 1.0, 1.0]
    assert found[-1].tolist() == [0.5, 1.5, 1.0, 1.0]
    torch.testing.assert_close(found.mean(0), torch.ones(4))
    assert ramps(["style"], 1, 0.5).tolist() == [[1.0]]


def test_auto_puts_its_parts_together() -> None:
    asked = route([1.0, 0.5], ["background", "style"])
    made = planned("auto", asked, 3, even=0.0, budget=0.75, tilt=0.5)
    expected = torch.tensor([[0.75, 0.125], [0.5, 0.25], [0.25, 0.375]])
    torch.testing.assert_close(made.gates[:, 0], expected)
    assert [one.name for one in made.loras] == ["lora-0", "lora-1"]
    pure = planned("auto", asked, 3, purify=True)
    assert [one.name for one in pure.loras] == ["lora-0, purified", "lora-1, purified"]
    assert set(pure.loras[0].deltas) == set(SHAPES)


def test_auto_evens_as_far_as_told() -> None:
    asked = route([1.0, 0.5])
    sizes = [size(lora(i)) for i in (0, 1)]
    middle = math.sqrt(sizes[0] * sizes[1])
    expected = [w * math.sqrt(middle / one) for w, one in zip((1.0, 0.5), sizes, strict=True)]
    assert planned("auto", asked, 1, even=0.5).gates.flatten().tolist() == pytest.approx(expected)
    assert planned("auto", asked, 1).gates.flatten().tolist() == [1.0, 0.5]


def test_styles_stand_back_among_many_others() -> None:
    kinds = ["character", "style", "object", "background", "style"]
    assert room(kinds, 2.0).tolist() == [1.0, 0.5, 1.0, 1.0, 0.5]
    assert room(kinds[:3], 2.0).tolist() == [1.0, 1.0, 1.0]
    assert room(kinds, 0.0).tolist() == [1.0] * 5
    assert room(["style"], 0.5).tolist() == [1.0]
    made = planned("auto", route([1.0, 0.8, 1.0, 1.0], kinds[:4]), 2, reach=1.5)
    assert made.gates[0, 0].tolist() == pytest.approx([1.0, 0.4, 1.0, 1.0])


def test_a_style_alone_is_not_tilted() -> None:
    made = planned("auto", route([1.0], ["style"]), 4, tilt=0.5)
    assert made.gates.flatten().tolist() == [1.0] * 4


def test_auto_asks_for_a_base_only_to_purify() -> None:
    assert plan("auto", route([1.0, 1.0]), 3).steps == 3
    with pytest.raises(BadOption, match="give base, or leave purify off"):
        plan("auto", route([1.0, 1.0]), 3, purify=True)


def test_auto_refuses_what_is_out_of_range() -> None:
    with pytest.raises(BadOption, match="even 2.0"):
        planned("auto", route([1.0]), even=2.0)
