"""Options that other tools have, and what is meant by them here."""

from collections.abc import Collection, Sequence

from smalti.errors import SmaltiError

_HERE = {
    "batch": ("batch-size",),
    "cfg": ("guidance",),
    "checkpoint": ("resume",),
    "checkpointing-steps": ("checkpoint-every",),
    "class": ("label",),
    "cuda": ("device",),
    "epochs": ("images", "minutes"),
    "gpu": ("device",),
    "guidance-scale": ("guidance",),
    "hours": ("minutes",),
    "image-size": ("size",),
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
    "workers": ("processes",),
}
"""By the names that they have there: in diffusers' examples, and in many a training script."""

_LEARNED_FROM = ("data", "dataset", "input", "train-data-dir")
_WITHOUT_OPTION = ("photos", "latents")


def refuse_foreign(verb: str, arguments: Sequence[str], known: Collection[str], named: Collection[str]) -> None:
    """Refuse an option that other tools have, and name the one that does it here.

    `known` are the options that the verb has, as they are in Python, and `named` what it takes without one.

    Raises:
        SmaltiError: there is one.
    """
    own = {name.replace("_", "-") for name in known}
    for word in arguments:
        option = word.partition("=")[0].removeprefix("--").replace("_", "-")
        if not word.startswith("--") or option in own:
            continue
        here = [f"--{name}" for name in _HERE.get(option, ()) if name in own]
        if option in _LEARNED_FROM:
            here = [f"{name.upper()} right after the verb" for name in named if name in _WITHOUT_OPTION]
        if here:
            raise SmaltiError(f"--{option} is no option here; give {' or '.join(here)} (smalti {verb} --help).")
