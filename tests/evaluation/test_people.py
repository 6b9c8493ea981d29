"""The rating page, rated by a keyboard in a real browser, and everything that it stands on."""

from __future__ import annotations

import csv
import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lorafusion.errors import BadOption, UnreadableFile
from lorafusion.evaluation.people.desk import Desk
from lorafusion.evaluation.people.export import choices_csv, ratings_csv
from lorafusion.evaluation.people.ratings import read_ratings
from lorafusion.evaluation.people.store import Store
from lorafusion.evaluation.people.tasks import items
from lorafusion.evaluation.runner.config import Bench
from lorafusion.evaluation.runner.run import run
from tests.conftest import shared_pipeline
from tests.evaluation import browser
from tests.evaluation.benches import bench, opener


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("people")
    changes = 'methods = ["naive", "alone", "merge"]\nsizes = [2]\nseeds = 1'
    made = bench(folder, changes, shared_pipeline("sd"))
    run(made, opener(shared_pipeline("sd")))
    return made


@contextmanager
def desk(made: Bench, store: Store, *pair: str) -> Iterator[str]:
    open_desk = Desk(items(made, pair), store)
    thread = threading.Thread(target=open_desk.serve, daemon=True)
    thread.start()
    try:
        yield open_desk.url
    finally:
        open_desk.close()
        thread.join()


def ask(url: str, body: object = None, **headers: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(url, data, kind | headers)  # noqa: S310  our own server
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310  our own server
        text = reply.read()
        return json.loads(text) if reply.headers["Content-Type"] == "application/json" else text


def by_hand(url: str, rater: str, answers: list[str]) -> None:
    """What the page does, without a browser."""
    said = ask(f"{url}next?rater={quote(rater)}")
    for given in zip(answers[::2], answers[1::2], strict=True):
        item = said["item"]
        for image in item["images"]:
            assert ask(url.rstrip("/") + image).startswith(b"\x89PNG")
        body = {
            "rater": rater,
            "id": item["id"],
            "answers": dict(zip(item["axes"], given, strict=True)),
        }
        said = ask(f"{url}rate", body)


def by_keyboard(url: str, rater: str, keys: list[str], folder: Path) -> None:
    """Type the name, then answer each question with a key."""
    with browser.tab(folder) as page:
        page.open(url)
        page.value("document.getElementById('name').focus()")
        page.write(rater)
        page.press("Enter")
        for key in keys:
            page.until("'ready' in document.body.dataset")
            assert page.value("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
            page.press("6")  # no answer: nothing happens
            page.press(key)
        page.until("!document.getElementById('end').hidden || 'ready' in document.body.dataset")
        assert page.value("document.getElementById('error').textContent") == ""


def test_two_raters_choose_and_come_back_in_a_browser(made: Bench, tmp_path: Path) -> None:
    store = Store(tmp_path / "answers")
    with desk(made, store, "naive", "merge") as url:
        sides = {"ArrowLeft": "left", "2": "right", "0": "tie", "ArrowDown": "tie"}
        first, rest = ["ArrowLeft", "0"], ["2", "ArrowDown"]
        if browser.chromium():
            by_keyboard(url, "ann", first, tmp_path / "profile-1")
            assert len(store.answers("ann")) == 1  # closed half-way, and opened again
            by_keyboard(url, "ann", rest, tmp_path / "profile-2")
        else:
            page = ask(url).decode()
            assert all(key in page for key in ("ArrowLeft", "ArrowRight", "ArrowDown", "keydown"))
            by_hand(url, "ann", [sides[key] for key in first])
            by_hand(url, "ann", [sides[key] for key in rest])
        by_hand(url, "bob", ["left", "right", "right", "right"])
        assert ask(f"{url}next?rater=ann") == {"done": 2, "all": 2, "item": None}
    rows = list(csv.DictReader(io.StringIO(choices_csv(store))))
    assert len(rows) == 2 * 2 * 2
    ann = [row for row in rows if row["rater"] == "ann"]
    assert sorted(row["better"] for row in ann if row["axis"] == "image") == ["tie", "tie"]
    swapped = {item.name: item.swapped("ann") for item in items(made, ("naive", "merge"))}
    for row in ann:
        if row["axis"] == "composition":
            said = store.answers("ann")
            name = f"pair/naive/merge/{row['set']}/{row['seed']}"
            left = list(said).index(name) == 0  # the first was answered with the left key
            assert row["better"] == ("merge" if left == swapped[name] else "naive")


def test_ratings_are_what_correlate_reads(made: Bench, tmp_path: Path) -> None:
    store = Store(tmp_path / "answers")
    with desk(made, store) as url:
        by_hand(url, "ann", ["1", "2", "3", "4", "5", "1", "2", "3"])
        by_hand(url, "bob", ["5", "5", "4", "4"])
    values = {item.cells[0]: {"spread": float(i)} for i, item in enumerate(items(made))}
    path = tmp_path / "ratings.csv"
    path.write_text(ratings_csv(store, values))
    ratings = read_ratings(path)
    assert ratings.people["composition"].shape == (2, 4)
    assert set(ratings.methods) == {"naive", "merge"}
    assert list(ratings.metrics) == ["spread"]
    with pytest.raises(BadOption, match="no image was rated"):
        ratings_csv(Store(tmp_path / "none"), {})


def test_nothing_that_is_sent_names_a_method(made: Bench, tmp_path: Path) -> None:
    with desk(made, Store(tmp_path), "naive", "merge") as url:
        said = ask(f"{url}next?rater=ann")
        sent = json.dumps(said).encode() + b"".join(
            ask(url.rstrip("/") + image) for image in said["item"]["images"]
        )
    assert b"merge" not in sent
    assert b"naive" not in sent


def test_sides_are_random_for_each_rater(made: Bench) -> None:
    (one, *_) = items(made, ("naive", "merge"))
    sides = [one.swapped(f"rater-{i}") for i in range(60)]
    assert 15 < sum(sides) < 45
    assert sides == [one.swapped(f"rater-{i}") for i in range(60)]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("nothing", None, {}, 404),
        ("image/abc", None, {}, 404),
        ("next?rater=..%2Fx", None, {}, 400),
        ("next?rater=", None, {}, 400),
        ("rate", {"rater": "a", "id": "x", "answers": {}}, {}, 400),
        ("rate", {"rater": "a"}, {}, 400),
        ("rate", {"rater": "a"}, {"Content-Type": "text/plain"}, 415),
        ("other", {"rater": "a"}, {}, 404),
        ("rate", {"rater": "a"}, {"Content-Length": "1e3"}, 404),
        ("", None, {"Host": "evil.example"}, 403),
    ],
)
def test_the_desk_refuses_what_it_does_not_know(
    made: Bench, tmp_path: Path, path: str, body: object, headers: dict[str, str], status: int
) -> None:
    with desk(made, Store(tmp_path)) as url, pytest.raises(urllib.error.HTTPError) as caught:
        ask(url + path, body, **headers)
    assert caught.value.code == status
    caught.value.close()


def test_an_answer_that_is_not_on_the_page_is_refused(made: Bench, tmp_path: Path) -> None:
    with desk(made, Store(tmp_path)) as url:
        item = ask(f"{url}next?rater=a")["item"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            wrong = {"composition": "6", "image": "1"}
            ask(f"{url}rate", {"rater": "a", "id": item["id"], "answers": wrong})
        assert "expected one of 1, 2, 3, 4, 5" in json.loads(caught.value.read())["error"]
        caught.value.close()


def test_a_line_that_a_kill_cut_short_costs_one_answer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("ann", "a", {"image": "1"})
    with (tmp_path / "ann.jsonl").open("a") as file:
        file.write('{"item": "b", "answ')
    assert list(store.answers("ann")) == ["a"]
    store.add("ann", "c", {"image": "2"})
    store.add("ann", "a", {"image": "5"})
    assert store.answers("ann") == {"a": {"image": "5"}, "c": {"image": "2"}}
    with (tmp_path / "ann.jsonl").open("a") as file:
        file.write('{"other": 1}\n')
    with pytest.raises(UnreadableFile, match="line 5 is no answer"):
        store.answers("ann")
