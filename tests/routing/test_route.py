from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lorafusion.errors import BadOption, UnknownName
from lorafusion.library import Catalogue, Library, keys
from lorafusion.registry import Registry
from lorafusion.routing import (
    DEFAULT,
    ENCODERS,
    KEYLESS,
    ROUTERS,
    encoder_of,
    options_of,
    route,
)
from tests.library.fakes import CountingEncoder


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t"])
def test_a_blank_prompt_is_refused_before_anything_is_loaded(library: Library, prompt: str) -> None:
    encoder = CountingEncoder()
    with pytest.raises(BadOption, match="the prompt is empty"):
        route(prompt, library, encoder=encoder)
    assert encoder.asked == []


def test_an_unknown_router_is_met_with_the_nearest(library: Library) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'cosine'"):
        route("robot", library, router="cosin", encoder=CountingEncoder())


def test_an_unknown_option_is_met_with_the_nearest(library: Library) -> None:
    with pytest.raises(UnknownName, match=r"option of router 'cosine'.*Did you mean 'temperature'"):
        route("robot", library, encoder=CountingEncoder(), router="cosine", temprature=2.0)


def test_every_lora_has_its_place_in_the_route(library: Library) -> None:
    made = route("robot", library, encoder=CountingEncoder(), router="cosine", top_k=3)
    assert sorted(candidate.name for candidate in made.candidates) == library.names
    assert len(made.chosen) == 3
    assert made.prompt == "robot"
    assert all(candidate.source is library[candidate.name] for candidate in made.candidates)


def test_the_prompt_that_is_a_lora_s_text_fits_it_exactly(library: Library) -> None:
    best = route("robot", library, encoder=CountingEncoder(), router="cosine").candidates[0]
    assert (best.name, best.phrase) == ("robot", "robot")
    assert best.score == pytest.approx(1)


def test_phrases_never_change_a_weight_and_may_be_left_away(library: Library) -> None:
    with_words = route(
        "a robot wearing a crown", library, encoder=CountingEncoder(), router="cosine"
    )
    without = route(
        "a robot wearing a crown",
        library,
        encoder=CountingEncoder(),
        router="cosine",
        phrases=False,
    )
    assert without.weights == with_words.weights
    assert all(candidate.phrase for candidate in with_words.candidates)
    assert not any(candidate.phrase for candidate in without.candidates)


def test_the_route_says_how_it_was_made(library: Library) -> None:
    made = route("robot", library, encoder=CountingEncoder("fake@1"), router="cosine", top_k=4)
    assert made.router == "cosine(encoder=fake@1, temperature=1.0, top_k=4)"


def test_a_route_does_not_depend_on_what_was_stored(folder: Path, cache: Path) -> None:
    """Twice from an empty store and once from a full one: the same to the last bit."""
    first = route("a robot", Library(folder), encoder=CountingEncoder(), router="cosine")
    assert (
        route("a robot", Library(folder), encoder=CountingEncoder(), router="cosine").weights
        == first.weights
    )
    for file in cache.iterdir():
        file.unlink()
    assert (
        route("a robot", Library(folder), encoder=CountingEncoder(), router="cosine").weights
        == first.weights
    )


def test_a_second_prompt_computes_no_key(library: Library) -> None:
    route("robot", library, encoder=CountingEncoder(), router="cosine", phrases=False)
    encoder = CountingEncoder()
    route("a crown", library, encoder=encoder, router="cosine", phrases=False)
    assert encoder.asked == ["a crown"]


@pytest.mark.parametrize("router", sorted(KEYLESS))
def test_for_a_router_without_keys_none_are_made(
    router: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand of them take a while to read; each of these routers may still be given some."""

    def refuse(*_: object) -> None:
        raise AssertionError("keys were made")

    encoder = CountingEncoder()
    library = Library(folder)
    found = ROUTERS[router]("a robot", tuple(library), library.keys(encoder), encoder)
    monkeypatch.setattr(Library, "keys", refuse)
    made = route("a robot", library, router=router, encoder=encoder, phrases=False, triggers=False)
    assert [(c.name, c.weight, c.score) for c in made.candidates] == [
        (c.name, c.weight, c.score) for c in found.candidates
    ]


def test_a_catalogue_remembers_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[[lora]]\nname = "robot"\n[[lora]]\nname = "cat"\n', encoding="utf-8")
    catalogue, encoder = Catalogue(path), CountingEncoder()
    first = catalogue.keys(encoder)
    monkeypatch.setattr(keys, "key_vectors", None)
    assert catalogue.keys(encoder) is first
    assert first.shape == (2, 8)


def test_the_tables_are_open_to_other_packages() -> None:
    assert isinstance(ROUTERS, Registry)
    assert (ROUTERS.group, next(iter(ROUTERS))) == ("lorafusion.routers", DEFAULT)
    assert {"phrases", "cosine"} <= set(ROUTERS)
    assert (ENCODERS.group, list(ENCODERS)) == ("lorafusion.encoders", ["minilm"])
    assert options_of("cosine") == {"temperature": 1.0, "top_k": None, "threshold": None}


def test_an_object_is_its_own_encoder() -> None:
    encoder = CountingEncoder()
    assert encoder_of(encoder) is encoder


def test_routing_imports_no_model_library() -> None:
    code = (
        "import sys, lorafusion.routing, lorafusion.library;"
        "heavy = {'diffusers', 'transformers', 'sentence_transformers', 'huggingface_hub'};"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")
