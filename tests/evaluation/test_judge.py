"""The judge: every way in which a reply, a server or a judge itself can go wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lorafusion.errors import BadOption, RunError, UnknownName
from lorafusion.evaluation.judge.answer import Answer, Asker
from lorafusion.evaluation.judge.cache import Cached
from lorafusion.evaluation.judge.compare import pairs_of
from lorafusion.evaluation.judge.cost import estimate
from lorafusion.evaluation.judge.endpoint import Endpoint
from lorafusion.evaluation.judge.local import Local
from lorafusion.evaluation.judge.outcome import outcome
from lorafusion.evaluation.judge.protocol import Pair, judge, plain_png
from lorafusion.evaluation.judge.reply import Unread, read_marks
from lorafusion.evaluation.judge.rubric import question
from lorafusion.evaluation.runner.run import run
from tests.conftest import shared_pipeline
from tests.evaluation import models
from tests.evaluation.benches import bench, opener
from tests.evaluation.servers import GOOD, misbehaving

WANTED = ({"composition": 8.5, "quality": 9.0}, {"composition": 6.0, "quality": 7.5})
KEY = "sk-very-secret"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"Here you are:\n```json\n{GOOD}\n```\nAnything else?",
        GOOD.replace("image_1", "Image 1").replace("image_2", "Image 2").replace("8.5", '"8.5/10"'),
        "Image 1: Composition Quality: 8.5/10, Image Quality: 9/10\n"
        "Image 2: Composition Quality: 6/10, Image Quality: 7.5/10",
        "**Image 1:** **Composition Quality:** 8.5/10, **Image Quality:** 9/10\n"
        "**Image 2:** **Composition Quality:** 6/10, **Image Quality:** 7.5/10",
        "### Image 1\nThe composition lost 3 points for the hat.\n- Composition: 8.5 out of 10\n"
        "- Quality: 9 out of 10\n### Image 2\n- Composition: **6** / 10\n- Quality: 7.5 / 10",
        "| | Composition | Image Quality |\n|---|---|---|\n| Image 1 | 8.5 | 9 |\n| Image 2 | 6/10 | **7.5** |",
        "| Axis | Image 1 | Image 2 |\n|:--|--:|--:|\n| Composition quality | 8.5 | 6 |\n| Image quality | 9 | 7.5 |",
        "image 1 composition is 8.5, its quality 9; image 2 composition is 6, its quality 7.5",
    ],
)
def test_marks_are_read_from_json_tables_and_sentences(text: str) -> None:
    assert read_marks(text) == WANTED


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I'm sorry, but I cannot rate images of people.", "refused"),
        ("Both are lovely.", "no marks"),
        ("", "no marks"),
        ("Image 1: Composition: 8/10, Quality: 9/10", "marks missing"),
        ('{"image_1": {"composition": 8, "quality": 9}, "image_2": {"composition": 8}}', "marks missing"),
        (GOOD.replace("8.5", "11"), "marks out of range"),
        (GOOD.replace("8.5", "-1"), "marks out of range"),
        (GOOD[:60], "marks missing"),
        (GOOD[:20], "no marks"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(text: str, kind: str) -> None:
    with pytest.raises(Unread) as caught:
        read_marks(text)
    assert caught.value.kind == kind


def pair(tmp_path: Path, name: str = "set/0") -> Pair:
    paths = []
    for index in range(2):
        path = tmp_path / f"{index}.png"
        models.image(index).save(path)
        paths.append(path)
    return Pair(name, models.shown(0).combination, (paths[0], paths[1]))


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)


def asker(url: str, folder: Path, waits: list[float], **options: object) -> Cached:
    settings = {"key_from": "JUDGE_KEY", "timeout": 0.3} | options
    return Cached(Endpoint(url, "eyes", sleep=waits.append, **settings), folder / "answers")  # type: ignore[arg-type]


def test_every_trouble_is_waited_out_counted_and_paid_once(tmp_path: Path, key: None) -> None:
    waits: list[float] = []
    script = (429, "slow", "cut", "junk", "I cannot rate this.", "**so** nice", GOOD)
    with misbehaving(*script) as server:
        judging = asker(server.url, tmp_path, waits)
        (verdict,) = judge([pair(tmp_path)], judging)
        asked = len(server.seen)
        (again,) = judge([pair(tmp_path)], judging)
        assert len(server.seen) == asked  # nothing is asked twice
    assert verdict.forward == WANTED
    assert verdict.backward == WANTED[::-1]
    assert verdict.troubles == ("rate limit", "timeout", "no connection", "broken JSON")
    assert verdict.failures == ("refused", "no marks")
    assert waits[0] == 7  # as the server asked
    assert waits[1:] == [2.0, 4.0, 8.0]
    assert verdict.paid == 4
    assert (again.paid, again.forward, again.failures) == (0, WANTED, verdict.failures)
    assert set(server.keys) == {f"Bearer {KEY}"}
    kept = "".join(path.read_text() for path in (tmp_path / "answers").rglob("*.json"))
    assert KEY not in kept
    assert KEY not in repr(judging)


def test_no_answer_at_all_is_counted_and_left_out(tmp_path: Path) -> None:
    with misbehaving(*[429] * 3) as server:
        judging = asker(server.url, tmp_path, [], tries=3)
        verdicts = judge([pair(tmp_path)], judging)
    assert verdicts[0].forward is None
    assert verdicts[0].backward is not None
    told = outcome("a", "b", verdicts)
    assert (told["pairs"], told["answered in both orders"]) == (1, 0)
    assert told["failures"] == {"no answer": 1}
    assert told["troubles"] == {"rate limit": 3}
    assert told["left out"] == ["set/0"]
    assert told["axes"] == {}


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_server_without_structured_output_is_asked_in_words(tmp_path: Path, status: int) -> None:
    with misbehaving(status) as server:
        (verdict,) = judge([pair(tmp_path)], asker(server.url, tmp_path, []))
    assert verdict.whole
    assert ["response_format" in one for one in server.seen] == [True, False, False]


def test_a_refused_key_ends_it_without_naming_the_key(tmp_path: Path, key: None) -> None:
    with misbehaving(401) as server, pytest.raises(RunError, match="answered 401") as caught:
        judge([pair(tmp_path)], asker(server.url, tmp_path, []))
    assert KEY not in str(caught.value)
    assert "$JUDGE_KEY" in str(caught.value)


def test_a_key_from_a_file_ends_with_its_line_and_a_broken_one_is_not_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUDGE_KEY", f"{KEY}\n")
    with misbehaving() as server:
        judge([pair(tmp_path)], asker(server.url, tmp_path, []))
    assert set(server.keys) == {f"Bearer {KEY}"}
    monkeypatch.setenv("JUDGE_KEY", f"{KEY}\nx")
    with misbehaving() as server, pytest.raises(BadOption, match="cannot be sent") as caught:
        judge([pair(tmp_path)], asker(server.url, tmp_path / "other", []))
    assert KEY not in str(caught.value)


def test_the_judge_sees_pixels_alone(tmp_path: Path) -> None:
    made = bench(tmp_path, 'methods = ["naive", "merge"]\nsets = 1\nseeds = 1')
    run(made, opener(shared_pipeline("sd")))
    (one,) = pairs_of(made, "naive", "merge")
    assert b"merge" in one.paths[1].read_bytes()
    assert b"merge" not in plain_png(one.paths[1])
    text = question(one.combination)
    assert "rusto robot" in text
    assert "merge" not in text
    with pytest.raises(UnknownName, match="method of this run"):
        pairs_of(made, "naive", "nla")
    with pytest.raises(BadOption, match="with itself"):
        pairs_of(made, "naive", "naive")


class Places:
    """A judge that likes whatever it sees first, by `worth` marks."""

    id = "places"

    def __init__(self, worth: float) -> None:
        self.worth = worth

    def ask(self, text: str, images: Sequence[bytes]) -> Answer:
        marks = [5 + self.worth + (images[0] < images[1]), 5.0 + (images[1] < images[0])]
        said = {f"image_{i}": {"composition": m, "quality": 5} for i, m in enumerate(marks, 1)}
        return Answer(json.dumps(said))


def test_position_bias_is_measured_and_cancels(tmp_path: Path) -> None:
    judging = Cached(Places(2.0), tmp_path / "a")
    assert isinstance(judging.asker, Asker)
    pairs = [pair(tmp_path, f"s{i}/0") for i in range(3)]
    told = outcome("a", "b", judge(pairs, judging, workers=2), draws=20)["axes"]
    assert told["composition"]["first place is worth"]["value"] == pytest.approx(2)
    assert told["composition"]["first place wins"] == 1
    assert told["composition"]["both orders agree"]["value"] == 0
    assert abs(told["composition"]["difference"]["value"]) == pytest.approx(1)
    assert told["quality"]["first place wins"] is None
    assert told["quality"]["ties"]["value"] == 1


def test_the_cost_is_known_before_and_falls_as_answers_are_kept(tmp_path: Path) -> None:
    judging = Cached(Places(0), tmp_path / "a")
    before = estimate([pair(tmp_path)], judging, 100, (2.0, 10.0))
    assert (before.questions, before.known, before.tokens_out) == (2, 0, 200)
    text = question(models.shown(0).combination)
    assert before.tokens_in == 2 * (len(text) // 4 + 2 * (85 + 170))
    assert before.money == pytest.approx((before.tokens_in * 2 + 200 * 10) / 1e6)
    judge([pair(tmp_path)], judging)
    after = estimate([pair(tmp_path)], judging, 100, None)
    assert (after.known, after.tokens_in, after.money) == (2, 0, None)


def test_an_address_is_checked() -> None:
    for wrong in (
        "localhost:8000", "ftp://x/v1", "http://user:key@x/v1", "http://x:99999/v1", "http://[x/v1",
    ):  # fmt: skip
        with pytest.raises(BadOption, match="is no address"):
            Endpoint(wrong, "m")


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.seeing(tmp_path_factory.mktemp("seeing"))


def test_a_model_in_this_process_answers(tmp_path: Path, seeing: Path) -> None:
    local = Local(str(seeing), max_tokens=4)
    (verdict,) = judge([pair(tmp_path)], Cached(local, tmp_path / "answers"))
    # Random weights say nothing that has marks, which is a failure with a name and no crash.
    assert set(verdict.failures) == {"no marks"}
    assert len(verdict.failures) == verdict.paid == 6
    assert verdict.tokens[0] > 0


@contextmanager
def serving(model: Path, folder: Path) -> Iterator[str]:
    """``transformers serve``, where what it needs is installed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model)]
    command += ["--port", str(port), "--host", "127.0.0.1", "--device", "cpu"]
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"HF_HUB_OFFLINE": "1"}
        )
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(3000):  # a busy machine takes minutes to import torch
                assert server.poll() is None, (folder / "serve.log").read_text()[-2000:]
                try:
                    urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"{url}/v1"
        finally:
            server.terminate()
            server.wait()


def test_a_real_server_that_is_not_ours_answers(tmp_path: Path, seeing: Path) -> None:
    needed = ("fastapi", "uvicorn", "openai")
    if not all(importlib.util.find_spec(name) for name in needed):
        # What it would be asked is still a question in the form that OpenAI's clients send.
        with misbehaving() as server:
            Endpoint(server.url, "m").ask("?", [b"png"])
        assert server.seen[0]["messages"][0]["content"][1]["type"] == "image_url"
        return
    with serving(seeing, tmp_path) as url:
        ours = Endpoint(url, str(seeing), max_tokens=4, timeout=60.0, sleep=lambda s: None)
        (verdict,) = judge([pair(tmp_path)], Cached(ours, tmp_path / "answers"))
    assert set(verdict.failures) == {"no marks"}
    assert verdict.paid == 6
    assert verdict.tokens[0] > 0
