"""The scorers that ship: small, strict, and right about true pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lorafusion import pocket
from lorafusion.errors import BadOption, UnknownName, UnreadableFile
from lorafusion.pocket import world
from lorafusion.pocket.scorers import Clip, Detector, weights
from lorafusion.pocket.scorers.clip import read_words
from lorafusion.pocket.scorers.pictures import Pictures, batch

needs_font = pytest.mark.skipif(
    world.font_path() is None, reason="the font NotoColorEmoji.ttf is not installed"
)
SEEDS = range(8_000_000_000, 8_000_000_060)
GREY = np.full((2, 64, 64, 3), 128, np.uint8)


def scenes() -> list[world.Scene]:
    return [world.sample(seed) for seed in SEEDS]


def pictures() -> np.ndarray:
    return np.stack([world.render(one) for one in scenes()])


@needs_font
def test_classes_are_found_in_true_pictures() -> None:
    words = [[one.word for one in scene.elements().values()] for scene in scenes()]
    found = pocket.detector().found(pictures(), words)
    hits = [hit for one in found for hit in one.values()]
    assert sum(hits) / len(hits) >= 0.95
    seen = pocket.detector().best(pictures())
    same = [
        one.get(category) == (element.word if element else None)
        for one, scene in zip(seen, scenes(), strict=True)
        for category, element in ((c, scene.elements().get(c)) for c in world.CATEGORIES)
    ]
    assert sum(same) / len(same) >= 0.95


@needs_font
def test_individuals_are_told_from_siblings() -> None:
    names = [name for name, one in world.INDIVIDUALS.items() if not one.novel]
    plain = dict.fromkeys(world.CATEGORIES, 0.0)
    own, other = [], []
    for seed, name in enumerate(names * 2):
        one = world.INDIVIDUALS[name]
        company = {} if one.category == "character" else {"character": world.Element("cat", seed)}
        element = {one.category: world.Element(one.word, 7 * seed)}
        sibling = world.sample(SEEDS[0] + seed, company | element, plain)
        other.append(world.render(sibling))
        own.append(world.render(world.with_individuals(sibling, name)))
    asked = [[name] for name in names * 2]
    scorer = pocket.identity()
    right = [one for found in scorer.right(np.stack(own), asked) for one in found.values()]
    wrong = [one for found in scorer.right(np.stack(other), asked) for one in found.values()]
    assert sum(right) / len(right) >= 0.9
    assert sum(wrong) / len(wrong) <= 0.1


@needs_font
def test_broken_pictures_show_nothing_and_are_unnatural() -> None:
    whole = pictures()
    blend = ((whole.astype(int) + np.roll(whole, 1, 0)) // 2).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, whole.shape, np.uint8)
    detector, nature = pocket.detector(), pocket.naturalness()
    things = {"character", "clothing", "object"}
    for bent, most in ((blend, 0.3), (noise, 0.0)):
        seen = [bool(things & one.keys()) for one in detector.best(bent)]
        assert sum(seen) / len(seen) <= most
    assert float(nature.percentile(whole).mean()) > 0.3
    assert float(nature.percentile(noise).max()) < 0.02
    assert float(nature.percentile(blend).mean()) < 0.2
    assert nature.distance(noise).min() > nature.distance(whole).mean()


@needs_font
def test_captions_go_with_their_pictures() -> None:
    clip, shown = pocket.clip(), pictures()
    texts = [world.caption(one, 0, 0.0) for one in scenes()]
    right = clip.alignment(shown, texts)
    wrong = clip.alignment(shown, texts[1:] + texts[:1])
    assert right.shape == (len(shown),)
    assert (right > wrong).float().mean() > 0.95
    assert clip.similarity(shown, shown).min() > 0.999
    assert clip.similarity(shown, np.roll(shown, 1, 0)).mean() < 0.6


def test_texts_are_read_by_known_words_alone() -> None:
    assert read_words(["A cat, a dog!", "rusto", ""], ["a", "cat", "dog"])[:, :5].tolist() == [
        [1, 2, 1, 3, 0], [0] * 5, [0] * 5,
    ]  # fmt: skip
    vectors = pocket.clip().texts(["", "a cat in the snow " * 20])
    assert torch.isfinite(vectors).all()
    assert vectors.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_images_and_arrays_are_the_same_pictures() -> None:
    image = Image.fromarray(GREY[0])
    assert torch.equal(batch([image, image.convert("RGBA")]), batch(GREY))
    assert batch([]).shape == (0, 3, 64, 64)
    detector = pocket.detector()
    ours, theirs = detector.probabilities([image]), detector.probabilities(GREY[:1])
    assert all(torch.equal(ours[category], theirs[category]) for category in world.CATEGORIES)
    assert {c: len(p[0]) for c, p in ours.items()} == {
        "character": 15, "clothing": 11, "object": 13, "background": 10, "style": 9,
    }  # fmt: skip


@pytest.mark.parametrize(
    "pictures",
    [GREY[:, :32], GREY[0], [Image.new("RGB", (32, 64))]],
)
def test_other_pictures_are_refused(pictures: Pictures) -> None:
    with pytest.raises(BadOption, match="64x64"):
        batch(pictures)


def test_unknown_words_and_names_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"class 'robto'.*'robot'"):
        pocket.detector().found(GREY[:1], [["robto"]])
    with pytest.raises(UnknownName, match="individual 'cat'"):
        pocket.identity().right(GREY[:1], [["cat"]])
    with pytest.raises(BadOption, match="2 pictures and 1 lists"):
        pocket.detector().found(GREY, [["cat"]])


def test_a_missing_or_foreign_file_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="python -m recipes.pocket"):
        Detector(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "clip.safetensors")
    with pytest.raises(UnreadableFile, match="cannot be read") as error:
        Clip(tmp_path)
    assert "\n" not in str(error.value)


def test_the_files_are_small() -> None:
    files = list(weights.FOLDER.iterdir())
    assert {path.suffix for path in files} == {".safetensors"}
    assert sum(path.stat().st_size for path in files) <= 15_000_000


def test_the_measured_accuracies_are_those_of_the_files_that_ship() -> None:
    results = Path(__file__).parents[2] / "benchmarks" / "results" / "pocket-scorers.json"
    if not results.is_file():
        pytest.fail("run `python -m recipes.pocket --steps scorers`")
    import hashlib

    made = json.loads(results.read_text())["provenance"]["data"]
    for path in weights.FOLDER.iterdir():
        assert made[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
