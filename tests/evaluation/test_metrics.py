"""Metrics against the formula by hand on the same random weights, and against values that must come out."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer, ViTModel

from lorafusion.errors import BadOption, UnknownName, UnreadableFile
from lorafusion.evaluation.metrics import METRICS, Metric, open_metric
from lorafusion.evaluation.metrics.elements import ElementSuccess
from lorafusion.evaluation.metrics.embedder import CLIP_MEAN, CLIP_STD, Clip, pixels
from lorafusion.evaluation.testbeds import Element
from tests.evaluation import models

LONG = "a very long prompt about a robot that wears a crown in an old library"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.clip(tmp_path_factory.mktemp("clip"))


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt((vector**2).sum(-1, keepdims=True))


def by_hand(folder: Path, image: Image.Image, text: str) -> float:
    """The cosine as transformers' own processors and model give it, in plain numpy afterwards."""
    model = CLIPModel.from_pretrained(folder).eval()
    tokens = CLIPTokenizer.from_pretrained(folder)(text, truncation=True, return_tensors="pt")
    prepare = CLIPImageProcessor(
        size={"shortest_edge": models.SIZE}, crop_size={"height": models.SIZE, "width": models.SIZE}
    )
    with torch.no_grad():
        words = model.get_text_features(**tokens).pooler_output.numpy()
        seen = model.get_image_features(**prepare(image, return_tensors="pt")).pooler_output.numpy()
    return float((unit(words) @ unit(seen).T).item())


def test_clip_scores_are_those_of_the_formulas_by_hand(folder: Path) -> None:
    metric = open_metric("clip", model=str(folder))
    assert isinstance(metric, Metric)
    one = models.shown(3)
    (row,) = metric([one])
    cosine = by_hand(folder, one.image, models.PROMPT)
    depicts = by_hand(folder, one.image, f"A photo depicts {models.PROMPT}")
    elements = [by_hand(folder, one.image, text) for text in ("robot, red ears", "crown")]
    assert row == pytest.approx(
        {
            "clip_cosine": row["clip_cosine"],  # read in windows: the test below
            "clip_hessel": 2.5 * max(depicts, 0),
            "clip_custom_diffusion": 2.5 * max(cosine, 0),
            "clip_torchmetrics": max(100 * cosine, 0),
            "clip_elements": sum(elements) / 2,
            "clip_worst_element": min(elements),
        },
        abs=1e-5,
    )
    assert folder.name in metric.about


def test_a_short_prompt_has_one_window_and_a_long_one_the_mean_of_several(folder: Path) -> None:
    clip = Clip(str(folder))
    assert not clip.is_long("a crown")
    assert torch.equal(clip.texts(["a crown"]), clip.texts(["a crown"], long="truncate"))
    assert clip.is_long(LONG)
    tokens = CLIPTokenizer.from_pretrained(folder)(LONG, add_special_tokens=False)["input_ids"]
    model = CLIPModel.from_pretrained(folder).eval()
    vectors, sizes = [], []
    for at in range(0, len(tokens), 22):
        part = torch.tensor([[188, *tokens[at : at + 22], 189]])
        with torch.no_grad():
            vectors.append(unit(model.get_text_features(part).pooler_output.numpy()))
        sizes.append(part.shape[1] - 2)
    mean = unit((np.concatenate(vectors) * np.array(sizes)[:, None]).sum(0))
    assert clip.texts([LONG])[0].numpy() == pytest.approx(mean, abs=1e-5)


def test_pixels_are_resized_cropped_and_normalised() -> None:
    grey = Image.new("RGB", (80, 40), (128, 128, 128))
    made = pixels(grey, 16, CLIP_MEAN, CLIP_STD)
    assert made.shape == (3, 16, 16)
    assert made[0, 0, 0] == pytest.approx((128 / 255 - CLIP_MEAN[0]) / CLIP_STD[0], abs=1e-5)


def test_references_score_an_image_like_itself_best(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "robot").mkdir()
    models.image(1).save(tmp_path / "robot" / "a.png")
    metric = open_metric("clip-i", references=str(tmp_path), model=str(folder))
    same, other = metric([models.shown(1), models.shown(2)])
    assert same["clip_i"] == pytest.approx(1, abs=1e-5)
    assert other["clip_i"] < same["clip_i"]
    (tmp_path / "robot" / "a.png").unlink()
    again = open_metric("clip-i", references=str(tmp_path), model=str(folder))
    assert again([models.shown(1)]) == [{}]
    with pytest.raises(UnreadableFile, match="no such folder"):
        open_metric("clip-i", references=str(tmp_path / "no"), model=str(folder))


def test_dino_is_the_class_token(tmp_path: Path) -> None:
    model = str(models.vit(tmp_path / "vit"))
    (tmp_path / "refs" / "crown").mkdir(parents=True)
    models.image(5).save(tmp_path / "refs" / "crown" / "a.png")
    (row,) = open_metric("dino-i", references=str(tmp_path / "refs"), model=model)(
        [models.shown(6)]
    )
    vit = ViTModel.from_pretrained(model).eval()
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    batch = torch.stack([pixels(models.image(i), 32, mean, std, 36) for i in (5, 6)])
    with torch.no_grad():
        rows = unit(vit(pixel_values=batch).last_hidden_state[:, 0].numpy())
    assert row["dino_i"] == pytest.approx(float(rows[0] @ rows[1]), abs=1e-5)


def test_spread_is_the_pixel_distance_between_seeds_of_a_group() -> None:
    black, grey = Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), (51, 51, 51))
    base = models.shown(0)
    group = [
        type(base)(str(i), image, base.combination, "a" if i < 2 else "b")
        for i, image in enumerate((black, grey, grey))
    ]
    rows = open_metric("spread")(group)
    assert rows == [{"spread": pytest.approx(0.2)}, {"spread": pytest.approx(0.2)}, {}]


def test_element_success_counts_what_any_detector_knows() -> None:
    class Fixed:
        about = "a table"

        def __call__(self, images: object, elements: object) -> list[list[bool | None]]:
            return [[True, False], [True, None], [None, None]]

    rows = ElementSuccess(Fixed())([models.shown(i) for i in range(3)])
    assert rows[0] == {
        "elements_seen": 0.5, "all_elements_seen": 0.0, "seen_character": 1.0, "seen_clothing": 0.0,
    }  # fmt: skip
    assert rows[1] == {"elements_seen": 1.0, "all_elements_seen": 1.0, "seen_character": 1.0}
    assert rows[2] == {}


def test_packages_are_asked_for_by_name_when_they_are_missing() -> None:
    for name, package in (
        ("quality", "pyiqa"), ("lpips", "lpips"), ("hps", "hpsv2"), ("image-reward", "image-reward"),
    ):  # fmt: skip
        with pytest.raises(BadOption, match=f"pip install {package}"):
            open_metric(name)


def test_a_measure_where_less_is_better_changes_its_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("pyiqa")
    package.__version__ = "9"  # type: ignore[attr-defined]

    def create(name: str) -> object:
        return type(
            "M", (), {"lower_better": name == "niqe", "__call__": lambda s, x: x.mean() * 10}
        )()

    package.create_metric = create  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", package)
    white = SimpleNamespace(
        image=Image.new("RGB", (4, 4), "white"), combination=models.shown(0).combination
    )
    one = type(models.shown(0))("x", white.image, white.combination, "g")
    assert open_metric("quality")([one]) == [{"pyiqa_musiq": pytest.approx(10)}]
    niqe = open_metric("quality", measure="niqe")
    assert niqe([one]) == [{"pyiqa_niqe": pytest.approx(-10)}]
    assert "sign turned" in niqe.about


def test_metrics_refuse_what_they_do_not_know(tmp_path: Path) -> None:
    assert {"clip", "elements", "spread"} <= set(METRICS)
    with pytest.raises(UnknownName, match="Did you mean 'model'"):
        open_metric("clip", modl="x")
    with pytest.raises(BadOption, match="needs references"):
        open_metric("clip-i")
    with pytest.raises(UnreadableFile, match="could not be loaded"):
        open_metric("clip", model=str(tmp_path))
    with pytest.raises(BadOption, match="threshold is 2"):
        open_metric("elements", threshold=2.0)


def test_elements_have_their_words_as_text() -> None:
    assert Element("a", "a", "object", "t", ("x", "y z")).text == "x, y z"
