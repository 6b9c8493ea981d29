"""Candidates that are made when somebody looks at them, beside the tuples that they stand for."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import replace

import pytest

from lorafusion.library.described import Described
from lorafusion.plan import Candidate, Candidates, Route
from lorafusion.routing import sentence

LORAS = tuple(Described(name, "", name, ()) for name in ("a", "b", "c"))
CHOSEN = Candidate(LORAS[0], 3.0, 0.5, "a")
LEFT = tuple(Candidate(one, 1.0, 0.0, left_out="nothing asks for it") for one in LORAS[1:])


class Others:
    """Makes what was left out, and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> tuple[Candidate, ...]:
        self.calls += 1
        return LEFT


def test_they_are_like_a_tuple_of_the_same() -> None:
    late = Candidates((CHOSEN,), 3, Others())
    whole = (CHOSEN, *LEFT)
    assert late == whole
    assert whole == late
    assert late == Candidates((CHOSEN,), 3, Others())
    assert late != whole[:2]
    assert late != "abc"
    assert (hash(late), repr(late), len(late)) == (hash(whole), repr(whole), 3)
    assert (late[0], late[-1], late[1:]) == (CHOSEN, LEFT[-1], LEFT)
    assert [*late, *reversed(late)] == [*whole, *reversed(whole)]
    assert Route("a", late) == Route("a", whole)
    for twin in (pickle.loads(pickle.dumps(late)), copy.deepcopy(late)):  # noqa: S301 - our own bytes
        assert type(twin) is tuple
        assert twin == whole


def test_those_that_were_left_out_are_made_once_and_only_for_who_looks() -> None:
    others = Others()
    late = Candidates((CHOSEN,), 3, others)
    assert (late.chosen, len(late), others.calls) == ((CHOSEN,), 3, 0)
    assert [one.name for one in late] == ["a", "b", "c"]
    assert late[1].left_out == "nothing asks for it"
    assert others.calls == 1


def test_a_route_looks_at_none_that_it_left_out() -> None:
    # In a process of its own: where types are checked while tests run, the check looks.
    code = """
from dataclasses import replace
from lorafusion.library.described import Described
from lorafusion.plan import Candidate, Candidates, Route
from lorafusion.routing.added import with_triggers
from lorafusion.routing.pins import pinned

def others():
    raise AssertionError("somebody looked")

one = Candidate(Described("a", "", "a", ("a",)), 3.0, 0.5, "a")
route = Route("a", Candidates((one,), 1000, others)).changed(lambda one: replace(one, weight=1.0))
route = with_triggers(pinned(replace(route, router="r"), {}))
print(route.weights, len(route.candidates))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "{'a': 1.0} 1000\n", ran.stderr


def test_a_change_is_the_same_for_a_plain_tuple() -> None:
    def change(one: Candidate) -> Candidate:
        return replace(one, phrase="else")

    late, plain = (
        Route("a", each).changed(change)
        for each in (Candidates((CHOSEN,), 3, Others()), (CHOSEN, *LEFT))
    )
    assert late == plain
    assert [one.phrase for one in plain.candidates] == ["else", "", ""]


def test_a_package_is_looked_for_until_it_is_there() -> None:
    asked: list[str] = []

    def finder(name: str) -> None:
        asked.append(name)

    for _ in range(2):
        with pytest.raises(sentence._AbsentError, match="not installed"):
            sentence._packaged(finder)
    assert len(asked) == 2
