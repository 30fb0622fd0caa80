"""Options that other tools have, and what is meant by them here."""

from collections.abc import Collection, Sequence

from smalti.errors import SmaltiError

_HERE = {
    "batch": ("batch-size",),
    "cfg": ("guidance-scale",),
    "checkpoint": ("resume",),
    "checkpointing-steps": ("checkpoint-every",),
    "class": ("label",),
    "cuda": ("device",),
    "data": ("PHOTOS",),
    "dataset": ("PHOTOS",),
    "epochs": ("images", "minutes"),
    "gpu": ("device",),
    "hours": ("minutes",),
    "image-size": ("size",),
    "input": ("PHOTOS",),
    "iterations": ("images",),
    "lr": ("learning-rate",),
    "max-train-steps": ("images",),
    "mixed-precision": ("precision",),
    "n": ("count",),
    "num-epochs": ("images", "minutes"),
    "num-images": ("count",),
    "num-inference-steps": ("steps",),
    "num-samples": ("count",),
    "num-workers": ("processes",),
    "output": ("out",),
    "output-dir": ("out",),
    "report-to": ("log-with",),
    "resolution": ("size",),
    "resume-from-checkpoint": ("resume",),
    "sampler": ("scheduler",),
    "train-batch-size": ("batch-size",),
    "train-data-dir": ("PHOTOS",),
    "workers": ("processes",),
}
"""By the names that they have there: in diffusers' examples, and in many a training script."""


def refuse_foreign(verb: str, arguments: Sequence[str], known: Collection[str]) -> None:
    """Refuse an option that other tools have, and name the one that does it here.

    `known` are the options that the verb has, as they are in Python.

    Raises:
        SmaltiError: there is one.
    """
    own = {name.replace("_", "-") for name in known}
    for word in arguments:
        option = word.partition("=")[0].removeprefix("--").replace("_", "-")
        if not word.startswith("--") or option in own:
            continue
        here = [f"--{name}" for name in _HERE.get(option, ()) if name in own]
        if "PHOTOS" in _HERE.get(option, ()):
            here = ["it without an option, right after the verb"]
        if here:
            raise SmaltiError(f"--{option} is no option here; give {' or '.join(here)} (smalti {verb} --help).")
