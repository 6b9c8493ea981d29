"""What every method promises on its card, for whatever is in the registry."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lorafusion.base import Base
from lorafusion.errors import BadOption, NothingRelevant
from lorafusion.export import fused
from lorafusion.lora import DoRA, LoRA, sources_of
from lorafusion.methods import asks_base, card_of, plan
from lorafusion.methods.card import Calls, Card
from lorafusion.plan import Route
from tests.methods.given import NAMES, FakeBase, Given, change, lora, planned, route, same

KINDS = ("style", "character", "background", "object", "clothing")


def card(name: str) -> Card:
    found = card_of(name)
    assert found is not None, f"{name} has no CARD"
    return found


def counts(name: str) -> tuple[int, ...]:
    """How many LoRAs a method can take, of those tried here."""
    return (0, 1, 2) if card(name).pairs else (0, 1, 2, 3, 5)


def asked(count: int) -> Route:
    return route([0.9, 0.4, 0.7, 0.2, 1.0][:count], KINDS[:count])


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_has_its_shapes_and_is_finite(name: str) -> None:
    for count in counts(name):
        made = planned(name, asked(count), 7)
        assert made.steps == 7
        assert made.gates.shape[2] == len(made.loras)
        torch.testing.assert_close(made.mix.sum(1), torch.ones(7))
        assert all(value.isfinite().all() for value in change(made, 3).values())


@pytest.mark.parametrize("name", NAMES)
def test_the_cost_is_as_declared(name: str) -> None:
    for count in counts(name):
        expected = card(name).calls.of(count) if count else 1
        assert planned(name, asked(count)).branches == expected


def test_calls_are_written_as_formulas() -> None:
    assert [str(Calls(0, 1)), str(Calls(1, 0)), str(Calls(1, 1)), str(Calls(2, 1))] == [
        "1",
        "L",
        "L + 1",
        "2 L + 1",
    ]
    assert [Calls(1, 0).of(0), Calls(1, 1).of(3)] == [1, 4]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_route_gives_the_same_plan(name: str) -> None:
    count = counts(name)[-1]
    one, two = planned(name, asked(count)), planned(name, asked(count))
    assert torch.equal(one.gates, two.gates)
    assert one.mixer == two.mixer
    for step in (0, 5):
        first, second = change(one, step), change(two, step)
        assert all(torch.equal(first[target], second[target]) for target in first)


@pytest.mark.parametrize("name", [name for name in NAMES if not card(name).ordered])
def test_the_order_of_loras_does_not_matter(name: str) -> None:
    whole = asked(counts(name)[-1])
    turned = Route(whole.prompt, whole.candidates[::-1])
    for step in (0, 5):
        same(change(planned(name, whole), step), change(planned(name, turned), step))


@pytest.mark.parametrize("name", [name for name in NAMES if card(name).alone])
def test_one_lora_alone_acts_as_merged(name: str) -> None:
    for step in (0, 5):
        same(
            change(planned(name, route([1.0])), step), change(plan("merge", route([1.0]), 6), step)
        )


@pytest.mark.parametrize("name", [name for name in NAMES if not card(name).alone])
def test_what_is_not_as_merged_says_so_rightly(name: str) -> None:
    made = planned(name, route([1.0]))
    if made.mixer is None:  # a mixer differs in what it does with the predictions
        ours, merged = change(made), change(plan("merge", route([1.0]), 6))
        assert any((ours[t] - merged[t]).abs().max() > 1e-3 for t in ours)


@pytest.mark.parametrize("name", NAMES)
def test_export_is_execution_or_is_refused(name: str) -> None:
    made = planned(name, asked(2), 24, strength=0.8)
    if card(name).exportable:
        written = fused(made).lora
        expected = change(made)
        for target, delta in written.deltas.items():
            torch.testing.assert_close(
                delta.dense(torch.float64), expected[target], atol=1e-5, rtol=1e-4
            )
        sources = {inner["name"] for inner in sources_of(written)}
        assert sources <= {"lora-0", "lora-1"}
        assert sources
    else:
        with pytest.raises((BadOption, NothingRelevant)):
            fused(made)


@pytest.mark.parametrize("name", [name for name in NAMES if card(name).pairs])
def test_pairs_are_pairs(name: str) -> None:
    with pytest.raises(BadOption, match=f"{name} is for two LoRAs.*3 are chosen"):
        planned(name, asked(3))


@pytest.mark.parametrize("name", NAMES)
def test_whether_the_base_is_asked_is_on_the_card(name: str) -> None:
    assert card(name).base == asks_base(name)
    if card(name).base and name != "auto":  # which asks only where an option says so
        with pytest.raises(BadOption, match=r"give base"):
            plan(name, asked(2), 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_lora_with_fewer_targets_is_taken_as_it_is(name: str) -> None:
    whole = asked(2)
    part = lora(7, targets=["unet.one"])
    second = replace(whole.candidates[1], source=Given(part))
    made = planned(name, Route("a prompt", (whole.candidates[0], second)))
    assert all(value.isfinite().all() for value in change(made).values())


@pytest.mark.parametrize("name", [name for name in NAMES if card(name).exportable])
def test_a_dora_is_refused_by_what_rewrites(name: str) -> None:
    inner = lora(3, targets=["unet.one"])
    direction = inner.deltas["unet.one"]
    dora = LoRA("strange", {"unet.one": DoRA(direction, torch.ones(6, 1))})  # type: ignore[arg-type]
    whole = asked(2)
    odd = replace(whole.candidates[1], source=Given(dora))
    asked_for = Route("a prompt", (whole.candidates[0], odd))
    if name in ("single", "merge", "nla", "fusion", "auto"):  # these keep every file as it is
        assert "strange" in [one.name for one in planned(name, asked_for).loras]
    else:
        with pytest.raises(BadOption, match="'strange' has a DoRA at unet.one"):
            planned(name, asked_for)


def test_a_fake_base_is_a_base() -> None:
    assert isinstance(FakeBase(), Base)
