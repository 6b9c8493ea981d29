from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.plan import Candidate, Route
from lorafusion.routing.phrases import LONGEST, MOST, STOP_WORDS, spans_of, with_phrases
from tests.library.fakes import KnownEncoder


@dataclass(frozen=True)
class Named:
    name: str
    category: str = ""

    def load(self) -> None:
        raise AssertionError("phrases must not read a LoRA")


def at(cosine: float) -> list[float]:
    """A unit vector at this cosine from the second axis, away from the first."""
    return [0.0, cosine, math.sqrt(1 - cosine * cosine)]


KEY = {"lora": np.array([0.0, 1.0, 0.0])}


def found(prompt: str, vectors: dict[str, list[float]], **fields: str) -> str:
    route = Route(prompt, (Candidate(Named("lora"), 0.5, 1.0, **fields),))
    return with_phrases(route, KEY, KnownEncoder(vectors)).candidates[0].phrase


def test_spans_stay_inside_a_clause_and_inside_stop_words() -> None:
    assert spans_of("A robot in the library, with a red crown. Robot") == [
        "robot",
        "library",
        "red",
        "crown",
        "red crown",
        "robot in the library",
    ]


def test_no_span_is_longer_than_four_words() -> None:
    assert "one two three four" in spans_of("one two three four five")
    assert "one two three four five" not in spans_of("one two three four five")


def test_words_keep_their_apostrophes_and_hyphens() -> None:
    eye = "cat\u2019s-eye"
    assert spans_of(f"{eye} well-known") == [eye, "well-known", f"{eye} well-known"]
    assert spans_of("cat's") == ["cat's"]


@pytest.mark.parametrize("prompt", ["the of a", "...", "☂ ☂"])
def test_a_prompt_without_words_has_no_spans(prompt: str) -> None:
    assert spans_of(prompt) == []
    assert found(prompt, {"robot": at(1.0)}) == ""


@given(st.text(max_size=80))
def test_every_span_is_words_of_the_prompt(prompt: str) -> None:
    flat = " ".join(prompt.split())
    for span in spans_of(prompt):
        words = span.split()
        assert span in flat
        assert 1 <= len(words) <= LONGEST * 2  # a word may hold a character that splits as space
        assert words[0].casefold() not in STOP_WORDS


def test_long_prompts_are_capped_and_short_spans_come_first() -> None:
    spans = spans_of(" ".join(f"word{i}" for i in range(150)))
    assert len(spans) == MOST
    assert [len(span.split()) for span in spans] == [1] * 150 + [2] * 50


def test_the_best_span_wins() -> None:
    assert found("red robot", {"red": at(0.1), "robot": at(0.6), "red robot": at(0.9)}) == (
        "red robot"
    )


def test_a_shorter_span_wins_a_near_tie() -> None:
    assert found("red robot", {"red": at(0.1), "robot": at(0.59), "red robot": at(0.6)}) == "robot"


def test_a_phrase_that_the_router_found_is_kept() -> None:
    assert found("red robot", {"red": at(0.1), "robot": at(0.9)}, phrase="red") == "red"


def test_one_that_was_left_out_has_no_phrase() -> None:
    assert found("robot", {"robot": at(0.9)}, left_out="too far") == ""


def test_the_encoder_is_called_once_and_weights_stay() -> None:
    class Once(KnownEncoder):
        calls = 0

        def encode(self, texts: list[str]) -> torch.Tensor:
            self.calls += 1
            return super().encode(texts)

    encoder = Once({"robot": at(0.9)})
    candidates = tuple(Candidate(Named(n), 0.5, w) for n, w in (("lora", 0.7), ("other", 0.3)))
    keys = KEY | {"other": np.array([1.0, 0.0, 0.0])}
    route = with_phrases(Route("robot cat", candidates), keys, encoder)
    assert encoder.calls == 1
    assert route.weights == {"lora": 0.7, "other": 0.3}
    assert [candidate.phrase for candidate in route.candidates] == ["robot", "cat"]
