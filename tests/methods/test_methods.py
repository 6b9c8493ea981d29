"""What every method promises, and what each does, on routes made by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lorafusion.errors import BadOption, UnknownName
from lorafusion.lora import LoRA
from lorafusion.methods import METHODS, asks_base, card_of, options_of, plan
from lorafusion.plan import Candidate, Plan, Route
from tests.methods.given import FakeBase, evenly

CATEGORIES = ("", "character", "clothing", "object", "background", "style")


class Given:
    """A source whose LoRA is at hand."""

    def __init__(self, name: str, category: str = "") -> None:
        self.name = name
        self.category = category

    def load(self) -> LoRA:
        return LoRA(self.name, {}, category=self.category)


def route(weights: list[float], categories: list[str] | None = None) -> Route:
    categories = categories or [""] * len(weights)
    return Route(
        "a prompt",
        tuple(
            Candidate(Given(f"lora-{i}", category), weight, weight)
            for i, (weight, category) in enumerate(zip(weights, categories, strict=True))
        ),
    )


rows = st.lists(st.tuples(st.floats(0.01, 1), st.sampled_from(CATEGORIES)), min_size=0, max_size=6)


@pytest.mark.parametrize("name", list(METHODS))
@settings(max_examples=30, deadline=None)
@given(rows=rows, steps=st.integers(1, 40), strength=st.floats(-2, 2))
def test_every_method_fills_a_plan(
    name: str, rows: list[tuple[float, str]], steps: int, strength: float
) -> None:
    card = card_of(name)
    rows = rows[:2] if card is not None and card.pairs else rows
    asked = route([weight for weight, _ in rows], [category for _, category in rows])
    base = FakeBase() if asks_base(name) else None
    options = evenly(name, asked)
    made = plan(name, asked, steps, strength=strength, base=base, **options)
    assert made.gates.shape == (steps, made.branches, len(made.loras))
    assert made.steps == steps
    torch.testing.assert_close(made.mix.sum(1), torch.ones(steps))
    full = plan(name, asked, steps, base=base, **options)
    torch.testing.assert_close(made.text_gates, full.text_gates * strength)
    torch.testing.assert_close(made.gates, full.gates * strength)
    assert made.method.startswith(name)


def gates(name: str, *weights: float, steps: int = 1, **options: Any) -> list[Any]:
    return plan(name, route(list(weights)), steps, **options).gates[:, 0].tolist()


def test_naive_closes_all() -> None:
    assert gates("naive", 0.5, 0.3) == [[0, 0]]


def test_single_opens_the_best() -> None:
    assert gates("single", 0.3, 0.5, 0.2) == [[0, 1, 0]]


def test_single_takes_the_first_of_equals() -> None:
    assert gates("single", 0.5, 0.5) == [[1, 0]]


def test_merge_opens_all_fully() -> None:
    assert gates("merge", 0.5, 0.3, 0.2) == [[1, 1, 1]]


def test_nla_shares_equally() -> None:
    assert gates("nla", 0.9, 0.05, 0.03, 0.02) == [[0.25] * 4]


def test_fusion_takes_the_weights() -> None:
    assert gates("fusion", 0.402, 0.329, 0.269)[0] == pytest.approx([0.402, 0.329, 0.269])


def test_switch_takes_turns_of_period() -> None:
    turns = torch.tensor(gates("switch", 0.5, 0.3, 0.2, steps=30)).argmax(1).tolist()
    assert turns == [0] * 5 + [1] * 5 + [2] * 5 + [0] * 5 + [1] * 5 + [2] * 5


def test_switch_begins_with_characters() -> None:
    asked = route([0.5, 0.3, 0.2], ["style", "character", ""])
    turns = plan("switch", asked, 3, period=1).gates[:, 0].argmax(1).tolist()
    assert turns == [1, 0, 2]


def test_composite_gives_each_a_branch() -> None:
    made = plan("composite", route([0.5, 0.3, 0.2]), 2)
    assert torch.equal(made.gates[1], torch.eye(3))
    torch.testing.assert_close(made.mix, torch.full((2, 3), 1 / 3))


def test_composite_averages_by_routed_weights() -> None:
    made = plan("composite", route([5.0, 3.0, 2.0]), 1, weights="routed")
    torch.testing.assert_close(made.mix, torch.tensor([[0.5, 0.3, 0.2]]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("switch", {"period": 0}, "period is 0; a turn of switch takes at least 1 step"),
        ("composite", {"weights": "odd"}, "weights is 'odd'; composite knows 'equal' and 'routed'"),
        ("merge", {"steps": 0}, "steps is 0; it must be at least 1"),
        ("merge", {"strength": float("nan")}, "strength is nan; it must be a finite number"),
    ],
)
def test_bad_options_are_told(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        plan(name, route([1.0]), **options)


def test_composite_refuses_to_divide_by_nothing() -> None:
    with pytest.raises(BadOption, match="sum to 0"):
        plan("composite", route([0.0, 0.0]), 1, weights="routed")


def test_an_unknown_method_is_met_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Unknown method 'compsite'. Did you mean 'composite'?"):
        plan("compsite", route([1.0]))


def test_an_unknown_option_is_met_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="option of method 'switch' 'perod'.*'period'"):
        plan("switch", route([1.0]), perod=3)


def test_options_are_read_off_the_signature() -> None:
    assert options_of("switch") == {"period": 5, "order": "character", "pace": "steady"}
    assert options_of("ssr") == {"ridge": 1e-4, "weights": "equal"}  # the base is no option
    assert options_of("merge") == {}


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_names_its_source(name: str) -> None:
    text = (METHODS[name].__doc__ or "") + (
        __import__(METHODS[name].__module__, fromlist=["x"]).__doc__ or ""
    )
    assert "arXiv" in text or "Mathematics" in text


def test_a_plan_that_does_not_add_up_is_refused() -> None:
    lora = LoRA("a", {})
    ones = torch.ones(2, 1, 1)
    with pytest.raises(BadOption, match="does not sum to 1"):
        Plan((lora,), ones, torch.full((2, 1), 0.5), ones)
    with pytest.raises(BadOption, match="with 2 LoRAs"):
        Plan((lora, lora), ones, torch.ones(2, 1), ones)
    with pytest.raises(BadOption, match="text gates are"):
        Plan((lora,), ones, torch.ones(2, 1), torch.ones(1, 1, 1))
    with pytest.raises(BadOption, match="not a finite number"):
        Plan.of((lora,), ones * float("inf"))


def test_a_route_can_be_edited_by_hand() -> None:
    edited = route([0.5, 0.3, 0.2]).with_weights({"lora-2": 0.9})
    assert edited.weights == {"lora-2": 0.9}
    assert [c.left_out for c in edited.candidates] == ["not named by hand"] * 2 + [""]
    with pytest.raises(UnknownName, match="Did you mean 'lora-2'"):
        edited.with_weights({"lora2": 1.0})
