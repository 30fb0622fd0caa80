"""Generation: noise in, or pictures under noise, and pictures out; and photos edited."""

from smalti.pipeline.editing import inpaint, interpolate, outpaint, vary
from smalti.pipeline.output import SmaltiOutput
from smalti.pipeline.pipeline import SmaltiPipeline
from smalti.pipeline.sampling import Known, Start
from smalti.pipeline.settings import SampleSettings

__all__ = [
    "Known",
    "SampleSettings",
    "SmaltiOutput",
    "SmaltiPipeline",
    "Start",
    "inpaint",
    "interpolate",
    "outpaint",
    "vary",
]
