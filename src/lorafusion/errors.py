"""Every error a caller may meet, as one tree.

    LorafusionError
    ├── InputError             the caller can mend it                   (exit code 2)
    │   ├── BadOption          an option out of its range
    │   ├── UnknownName        no such method, format, router, encoder (it says what was meant)
    │   ├── UnreadableFile     missing, cut short, not safetensors, NaN or infinite values
    │   ├── UnknownFormat      no format, or more than one, claims the file
    │   ├── UnreadTensors      a format left tensors over
    │   ├── WrongBase          the LoRA was made for another base model
    │   ├── EmptyLibrary       a folder without a single LoRA
    │   ├── NothingRelevant    the prompt asks for none of the LoRAs
    │   └── NotWritable        the output cannot be written
    └── RunError               it broke while running                   (exit code 1)

A message is one line: what, where, seen, expected, what to do.
"""


class LorafusionError(Exception):
    """The root of all errors that lorafusion raises on purpose."""

    exit_code = 1


class InputError(LorafusionError):
    """Something the caller gave is wrong and can be mended by the caller."""

    exit_code = 2


class BadOption(InputError):
    """An option is out of its range or does not fit the others."""


class UnknownName(InputError):
    """No method, format, router, encoder or LoRA has this name."""


class UnreadableFile(InputError):
    """A file is missing, cut short, of a refused kind, or holds values that are not finite."""


class UnknownFormat(InputError):
    """No known format claims the file's keys, or more than one does."""


class UnreadTensors(InputError):
    """A reader understood part of a file only; a LoRA is read completely or refused."""


class WrongBase(InputError):
    """A LoRA does not fit the base model: family, module names or shapes differ."""


class EmptyLibrary(InputError):
    """A folder holds no LoRA file."""


class NothingRelevant(InputError):
    """Routing left every LoRA out, and the caller asked for at least one."""


class NotWritable(InputError):
    """An output cannot be written where it was asked for."""


class RunError(LorafusionError):
    """Something broke while running that no change of input explains."""
