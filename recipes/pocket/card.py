"""The model card, docs/pocket.md: a text whose numbers and tables come from the training's log."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lorafusion.pocket import world
from recipes.pocket.plans import PLANS, LoraPlan
from recipes.pocket.sheets import SAMPLES

TEMPLATE = Path(__file__).with_name("card.md")
_ROWS = 11
"""Rows that a training curve is cut down to."""


def card(report: Mapping[str, Any]) -> str:
    """The page.

    Args:
        report: the training's log, as the recipe writes it.
    """
    parts, sizes = report["parameters"], report["bytes"]
    machine, versions = report["machine"], report["versions"]
    return TEMPLATE.read_text(encoding="utf-8").format(
        base_millions=_millions(sum(parts.values())),
        base_megabytes=f"{sizes['base'] / 1e6:.1f}",
        count=len(PLANS),
        samples=SAMPLES,
        worldtable="\n".join(_world_row(category) for category in world.CATEGORIES),
        loratable="\n".join(_lora_row(plan) for plan in PLANS),
        traintable="\n".join(_training_rows(report)),
        machine=f"{machine['cpu']}, torch {versions['torch']}, {machine['workers']} processes",
        vaecurve=_curve(report["autoencoder"]["curve"], "psnr", 2),
        basecurve=_curve(report["base"]["curve"], "loss", 3),
    )


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f}"


def _world_row(category: world.Category) -> str:
    own = [one for one in world.INDIVIDUALS.values() if one.category == category]
    known = ", ".join(one.name for one in own if not one.novel)
    novel = ", ".join(one.name for one in own if one.novel)
    return f"| {category} | {', '.join(world.words(category))} | {known} | {novel} |"


def _lora_row(plan: LoraPlan) -> str:
    one = world.INDIVIDUALS[plan.name]
    cells = (
        f"`{plan.name}`", one.description, "novel" if one.novel else "individual", plan.rank,
        f"{plan.shipped_alpha:g}", "yes" if plan.text else "no", plan.form, plan.told,
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _training_rows(report: Mapping[str, Any]) -> list[str]:
    vae, base, parts = report["autoencoder"], report["base"], report["parameters"]
    loras, sizes = list(report["loras"].values()), list(report["bytes"]["loras"].values())
    channels = report["settings"]["latents"]
    seen = f"{base['images']:,} from {report['settings']['scenes']:,} scenes"
    pictures, steps = (_range([one[key] for one in loras]) for key in ("images", "steps"))
    scenes = _range([plan.scenes * report["settings"]["lora_scenes"] for plan in PLANS])
    seconds = sorted(one["seconds"] for one in loras)
    return [
        f"| autoencoder, {channels} latent channels of 8x8 | {_millions(parts['vae'])} M | "
        f"{vae['images']:,} | {vae['steps']:,} | {vae['seconds'] / 60:.1f} min | "
        f"{vae['curve'][-1]['psnr']:.2f} dB on unseen scenes |",
        f"| denoiser and text encoder | {_millions(parts['unet'])} M and "
        f"{_millions(parts['text_encoder'])} M | {seen} | {base['steps']:,} | "
        f"{base['seconds'] / 60:.1f} min | error {base['curve'][-1]['loss']:.3f} |",
        f"| each LoRA, {report['settings']['lora_workers']} at once | | {pictures} from "
        f"{scenes} scenes | {steps} | {seconds[0]:.0f} to {seconds[-1]:.0f} s | "
        f"{min(sizes) / 1e6:.2f} to {max(sizes) / 1e6:.2f} MB |",
    ]


def _range(numbers: Sequence[int]) -> str:
    """The least and the most, or the one that all are."""
    return " to ".join(f"{number:,}" for number in sorted({min(numbers), max(numbers)}))


def _curve(rows: Sequence[Mapping[str, float]], key: str, digits: int) -> str:
    """A curve at about equal distances, its last row included."""
    last = len(rows) - 1
    chosen = sorted({round(at * last / (_ROWS - 1)) for at in range(_ROWS)}) if last else [0]
    return "\n".join(
        f"| {int(rows[at]['images']):,} | {rows[at][key]:.{digits}f} |" for at in chosen
    )
