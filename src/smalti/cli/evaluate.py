"""`smalti evaluate`: a model against reference photos."""

from pathlib import Path
from typing import Annotated

import tyro

import smalti.recipes as recipes
from smalti.evaluation import EvaluateSettings


def evaluate(
    model: Annotated[str, tyro.conf.Positional],
    /,
    *,
    reference: str,
    features: Path | None = None,
    out: Path = Path("evaluation"),
    settings: EvaluateSettings = EvaluateSettings(),
    statistics: Path | None = None,
    device: str | None = None,
) -> Path:
    """Measure a model against photos: FID and KID with their floors, nearest training pictures.

    Example: smalti evaluate model --reference PHOTOS --features inception-2015-12-05.pt

    Args:
        model: a model folder, or owner/name on the Hugging Face Hub.
        reference: a folder, zip, tar shards, glob or dataset of photos.
        features: TorchScript network, called as net(uint8 (B, 3, H, W), return_features=True): with
            inception-2015-12-05.pt the figures are FID and KID, with another they are named after it. TorchScript is a
            program: take it from where you would take one. Or a folder of transformers with weights as safetensors,
            such as that of DINOv2.
        out: new folder for report.html, evaluation.json and statistics.npz.
        settings: how many samples, how they are made.
        statistics: an .npz with mu and sigma, as clean-fid and pytorch-fid publish them, to take the Frechet distance
            to instead of the photos' own.
        device: cpu or cuda; the accelerator, if there is one, when left out.
    """
    found = recipes.evaluate(model, reference, features, out, settings, statistics=statistics, device=device)
    generated, real, through = found.comparisons
    frechet, kernel = found.feature_names
    print(
        f"{frechet} {generated.frechet} (photos themselves {real.frechet.value:.1f}, {through.name} "
        f"{through.frechet.value:.1f}), {kernel} x 1000 {generated.kernel.thousandfold}"
    )
    for warning in found.warnings:
        print(f"note: {warning}")
    print(f"{out / 'report.html'}: samples, figures and nearest training pictures")
    return out / "evaluation.json"
