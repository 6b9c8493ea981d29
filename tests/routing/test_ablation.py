"""Equation 1 without its parts, on vectors whose lengths are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from lorafusion.errors import BadOption
from lorafusion.plan import Route
from lorafusion.routing.ablation import Lengthy, ablation
from lorafusion.routing.cosine import cosine
from lorafusion.routing.sentence import minilm
from tests.routing.test_cosine import KnownEncoder, Named, with_cosine

SCORES = {"a": 0.5, "b": 0.3, "c": 0.2}
LENGTHS = {"prompt": 2.0, "a": 1.0, "b": 3.0, "c": 4.0}


class Long(KnownEncoder):
    def lengths(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.tensor([LENGTHS[text] for text in texts])


def routed(encoder: type[KnownEncoder] = Long, **options: Any) -> Route:
    keys = np.array([with_cosine(score) for score in SCORES.values()])
    entries = [Named(name) for name in SCORES]
    return ablation("prompt", entries, keys, encoder({"prompt": [1.0, 0.0]}), **options)


def test_with_both_parts_it_is_equation_1() -> None:
    keys = np.array([with_cosine(score) for score in SCORES.values()])
    entries = [Named(name) for name in SCORES]
    paper = cosine("prompt", entries, keys, KnownEncoder({"prompt": [1.0, 0.0]}))
    assert routed().weights == pytest.approx(paper.weights)


def test_a_plain_sum_by_hand() -> None:
    assert routed(normalise="sum").weights == pytest.approx({"a": 0.5, "b": 0.3, "c": 0.2})


def test_a_dot_product_by_hand() -> None:
    made = routed(similarity="dot")  # cosines times 2 and each key's length: 1, 1.8, 1.6
    assert [candidate.name for candidate in made.candidates] == ["b", "c", "a"]
    whole = sum(math.exp(score) for score in (1.0, 1.8, 1.6))
    assert made.weights["a"] == pytest.approx(math.exp(1.0) / whole)
    both = routed(similarity="dot", normalise="sum")
    assert both.weights == pytest.approx({"a": 1 / 4.4, "b": 1.8 / 4.4, "c": 1.6 / 4.4})


def test_what_it_cannot_do_is_told() -> None:
    with pytest.raises(BadOption, match="gives vectors of length 1"):
        routed(KnownEncoder, similarity="dot")
    with pytest.raises(BadOption, match="similarity is 'odd'"):
        routed(similarity="odd")


def test_minilm_knows_its_lengths() -> None:
    encoder = minilm()
    assert isinstance(encoder, Lengthy)
    lengths = encoder.lengths(["a robot", "a robot wearing a crown in a library"])
    assert (lengths > 1).all()
    assert lengths[0] != lengths[1]
