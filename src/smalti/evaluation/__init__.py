"""A model against reference images."""

from smalti.evaluation.evaluate import evaluate
from smalti.evaluation.floor import Floor, codec_floor
from smalti.evaluation.results import EvaluateSettings, Evaluation

__all__ = ["EvaluateSettings", "Evaluation", "Floor", "codec_floor", "evaluate"]
