"""The commands that only show: explain, methods, library."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.cli import show
from lorafusion.cli.show import BAR, bar
from lorafusion.methods import METHODS
from lorafusion.version import __version__
from tests.cli.conftest import NAMES, PROMPT, Ran, World


def test_explain_shows_weights_phrases_and_reasons(lf: Callable[..., Ran], world: World) -> None:
    ran = lf("explain", PROMPT, *world.library, "--router", "cosine", "--top-k", "2")
    assert (ran.code, ran.err) == (0, "")
    by_name = {line.split()[0]: line for line in reversed(ran.out.splitlines()) if line.split()}
    assert by_name["robot"].split()[-1] == "robot"
    others = ran.out.partition("left out")[2].splitlines()
    (library,) = (line for line in others if line.startswith("library"))
    assert "score" in library


def test_explain_as_json_agrees_with_the_paper(lf: Callable[..., Ran], world: World) -> None:
    document = lf("explain", PROMPT, *world.library, "--router", "cosine", "--json").json
    assert document["prompt"] == PROMPT
    assert [c["phrase"] for c in document["candidates"]] == ["robot", "crown", "library"]
    assert sum(c["weight"] for c in document["candidates"]) == pytest.approx(1)


def test_explain_with_the_text_encoder_of_the_base(lf: Callable[..., Ran], world: World) -> None:
    words = [*world.library, "--base", world.base, "--encoder", "pipeline", "--json"]
    ran = lf("explain", PROMPT, *words)
    assert (ran.code, ran.err) == (0, "")
    assert "CLIPTextModel" in ran.json["router"]


def test_methods_are_all_listed_with_their_papers(lf: Callable[..., Ran]) -> None:
    ran = lf("methods")
    document = lf("methods", "--json").json["methods"]
    assert [method["name"] for method in document] == list(METHODS)
    by_name = {method["name"]: method for method in document}
    assert by_name["switch"]["options"] == {"period": 5, "order": "character", "pace": "steady"}
    assert by_name["composite"]["calls_per_step"] == "L"
    assert [name for name, method in by_name.items() if method["pairs_only"]] == [
        "k-lora",
        "np-lora",
    ]
    for method in document:
        assert method["summary"]
        assert "arXiv" in method["paper"] or "Mathematics 2024" in method["paper"]
        assert method["name"] in ran.out
        assert method["formula"] in ran.out
    assert "period=5" in ran.out
    assert "denoiser calls a step: L + 1; training: none; not exportable" in ran.out
    assert "exportable as one LoRA" in ran.out


def test_library_list(lf: Callable[..., Ran], world: World) -> None:
    ran = lf("library", "list", *world.library)
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == list(NAMES)
    document = lf("library", "list", *world.library, "--json").json
    assert [lora["name"] for lora in document["loras"]] == list(NAMES)
    assert all(lora["text_from"] == "name" for lora in document["loras"])


def test_library_show(lf: Callable[..., Ran], world: World) -> None:
    document = lf("library", "show", "robot", *world.library, "--json").json
    assert (document["text"], document["rank"]) == ("robot", [3])
    assert set(document["targets"]) == {"text_encoder", "unet"}
    assert document["path"] == str(world.loras / "robot.safetensors")
    shown = lf("library", "show", "robot", *world.library).out
    assert document["sha256"] in shown


def test_names_that_look_like_markup_are_printed_as_they_are(
    lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "[red]x[-red].safetensors").write_bytes((world.loras / "robot.safetensors").read_bytes())
    assert "[red]x[-red]" in lf("explain", PROMPT, "--library", odd).out
    assert "[red]x[-red]" in lf("library", "list", "--library", odd).out


@pytest.mark.parametrize("group", [[], ["library"]])
def test_a_group_without_a_command_shows_its_help(group: list[str], lf: Callable[..., Ran]) -> None:
    ran = lf(*group)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip() == lf(*group, "--help").out.strip()


def test_version_and_help(lf: Callable[..., Ran]) -> None:
    assert lf("--version").out == f"lorafusion {__version__}\n"
    for command in ([], ["generate"], ["explain"], ["methods"], ["library"], ["library", "show"]):
        ran = lf(*command, "--help")
        assert (ran.code, ran.err) == (0, "")
        assert "Usage: lorafusion" in ran.out


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1e-3, 10), st.booleans())
def test_bars_keep_their_order_and_fit(a: float, b: float, most: float, plain: bool) -> None:
    low, high = (bar(value * most, most, ascii_only=plain) for value in sorted((a, b)))
    assert len(low) <= len(high) <= BAR
    assert bool(low) == (min(a, b) * most / most > 0)
    assert bar(most, most, ascii_only=plain) == ("#" if plain else "█") * BAR


@pytest.mark.parametrize("count", [0, 3, show.MANY, show.MANY + 1])
def test_a_document_of_many_is_the_same_json(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"name": f"x{i}\n", "rank": [i], "text": "ü"} for i in range(count)]
    content = {"folder": "a", "loras": rows, "skipped": [{"name": "y"}], "few": {"a": [1]}}
    show.document(content)
    told = capsys.readouterr().out
    assert json.loads(told) == content
    assert told.startswith('{\n  "folder": "a",\n')
    with pytest.raises(ValueError, match="not JSON compliant"):
        show.document({**content, "few": float("nan")})


def test_entries_are_parted_where_they_begin_and_nowhere_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = ["}, {", '}, {"name', '"}, {"name": "', ', {"name": ', "\\", '\\"}, {']
    entries = [{"name": name, "rest": [name, {"name": name}]} for name in odd * show.MANY]
    show.document({"loras": entries})
    out = capsys.readouterr().out
    assert json.loads(out) == {"loras": entries}
    assert len(out.splitlines()) >= len(entries) + 4


def test_a_short_command_leaves_the_garbage_collector_as_it_was(lf: Callable[..., Ran]) -> None:
    assert gc.isenabled()
    assert lf("explain", "a robot", "--library", "nowhere").code == 2
    assert gc.isenabled()
    gc.disable()
    try:
        assert lf("library", "list", "--help").code == 0
        assert not gc.isenabled()
    finally:
        gc.enable()
