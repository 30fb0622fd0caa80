"""The card of a published model: what it is, what it was made of, how good it is, how it is loaded."""

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from smalti.errors import SmaltiError
from smalti.files import read_json
from smalti.model_folder import INDEX, ModelFolder
from smalti.pipeline.assembled import Assembled
from smalti.pipeline.parts import PARTS

CARD = "README.md"
PUBLISHED = (
    INDEX,
    "digests.json",
    CARD,
    "samples.png",
    *(f"{part}/{file}" for part in PARTS for file in ("*.json", "*.safetensors")),
)
"""Patterns of what is published of a model folder. Records stay behind: they name paths of the machine."""

_NOT_STATED = "not stated"
_TASK = "unconditional-image-generation"
_SHOWN_CLASSES = 50


def model_card(
    pipe: Assembled,
    folder: ModelFolder,
    name: str,
    *,
    licence: str | None = None,
    data: str | None = None,
    evaluation: Path | None = None,
) -> ModelCard:
    """The card of a model that is published as `owner/name`, with the figures that lie in its folder.

    Licence and data (a sentence on what it was trained on) are as they are told, or said not to be stated; figures of
    samples are those of an `evaluation.json`, see `evaluations`.

    Raises:
        SmaltiError: its figures are of another kind than Smalti writes.
    """
    data = " ".join((data or _NOT_STATED).split())
    evaluated = read_json(evaluation) if evaluation else None
    try:
        results, figures = _results(evaluated, data), _figures(folder, evaluated)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        told = f"{folder}: its evaluation.json, or report.json, has not what a card tells; evaluate the model again."
        raise SmaltiError(told) from error
    known = ModelCardData(
        library_name="smalti",
        license=licence,
        pipeline_tag=_TASK,
        tags=["smalti", "diffusers", "image-generation"],
        model_name=name.partition("/")[2],
        eval_results=results or None,
    )
    parts = [
        f"# {name.partition('/')[2]}",
        _what(pipe),
        "![samples, as they came](samples.png)" if folder.samples.is_file() else "",
        _how(name, pipe.classes),
        f"## Licence and data\n\nLicence: {licence or _NOT_STATED}.\n\nTrained on: {data.rstrip('.')}.",
        figures,
    ]
    return ModelCard("\n\n".join([f"---\n{known.to_yaml()}\n---", *filter(None, parts)]) + "\n")


def evaluations(pipe: Assembled, folder: ModelFolder) -> tuple[Path | None, list[Path]]:
    """What `smalti evaluate` wrote of these very weights, into the model's folder or into one in it, its own first.

    And what it wrote there of others, as the model had before it was trained on.
    """
    found = [*folder.path.glob("evaluation.json"), *sorted(folder.path.glob("*/evaluation.json"))]
    own = {pipe.weights_fingerprint(refined=refined) for refined in (True, False)}
    fitting = [path for path in found if read_json(path).get("weights") in own]
    return next(iter(fitting), None), [path for path in found if path not in fitting]


def _what(pipe: Assembled) -> str:
    """What it is made of, and which classes it knows."""
    classes = pipe.classes[:_SHOWN_CLASSES]
    more = f" and {len(pipe.classes) - len(classes)} more" if len(pipe.classes) > len(classes) else ""
    knows = f" Its classes: {', '.join(f'`{each}`' for each in classes)}{more}." if classes else ""
    refined = ", finished by a refiner" if pipe.refiner is not None else ""
    return (
        f"A generator of pictures of {pipe.told_sizes} pixels (height x width): "
        f"{type(pipe.process).__name__} diffusion with a {type(pipe.net).__name__} on the codes of a classical codec, "
        f"{pipe.codec.spec} ({pipe.codec.bits_per_pixel:g} bits a pixel){refined}. "
        f"It needs no pretrained autoencoder.{knows}"
    )


def _how(name: str, classes: list[str]) -> str:
    labels = f", class_labels={classes[0]!r}" if classes else ""
    return (
        "## How to load it\n\nWith [smalti](https://doi.org/10.3390/a16110501) installed:\n\n```python\n"
        f'from smalti import SmaltiPipeline\n\npipe = SmaltiPipeline.from_pretrained("{name}")\n'
        f"images = pipe(batch_size=4{labels}).images\n```\n\n"
        f"or `smalti sample {name} --count 16 --out samples`. It holds no code, and its files are checked against the "
        "digests beside them."
    )


def _figures(folder: ModelFolder, evaluated: dict[str, Any] | None) -> str:
    """What was measured, with half a 95 % interval, and what is nearest to the samples in the training pictures."""
    made = read_json(folder.figures) if folder.figures.is_file() else {}
    parts = []
    if evaluated:
        frechet, kernel = evaluated["features"]["frechet"], evaluated["features"]["kernel"]
        rows = [f"| | {frechet} | {kernel} x 1000 | precision | recall | pictures |", "|---|---|---|---|---|---|"]
        for each in evaluated["comparisons"]:
            shares = f"{each['precision']:.3f} | {each['recall']:.3f} | {each['pictures']:,}"
            rows.append(f"| {each['name']} | {_told(each['frechet'])} | {_told(each['kernel'], 1000.0)} | {shares} |")
        count = f"{evaluated['reference']['images']:,}"
        parts.append("\n".join(rows) + f"\n\nAgainst {count} photos; ± is half a 95 % interval.")
    quality = (evaluated or made).get("codec_quality")
    if quality:
        parts.append(f"The codec alone keeps {quality['psnr']:.2f} dB, SSIM {quality['ssim']:.3f}, of photos.")
    if "images_trained" in made:
        parts.append(f"Trained on {made['photos']:,} photos, of which it saw {made['images_trained']:,} images.")
    near = (evaluated or made).get("nearest_training")
    if near:
        held = f"; {near['held_out']:.1f} for a photo held out of training" if near.get("held_out") else ""
        parts.append(
            f"Memorisation: the median sample is {near['generated']:.1f} grey levels (root mean square, at 16x16 "
            f"pixels) from the nearest training picture, a training picture {near['training']:.1f} from the nearest "
            f"other{held}. Samples much nearer would be copies."
            if near.get("training") is not None
            else f"Memorisation: the median sample is {near['generated']:.1f} grey levels (root mean square, at 16x16 "
            "pixels) from the nearest training picture."
        )
    return "## Figures\n\n" + ("\n\n".join(parts) or "None were taken.")


def _results(evaluated: dict[str, Any] | None, data: str) -> list[EvalResult]:
    """The figures of the samples, as the Hub lists them."""
    if not evaluated:
        return []
    generated, names = evaluated["comparisons"][0], evaluated["features"]
    return [
        EvalResult(
            task_type=_TASK,
            dataset_type="custom",
            dataset_name=data,
            metric_type=names[kind].lower(),
            metric_name=names[kind],
            metric_value=round(generated[kind]["value"], 4),
        )
        for kind in ("frechet", "kernel")
    ]


def _told(measured: dict[str, Any], times: float = 1.0) -> str:
    within = measured.get("plus_minus")
    return f"{times * measured['value']:.1f}" + ("" if within is None else f" ± {times * within:.1f}")
