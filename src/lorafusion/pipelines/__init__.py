"""Plans on diffusers pipelines."""

from lorafusion.pipelines.apply import apply, apply_many
from lorafusion.pipelines.insight import Insight
from lorafusion.pipelines.load import load

__all__ = ["Insight", "apply", "apply_many", "load"]
