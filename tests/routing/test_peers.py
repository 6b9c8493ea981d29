from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.errors import BadOption
from lorafusion.library.keys import rows_of
from lorafusion.lora import LoRA
from lorafusion.plan import Route
from lorafusion.routing import ROUTERS
from lorafusion.routing.paw import paw, without
from lorafusion.routing.ptw import ptw
from lorafusion.routing.stylus import stylus
from lorafusion.routing.triggers import found, pattern, share_found, triggers
from tests.library.fakes import CountingEncoder, KnownEncoder

PEERS = ("ptw", "paw", "stylus", "triggers")


@dataclass(frozen=True)
class Named:
    name: str
    triggers: tuple[str, ...] = ()
    category: str = ""

    def load(self) -> LoRA:
        raise AssertionError("routing must not read a LoRA")


def at(cosine: float) -> list[float]:
    """A unit vector at this cosine from the first axis."""
    return [cosine, math.sqrt(1 - cosine * cosine)]


def routed(router: Any, prompt: str, entries: Sequence[Named], **options: Any) -> Route:
    encoder = CountingEncoder()
    keys = (
        rows_of(encoder.encode([entry.name for entry in entries])) if entries else np.zeros((0, 8))
    )
    return router(prompt, entries, keys, encoder, **options)


# PTW


def test_ptw_by_hand() -> None:
    """Cosines .6 and .3 of the triggers "cat, hairy" and "umbrella": shares 2/3 and 1/3."""
    encoder = KnownEncoder({"p": [1.0, 0.0], "cat, hairy": at(0.6), "umbrella": at(0.3)})
    entries = [Named("u", ("umbrella",)), Named("c", ("cat", "hairy")), Named("mute")]
    route = ptw("p", entries, np.zeros((3, 2)), encoder)
    assert [candidate.name for candidate in route.candidates] == ["c", "u", "mute"]
    assert [c.score for c in route.candidates] == pytest.approx([0.6, 0.3, 0.0], abs=1e-6)
    assert route.weights == pytest.approx({"c": 2 / 3, "u": 1 / 3, "mute": 0.0}, abs=1e-6)


def test_ptw_has_no_negative_shares() -> None:
    encoder = KnownEncoder({"p": [1.0, 0.0], "a": at(0.5), "b": at(-0.5)})
    route = ptw("p", [Named("a", ("a",)), Named("b", ("b",))], np.zeros((2, 2)), encoder)
    assert route.weights == pytest.approx({"a": 1.0, "b": 0.0})


def test_ptw_chooses_by_threshold_and_shares_among_the_chosen() -> None:
    encoder = KnownEncoder({"p": [1.0, 0.0], "a": at(0.6), "b": at(0.4), "c": at(0.1)})
    entries = [Named(name, (name,)) for name in "abc"]
    route = ptw("p", entries, np.zeros((3, 2)), encoder, threshold=0.2)
    assert route.weights == pytest.approx({"a": 0.6, "b": 0.4}, abs=1e-6)
    assert route.candidates[2].left_out == "score 0.1 is under the threshold 0.2"


def test_ptw_encodes_triggers_once() -> None:
    encoder = CountingEncoder()
    entries = [Named("a", ("x", "y")), Named("b", ("z",))]
    for prompt in ("first", "second"):
        ptw(prompt, entries, np.zeros((2, 8)), encoder)
    assert sorted(encoder.asked) == ["first", "second", "x, y", "z"]


# PAW


def test_paw_by_hand() -> None:
    """Without "cat" the prompt is at cosine .7, without "hat" at .9: importances .3 and .1."""
    encoder = KnownEncoder(
        {
            "photo, cat, hat": [1.0, 0.0],
            "photo, hat": at(0.7),
            "photo, cat": at(0.9),
        }
    )
    entries = [Named("hat", ("hat",)), Named("cat", ("cat",)), Named("owl", ("owl",)), Named("m")]
    route = paw("photo, cat, hat", entries, np.zeros((4, 2)), encoder)
    scores = {c.name: c.score for c in route.candidates}
    assert scores == pytest.approx({"cat": 0.3, "hat": 0.1, "m": 0.1, "owl": 0.05}, abs=1e-6)
    total = 0.3 + 0.1 + 0.1 + 0.05
    assert route.weights == pytest.approx({n: s / total for n, s in scores.items()}, abs=1e-6)


def test_paw_of_a_prompt_that_is_nothing_but_triggers() -> None:
    route = routed(paw, "cat, hat", [Named("both", ("cat", "hat")), Named("owl", ("owl",))])
    assert {c.name: c.score for c in route.candidates} == {"both": 2.0, "owl": 0.05}


@pytest.mark.parametrize(
    ("prompt", "words", "left"),
    [
        ("photo, cat, hat", ("cat",), "photo, hat"),
        ("Cat, catfish, CAT", ("cat",), "catfish"),
        ("a bubble  gum stand", ("bubble gum",), "a stand"),
        ("a photo", (), "a photo"),
        ("th3r0ck with no hair, muscular male", ("muscular male",), "th3r0ck with no hair"),
    ],
)
def test_words_are_taken_out_with_their_commas(
    prompt: str, words: tuple[str, ...], left: str
) -> None:
    assert without(prompt, words) == left


def test_paw_encodes_the_prompt_and_what_is_left_of_it_once() -> None:
    encoder = CountingEncoder()
    entries = [Named("a", ("cat",)), Named("b", ("cat",)), Named("c", ("owl",))]
    paw("a cat here", entries, np.zeros((3, 8)), encoder)
    assert sorted(encoder.asked) == ["a cat here", "a here"]


# Stylus


def test_stylus_by_hand() -> None:
    """The three nearest of four; two of one category share 0.64, the third has it alone."""
    entries = [Named(n, category=c) for n, c in (("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"))]
    keys = np.array([at(0.8), at(0.7), at(0.6), at(0.5)])
    route = stylus("p", entries, keys, KnownEncoder({"p": [1.0, 0.0]}))
    assert route.weights == pytest.approx({"a": 0.32, "b": 0.64, "c": 0.32})
    assert route.candidates[3].left_out == "score 0.5 is not among the best 3"


def test_stylus_takes_loras_without_a_category_one_by_one() -> None:
    keys = np.array([at(0.8), at(0.7)])
    route = stylus("p", [Named("a"), Named("b")], keys, KnownEncoder({"p": [1.0, 0.0]}))
    assert route.weights == pytest.approx({"a": 0.64, "b": 0.64})


# Trigger words


def test_triggers_by_hand() -> None:
    entries = [
        Named("cat", ("cat",)),
        Named("gum", ("bubble gum", "pink")),
        Named("dog", ("dog",)),
        Named("mute"),
    ]
    route = routed(triggers, "A CAT with bubble gum and a doggy bag", entries)
    assert route.weights == {"cat": 1.0, "gum": 1.0}
    assert {c.name: c.score for c in route.chosen} == {"cat": 1.0, "gum": 0.5}
    assert all("trigger" in c.left_out for c in route.candidates[2:])
    strict = routed(triggers, "A CAT with bubble gum", entries, threshold=1.0)
    assert strict.weights == {"cat": 1.0}


@pytest.mark.parametrize(
    ("prompt", "trigger", "share"),
    [
        ("catwalk", "cat", 0.0),
        ("the cat's tail", "cat", 1.0),
        ("(cat:1.2)", "cat", 1.0),
        ("lib_bg, cat", "lib", 0.0),
        ("bubble\n gum", "bubble gum", 1.0),
        ("1+1", "1+1", 1.0),
    ],
)
def test_a_trigger_is_whole_words(prompt: str, trigger: str, share: float) -> None:
    assert share_found(prompt, [trigger]) == share


@given(st.text("aBß (\n", max_size=4), st.text("AbßS (\n", max_size=12))
def test_what_is_found_is_what_the_pattern_finds(trigger: str, text: str) -> None:
    by_pattern, quickly = pattern(trigger).search(text), found(trigger, text)
    assert (by_pattern and by_pattern.span()) == (quickly and quickly.span())


# What they promise together

NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)
PROMPTS = st.lists(st.sampled_from([*"abcdefgh", "photo", "of"]), min_size=1, max_size=8)


@pytest.mark.parametrize("router", PEERS)
@given(names=NAMES, words=PROMPTS, random=st.randoms())
def test_order_of_loras_is_irrelevant(
    router: str, names: list[str], words: list[str], random: Any
) -> None:
    entries = [Named(name, (name,), category=name[0]) for name in names]
    mixed = list(entries)
    random.shuffle(mixed)
    one, other = (routed(ROUTERS[router], " ".join(words), e) for e in (entries, mixed))
    assert [c.name for c in one.candidates] == [c.name for c in other.candidates]
    assert one.weights == pytest.approx(other.weights)


@pytest.mark.parametrize("router", PEERS)
def test_an_empty_library_and_one_lora(router: str) -> None:
    assert routed(ROUTERS[router], "a cat", []).candidates == ()
    one = routed(ROUTERS[router], "a cat", [Named("cat", ("cat",))], top_k=1)
    assert [candidate.name for candidate in one.chosen] == ["cat"]


@pytest.mark.parametrize("router", PEERS)
@pytest.mark.parametrize(
    ("option", "value"), [("top_k", 0), ("threshold", math.nan), ("threshold", math.inf)]
)
def test_an_option_out_of_its_range_is_named(router: str, option: str, value: float) -> None:
    with pytest.raises(BadOption, match=f"{option} is {value}; it must be"):
        routed(ROUTERS[router], "a cat", [Named("cat", ("cat",))], **{option: value})
