"""`explain` in all its forms, and `library calibrate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.conftest import NAMES, PROMPT, Ran, World

CATALOGUE = """
[[lora]]
name = "robot"
category = "character"
text = "a silver robot"
triggers = ["robot"]

[[lora]]
name = "library"
category = "background"
text = "a library, rows of bookshelves"

[[lora]]
name = "umbrella"
category = "object"
text = "an umbrella"
triggers = ["umbrella"]
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.toml"
    path.write_text(CATALOGUE)
    return path


def test_the_table_has_margins_reasons_and_effects(lf: Callable[..., Ran], catalogue: Path) -> None:
    ran = lf("explain", "a robot without an umbrella", "--catalogue", catalogue)
    assert (ran.code, ran.err) == (0, "")
    lines = {line.split()[0]: line for line in ran.out.splitlines() if line.split()}
    assert lines["robot"].split()[-2:] in (["robot", "-0.99"], ["robot", "-1.00"])
    assert "margin" in ran.out.splitlines()[0]
    assert "umbrella" in ran.out.partition("left out")[2]
    assert len(lines["umbrella"].split()) > 4, "the reason stands behind the score"
    assert "weights change by" in ran.out


def test_json_tells_scores_margins_and_effects(lf: Callable[..., Ran], catalogue: Path) -> None:
    document = lf("explain", "a robot in a library", "--catalogue", catalogue, "--json").json
    by_name = {one["name"]: one for one in document["candidates"]}
    assert by_name["robot"]["phrase"] == "robot"
    assert by_name["robot"]["weight"] == pytest.approx(1, abs=0.05)
    assert by_name["robot"]["margin"] > 0 > by_name["umbrella"]["margin"]
    assert by_name["umbrella"]["left_out"]
    effects = {one["phrase"]: one["changes"] for one in document["effects"]}
    assert effects["robot"] == {"robot": pytest.approx(by_name["robot"]["weight"])}


def test_many_prompts_are_one_object_a_line(
    lf: Callable[..., Ran], catalogue: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a robot in a library\n\na bowl of soup\nan umbrella, (robot:1.2)\n")
    ran = lf("explain", "--catalogue", catalogue, "--prompts", prompts, "--json")
    assert (ran.code, ran.err) == (0, "")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["prompt"] for line in lines] == [
        "a robot in a library",
        "a bowl of soup",
        "an umbrella, (robot:1.2)",
    ]
    assert all(set(line) == {"prompt", "encoded", "loras", "left_out"} for line in lines)
    assert [{one["name"] for one in line["loras"]} for line in lines] == [
        {"robot", "library"},
        set(),
        {"robot", "umbrella"},
    ]
    for line in lines:
        told = {"name", "weight", "strength", "text_strength", "score", "phrase", "pinned"}
        assert all(set(one) == told for one in line["loras"])
        assert len(line["loras"]) + len(line["left_out"]) == 3


def test_an_empty_catalogue_chooses_nothing(lf: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    document = lf("explain", "a robot", "--catalogue", tmp_path / "empty.toml", "--json").json
    assert document["candidates"] == []


class Page(HTMLParser):
    """The tags, marked words and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.marked: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "mark" in self.open:
            self.marked.append(data)


def test_the_page_marks_the_phrases_and_needs_nothing_else(
    lf: Callable[..., Ran], catalogue: Path, tmp_path: Path
) -> None:
    prompt = 'a robot <b>&"quoted"</b> in a library without an umbrella'
    ran = lf("explain", prompt, "--catalogue", catalogue, "--html", tmp_path / "page.html")
    assert (ran.code, ran.err) == (0, "")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert set(page.marked) == {"robot", "library"}
    assert prompt in page.text
    assert "denies 'umbrella'" in page.text
    assert page.text.count("weights change by") == 1
    assert text.count('class="bar"') == 2
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "http" not in text
    assert list(tmp_path.glob(".*")) == []


def test_a_page_without_any_lora(lf: Callable[..., Ran], catalogue: Path, tmp_path: Path) -> None:
    lf("explain", "a bowl of soup", "--catalogue", catalogue, "--html", tmp_path / "page.html")
    assert "No LoRA was chosen" in (tmp_path / "page.html").read_text(encoding="utf-8")


BAD: dict[str, tuple[str, str]] = {
    "not TOML": ("[[lora]\n", "cannot be read as TOML"),
    "no name": ('[[lora]]\ntext = "a"\n', "number 1 has no name"),
    "two of a name": ('[[lora]]\nname = "a"\n[[lora]]\nname = "a"\n', "two LoRAs are called 'a'"),
    "unknown field": ('[[lora]]\nname = "a"\ntrigger = []\n', "Did you mean 'triggers'"),
    "wrong kind": ('[[lora]]\nname = "a"\ntriggers = "a"\n', "must be a list of texts"),
    "not a text": ("[[lora]]\nname = 3\n", "must be text in quotes"),
    "not tables": ("lora = 3\n", "write [[lora]] above each"),
    "other tables": ("[loras]\n", "Did you mean 'lora'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_catalogue_is_one_line(
    case: str, lf: Callable[..., Ran], tmp_path: Path
) -> None:
    path = tmp_path / "bad.toml"
    content, said = BAD[case]
    path.write_text(content)
    ran = lf("explain", "a robot", "--catalogue", path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert str(path) in ran.err
    assert said in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prompts", "p.txt"], "add --json"),
        (["a robot", "--prompts", "p.txt", "--json"], "leave one of them out"),
        (["--prompts", "p.txt", "--json", "--html", "x.html"], "--html shows one prompt"),
        (["--prompts", "none.txt", "--json"], "none.txt"),
        (["--prompts", "blank.txt", "--json"], "holds no prompt"),
        (["a robot", "--library", "x"], "leave one of them out"),
        (["a robot", "--html", "no/such/x.html"], "cannot be written"),
        (["a robot", "--budget", "ful"], "Did you mean 'full'"),
        (["a robot", "--temperature", "2"], "option of router 'phrases'"),
    ],
)
def test_options_that_cannot_be(
    words: list[str], said: str, lf: Callable[..., Ran], catalogue: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_text("a robot\n")
    (tmp_path / "blank.txt").write_text("\n \n")
    ran = lf("explain", *words, "--catalogue", catalogue)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert said in ran.err


def test_a_folder_is_routed_by_phrases(lf: Callable[..., Ran], world: World) -> None:
    document = lf("explain", PROMPT, *world.library, "--json").json
    assert document["router"].startswith("phrases(encoder=sentence-transformers@")
    assert {one["name"] for one in document["candidates"] if not one["left_out"]} == set(NAMES)


def test_calibrate_is_remembered(lf: Callable[..., Ran], world: World) -> None:
    words = ["library", "calibrate", "--encoder", "pipeline", "--base", world.base]
    first = lf(*words, "--json")
    assert (first.code, first.err) == (0, "")
    assert first.json["encoder"].startswith("CLIPTextModel@")
    again = lf(*words, "--json").json
    assert again["threshold_before"] == first.json["threshold"] == again["threshold"]
    assert 0 <= again["found"] <= 1
    assert "threshold" in lf(*words).out
