"""Every way from data to a result, as a function: what the verbs of the command line do.

`smalti.recipes.demo` has its own door: the data that it lives on takes long to import.
"""

from smalti.recipes.compress import Compressed, compress, compress_picture, decompress
from smalti.recipes.create import create
from smalti.recipes.edit import EditSettings, crop_of, edit
from smalti.recipes.encode import encode
from smalti.recipes.evaluate import evaluate
from smalti.recipes.fit import FitSettings, codec_figures, fit, fit_codec
from smalti.recipes.photos import PhotoSettings, told_of_skipped
from smalti.recipes.plan import CreateSettings, Plan
from smalti.recipes.publish import publish
from smalti.recipes.refine import as_held, refine
from smalti.recipes.sample import sample
from smalti.recipes.samples import samples, save_sample_grid, shown_pictures, unrefined_and_refined
from smalti.recipes.train import train

__all__ = [
    "Compressed",
    "CreateSettings",
    "EditSettings",
    "FitSettings",
    "PhotoSettings",
    "Plan",
    "as_held",
    "codec_figures",
    "compress",
    "compress_picture",
    "create",
    "crop_of",
    "decompress",
    "edit",
    "encode",
    "evaluate",
    "fit",
    "fit_codec",
    "publish",
    "refine",
    "sample",
    "samples",
    "save_sample_grid",
    "shown_pictures",
    "told_of_skipped",
    "train",
    "unrefined_and_refined",
]
