"""Images with their record: PNG files, written whole or not at all."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from lorafusion.errors import BadOption, NotWritable, UnreadableFile
from lorafusion.record.fields import Record
from lorafusion.record.infotext import infotext

CHUNK = "lorafusion"


def check_writable(path: Path) -> None:
    """Find out before any work is done that an image could not be saved later.

    Raises:
        BadOption: the name does not end in .png.
        NotWritable: the folder is missing or refuses a new file, or the path is a folder.
    """
    if path.suffix.lower() != ".png":
        raise BadOption(f"{path}: images are written as PNG; give a name that ends in .png")
    if path.is_dir():
        raise NotWritable(f"{path}: is a folder; give the name of a file in it")
    try:
        # Asking for permissions would not do: root passes every check, also on a read-only disk.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _refused(path, error) from None


def save(image: Image.Image, record: Record, path: Path) -> None:
    """Write a PNG with the chunks ``parameters`` (text) and ``lorafusion`` (JSON).

    The file is written beside its target and then renamed, so that a kill leaves the old file or
    the new one. An existing file is replaced.

    Raises:
        BadOption, NotWritable: as `check_writable`, or the disk is full.
    """
    check_writable(path)
    info = PngImagePlugin.PngInfo()
    # add_text chooses tEXt for Latin-1 and iTXt with UTF-8 for all other text, as A1111 relies on.
    info.add_text("parameters", infotext(record))
    info.add_text(CHUNK, record.to_json())
    beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with beside.open("xb") as file:
            image.save(file, "PNG", pnginfo=info)
        beside.replace(path)
    except OSError as error:
        raise _refused(path, error) from None
    finally:
        beside.unlink(missing_ok=True)


def read_record(path: Path) -> Record:
    """The record inside a PNG.

    Raises:
        UnreadableFile: no such file, not a PNG, cut short, no record inside, or a record that is
            not complete.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()  # text may stand behind the pixels
            text = getattr(image, "text", {}).get(CHUNK)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file; give a PNG that lorafusion wrote") from None
    except UnidentifiedImageError:
        raise UnreadableFile(f"{path}: not a PNG; give one that lorafusion wrote") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableFile(f"{path}: cannot be read as a PNG ({_line(error)})") from None
    if text is None:
        raise UnreadableFile(
            f"{path}: holds no lorafusion record; other programs may have removed it, "
            "give the file as it was saved"
        )
    return Record.from_json(str(text), where=str(path))


def _refused(path: Path, error: OSError) -> NotWritable:
    folder = path.parent
    return NotWritable(
        f"{path}: cannot write into folder {str(folder)!r} ({error.strerror or _line(error)}); "
        "give a path in a folder that exists and is yours"
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
