"""Words: which ones carry no meaning of their own, where phrases end, and when two are the same.

English lists; a word of another language is taken as one that carries meaning.
"""

from __future__ import annotations

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")  # noqa: RUF001 - prompts have typographic apostrophes

_LINKS = """
about above across after against along amid among and around as at atop before behind below beneath
beside besides between beyond but by down during for from in inside into like near nor off on onto or
out outside over past per plus saying since than that then through till to toward towards under
underneath until up upon via when where which while who whom whose with within
"""
LINKS = frozenset(_LINKS.split())
"""Words that part phrases: prepositions, conjunctions, relative pronouns."""

PLACING = frozenset({("in", "front", "of"), ("on", "top", "of")})
"""Three words that are one preposition."""

_VERBS = """
am appear appears appeared are be been being brings buy buys came can carried carries carry carrying
clad come comes could did do does doing done draw dressed eat eats enjoys expect expected fell feel feels fill filled
find finds found gave get gets give gives given go goes going got grab grabs had has have having held
help hold holding holds is keep keeps leads leaning leans leave leaves left let lets lies look looking
looks lost love loves made meet meets met make makes may might must please put puts read reads run
running runs sat saw say says see seen sees shall should show showing shows sit sits sitting sleeping
spend spends spent pass passed passes sleeps smile smiles smiling stand standing stands stare stares
staring stood take takes taking tell tells try turn turns use used uses using wait waiting waits walk
walking walks want wants was wear wearing wears went were will wore would
"""
VERBS = frozenset(_VERBS.split())
"""Frequent verbs, and what is said like one, that part what does from what is done to."""

_FILLERS = """
a all alone also an another any anybody anyone anything both close each either else ever every everybody
everyone everything exactly few first fully half he her here hers herself him himself his how i if it
it's its itself just last least less lots made many maybe me more most much my nearly neither next
nothing now nobody oh okay only other our own quite rather real really same she so some somebody someone
something somewhere still such that's the their them there these they this those together too two three
four five six seven eight nine ten dozen dozens hundred hundreds thousands several single us very we
well what whole why you your one once
"""
FILLERS = frozenset(_FILLERS.split())
"""Words without a meaning of their own: no phrase begins or ends with one."""

_FRAMES = """
art artwork atmosphere background bunch close-up closeup couple depiction drawing group illustration
image kind look lot mood pair painting photo photograph photography pic picture piece portrait poster
rendering scene selfie set shot sketch snapshot sort still style type version view
"""
FRAMES = frozenset(_FRAMES.split())
"""Words that only frame what a phrase is about: "a photo of a cat", "a bright picture"."""

_OPENERS = """
a an another any anybody anyone each every everybody everyone everything he her here his i it it's its
my nobody one our she some somebody someone something that that's the their there these they this those
two three four five six seven eight nine ten us we you your
"""
OPENERS = frozenset(_OPENERS.split())
"""Articles, pronouns and numbers: a new phrase begins where one stands."""

_NEGATORS = """
without no not never except minus sans lacking isn't aren't wasn't weren't doesn't don't didn't can't
won't hasn't haven't avoid avoids avoiding excluding exclude omit nor neither hate hates hating forbid
forbids dislike dislikes lack lacks
"""
NEGATORS = frozenset(_NEGATORS.split())
"""Words that deny the phrase after them."""

DENYING = (
    ("instead", "of"),
    ("rather", "than"),
    ("free", "of"),
    ("anything", "but"),
    ("devoid", "of"),
    ("sick", "of"),
    ("tired", "of"),
    ("least", "of"),
    ("leave", "out"),
    ("leaving", "out"),
    ("other", "than"),
    ("apart", "from"),
    ("aside", "from"),
)
"""Pairs of words that deny the phrase after them."""

ABSENT = frozenset({"nowhere", "absent"})
"""Words after a phrase that deny it."""


def means(word: str) -> bool:
    """Whether a word carries a meaning of its own."""
    word = word.casefold()
    return not (
        word in LINKS or word in VERBS or word in FILLERS or word in NEGATORS or word == "of"
    )


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A word without its plural ending, its possessive and its case."""
    word = word.casefold().replace("’", "'").removesuffix("'s").removesuffix("'")  # noqa: RUF001 - as people type
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def distance(a: str, b: str, most: int) -> int:
    """Edits between two words: letters put in, left out, exchanged, or two neighbours swapped.

    Damerau, "A technique for computer detection and correction of spelling errors", 1964.

    Returns:
        the number of edits, or `most` + 1 where there are more.
    """
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, older[j - 2] + 1)
            row.append(best)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
