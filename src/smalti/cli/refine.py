"""`smalti refine`: a refiner for a model."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from smalti.cli.options import Photos, report_skipped
from smalti.data import CropSettings, trained_on
from smalti.devices import join_processes
from smalti.metrics import FeatureNetwork
from smalti.pipeline import SmaltiPipeline
from smalti.training import RefinerSettings, train_refiner
from smalti.training.refiner import refining_photos, require_folder


def refine(
    photos: Photos,
    /,
    *,
    model: Path,
    settings: RefinerSettings = RefinerSettings(),
    features: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    device: str | None = None,
) -> None:
    """Train the refiner of a model, which finishes its pictures, and put it into the model's folder.

    Args:
        photos: what the model was trained on, or more of its kind.
        model: a model folder; a refiner that it has is replaced.
        settings: the network, and how it is trained.
        features: a TorchScript network, called as net(pixels (B, 3, H, W), return_features=True) and differentiable,
            whose features are compared beside the pixels. Not the network that the model is to be measured with.
        seed: of everything drawn at random.
        resume: go on from the last checkpoint; give the same settings as at the start.
        device: cpu or cuda; the accelerator, if there is one, when left out.
    """
    require_folder(model)
    state = join_processes(device)
    seen = None if features is None else FeatureNetwork(features, state.device).differentiable
    manifest = trained_on(model) or _centred(SmaltiPipeline.from_pretrained(model))
    images = refining_photos(photos, manifest)
    train_refiner(
        model,
        images.views(manifest["views"]),
        settings,
        features=seen,
        seed=seed,
        resume=resume,
        device=device,
    )
    if state.is_main_process:
        report_skipped(images)
    state.print(f"{model / 'refiner'}: finishes the pictures of {model} from now on; --no-refine leaves it out")
    state.print(f"next: smalti sample {model} --count 64 --out refined")


def _centred(pipe: SmaltiPipeline) -> dict[str, Any]:
    """How photos are taken to have been cropped for a model that does not say so."""
    crop = CropSettings(size=pipe.size[0], mode="L" if pipe.codec.spec.planes == 1 else "RGB")
    return {"crop": asdict(crop), "size": pipe.size, "views": 1}
