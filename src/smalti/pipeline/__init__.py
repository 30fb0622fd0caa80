"""Generation: noise in, or pictures under noise, and pictures out."""

from smalti.pipeline.output import SmaltiOutput
from smalti.pipeline.pipeline import SmaltiPipeline
from smalti.pipeline.sampling import Start
from smalti.pipeline.settings import SampleSettings

__all__ = ["SampleSettings", "SmaltiOutput", "SmaltiPipeline", "Start"]
