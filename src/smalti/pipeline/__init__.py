"""Generation: noise in, or pictures under noise, and pictures out; and photos edited."""

from smalti.pipeline.card import CARD, PUBLISHED, evaluations, model_card
from smalti.pipeline.editing import JUMPS, blended, inpaint, interpolate, outpaint, touched, vary
from smalti.pipeline.guidance import Labels
from smalti.pipeline.mixed import Sizes, common_size
from smalti.pipeline.output import SmaltiOutput
from smalti.pipeline.pipeline import SmaltiPipeline
from smalti.pipeline.sampling import Known, Start
from smalti.pipeline.settings import SampleSettings

__all__ = [
    "CARD",
    "JUMPS",
    "PUBLISHED",
    "Known",
    "Labels",
    "SampleSettings",
    "Sizes",
    "SmaltiOutput",
    "SmaltiPipeline",
    "Start",
    "blended",
    "common_size",
    "evaluations",
    "inpaint",
    "interpolate",
    "model_card",
    "outpaint",
    "touched",
    "vary",
]
