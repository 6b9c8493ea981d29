"""`bench correlate` on a file whose figures are worked out by hand, and on files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorafusion.errors import UnknownName, UnreadableFile
from lorafusion.evaluation.people.correlate import correlate, document
from lorafusion.evaluation.people.ratings import read_ratings
from tests.cli.conftest import lf as lf

FILE = """image,set,method,human1_composition,human2_composition,human1_image,clip,judge_composition,note
1,easy,merge,4,5,1,10,1,fine
2,easy,switch,5,5,2,12,3,
3,hard,merge,1,1,3,20,1,fine
4,hard,switch,2,1,,22,1,
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ratings.csv"
    path.write_text(FILE)
    return path


def test_within_sets_the_metric_is_perfect_though_pooled_it_is_reversed(file: Path) -> None:
    ratings = read_ratings(file)
    found = document(ratings, correlate(ratings, draws=20))["results"]
    by = {(one["metric"], one["axis"]): one for one in found}
    assert list(by) == [
        ("clip", "composition"),
        ("clip", "image"),
        ("judge_composition", "composition"),
    ]
    clip = by["clip", "composition"]
    # Ratings 4.5 5 1 1.5 with 10 12 20 22: centred products -6*1.5 -4*2 +4*-2 +6*-1.5 = -34.
    assert clip["pooled"]["pearson"] == pytest.approx(-34 / (104 * 12.5) ** 0.5)
    assert clip["within_set"]["pearson"] == pytest.approx(1.0)
    assert clip["pairwise"] == {"agreed": 2, "tied": 0, "pairs": 2, "agreement": 1.0}
    judge = by["judge_composition", "composition"]
    assert judge["pairwise"] == {"agreed": 1, "tied": 1, "pairs": 2, "agreement": 0.75}


def test_a_missing_rating_leaves_its_image_out_and_words_are_ignored(file: Path) -> None:
    ratings = read_ratings(file)
    told = document(ratings, correlate(ratings, ["clip"], draws=20))
    assert [one["images"] for one in told["results"]] == [4, 3]
    assert told["ignored"] == ["note"]
    assert told["raters"]["composition"]["raters"] == 2
    assert told["raters"]["image"]["alpha"] is None


def test_an_unknown_metric_is_told_the_nearest(file: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'clip'"):
        correlate(read_ratings(file), ["clpi"])


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", "is empty"),
        ("set,human1_a,m\n", "no row below the header"),
        ("image,human1_a,m\n1,2,3\n", "no column 'set'"),
        ("set,m\n1,2\n", "no column of ratings"),
        ("set,human1_a\n1,2\n", "no column of a metric"),
        ("set,human1_a,m\n1,2\n", "row 1 has 2 cells"),
        ("set,human1_a,m\n1,good,3\n", "'good', not a number"),
        ("set,human1_a,m\n1,1,3\n1,2,inf\n", "'inf' among numbers"),
        ("set,set,human1_a,m\n1,1,1,3\n", "two columns of the same name"),
        ('set,human1_a,m\n1,"1,3\n', "cannot be read as CSV"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, seen: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(UnreadableFile, match=seen) as caught:
        read_ratings(path)
    assert "\n" not in str(caught.value)


def test_the_command_prints_json_or_a_table(lf, file: Path) -> None:
    ran = lf("bench", "correlate", file, "--json", "--draws", "20")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["images"] == 4
    assert len(ran.json["results"][0]["intervals"]["pairwise"]) == 2
    told = lf("bench", "correlate", file, "--metric", "clip", "--draws", "20").out
    assert "within sets" in told
    assert "100.0% [100.0%, 100.0%]" in told
    assert "2 pairs alike" in told
    assert lf("bench", "correlate", "missing.csv").code == 2
