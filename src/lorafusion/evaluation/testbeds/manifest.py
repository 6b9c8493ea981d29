"""Manifests: testbeds as TOML files, for LoRAs and base models that a user brings.

name = "mine"
strength = 0.8
[setting.reality]                 # one for each base model
base = "owner/model"
steps = 100
[[setting.reality.lora]]
name = "robot"                    # file = "robot.safetensors" unless it says so
category = "character"
words = ["rusto robot"]
[generate]                        # all sets of one character and distinct categories ...
sizes = [2, 3, 4, 5]
prompt = "{opening}, {words}"
[[set]]                           # ... or sets one by one
name = "first"
setting = "reality"
loras = ["robot"]
prompt = "a robot"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from lorafusion.errors import BadOption, UnknownName
from lorafusion.evaluation.fields import Kinds, checked, listed, toml
from lorafusion.evaluation.testbeds.sets import ORDER, sets_of
from lorafusion.evaluation.testbeds.testbed import Combination, Element, Setting, Testbed
from lorafusion.registry import unknown

_TOP: Kinds = {
    "name": str, "source": str, "strength": float, "setting": dict, "generate": dict, "set": list,
}  # fmt: skip
_SETTING: Kinds = {
    "base": str, "vae": str, "steps": int, "guidance_scale": float, "width": int, "height": int,
    "negative_prompt": str, "scheduler": str, "scheduler_options": dict, "opening": str, "lora": list,
}  # fmt: skip
_LORA: Kinds = {
    "name": str, "file": str, "category": str, "title": str, "words": list, "url": str,
}  # fmt: skip
_SET: Kinds = {"name": str, "setting": str, "loras": list, "prompt": str}
_NAME = re.compile(r"[\w.-]+")


def read_manifest(path: Path) -> Testbed:
    """Read a testbed.

    Raises:
        UnreadableFile: the file is missing or is not TOML.
        BadOption: a field that is missing or of another type, a name that is no file name or
            stands twice, or no set at all.
        UnknownName: a field, setting, LoRA or category that does not exist.
    """
    top = checked(str(path), toml(path), _TOP, ("name", "setting"))
    tables = {
        name: checked(f"{path}: [setting.{name}]", table, _SETTING, ("lora",))
        for name, table in top["setting"].items()
    }
    elements = {name: _elements(path, name, table) for name, table in tables.items()}
    combinations = [*_generated(path, top, tables, elements), *_written(path, top, elements)]
    names = [one.name for one in combinations]
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            raise BadOption(
                f"{path}: set {name!r} is named twice or not as a file; use letters, digits, . _ -"
            )
    if not combinations:
        raise BadOption(f"{path}: has no set; add [generate] or [[set]]")
    known = {one.name for one in fields(Setting)}
    settings = {
        name: Setting(**{key: value for key, value in table.items() if key in known})
        for name, table in tables.items()
    }
    return Testbed(
        top["name"],
        settings,
        tuple(combinations),
        float(top.get("strength", 1.0)),
        top.get("source", ""),
    )


def _elements(path: Path, setting: str, table: Mapping[str, Any]) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for number, each in enumerate(table["lora"], 1):
        where = f"{path}: [[setting.{setting}.lora]] number {number}"
        lora = checked(where, each, _LORA, ("name", "category", "words"))
        name = lora["name"]
        if lora["category"] not in ORDER:
            raise UnknownName(f"{where}: {unknown('category', lora['category'], list(ORDER))}")
        if name in found or not _NAME.fullmatch(name):
            raise BadOption(f"{where}: {name!r} is used twice or not fit for a file name")
        words = listed(f"{where}: words", lora["words"], str)
        file = lora.get("file", f"{name}.safetensors")
        found[name] = Element(name, file, lora["category"], lora.get("title", name), words)
    return found


def _generated(
    path: Path,
    top: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, Any]],
    elements: Mapping[str, Mapping[str, Element]],
) -> Iterator[Combination]:
    if "generate" not in top:
        return
    kinds: Kinds = {"sizes": list, "prompt": str}
    rule = checked(f"{path}: [generate]", top["generate"], kinds, ("sizes", "prompt"))
    sizes = listed(f"{path}: [generate] sizes", rule["sizes"], int)
    for setting, loras in elements.items():
        opening = tables[setting].get("opening", "")
        for chosen in sets_of(list(loras.values()), sizes):
            name = "-".join([setting, *(one.name for one in chosen)])
            words = ", ".join(one.text for one in chosen)
            prompt = rule["prompt"].replace("{opening}", opening).replace("{words}", words)
            yield Combination(name, setting, chosen, prompt)


def _written(
    path: Path, top: Mapping[str, Any], elements: Mapping[str, Mapping[str, Element]]
) -> Iterator[Combination]:
    for number, each in enumerate(top.get("set", ()), 1):
        where = f"{path}: [[set]] number {number}"
        table = checked(where, each, _SET, ("name", "setting", "loras", "prompt"))
        setting = table["setting"]
        if setting not in elements:
            raise UnknownName(f"{where}: {unknown('setting', setting, list(elements))}")
        names = listed(f"{where}: loras", table["loras"], str)
        for name in names:
            if name not in elements[setting]:
                raise UnknownName(f"{where}: {unknown('LoRA', name, list(elements[setting]))}")
        chosen = tuple(elements[setting][name] for name in names)
        yield Combination(table["name"], setting, chosen, table["prompt"])
