"""Generation: noise in, pictures out."""

from smalti.pipeline.pipeline import SmaltiOutput, SmaltiPipeline
from smalti.pipeline.settings import SampleSettings

__all__ = ["SampleSettings", "SmaltiOutput", "SmaltiPipeline"]
