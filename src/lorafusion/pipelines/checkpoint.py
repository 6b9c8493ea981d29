"""Checkpoint: a pipeline with a plan's LoRAs folded in, as a diffusers folder."""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path
from typing import Any

from lorafusion.errors import NotWritable
from lorafusion.export import check_still, told
from lorafusion.pipelines.apply import apply
from lorafusion.plan import Plan

PROVENANCE = "lorafusion.json"
"""The file in the folder that says what was folded in."""


def save_merged(pipe: Any, plan: Plan, folder: str | Path, *, prompt: str = "") -> Path:
    """Write the pipeline with the plan folded into its weights, every kind of adapter included.

    The weights are those that the executor `fold` computes, in the pipeline's own dtype. The folder
    is as ``save_pretrained`` writes it, opens in any program that reads diffusers folders, and appears
    whole or not at all. The pipeline is afterwards as it was.

    Args:
        pipe: any diffusers text-to-image pipeline.
        plan: the same in every step, with one branch.
        folder: made; it may exist when it is empty.
        prompt: for the provenance.

    Returns:
        the folder.

    Raises:
        BadOption: a plan that varies over steps or branches.
        WrongBase: a LoRA does not fit the pipeline.
        NotWritable: the folder holds something, or cannot be made.
    """
    check_still(plan)
    folder = Path(folder).expanduser()
    check_free(folder)
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            with apply(pipe, plan, executor="fold"):
                pipe.save_pretrained(part, safe_serialization=True)
            text = json.dumps(_provenance(pipe, plan, prompt), indent=2, ensure_ascii=False)
            (part / PROVENANCE).write_text(text + "\n", encoding="utf-8")
            if folder.is_dir():
                folder.rmdir()
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise NotWritable(f"{folder}: cannot be written ({error.strerror or error})") from error
    return folder


def check_free(folder: Path) -> None:
    """Insist on a folder that is not there yet, or is empty.

    Raises:
        NotWritable: it holds something, or the folder above it is missing.
    """
    if not folder.parent.is_dir():
        raise NotWritable(f"{folder}: the folder above it does not exist; make it first")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise NotWritable(f"{folder}: is there already and not an empty folder; give a new one")


def _provenance(pipe: Any, plan: Plan, prompt: str) -> dict[str, Any]:
    """As in the header of a LoRA file, with the base model that it was folded into."""
    said: dict[str, Any] = {
        key.removeprefix("lorafusion."): text for key, text in told(plan, prompt).items()
    }
    said["sources"] = json.loads(said["sources"])
    return said | {"base": str(getattr(pipe, "name_or_path", "") or type(pipe).__name__)}
