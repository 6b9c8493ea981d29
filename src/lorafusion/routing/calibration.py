"""Calibration: from which score on a phrase asks for a LoRA, for one encoder.

Measured without anybody's labels: ``probes.txt`` has things that LoRAs are made of, each with another
way to ask for it. All pairs but the right ones say how well a wrong phrase may fit. Beyond the
highest of them the tail is taken as exponential (Pickands, "Statistical inference using extreme order
statistics", Annals of Statistics 1975), and the threshold put where the wrong phrases of a prompt
have the chance `FALSE` of passing it.
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lorafusion.errors import NotWritable, RunError
from lorafusion.library.cachefolder import cache_folder
from lorafusion.library.keys import Encoder

FILE = "calibrations.json"
FALSE = 0.02
"""Share of prompts for which something may be chosen although they ask for nothing."""
COMPARISONS = 60
"""Of a prompt of five phrases with twelve LoRAs."""
TAIL = 0.02
"""Share of the wrong pairs that make up the tail."""
_FLATTEST = 0.1
"""Deviations; an encoder that tells everything apart would have no tail."""


@dataclass(frozen=True)
class Calibration:
    """The null key, and how fast certainty grows beyond it.

    Attributes:
        threshold: score of the null key; a phrase asks for a LoRA that fits it better than this.
        slope: score by which the odds grow e-fold.
    """

    threshold: float
    slope: float


DEFAULT = Calibration(threshold=2.0, slope=0.87)
"""Of minilm, as `library calibrate` measures it; for any encoder until it has been measured."""


def calibration_of(encoder: Encoder) -> Calibration:
    """What was measured for this encoder, else the default."""
    try:
        path = cache_folder() / FILE
        state = path.stat()
        found = _read(path, encoder.id, (state.st_mtime_ns, state.st_size, state.st_ino))
    except (OSError, RuntimeError):  # no cache folder: nothing was stored
        return DEFAULT
    return found or DEFAULT


def store(encoder: Encoder, calibration: Calibration) -> Path:
    """Remember what was measured, beside the stored keys, whole or not at all.

    Returns:
        the file that holds it.

    Raises:
        RunError: the encoder has no fingerprint, so that it would not be known again.
        NotWritable: the cache folder refuses.
    """
    if not encoder.id:
        raise RunError(
            f"{type(encoder).__name__} has no fingerprint; what is measured cannot be stored"
        )
    try:
        path = cache_folder() / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        content = _content(path) | {encoder.id: asdict(calibration)}
        beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
        beside.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        beside.replace(path)
    except (OSError, RuntimeError) as error:
        raise NotWritable(
            f"the cache folder cannot be written ({error}); set LORAFUSION_CACHE"
        ) from None
    return path


@lru_cache(maxsize=1)
def probes() -> tuple[tuple[str, str], ...]:
    """Things, and another way to ask for each."""
    text = resources.files("lorafusion.routing").joinpath("probes.txt").read_text("utf-8")
    rows = (line.partition("|") for line in text.splitlines())
    return tuple((thing, asking) for thing, _, asking in rows)


def fitted(scores: Float[np.ndarray, "p p"]) -> Calibration:
    """The calibration by which wrong pairs hardly ever pass.

    Args:
        scores: of asking i with thing j; right where i = j.
    """
    wrong = scores[~np.eye(len(scores), dtype=bool)].astype(np.float64)
    start = float(np.quantile(wrong, 1 - TAIL))
    # Of an exponential tail the mean excess is its scale, the score by which chances fall e-fold.
    scale = max(float((wrong[wrong > start] - start).mean()), _FLATTEST)
    threshold = start + scale * math.log(TAIL * COMPARISONS / FALSE)
    return Calibration(round(threshold, 2), round(scale, 2))


@lru_cache(maxsize=8)
def _read(path: Path, ident: str, stamp: tuple[int, ...]) -> Calibration | None:  # noqa: ARG001 - for the cache
    # `stamp` is another one when the file is: a prompt need not read it again
    found = _content(path).get(ident) if ident else None
    if not isinstance(found, dict):
        return None
    values = [found.get(name) for name in ("threshold", "slope")]
    numbers = [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]
    return Calibration(*numbers) if len(numbers) == 2 and numbers[1] > 0 else None


def _content(path: Path) -> dict[str, object]:
    """What was stored; nothing where the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
