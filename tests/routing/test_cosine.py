from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float

from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from lorafusion.plan import Route
from lorafusion.routing.cosine import cosine, cosines, softmax_of_cosines
from tests.library.fakes import KnownEncoder


@dataclass(frozen=True)
class Named:
    name: str
    category: str = ""

    def load(self) -> LoRA:
        raise AssertionError("routing must not read a LoRA")


def with_cosine(value: float) -> list[float]:
    """A unit vector at this cosine from the first axis."""
    return [value, math.sqrt(1 - value * value)]


def routed(scores: dict[str, float], **options: Any) -> Route:
    """The route over LoRAs at these cosines from the prompt."""
    entries = [Named(name) for name in scores]
    keys = np.array([with_cosine(score) for score in scores.values()])
    return cosine("prompt", entries, keys, KnownEncoder({"prompt": [1.0, 0.0]}), **options)


def equation_1(query: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The paper's equation 1 as it is printed, in float64."""
    s = np.array([query @ k / (np.linalg.norm(query) * np.linalg.norm(k)) for k in keys])
    return np.exp(s) / sum(np.exp(s_j) for s_j in s)


def draw(seed: int, n: int, d: int) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "n d"]]:
    generator = np.random.default_rng(seed)
    lengths = generator.random((n, 1)) * 9 + 0.1
    rows = generator.standard_normal((n, d)) * lengths
    return generator.standard_normal(d).astype(np.float32), rows.astype(np.float32)


SIZES = (st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 16))


def test_three_loras_by_hand() -> None:
    """exp .5, .3, .1 = 1.6487, 1.3499, 1.1052; their sum is 4.1038."""
    route = routed({"a": 0.5, "b": 0.3, "c": 0.1})
    assert [c.name for c in route.candidates] == ["a", "b", "c"]
    assert [round(c.weight, 3) for c in route.candidates] == [0.402, 0.329, 0.269]
    assert [c.score for c in route.candidates] == pytest.approx([0.5, 0.3, 0.1], abs=1e-6)
    assert len(route.chosen) == 3


@given(*SIZES)
def test_equation_1_in_float64(seed: int, n: int, d: int) -> None:
    query, keys = draw(seed, n, d)
    expected = equation_1(query.astype(np.float64), keys.astype(np.float64))
    np.testing.assert_allclose(softmax_of_cosines(query, keys), expected, atol=1e-12)


@given(*SIZES)
def test_the_router_is_equation_1(seed: int, n: int, d: int) -> None:
    query, keys = draw(seed, n, d)
    entries = [Named(f"l{i}") for i in range(n)]
    route = cosine("p", entries, keys, KnownEncoder({"p": query.tolist()}))
    expected = equation_1(query.astype(np.float64), keys.astype(np.float64))
    assert [route.weights[e.name] for e in entries] == pytest.approx(expected, abs=1e-6)


@given(*SIZES, st.floats(0.01, 100))
def test_weights_are_positive_and_sum_to_one(seed: int, n: int, d: int, temperature: float) -> None:
    weights = softmax_of_cosines(*draw(seed, n, d), temperature)
    assert weights.dtype == np.float64
    assert float(weights.sum()) == pytest.approx(1, abs=1e-12)
    assert (weights >= 0).all()


@given(*SIZES, st.randoms())
def test_order_of_loras_is_irrelevant(seed: int, n: int, d: int, random: Any) -> None:
    query, keys = draw(seed, n, d)
    order = list(range(n))
    random.shuffle(order)
    assert np.array_equal(cosines(query, keys)[order], cosines(query, keys[order]))
    np.testing.assert_allclose(
        softmax_of_cosines(query, keys)[order], softmax_of_cosines(query, keys[order]), atol=1e-12
    )


@given(*SIZES, st.floats(0.01, 100))
def test_lengths_of_vectors_are_irrelevant(seed: int, n: int, d: int, factor: float) -> None:
    query, keys = draw(seed, n, d)
    scaled = softmax_of_cosines(query * factor, keys / factor)
    np.testing.assert_allclose(scaled, softmax_of_cosines(query, keys), atol=1e-6, rtol=0)


def test_a_low_temperature_leaves_the_best_and_a_high_one_makes_all_equal() -> None:
    query, keys = np.array([1.0, 0.0]), np.array([with_cosine(s) for s in (0.5, 0.3, 0.1)])
    cold, hot = (softmax_of_cosines(query, keys, t).tolist() for t in (1e-3, 1e6))
    assert cold == pytest.approx([1, 0, 0], abs=1e-12)
    assert hot == pytest.approx([1 / 3] * 3, abs=1e-6)


@given(st.floats(0.05, 5), st.floats(1.01, 5))
def test_a_lower_temperature_favours_the_best(temperature: float, factor: float) -> None:
    scores = {"a": 0.5, "b": 0.3}
    sharp = routed(scores, temperature=temperature).weights["a"]
    assert sharp > routed(scores, temperature=temperature * factor).weights["a"]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9), st.integers(1, 12))
def test_top_k_keeps_the_best_k(values: list[float], k: int) -> None:
    route = routed({f"l{i}": value for i, value in enumerate(values)}, top_k=k)
    assert len(route.chosen) == min(k, len(values))
    assert sum(route.weights.values()) == pytest.approx(1)
    scores = [candidate.score for candidate in route.candidates]
    assert scores == sorted(scores, reverse=True)
    kept, dropped = route.candidates[: len(route.chosen)], route.candidates[len(route.chosen) :]
    assert kept == route.chosen
    assert all(c.weight == 0 and c.left_out.endswith(f"best {k}") for c in dropped)


def test_equal_scores_go_by_name() -> None:
    route = routed({"c": 0.3, "a": 0.3, "d": 0.3, "b": 0.3}, top_k=2)
    assert [candidate.name for candidate in route.candidates] == ["a", "b", "c", "d"]
    assert list(route.weights.values()) == [0.5, 0.5]


def test_the_threshold_goes_first_then_top_k_then_the_softmax() -> None:
    route = routed({"a": 0.5, "b": 0.3, "c": 0.12, "d": 0.4}, threshold=0.25, top_k=2)
    assert [(c.name, c.left_out) for c in route.candidates] == [
        ("a", ""),
        ("d", ""),
        ("b", "score 0.3 is not among the best 2"),
        ("c", "score 0.12 is under the threshold 0.25"),
    ]
    assert route.weights["a"] == pytest.approx(1 / (1 + math.exp(-0.1)), abs=1e-6)
    assert sum(route.weights.values()) == pytest.approx(1)


def test_a_threshold_may_leave_nothing() -> None:
    route = routed({"a": 0.5, "b": 0.3}, threshold=0.9)
    assert route.chosen == ()
    assert [candidate.weight for candidate in route.candidates] == [0, 0]


def test_one_lora_has_all_the_weight() -> None:
    assert routed({"a": -0.7}).weights == {"a": 1.0}


def test_a_vector_without_length_fits_nothing() -> None:
    assert cosines(np.array([1.0, 0.0]), np.zeros((1, 2))).tolist() == [0.0]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("temperature", 0.0),
        ("temperature", -1.0),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", 0),
        ("top_k", -3),
        ("threshold", math.nan),
        ("threshold", math.inf),
    ],
)
def test_an_option_out_of_its_range_is_named(option: str, value: float) -> None:
    with pytest.raises(BadOption, match=f"{option} is {value}; it must be"):
        routed({"a": 0.5}, **{option: value})
