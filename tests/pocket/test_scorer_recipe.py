"""How the scorers are made: right labels, broken pictures, thresholds, and a run at a size of seconds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lorafusion.pocket import world

pytest.importorskip("peft")
pytest.importorskip("recipes.pocket", reason="the recipes are not beside the tests")

from lorafusion.errors import BadOption
from lorafusion.pocket.scorers import Clip, Detector, Identity, Naturalness
from lorafusion.pocket.scorers.eye import Eye
from lorafusion.pocket.scorers.naturalness import far
from recipes.pocket import autoencoder, oracle
from recipes.pocket.scorers import TINY, broken, calibrate, make, measure
from recipes.pocket.scorers.clip import vocabulary, wrong
from recipes.pocket.scorers.scenes import HELD_OUT, NAMES, UNKNOWN, WORDS, Near, labels, scene
from recipes.pocket.scorers.train import learn
from recipes.pocket.settings import TINY as RECIPE

needs_font = pytest.mark.skipif(
    world.font_path() is None, reason="the font NotoColorEmoji.ttf is not installed"
)


def test_labels_say_what_scenes_show() -> None:
    near = 0
    for seed in range(HELD_OUT, HELD_OUT + 400):
        shown = scene(seed)
        assert shown == scene(seed)
        classes, individuals = labels(shown)
        elements = shown.elements()
        for place, category in enumerate(world.CATEGORIES):
            element = elements.get(category)
            word = WORDS[category][classes[place] - 1] if classes[place] else None
            assert word == (element.word if element else None)
            if individuals[place] > 0:
                assert element is not None
                assert element.individual
                one = world.INDIVIDUALS[NAMES[category][individuals[place] - 1]]
                assert one.word == element.word
            near += isinstance(element, Near)
    assert near > 20


def test_near_siblings_differ_from_their_individual() -> None:
    for seed in range(HELD_OUT, HELD_OUT + 600):
        for category, element in scene(seed).elements().items():
            if isinstance(element, Near):
                names = NAMES[category]
                looks = [world.INDIVIDUALS[name].look for name in names]
                assert element.look not in looks
                assert world.INDIVIDUALS[element.word].look is not None


def test_nothing_is_left_in_broken_pictures() -> None:
    classes = torch.tensor([[1, 2, 3, 4, 0], [1, 5, 6, 7, 0], [2, 0, 6, 7, 1]])
    melted = broken.after(broken.melted, classes)
    assert melted[:, :3].eq(0).all()
    assert melted[:, 3:].eq(UNKNOWN).all()
    assert broken.after(broken.noise, classes).eq(0).all()
    # What both pictures of a blend show may still be seen; the second row is laid over the first.
    blended = broken.after(broken.blended, classes)
    assert blended[1].tolist() == [UNKNOWN, 0, 0, 0, UNKNOWN]
    draw = torch.Generator().manual_seed(0)
    pictures = torch.rand(3, 3, 64, 64) * 2 - 1
    for way in set(broken.BREAKS):
        bent = way(pictures, draw)
        assert bent.shape == pictures.shape
        assert (bent - pictures).abs().mean() > 0.1


def test_shuffled_pictures_keep_their_pieces() -> None:
    picture = torch.arange(3 * 64 * 64).view(1, 3, 64, 64).float()
    bent = broken.shuffled(picture, torch.Generator().manual_seed(1))
    assert torch.equal(bent.flatten().sort().values, picture.flatten())
    assert not torch.equal(bent, picture)


def test_a_threshold_parts_what_is_there_from_what_is_not() -> None:
    # Of label 1: found at 0.9, 0.8, 0.7. Of nothing: a label passes below 0.6.
    likely = torch.tensor([
        [0.1, 0.9, 0.0], [0.2, 0.8, 0.0], [0.3, 0.7, 0.0], [0.45, 0.55, 0.0], [1.0, 0.0, 0.0],
    ])  # fmt: skip
    right = torch.tensor([1, 1, 1, 0, 0])
    assert calibrate.threshold(likely, right, [0.5, 0.6, 0.65, 0.75]) == 0.65
    # What nobody knows decides nothing.
    right[3] = UNKNOWN
    assert calibrate.threshold(likely, right, [0.5, 0.95]) == 0.5


def test_true_pictures_are_one_apart_from_their_mean() -> None:
    torch.manual_seed(0)
    features = torch.randn(4_000, 6) @ torch.diag(torch.tensor([1.0, 5, 0.5, 2, 1, 3])) + 4
    eye = Six()
    found = calibrate.nature(eye, features[:2_000], features[2_000:])
    distances = far(eye, features, found).square()
    assert abs(float(distances.mean()) - 2) < 0.1
    # Three spreads from whole weigh nine.
    mean, spread = found["whole"]
    eye.change = float(mean + 3 * spread)
    assert float(far(eye, found["mean"][None], found)) == pytest.approx(3, abs=0.01)
    assert found["quantiles"].diff().ge(0).all()


class Six(Eye):
    """An eye for features of six numbers, the first of which says whether a picture is whole."""

    def __init__(self) -> None:
        super().__init__([2], [2])
        self.change: float | None = None

    def read(self, features: torch.Tensor) -> tuple[Any, Any, torch.Tensor]:
        whole = features[:, 0] if self.change is None else torch.full((len(features),), self.change)
        return (), (), whole


def test_a_wrong_caption_differs_in_one_class() -> None:
    shown = world.with_individuals(world.sample(3), "robot", "crown")
    other = wrong(shown, "clothing", 4)
    assert other.clothing is not None
    assert other.clothing.word not in ("crown", "")
    assert other.changed({"clothing": shown.elements()["clothing"]}) == shown


def test_the_vocabulary_has_every_class_and_no_invented_name() -> None:
    words = set(vocabulary())
    assert {part for word in world.KINDS for part in word.split()} <= words
    assert not {one.trigger for one in world.INDIVIDUALS.values()} & words


@needs_font
def test_the_scorers_are_made_and_measured(tmp_path: Path) -> None:
    vae = autoencoder.build(RECIPE)
    report = make(TINY, tmp_path / "work", tmp_path / "out", vae)
    folder = tmp_path / "out" / "scorers"
    assert sorted(path.stem for path in folder.iterdir()) == ["clip", "eye", "naturalness"]
    assert json.loads(json.dumps(report)) == report
    curves = report["curves"]
    assert isinstance(curves, dict)
    assert curves["eye"]["steps"] == TINY.eye_steps
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    assert Detector(folder).found(picture, [["cat"]])[0].keys() == {"cat"}
    assert Identity(folder).right(picture, [["robot"]])[0].keys() == {"robot"}
    assert Naturalness(folder).distance(picture).shape == (1,)
    again = Clip(folder).alignment(picture, ["a cat"])
    # Finished networks are not trained a second time.
    learn(TINY, tmp_path / "work" / "scorers", folder, vae)
    assert torch.equal(Clip(folder).alignment(picture, ["a cat"]), again)


@needs_font
def test_measured_answers_are_right_only_where_all_of_a_category_is() -> None:
    marks = torch.tensor([[2, 0, 0, 1, 0]])
    scorer = Detector.__new__(Detector)
    scorer.labels = WORDS
    scorer.thresholds = dict.fromkeys(world.CATEGORIES, 0.5)
    likely = {c: torch.zeros(1, 1 + len(WORDS[c])) for c in world.CATEGORIES}
    likely["character"][0, 2] = 0.9
    likely["clothing"][0, 1] = 0.6
    likely["background"][0, 2] = 0.8
    scorer.probabilities = lambda _: likely  # type: ignore[method-assign]
    found = measure.right(scorer, np.zeros((1, 64, 64, 3), np.uint8), marks, list(WORDS.values()))
    # The character is right; a garment is seen where none is; the place is another one.
    assert found.tolist() == [[True, False, True, False, True]]


def test_the_oracle_sees_its_individuals_together_and_apart() -> None:
    names = ("robot", "crown", "library")
    shown = oracle.scenes(RECIPE, names)
    assert len(shown) == 3 * RECIPE.lora_scenes
    there = [sum(element.individual for element in one.elements().values()) for one in shown]
    assert 0.5 < sum(count == 3 for count in there) / len(there) < 0.95
    assert 0 in there
    with pytest.raises(BadOption, match="is not a set"):
        oracle.train(RECIPE, Path(), ("robot", "panda"), Path())
