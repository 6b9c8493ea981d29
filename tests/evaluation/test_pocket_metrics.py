"""Pocket's scorers as metrics: they must be right about pictures whose content is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from lorafusion import pocket
from lorafusion.errors import BadOption
from lorafusion.evaluation.metrics import Metric, Shown, open_metric
from lorafusion.evaluation.metrics.elements import DETECTORS, ElementSuccess
from lorafusion.evaluation.metrics.elements import Detector as Detects
from lorafusion.evaluation.metrics.embedder import Embedder, open_embedder
from lorafusion.evaluation.metrics.pocket import REFERENCES, true_pictures
from lorafusion.evaluation.testbeds import Combination, Element
from lorafusion.evaluation.testbeds.pocket import set_of
from lorafusion.pocket import world

needs_font = pytest.mark.skipif(
    world.font_path() is None, reason="the font NotoColorEmoji.ttf is not installed"
)
SETS = [
    set_of(names)
    for names in (
        ("robot", "crown", "library"),
        ("panda", "guitar", "beach"),
        ("fox", "scarf", "city"),
        ("octopus", "umbrella", "library"),
    )
]
PICTURES = 4


def picture(one: Combination, seed: int, individuals: bool) -> Image.Image:
    """A true picture of a set, of its very individuals or of others of their classes."""
    wanted: dict[world.Category, world.Element] = {}
    for element in one.elements:
        known = world.INDIVIDUALS[element.name]
        wanted[known.category] = world.Element(known.word, 3 + seed, individuals or known.novel)
    return Image.fromarray(world.render(world.Scene(900 + seed, **wanted)))


def shown(individuals: bool, sets: Sequence[Combination] = SETS) -> list[Shown]:
    return [
        Shown(f"{one.name}/{seed}", picture(one, seed, individuals), one, one.name)
        for one in sets
        for seed in range(PICTURES)
    ]


def mean(rows: Sequence[dict[str, float]], measure: str) -> float:
    return float(np.mean([row[measure] for row in rows if measure in row]))


@needs_font
def test_classes_are_found_in_both_and_individuals_in_their_own_pictures_alone() -> None:
    own, others = shown(individuals=True), shown(individuals=False)
    found = open_metric("elements", detector="pocket", word="found")
    right = open_metric("elements", detector="pocket-identity", word="right", categories=False)
    assert isinstance(found, Metric)
    assert mean(found(own), "elements_found") > 0.9
    assert mean(found(others), "elements_found") > 0.9
    assert mean(right(own), "elements_right") > 0.85
    # Of a novel class the individual is the class; the others are of classes with many looks.
    old = [one for one in others if "octopus" not in one.name]
    assert mean(right(old), "elements_right") < 0.15
    assert set(right(own)[0]) == {"elements_right", "all_elements_right"}
    assert "found_character" in found(own)[0]
    assert "docs/pocket-testbed.md" in right.about


@needs_font
def test_an_individual_is_never_right_without_its_class() -> None:
    crossed = [
        Shown(one.name, other.image, one.combination, one.name)
        for one, other in zip(shown(True), shown(True)[PICTURES:], strict=False)
    ]
    found = open_metric("elements", detector="pocket", categories=False)(crossed)
    right = open_metric("elements", detector="pocket-identity", categories=False)(crossed)
    for seen, here in zip(found, right, strict=True):
        assert here["elements_seen"] <= seen["elements_seen"]
    assert mean(right, "elements_seen") < 0.3


@needs_font
def test_novel_and_instance_are_asked_apart() -> None:
    rows = open_metric("elements", detector="pocket-identity", only="novel")(shown(True))
    assert [bool(row) for row in rows] == [False] * 12 + [True] * 4
    with pytest.raises(BadOption, match="only is 'some'"):
        open_metric("elements", detector="pocket-identity", only="some")


@needs_font
def test_pocket_clip_prefers_the_right_prompt_and_the_right_individual() -> None:
    own = shown(True)
    wrong = [
        Shown(one.name, one.image, SETS[(SETS.index(one.combination) + 1) % len(SETS)], one.group)
        for one in own
    ]
    clip = open_metric("clip", model="pocket")
    assert isinstance(open_embedder("pocket"), Embedder)
    for measure in ("clip_cosine", "clip_elements", "clip_worst_element"):
        assert mean(clip(own), measure) > mean(clip(wrong), measure) + 0.1
    row = clip(own[:1])[0]
    assert row["clip_torchmetrics"] == pytest.approx(100 * row["clip_cosine"])
    near = open_metric("clip-i", model="pocket", references="pocket")
    assert mean(near(own), "clip_i") > mean(near(wrong), "clip_i")


@needs_font
def test_references_are_of_the_individual() -> None:
    pictures = true_pictures("robot")
    assert len(pictures) == REFERENCES
    right = pocket.identity().right(pictures, [["robot"]] * REFERENCES)
    assert sum(one["robot"] for one in right) >= REFERENCES - 1
    assert true_pictures("somebody") == []


@needs_font
def test_naturalness_prefers_true_pictures_to_noise() -> None:
    metric = open_metric("naturalness")
    own = shown(True)
    rng = np.random.default_rng(0)
    noise = [
        Shown("n", Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)), SETS[0], "n")
    ] * 2
    assert mean(metric(own), "naturalness") > mean(metric(noise), "naturalness") + 0.1
    assert metric([]) == []


def test_strangers_are_unknown_and_seeds_that_are_alike_have_no_variety() -> None:
    stranger = Element("zebra", "zebra.safetensors", "character", "a zebra", ("zebra",))
    grey = Image.new("RGB", (64, 64), (120, 120, 120))
    for name in ("pocket", "pocket-identity"):
        detector = DETECTORS[name]()
        assert isinstance(detector, Detects)
        known = set_of(("robot", "crown")).elements[0]
        assert detector([grey], [[stranger, known]])[0] == [None, False]
        assert ElementSuccess(detector).about.startswith("elements_seen: share of elements")
    one = SETS[0]
    twice = [Shown(str(n), grey, one, "g") for n in range(2)]
    rows = open_metric("clip-diversity", model="pocket")(twice)
    assert [row["clip_diversity"] for row in rows] == pytest.approx([0, 0], abs=1e-5)


def test_a_text_is_read_once() -> None:
    embedder = open_embedder("pocket")
    both = embedder.texts(["a robot", "a crown", "a robot"])
    assert torch.equal(both[0], both[2])
    assert torch.equal(embedder.texts(["a crown"])[0], both[1])
