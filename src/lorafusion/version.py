"""The version, in one place: the wheel, the command line and every Record read it here."""

__version__ = "0.1.0"
