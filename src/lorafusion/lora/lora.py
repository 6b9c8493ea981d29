"""LoRA: one file, read completely and frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lorafusion.lora.kinds import Delta


@dataclass(frozen=True, eq=False)
class LoRA:
    """One LoRA file, read completely.

    Attributes:
        name: unique within its library.
        deltas: target path -> Delta. A path is the pipeline's component and the module in it, or that
            with ``.bias`` behind it, as diffusers files spell them: ``unet.mid_block.attentions.0.proj_in``,
            ``text_encoder.text_model.encoder.layers.0.self_attn.q_proj``.
        digest: the file's sha256, or what works it out; that takes as long as reading does, and only records
            want it.
        family: the base model's family by keys and shapes ("sd15", "pocket"), or "unknown".
        category: character, clothing, object, background or style, or "" when nobody said.
        triggers: words that the training captions used.
        metadata: the file's own header, as text.
    """

    name: str
    deltas: Mapping[str, Delta]
    digest: str | Callable[[], str] = ""
    family: str = "unknown"
    category: str = ""
    triggers: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "deltas", MappingProxyType(dict(self.deltas)))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    @property
    def sha256(self) -> str:
        """Of the whole file, in hexadecimal; empty when it never was a file."""
        return self.digest if isinstance(self.digest, str) else self.digest()

    @property
    def components(self) -> tuple[str, ...]:
        """The pipeline components that this LoRA changes, sorted: ("text_encoder", "unet")."""
        return tuple(sorted({path.partition(".")[0] for path in self.deltas}))

    def part(self, component: str) -> dict[str, Delta]:
        """Module path inside `component` -> Delta."""
        prefix = component + "."
        return {
            path.removeprefix(prefix): delta
            for path, delta in self.deltas.items()
            if path.startswith(prefix)
        }
