"""Names: what a LoRA is called after its file, and the words in such a name."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence

NAMELESS = frozenset({"adapter_model", "pytorch_lora_weights"})
"""File names that peft and diffusers give to every LoRA; the folder then has the name."""

_NOISE = re.compile(
    r"(?<![^\W_])(?:v|ver|version)[ ._-]?\d+(?:[._]\d+)*[a-z]?(?![^\W_])"  # v1.0, ver_3, V2b
    r"|(?<![^\W_])(?:lora|locon|lycoris|sdxl|sd[ ._-]?[123](?:[._]?[05])?|fp16|bf16)(?![^\W_])"
    r"|(?<![^\W_])\d{6}(?![^\W_])",  # the epoch that trainers append: robot-000010
    re.IGNORECASE,
)
_LORA = re.compile(r"LoRA|(?<![A-Z])(?:LORA|Lora)(?![a-z])")
_UNTYPED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, ends of lines, turns of direction, and bytes that are no text."""
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words_of_name(name: str) -> str:
    """The words of a file name: no separators, no camel case, no version, no "lora".

    ``"RobotSuit_v1.0-lora"`` gives ``"Robot Suit"``. A name of nothing but noise stays as it is, but
    for what is no character of text.
    """
    text = _UNTYPED.sub(" ", name)
    split = _CAMEL.sub(" ", _LORA.sub(" lora ", text))
    words = re.sub(r"[\s_+./-]+", " ", _NOISE.sub(" ", split)).strip()
    return words or text.strip() or typed(name)


def typed(name: str) -> str:
    """The name as it can be shown, typed and stored: with escapes, ``\\n`` for a new line."""
    if name.isprintable():  # none of those that are not typed is
        return name
    return _UNTYPED.sub(lambda found: repr(found[0])[1:-1], name)


def label_of(relative: str) -> str:
    """What a file is called: its stem, or its folder's name where every stem is the same.

    Args:
        relative: path of the file inside the library's folder.
    """
    inside, _, name = relative.rpartition(os.sep)
    stem = name.rpartition(".")[0] or name
    return inside.rpartition(os.sep)[2] if inside and stem in NAMELESS else stem


def unique_names(files: Sequence[str]) -> list[str]:
    """A name for each file: its label, or its path without suffix where two labels are the same.

    Whatever a file is called, its name can be typed. The names depend on the paths alone and not on
    their order, so that they are stable. Two that differ in the case of their suffix alone keep it.

    Args:
        files: paths inside the library's folder.
    """
    names = [typed(label_of(file)) for file in files]
    for spelled in (lambda file: typed(_inside(file)), _inside, _whole):
        counts = Counter(names)
        if len(counts) == len(names):
            break
        names = [
            name if counts[name] == 1 else spelled(file)
            for name, file in zip(names, files, strict=True)
        ]
    return names


def _inside(file: str) -> str:
    return _whole(file).rpartition(".")[0]


def _whole(file: str) -> str:
    return file.replace(os.sep, "/")
