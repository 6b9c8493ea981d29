"""The page ``docs/reproduction.md``, made from questions and results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lorafusion.evaluation.report.tables import markdown

NOTE = "<!-- written by `python -m benchmarks.reproduction --pages` from benchmarks/results/; do not edit -->"
INTRO = """# The papers' tables again

{note}

Both papers' experiments on pocket, the model that comes with the package: same protocol, small pictures, elements that
are known exactly. Pocket's figures and a paper's are on different models; what can be compared is the **order** of
methods and whether intervals part them. Every interval is over sets (prompts), 95 %, and p-values are corrected
within a measure.
How it is made: [benchmarks/reproduction](../benchmarks/reproduction/README.md).
"""
REAL = """## The same on real base models

The manifests know which base models, schedulers, prompts and LoRAs the papers used; the LoRA files are yours to bring.
A file such as

```toml
testbed = "composlora"            # or "lora-fusion"
loras = "models/lora"             # the folder with reality/ and anime/ of the authors' archive
methods = ["naive", "alone", "merge", "nla", "fusion", "switch", "composite"]
seeds = 3
metrics = [{ name = "clip", model = "openai/clip-vit-base-patch16" }, "elements"]
```

and these commands make the papers' tables on their own models:

```text
lorafusion bench run composlora.toml
lorafusion bench report composlora.toml
lorafusion bench judge composlora.toml merge switch --url https://api.openai.com/v1 --model gpt-4o
lorafusion bench rate composlora.toml --pair merge:switch
```
"""


def page(experiments: Sequence[Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page as it should lie in ``docs/``.

    Args:
        experiments: of ``questions.toml``.
        results: name -> what ``benchmarks/results/reproduction-<name>.json`` holds, where it exists.
    """
    parts = [INTRO.format(note=NOTE).rstrip()]
    for one in experiments:
        parts += [f"## {one['title']}", one["asks"], _paper(one)]
        found = results.get(one["name"])
        parts.append(_ours(found) if found else _missing(one["name"]))
    return "\n\n".join([*(part for part in parts if part), REAL.rstrip()]) + "\n"


def _paper(one: Mapping[str, Any]) -> str:
    said = ", ".join(f"{name} {value}" for name, value in one["paper"])
    return f"The paper: {said or 'no figures'} ({one['source']})."


def _missing(name: str) -> str:
    return f"Not measured yet: `python -m benchmarks.reproduction --only {name}`."


def _ours(found: Mapping[str, Any]) -> str:
    report, made = found["report"], found["provenance"]
    run = report["run"]
    sets = ", ".join(f"{count} of {size}" for size, count in run["sets"].items())
    told = (
        f"Ours: testbed `{run['testbed']}`, sets by number of LoRAs: {sets}; {run['seeds']} seeds a set, "
        f"router `{run['router']}`; revision {made['revision'][:12]}, {made['machine']['processor']}."
    )
    return f"{told}\n\n{markdown(report).rstrip()}"
