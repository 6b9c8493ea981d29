from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.routing.reading import MOST, phrases_of, read
from lorafusion.routing.words import distance, stem


def phrases(prompt: str) -> list[str]:
    return [span.text for span in phrases_of(prompt)]


def denied(prompt: str) -> list[str]:
    return [span.text for span in phrases_of(prompt) if span.denied]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a hairy cat wearing a school dress", ["hairy cat", "school dress"]),
        ("robot, crown\nlibrary", ["robot", "crown", "library"]),
        ("a photo of a cat", ["cat"]),
        ("the crown of the tree", ["crown of the tree"]),
        ("a lion and a bear in the city", ["lion", "bear", "city"]),
        ("a lion in front of a tower, on top of it", ["lion", "tower"]),
        ("a cat dressed in a scarf", ["cat", "scarf"]),
        ("the of a", []),
        ("☂ ☂", []),
    ],
)
def test_phrases(prompt: str, expected: list[str]) -> None:
    assert phrases(prompt) == expected


def test_parts_of_a_phrase_know_whether_they_hold_its_last_word() -> None:
    heads = {span.text: span.head for span in read("cat food factory")}
    assert heads == {"cat food factory": True, "food factory": True, "factory": True}
    heads = {span.text: span.head for span in read("a forest of tall towers")}
    assert heads["forest of tall towers"]
    assert not heads["forest"]
    assert not heads["tall towers"]


def test_a_word_that_frames_is_read_where_it_is_the_name_of_a_lora() -> None:
    prompt = "a sketch of a fox"
    assert "sketch" not in [span.text for span in read(prompt)]
    assert "sketch" in [span.text for span in read(prompt, frozenset({"sketch"}))]


def test_words_that_frame_and_verbs_at_the_end_do_not_hide_what_a_phrase_is_about() -> None:
    assert {"kitten", "bright"} <= {span.text for span in read("a kitten yawns, bright photo")}


def test_a_new_article_begins_a_new_phrase() -> None:
    assert phrases("on the lake the boats") == ["lake", "boats"]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a style of baroque", set()),
        ("an old clock and a cat", set()),
        ("pen and ink", {"pen and ink"}),
    ],
)
def test_pairs_that_say_nothing_more_are_not_read(prompt: str, expected: set[str]) -> None:
    singles = set(phrases(prompt))
    pairs = {span.text for span in read(prompt) if span.chunk < 0}
    assert pairs == expected
    assert singles


def test_a_name_of_a_lora_makes_a_pair_of_a_word_that_else_frames() -> None:
    pairs = {span.text for span in read("a sketch of a cat", frozenset({"sketch"}))}
    assert "sketch of a cat" in pairs
    assert "sketch of a cat" not in {span.text for span in read("a sketch of a cat")}


def test_neighbouring_phrases_are_also_read_as_one() -> None:
    assert "chef with tattoos" in [span.text for span in read("a chef with tattoos")]
    assert "cat, dog" not in [span.text for span in read("cat, dog")]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat without an umbrella in the forest", ["umbrella"]),
        ("no umbrella or hat, a cat", ["umbrella", "hat"]),
        ("no umbrellas and hats", ["umbrellas", "hats"]),
        ("a cat without a hat and a dog", ["hat"]),
        ("not a forest but a library", ["forest"]),
        ("not only a forest", []),
        ("a library instead of a forest", ["forest"]),
        ("she isn't wearing a crown", ["crown"]),
        ("zero cats", ["cats"]),
        ("the zero suit", []),
        ("an umbrella nowhere in sight", ["umbrella"]),
        ("I am sick of hats and scarves", ["hats", "scarves"]),
        ("a cat", []),
    ],
)
def test_what_a_prompt_denies(prompt: str, expected: list[str]) -> None:
    assert denied(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "stress"),
    [
        ("(cat:1.3)", 1.3),
        ("(cat)", 1.1),
        ("((cat))", 1.21),
        ("[cat]", 1 / 1.1),
        ("(a (cat:1.2):0.5)", 0.6),
        (r"\(cat\)", 1.0),
        ("(cat", 1.0),
    ],
)
def test_stress(prompt: str, stress: float) -> None:
    assert [span.text for span in read(prompt)] == ["cat"]
    assert read(prompt)[0].stress == pytest.approx(stress)


@given(st.text(max_size=120))
def test_any_text_can_be_read(prompt: str) -> None:
    spans = read(prompt)
    assert len(spans) <= MOST
    for span in spans:
        assert span.text.split()[0] in prompt[span.start : span.end]
        assert span.stress >= 0


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edits_are_symmetric_and_bounded(a: str, b: str) -> None:
    edits = distance(a, b, 9)
    assert edits == distance(b, a, 9)
    assert (edits == 0) == (a == b)
    assert edits <= max(len(a), len(b))
    assert distance(a, b, 1) == min(edits, 2)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Cats", "cat"),
        ("dress", "dress"),
        ("dresses", "dress"),
        ("ponies", "pony"),
        ("cat's", "cat"),
        ("bus", "bus"),
    ],
)
def test_stems(word: str, expected: str) -> None:
    assert stem(word) == expected
