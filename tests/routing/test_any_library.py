"""What holds of the default router for any library: libraries drawn from a thousand described LoRAs."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.routing.catalogue import catalogue
from lorafusion.library.described import Described
from lorafusion.plan import Route
from lorafusion.routing import encoder_of
from lorafusion.routing.phrasewise import phrases

FEW = settings(
    deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
THOUSAND = catalogue("thousand")
FRAMES = ("{}", "a picture of {}", "{}, best quality", "What about {}?", "{}; nobody else is there")


@st.composite
def asked(draw: st.DrawFn) -> tuple[tuple[Described, ...], str]:
    """A library of up to twelve LoRAs, and a prompt that asks for up to three of them."""
    library = draw(st.lists(st.sampled_from(THOUSAND), min_size=1, max_size=12, unique=True))
    wanted = draw(st.lists(st.sampled_from(library), min_size=1, max_size=3, unique=True))
    return tuple(library), draw(st.sampled_from(FRAMES)).format(
        ", ".join(one.triggers[0] for one in wanted)
    )


@given(asked(), st.randoms(use_true_random=False))
@FEW
def test_order_does_not_matter(given_: tuple[tuple[Described, ...], str], random: Random) -> None:
    library, prompt = given_
    shuffled = list(library)
    random.shuffle(shuffled)
    assert told(prompt, tuple(shuffled)) == told(prompt, library)


@given(asked(), st.integers(1, 3))
@FEW
def test_a_key_given_twice_does_not_matter(
    given_: tuple[tuple[Described, ...], str], times: int
) -> None:
    library, prompt = given_
    repeated = tuple(
        replace(one, triggers=(*one.triggers, one.text, *one.triggers) * times) for one in library
    )
    assert told(prompt, repeated) == told(prompt, library)


@given(asked(), st.sampled_from(THOUSAND))
@FEW
def test_a_lora_that_nothing_asks_for_changes_no_weight(
    given_: tuple[tuple[Described, ...], str], further: Described
) -> None:
    library, prompt = given_
    if further in library or ask(prompt, (further,)).chosen:
        return
    before, after = ask(prompt, library).weights, ask(prompt, (*library, further)).weights
    assert after == pytest.approx(before, rel=0.05)


@given(st.lists(st.sampled_from(THOUSAND), min_size=1, max_size=12, unique=True))
@FEW
def test_a_prompt_that_is_a_text_picks_its_lora_first(library: list[Described]) -> None:
    one = library[0]
    best = ask(one.text, tuple(sorted(library, key=lambda each: each.name))).candidates[0]
    assert (best.name, best.left_out) == (one.name, "")


@given(st.sampled_from(THOUSAND))
@FEW
def test_a_library_of_none_and_of_one(one: Described) -> None:
    assert ask(one.text, ()).candidates == ()
    assert set(ask(one.text, (one,)).weights) == {one.name}
    assert ask("a bowl of soup", (one,)).chosen == ()


def ask(prompt: str, library: tuple[Described, ...]) -> Route:
    return phrases(prompt, library, np.zeros((len(library), 1)), encoder_of("minilm"))


def told(prompt: str, library: tuple[Described, ...]) -> list[tuple[str, float, str, bool]]:
    """What a route says, without the digits that an encoder's batch changes."""
    found = ask(prompt, library).candidates
    rows = [(c.name, round(c.weight, 2), c.phrase, bool(c.left_out)) for c in found]
    return sorted(rows)
