"""Studio: everything opened once that many images are made with: pipeline, LoRAs, encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lorafusion import pocket
from lorafusion.errors import BadOption, UnknownName, UnreadableFile
from lorafusion.evaluation.runner.config import Bench
from lorafusion.evaluation.runner.identity import agree
from lorafusion.evaluation.testbeds import Combination, Element, Setting
from lorafusion.generate import label
from lorafusion.generate.describe import fingerprint
from lorafusion.library import Encoder, Entry, Library
from lorafusion.lora import LoRA

OpenBase = Callable[[str], Any]
"""From the name of a base model ("" for pocket) to a pipeline on its device."""

KEPT = 32
"""LoRAs that are kept in memory."""


@dataclass(frozen=True)
class Kept:
    """A LoRA file that is read once for many images; a `Source` of routes."""

    entry: Entry
    read: Callable[[Entry], LoRA]
    kind: str = ""

    @property
    def name(self) -> str:
        """As in the library."""
        return self.entry.name

    @property
    def category(self) -> str:
        """As the testbed says, for a file's own is perhaps missing; else as in the library."""
        return self.kind or self.entry.category

    @property
    def path(self) -> Path:
        """The file."""
        return self.entry.path

    def load(self) -> LoRA:
        """The whole file, from memory where it was read before."""
        return self.read(self.entry)


class Studio:
    """What the images of a run are made with.

    Args:
        bench: the run.
        open_base: opens a base model.
        encoder: of the router; None where nothing is routed.

    Raises:
        UnreadableFile: a LoRA of the testbed is not in the folder.
        InputError: as `Library`.
    """

    def __init__(self, bench: Bench, open_base: OpenBase, encoder: Encoder | None) -> None:
        self.library = Library(pocket.loras() if bench.loras is None else bench.loras)
        self._encoder = encoder
        self._open_base = open_base
        self._bench = bench
        self._opened: tuple[str, Any] | None = None
        self._read = lru_cache(maxsize=KEPT)(lambda entry: entry.load())
        self._entries = {
            entry.path.relative_to(self.library.folder).as_posix(): entry for entry in self.library
        }
        self._kinds = {
            self.library.folder / element.file: element.category
            for one in bench.bed.combinations
            for element in one.elements
        }
        self._check(bench.bed.combinations)

    @property
    def encoder(self) -> Encoder:
        """Of the router.

        Raises:
            BadOption: the run routes, but no encoder was given.
        """
        if self._encoder is None:
            raise BadOption(f"router {self._bench.router!r} compares words; give it an encoder")
        return self._encoder

    @property
    def encoder_label(self) -> str:
        """How records and runs call the encoder; "" without one."""
        return "" if self._encoder is None else label(self._bench.encoder, self._encoder)

    def kept(self, entry: Entry) -> Kept:
        """The LoRA as a source that is read once."""
        return Kept(entry, self._read, self._kinds.get(entry.path, ""))

    def entry(self, element: Element) -> Entry:
        """The file of a testbed's element."""
        return self._entries[element.file]

    def pipeline(self, name: str) -> Any:
        """The pipeline of a setting; one is kept open, since base models fill memories.

        Raises:
            BadOption: the run was begun with another base model.
        """
        if self._opened is None or self._opened[0] != name:
            self._opened = None
            setting = self._bench.bed.settings[name]
            pipe = self._open_base(self._bench.base or setting.base)
            told = {"fingerprint": fingerprint(pipe), "dtype": str(pipe.dtype)}
            agree(self._bench.out / "made-with" / f"base-{name}.json", told)
            self._opened = (name, dressed(pipe, setting))
        return self._opened[1]

    @property
    def files(self) -> Mapping[str, str]:
        """File -> sha256 of every LoRA of the testbed."""
        elements = {e.file: e for one in self._bench.bed.combinations for e in one.elements}
        return {file: self.entry(element).sha256 for file, element in sorted(elements.items())}

    def _check(self, combinations: tuple[Combination, ...]) -> None:
        wanted = {element.file: element for one in combinations for element in one.elements}
        missing = [element for file, element in wanted.items() if file not in self._entries]
        if missing:
            raise UnreadableFile(
                f"{self.library.folder}: {len(missing)} of {len(wanted)} LoRAs of testbed "
                f"{self._bench.bed.name!r} are not there; the first is {missing[0].file!r} "
                f"({missing[0].title}); give their folder as loras"
            )


def dressed(pipe: Any, setting: Setting) -> Any:
    """The pipeline with the setting's decoder and scheduler.

    Raises:
        UnknownName: diffusers has no such scheduler.
        UnreadableFile: the decoder cannot be loaded.
    """
    import diffusers

    if setting.vae:
        try:
            vae = diffusers.AutoencoderKL.from_pretrained(setting.vae, use_safetensors=True)
        except Exception as error:  # whatever a broken model makes diffusers raise
            told = " ".join(str(error).split())[:300]
            raise UnreadableFile(f"vae {setting.vae!r} could not be loaded: {told}") from error
        pipe.vae = vae.to(device=pipe.device, dtype=pipe.dtype)
    if setting.scheduler:
        kind = getattr(diffusers, setting.scheduler, None)
        if not (isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin)):
            raise UnknownName(
                f"diffusers {diffusers.__version__} has no scheduler {setting.scheduler!r}; "
                "name one of its classes"
            )
        options = dict(setting.scheduler_options)
        pipe.scheduler = kind.from_config(pipe.scheduler.config, **options)  # type: ignore[attr-defined]  # ConfigMixin
    return pipe
