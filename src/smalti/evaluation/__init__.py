"""A model against reference images."""

from smalti.evaluation.memorisation import Memorisation, TrainingPictures, decoded, find_copies
from smalti.evaluation.page import add_nearest, write_page
from smalti.evaluation.quality import CodecQuality, codec_quality
from smalti.evaluation.results import FEWEST, SHOWN, Comparison, EvaluateSettings, Evaluation

__all__ = [
    "FEWEST",
    "SHOWN",
    "CodecQuality",
    "Comparison",
    "EvaluateSettings",
    "Evaluation",
    "Memorisation",
    "TrainingPictures",
    "add_nearest",
    "codec_quality",
    "decoded",
    "find_copies",
    "write_page",
]
