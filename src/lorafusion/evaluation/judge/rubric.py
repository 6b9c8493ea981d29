"""Rubric: what the judge is asked, and the form of its answer.

The two axes, the scale and the deductions are those of Zhong et al., arXiv:2402.16843, section 4.2;
the words are ours, and so is the request for JSON.
"""

from __future__ import annotations

from typing import Any

from lorafusion.evaluation.testbeds import Combination

AXES = ("composition", "quality")
LEAST, MOST = 0.0, 10.0

_AXIS = {axis: {"type": "number", "minimum": LEAST, "maximum": MOST} for axis in AXES}
_IMAGE = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, **_AXIS},
    "required": ["reason", *AXES],
    "additionalProperties": False,
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"image_1": _IMAGE, "image_2": _IMAGE},
    "required": ["image_1", "image_2"],
    "additionalProperties": False,
}
"""JSON schema of an answer."""


def question(combination: Combination) -> str:
    """The text that goes with two images of a set."""
    elements = "\n".join(
        f"{number}. {one.category} ({one.title}): {one.text}"
        for number, one in enumerate(combination.elements, 1)
    )
    return f"""Two text-to-image systems were each asked for one image that shows all of these elements:

{elements}

Compare the two images below, image 1 and image 2, step by step, and mark each on two axes from 0 (worst) to 10 (best) \
in steps of 0.5.

Composition: start from 10. Take off 3 for every element that is missing or shown wrongly, 1 for every feature of an \
element that is missing or wrong, and 1 where elements do not fit together. Take off more where the whole lacks \
coherence or realism.

Image quality: start from 10. Take off 3 for every deformity (extra limbs, distorted faces, wrong proportions), 2 for \
visible faults of texture, light or colour, and 1 for every small flaw.

Be critical, and avoid a tie on both axes. Answer with JSON of exactly this form and nothing else:
{{"image_1": {{"reason": "...", "composition": 0.0, "quality": 0.0}}, \
"image_2": {{"reason": "...", "composition": 0.0, "quality": 0.0}}}}
If you cannot answer in JSON, end with these two lines:
Image 1: Composition: <mark>/10, Quality: <mark>/10
Image 2: Composition: <mark>/10, Quality: <mark>/10"""
