"""`smalti refine`: a refiner for a model."""

from pathlib import Path

from smalti.cli.options import Photos
from smalti.data import open_images, trained_on
from smalti.devices import join_processes
from smalti.metrics import FeatureNetwork
from smalti.pipeline import SmaltiPipeline, model_folder
from smalti.training import RefinerSettings, train_refiner


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
    folder = model_folder(model)
    seen = None if features is None else FeatureNetwork(features, join_processes(device).device).differentiable
    pipe = SmaltiPipeline.from_pretrained(folder)
    mode = "L" if pipe.codec.spec.planes == 1 else "RGB"
    crop = (trained_on(folder) or {"crop": {}})["crop"].get("crop", "center")
    train_refiner(
        folder,
        open_images(photos, size=pipe.size[0], crop=crop, mode=mode, seed=seed),
        settings,
        features=seen,
        seed=seed,
        resume=resume,
        device=device,
    )
    print(f"{folder / 'refiner'}: finishes the pictures of {folder} from now on; --no-refine leaves it out")
    print(f"next: smalti sample {folder} --count 64 --out refined")
