"""What a model that is there already is worth: going on from it, against training from nothing, by minutes.

    python benchmarks/fine_tuning.py MODEL PHOTOS --features NETWORK.pt --out FOLDER [--minutes 1 2 4 8]

MODEL was trained on photos of another kind. Both ways have the same PHOTOS, kind of network and of process, and images
of training; going on, the codec is that of MODEL as well, while from nothing one is fitted on PHOTOS. Minutes are those
that a core takes to train, measured before; each number of minutes is a run of its own. What is done is kept in FOLDER.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import tyro

from _study import Study, Way, cells, clock
from _table import finish
from _ways import Ours
from smalti import (
    GeneratorSettings,
    Latents,
    NetSettings,
    ProcessSettings,
    TrainSettings,
    encode_images,
    train_generator,
)
from smalti.files import read_json, write_json
from smalti.records import from_record
from smalti.training import Origin, training_speed

FROM_NOTHING, GOING_ON = "from nothing", "going on"


def of_origin(study: Study, origin: Origin) -> Latents:
    """Latents of the same photos under its codec."""
    folder = study.out / f"latents-{origin.pipe.codec.fingerprint}"
    if not folder.is_dir():
        encode_images(study.training, origin.pipe.codec, folder)
    return Latents(folder)


def images_a_minute(study: Study, model: GeneratorSettings) -> float:
    """Measured once, and kept."""
    path = study.out / "speed.json"
    if not path.is_file():
        write_json(path, {"images": 60 * training_speed(study.latents, model, TrainSettings(), clock=clock)})
    return read_json(path)["images"]


def main(
    model: Annotated[Path, tyro.conf.Positional],
    photos: Annotated[str, tyro.conf.Positional],
    /,
    *,
    features: Path,
    out: Path,
    minutes: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0),
    seed: int = 0,
    count: int = 1_000,
    held_out: int = 865,
    steps: int = 25,
) -> None:
    """Train and measure; write `results/fine_tuning.json`.

    Args:
        model: the folder of the model to go on from.
        photos: to learn from; some are held out as the reference.
        features: the feature network.
        out: folder for codec, latents, models and what was measured.
        minutes: of training; each way is trained for each.
        seed: of training.
        count: pictures to measure.
        held_out: photos of the reference.
        steps: network calls a picture.
    """
    torch.set_num_threads(1)
    origin = Origin.find(model)
    kind = from_record(GeneratorSettings, origin.model, origin.name, ProcessSettings, NetSettings)
    size, _ = origin.pipe.size
    study = Study(photos, out, features, size=size, codec=str(origin.pipe.codec.spec), count=count, held_out=held_out)
    rows = [[floor, "", "", *cells(found)] for floor, found in study.floors().items()]
    speed = images_a_minute(study, kind)
    for each in minutes:
        training = Ours(row="default").training(int(each * speed), seed)
        for way, begun in ((FROM_NOTHING, None), (GOING_ON, origin)):
            latents = of_origin(study, begun) if begun else study.latents
            name = f"{way}, {each:g} minutes"
            run = study.run(name, kind.net.kind, training)
            learn = partial(train_generator, latents, run, kind, training, origin=begun, resume=True)
            study.once(run, {"row": name, "images": training.images, "seed": seed}, learn, row=name)
            found = study.measure(run, Way(scheduler="ddpm", steps=steps))
            rows.append([way, f"{each:g}", str(training.images), *cells(found)])
            print(rows[-1], flush=True)
    headers = ["way", "minutes", "images", *study.headers]
    finish(
        "fine_tuning",
        headers,
        rows,
        model=origin.record | {"model": model.name},
        count=count,
        steps=steps,
        seed=seed,
        size=size,
    )


if __name__ == "__main__":
    tyro.cli(main)
