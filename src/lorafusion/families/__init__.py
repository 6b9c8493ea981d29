"""Base models as data, and `recognise`, which tells them apart."""

from __future__ import annotations

from lorafusion.families.family import Family
from lorafusion.families.recognise import FAMILIES, UNKNOWN, recognise

__all__ = ["FAMILIES", "UNKNOWN", "Family", "recognise"]
