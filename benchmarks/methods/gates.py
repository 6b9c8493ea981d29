"""MoLE's gates for the five LoRAs of the documentation: with and without the balancing loss, and masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.methods.cases import Case
from benchmarks.methods.draw import STEPS, Studio
from benchmarks.pocket.studio import stacked
from lorafusion import formats, pocket, training
from lorafusion.pocket import world

SEEDS = 4
"""Pictures of each case by each method."""
BESIDE = ("merge", "nla", "composite")
"""Methods that are shown beside mole."""


def file_of(studio: Studio, whole: Case, work: Path, steps: int, balance: float) -> Path:
    """The gates of a case's LoRAs, trained where their file is missing.

    Args:
        studio: the bundled model.
        whole: its LoRAs.
        work: folder of the files.
        steps: of the training.
        balance: what the balancing loss counts.
    """
    name = f"gates-{'-'.join(whole.names)}-{steps}-{balance:g}"
    path = work / f"{name}.safetensors"
    if path.is_file():
        return path
    entries = [studio.library[each] for each in whole.names]
    task = training.Task(
        [entry.load() for entry in entries],
        [world.INDIVIDUALS[each].word for each in whole.names],
        [whole.prompt],
        pictures=4,
        balance=balance,
    )
    recipe = training.changed(training.POCKET_GATES, steps=steps, batch=2, save_every=10)
    brush = training.Brush(steps=STEPS, guidance=pocket.GUIDANCE)
    made = training.train_gates(studio.pipe, task, recipe, work / name, brush=brush)
    curve = [round(entry.loss, 4) for entry in made.curve]
    told = {
        "curve": str(curve),
        **{f"share of {key}": f"{v:.4f}" for key, v in made.shares.items()},
    }
    formats.write_gates(made.gates, path, {**made.metadata, **told})
    training.forget(work / name)
    return path


def measure(studio: Studio, cases: tuple[Case, ...], work: Path, steps: int) -> dict[str, Any]:
    """Shares with and without the balancing loss, and identities with the gates masked to fewer LoRAs.

    Args:
        studio: the bundled model.
        cases: the last has every LoRA, the others some of them.
        work: folder of the files.
        steps: of the trainings.
    """
    whole = cases[-1]
    trained = {}
    for balance in (0.5, 0.0):
        metadata = formats.header(file_of(studio, whole, work, steps, balance)).metadata
        shares = {name: float(metadata[f"share of {name}"]) for name in whole.names}
        name, most = training.largest(shares)
        trained[f"{balance:g}"] = {"shares": shares, "largest": name, "share of the largest": most,
                                   "curve": metadata["curve"]}  # fmt: skip
    gates = formats.read_gates(file_of(studio, whole, work, steps, 0.5))
    rows = []
    for each in cases:
        for method in ("mole", *BESIDE):
            given: dict[str, Any] = {"gates": gates} if method == "mole" else {}
            plan = studio.plan(method, each, **given)
            shown = stacked(studio.pictures(plan, each, list(range(SEEDS))))
            right = pocket.identity().right(shown, [list(each.names)] * SEEDS)
            share = sum(sum(one.values()) for one in right) / (SEEDS * len(each.names))
            rows.append(
                {"loras": list(each.names), "method": method, "identity right": round(share, 4)}
            )
    return {"trained": trained, "masked": rows}
