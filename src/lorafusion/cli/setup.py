"""From the words of a command to open models and libraries. Heavy: called by commands only."""

from __future__ import annotations

import importlib
import math
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lorafusion.errors import BadOption, NotWritable

if TYPE_CHECKING:
    from lorafusion.library import Catalogue, Encoder, Library

POCKET = "pocket"
DTYPES = ("float32", "float16", "bfloat16")


def quiet() -> None:
    """Keep model libraries from writing bars and reports between our own lines; imports diffusers."""
    for name in ("diffusers", "transformers"):
        logging = importlib.import_module(f"{name}.utils.logging")
        logging.set_verbosity_error()
        logging.disable_progress_bar()


def open_library(folder: Path | None, base: str | None) -> Library:
    """The library in `folder`, or pocket's own, without what cannot be used; `shelf` says what that is.

    Raises:
        BadOption: another base model without a folder.
        UnreadableFile, EmptyLibrary: as `Library`.
    """
    from lorafusion import pocket
    from lorafusion.library import Library

    if folder is None and base not in (None, POCKET):
        raise BadOption(f"--base {base} needs --library: the LoRAs that come along fit pocket only")
    return Library(pocket.loras() if folder is None else folder.expanduser(), lenient=True)


def base_family(base: str | None, pipe: Any = None) -> str:
    """The family of the base model that is meant; "unknown" where only loading it could tell.

    Raises:
        UnreadableFile: its folder is broken.
    """
    from lorafusion.pipelines.family import family_at, family_of

    if pipe is not None:
        return family_of(pipe)
    return POCKET if base in (None, POCKET) else family_at(str(base))


def open_catalogue(path: Path) -> Catalogue:
    """The LoRAs that a TOML file describes.

    Raises:
        InputError: as `Catalogue`.
    """
    from lorafusion.library import Catalogue

    return Catalogue(path)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; an existing one is replaced.

    Raises:
        NotWritable: the folder is missing or refuses, or the path is a folder.
    """
    beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise NotWritable(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def open_base(base: str | None, dtype: str, device: str) -> Any:
    """The pipeline, on its device, without progress bars of its own.

    Raises:
        BadOption: no such dtype or device.
        UnreadableFile: as `pipelines.load`.
    """
    import torch

    quiet()
    where = _device(device)
    if dtype not in ("auto", *DTYPES):
        raise BadOption(f"--dtype is {dtype!r}; give auto, {', '.join(DTYPES)}")
    if base in (None, POCKET):
        from lorafusion import pocket

        kind = torch.float32 if dtype == "auto" else getattr(torch, dtype)
        pipe = pocket.pipeline().to(dtype=kind)
    else:
        from lorafusion import pipelines

        automatic = "float32" if where == "cpu" else "float16"
        kind = getattr(torch, automatic if dtype == "auto" else dtype)
        pipe = pipelines.load(str(base), kind)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(where)


def guidance(base: str | None) -> float | None:
    """The guidance scale to use when none is asked for; None for the pipeline's own default."""
    from lorafusion import pocket

    return pocket.GUIDANCE if base in (None, POCKET) else None


def open_encoder(name: str, pipe: Any) -> Encoder:
    """The encoder that ``--encoder`` names; "pipeline" is the text encoder of `pipe`.

    Raises:
        UnknownName, UnreadableFile: as `encoder_of`.
    """
    from lorafusion import routing

    if name == "pipeline":
        return routing.PipelineEncoder(pipe)
    return routing.encoder_of(name)


def norm(text: str | None) -> float | Literal["median"] | None:
    """The value of ``--equalise``.

    Raises:
        BadOption: neither "median" nor a positive number.
    """
    if text is None:
        return None
    if text == "median":
        return "median"
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise BadOption(f"--equalise is {text!r}; give a positive number, or median")
    return value


def given(**values: object) -> dict[str, Any]:
    """Those that were given; the others are left to the defaults of whoever takes them."""
    return {name: value for name, value in values.items() if value is not None}


def parsed(method: str, pairs: list[str]) -> dict[str, object]:
    """The values of ``--option KEY=VALUE``, read as the method's own defaults are.

    Raises:
        BadOption: not KEY=VALUE, or a value of another type.
        UnknownName: no such method. An unknown key is left to the method's own check.
    """
    from lorafusion.methods import options_of

    defaults = options_of(method)
    options: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadOption(f"--option is {pair!r}; write KEY=VALUE, such as period=5")
        options[key] = _typed(key, value, defaults.get(key))
    return options


def _typed(key: str, value: str, default: object) -> object:
    kind = type(default)
    try:
        if kind is bool:
            return {"true": True, "false": False}[value.lower()]
        return kind(value) if kind in (int, float) else value
    except (ValueError, KeyError):
        raise BadOption(
            f"--option {key} is {value!r}; expected {kind.__name__}, as {default}"
        ) from None


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise BadOption(f"--device is {name!r}; give auto, cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise BadOption(f"--device is {name!r}, but torch sees no GPU here; give cpu")
    return name
