from __future__ import annotations

import numpy as np
import pytest

from benchmarks.routing.parts import PARTS, REFITTED, nothing_denied, one_span, without
from lorafusion.library.described import Described
from lorafusion.routing.phrasewise import phrases
from lorafusion.routing.reading import read
from tests.library.fakes import CountingEncoder


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_taken_out_and_put_back(part: str) -> None:
    before = [getattr(owner, name) for owner, name, _ in PARTS[part]]
    with without(part):
        assert [getattr(owner, name) for owner, name, _ in PARTS[part]] == [
            stand_in for _, _, stand_in in PARTS[part]
        ]
    assert [getattr(owner, name) for owner, name, _ in PARTS[part]] == before


@pytest.mark.parametrize("part", PARTS)
def test_a_prompt_is_routed_without_a_part(part: str) -> None:
    loras = (Described("robot", "character", "a robot", ()), Described("sketch", "style", "", ()))
    with without(part):
        route = phrases(
            "a robot, no sketch", loras, np.zeros((2, 1)), CountingEncoder(), negative="a cat"
        )
    assert {one.name for one in route.candidates} == {"robot", "sketch"}


def test_parts_that_are_fitted_again_exist() -> None:
    assert REFITTED.keys() <= PARTS.keys()


def test_one_span_has_all_words() -> None:
    (span,) = one_span("a cat  in a forest, bright light")
    assert span.text == "a cat in a forest, bright light"
    assert {place for each in read("a cat in a forest, bright light") for place in each.words} == {
        *span.words
    }
    assert one_span("...") == []


def test_denial_can_be_left_unheard() -> None:
    prompt = "a dog without an umbrella"
    assert any(span.denied for span in read(prompt))
    assert not any(span.denied for span in nothing_denied(prompt))
