"""peft's settings in a header: which alpha each module has. Read and written as diffusers does.

The header's ``lora_adapter_metadata`` is JSON: ``{"unet.r": 8, "unet.lora_alpha": 4,
"unet.alpha_pattern": {...}}``.

Sources: diffusers/loaders/lora_base.py (`_pack_dict_with_prefix`); peft/tuners/lora/config.py
(`LoraConfig`); peft/utils/other.py (`get_pattern_key`: a pattern matches the end of a path, at a
dot).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lorafusion.errors import UnreadableFile
from lorafusion.formats.alpha import alpha_of
from lorafusion.formats.format import low_ranks
from lorafusion.lora import Delta, Dense, DoRA, LoRA, LowRank

KEY = "lora_adapter_metadata"

Number = int | float

# Patterns come from the file and are run, so only such as cannot run for long.
_HARMLESS = re.compile(r"(?:\.\*|[\w.^$\\|()\-])*")
_MOST_STARS = 2

# These change the base model too; without that, the matrices alone are wrong.
_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")

# Of LoraConfig, for headers that leave it out.
_DEFAULT_ALPHA = 8

_REFUSED = {
    "lora_bias": "a LoRA with biases",
    "modules_to_save": "a LoRA with whole modules beside it",
}


class PeftConfig:
    """The settings of one component.

    Args:
        component: for messages.
        settings: peft's names -> values.

    Raises:
        UnreadableFile: settings of another kind of adapter, or not as peft writes them.
    """

    def __init__(self, component: str, settings: Mapping[str, Any]) -> None:
        self.component = component
        for setting, kind in _REFUSED.items():
            if settings.get(setting):
                raise UnreadableFile(
                    f"the header's {component}.{setting} says this is {kind}, which is not read; "
                    "export it as a plain LoRA"
                )
        start = settings.get("init_lora_weights")
        if isinstance(start, str) and start.lower().startswith(_CHANGES_BASE):
            raise UnreadableFile(
                f"the header's {component}.init_lora_weights is {start!r}, which changes the base "
                "model as well; convert the adapter to a plain LoRA with peft"
            )
        self.stabilised = bool(settings.get("use_rslora"))
        self.rank = self._number(settings, "r")
        # LoHa's and LoKr's settings are peft's too, under another name.
        alpha = "alpha" if settings.get("peft_type") in ("LOHA", "LOKR") else "lora_alpha"
        self.alpha = self._number({alpha: _DEFAULT_ALPHA} | dict(settings), alpha)
        self.dora = bool(settings.get("use_dora"))
        self.ranks = self._patterns(settings, "rank_pattern")
        self.alphas = self._patterns(settings, "alpha_pattern")

    def scale(self, path: str, rank: int) -> float | None:
        """The scale of the module at `path` inside the component; None when nothing is said.

        Raises:
            UnreadableFile: the header gives the module another rank than its matrices have.
        """
        said = _of(path, self.ranks, self.rank)
        if not rank:  # LoKr of two whole matrices
            rank = int(said or 0)
        if said is not None and said != rank:
            raise UnreadableFile(
                f"{self.component}.{path} has rank {rank} but the header says {said:g}; "
                "the header is of another file, fetch it again"
            )
        alpha = _of(path, self.alphas, self.alpha)
        if alpha is None or not rank:
            return None
        return alpha / math.sqrt(rank) if self.stabilised else alpha / rank

    def _number(self, settings: Mapping[str, Any], name: str) -> Number | None:
        value = settings.get(name)
        if value is not None and not _is_number(value):
            raise UnreadableFile(
                f"the header's {self.component}.{name} is {value!r}; expected a number"
            )
        return value

    def _patterns(
        self, settings: Mapping[str, Any], name: str
    ) -> list[tuple[re.Pattern[str], Number]]:
        table = settings.get(name) or {}
        if not (isinstance(table, dict) and all(map(_is_number, table.values()))):
            raise UnreadableFile(
                f"the header's {self.component}.{name} is not a table of numbers; "
                "fetch the file again"
            )
        return [(self._compiled(pattern, name), value) for pattern, value in table.items()]

    def _compiled(self, pattern: str, name: str) -> re.Pattern[str]:
        try:
            if _HARMLESS.fullmatch(pattern) and pattern.count("*") <= _MOST_STARS:
                return re.compile(rf"(?:.*\.)?({pattern})$")
        except re.error:
            pass
        raise UnreadableFile(
            f"the header's {self.component}.{name} has the pattern {pattern[:80]!r}; "
            f"expected module paths, at most with {_MOST_STARS} of .*"
        )


def configs(metadata: Mapping[str, str]) -> dict[str, PeftConfig]:
    """Component -> settings, from a file's header; empty when it has none.

    Raises:
        UnreadableFile: the header's text is not what peft writes.
    """
    text = metadata.get(KEY)
    if not text:
        return {}
    try:
        packed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(
            f"the header's {KEY} is not JSON; remove it or fetch the file again"
        ) from error
    if not isinstance(packed, dict):
        raise UnreadableFile(
            f"the header's {KEY} is not a table; remove it or fetch the file again"
        )
    apart: dict[str, dict[str, Any]] = {}
    for name, value in packed.items():
        component, _, setting = name.rpartition(".")
        apart.setdefault(component, {})[setting] = value
    return {component: PeftConfig(component, settings) for component, settings in apart.items()}


def check_dora(configs: Mapping[str, PeftConfig], deltas: Mapping[str, Delta]) -> None:
    """Refuse a file whose header says DoRA and whose tensors have no lengths: it was cut.

    Raises:
        UnreadableFile: with the module that lacks them.
    """
    alone = configs.get("")
    for target, delta in deltas.items():
        config = configs.get(target.partition(".")[0], alone)
        if config and config.dora and not isinstance(delta, DoRA | Dense):
            raise UnreadableFile(
                f"the header's {config.component}.use_dora says DoRA, but {target} has no "
                "lora_magnitude_vector; the file is incomplete, fetch the original"
            )


def packed(lora: LoRA) -> str:
    """The header's text for a LoRA: settings per component, one pattern per module that differs."""
    settings: dict[str, object] = {}
    parts: dict[str, dict[str, LowRank]] = {}
    for target, delta in low_ranks(lora).items():
        component, _, path = target.partition(".")
        parts.setdefault(component, {})[path] = delta
    for component in lora.components:
        for name, value in _settings(component, parts[component]).items():
            settings[f"{component}.{name}"] = value
    return json.dumps(settings, indent=2, sort_keys=True)


def _settings(component: str, part: Mapping[str, LowRank]) -> dict[str, object]:
    ranks = {path: delta.rank for path, delta in part.items()}
    alphas = {path: _short(alpha_of(delta.scale, delta.rank)) for path, delta in part.items()}
    rank, alpha = _commonest(ranks), _commonest(alphas)
    return {
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {_pattern(component, p): r for p, r in ranks.items() if r != rank},
        "alpha_pattern": {_pattern(component, p): a for p, a in alphas.items() if a != alpha},
        "target_modules": sorted(path.removeprefix("text_model.") for path in part),
    }


def _pattern(component: str, path: str) -> str:
    """A pattern for exactly this module; in text encoders with ``text_model`` before it or not."""
    if component.startswith("text_encoder"):
        return re.escape(path.removeprefix("text_model."))
    return "^" + re.escape(path)


def _commonest(values: Mapping[str, Number]) -> Number:
    counts = Counter(values.values())
    return min(counts, key=lambda value: (-counts[value], value))


def _short(alpha: float) -> Number:
    """A whole number as int, as peft's own files have it."""
    return int(alpha) if alpha.is_integer() else alpha


def _is_number(value: object) -> bool:
    # Compared, because JSON has whole numbers that no float can hold.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _of(
    path: str, table: list[tuple[re.Pattern[str], Number]], otherwise: Number | None
) -> Number | None:
    """The value of the first pattern that matches the end of `path`, at a dot."""
    return next((value for pattern, value in table if pattern.match(path)), otherwise)
