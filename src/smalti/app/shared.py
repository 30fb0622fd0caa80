"""What the tabs share: errors in words, uploads, pictures to show, and what sampling is asked for."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial, wraps
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from jaxtyping import Integer
from torch import Tensor

from smalti.codec import Codec, bundled_codecs
from smalti.data import CropSettings, read_picture
from smalti.errors import SmaltiError
from smalti.nets import NO_LABEL
from smalti.pipeline import SampleSettings, SmaltiPipeline
from smalti.schedulers import schedulers_of

LARGEST_UPLOAD = 32 * 2**20
"""Bytes of a file that is taken."""
MOST_PIXELS = 50_000_000
"""Pixels of a picture that is taken: phones make as many."""

EACH_CLASS = NO_LABEL - 1
"""The choice of a label by which the classes take turns."""
OWN_SAMPLER = "the model's own"

_LARGEST_COUNT = 64
_SMALL = 128  # pixels: what is smaller is enlarged without smoothing
_ONE_AT_A_TIME = "computing"

_log = logging.getLogger(__name__)


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """A handler whose errors are shown on the page: what a user can mend in its own words, a fault of ours as such."""

    @wraps(function)
    def called(*given: Any, **more: Any) -> Any:
        try:
            return function(*given, **more)
        except SmaltiError as error:
            raise gr.Error(escape(str(error)), title="That does not work", print_exception=False) from error
        except Exception as error:
            _log.exception("a fault of the page")
            said = "a fault of Smalti's, and not of yours; what happened stands where smalti app was started."
            raise gr.Error(said, title="Something went wrong", print_exception=False) from error

    return called


def wire(
    event: Callable[..., Any],
    function: Callable[..., Any],
    inputs: Any,
    outputs: Any,
    *,
    quick: bool = False,
    uploaded: bool = False,
    **more: Any,
) -> Any:
    """Let an event of the page call a function; those that are not `quick` are computed one at a time.

    A function of what was `uploaded` is given paths, not pictures that were decoded by others.
    """
    waits = {} if quick else {"concurrency_id": _ONE_AT_A_TIME, "concurrency_limit": 1}
    shown = {"show_progress": "hidden" if quick else "full"}
    decoded = {"preprocess": not uploaded, "api_visibility": "private"}
    return event(told(function), inputs, outputs, **{**waits, **shown, **decoded, **more})


def scratch() -> Path:
    """A new folder for files to download, which is cleared away with the page."""
    return Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))


def path_of(payload: Mapping[str, Any] | None) -> Path:
    """Where an uploaded file lies.

    Raises:
        SmaltiError: there is none.
    """
    path = (payload or {}).get("path")
    if not path:
        raise SmaltiError("there is no photo yet; choose one.")
    return Path(path)


def opened(path: Path, settings: CropSettings) -> Integer[Tensor, "C H W"]:
    """The photo in an uploaded file.

    Raises:
        SmaltiError: it cannot be decoded, is too large, or is not there any more.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SmaltiError("the photo is not kept any more; choose it again.") from None
    return read_picture(content, path.name, settings, MOST_PIXELS)


def codecs_of(pipe: SmaltiPipeline | None) -> dict[str, Callable[[], Codec]]:
    """Codecs of photos by what they are called on the page: the model's, if there is one, and those that come along."""
    own = {"the model's": lambda: pipe.codec} if pipe is not None and takes_photos(pipe.codec) else {}
    load = cache(Codec.from_pretrained)
    return own | {name: partial(load, name) for name in bundled_codecs()}


def takes_photos(codec: Codec) -> bool:
    """Whether the pixels of a codec are those of photos, and not bands."""
    return isinstance(codec.pixel_format.mode, str)


def crisp(size: Sequence[int]) -> list[str]:
    """The class of an element that shows pictures of a size: small ones are enlarged without smoothing."""
    return ["crisp"] if max(size) < _SMALL else []


@contextmanager
def watched(pipe: SmaltiPipeline, progress: gr.Progress) -> Iterator[None]:
    """Show the steps of whatever the model samples in the block."""
    pipe.progress_bar = partial(progress.tqdm, desc="sampling", unit="steps")
    try:
        yield
    finally:
        del pipe.progress_bar


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of sampling."""

    settings: SampleSettings
    count: int
    labels: list[int] | None


@dataclass(frozen=True)
class Controls:
    """What a user sets of sampling; what does not apply to a model is not shown, and not read."""

    steps: gr.Slider
    sampler: gr.Dropdown
    temperature: gr.Slider
    label: gr.Dropdown
    guidance: gr.Slider
    seed: gr.Number
    count: gr.Slider

    @classmethod
    def of(cls, pipe: SmaltiPipeline, *, count: int, label: int = NO_LABEL) -> "Controls":
        """Put them on the page, as they suit a model, with a `label` that stands there at first."""
        with gr.Row():
            amount = gr.Slider(1, _LARGEST_COUNT, count, step=1, label="Pictures")
            seed = gr.Number(0, label="Seed", precision=0)
        with gr.Group(visible=bool(pipe.classes)):
            shown = gr.Dropdown(label_choices(pipe.classes), value=label if pipe.classes else NO_LABEL, label="Class")
            guidance = gr.Slider(1, 6, 1, step=0.1, label="Guidance", info="Above 1 pictures are more of their class.")
        steps = gr.Slider(1, 250, 50, step=1, label="Steps", info="More take longer and are finer.")
        temperature = pipe.process.default_temperature
        with gr.Accordion("More", open=False):
            sampler = gr.Dropdown([OWN_SAMPLER, *schedulers_of(pipe.process)], value=OWN_SAMPLER, label="Sampler")
            warmth = gr.Slider(
                *(0, 2, 1.0 if temperature is None else temperature),
                step=0.05,
                label="Temperature",
                info="Lower is smoother and more alike, higher more varied.",
                visible=temperature is not None,
            )
        return cls(steps, sampler, warmth, shown, guidance, seed, amount)

    @property
    def components(self) -> set[Any]:
        """All of them."""
        return {getattr(self, name) for name in self.__dataclass_fields__}

    def read(self, given: Mapping[Any, Any], pipe: SmaltiPipeline) -> Asked:
        """What they are set to.

        Raises:
            SmaltiError: there is no seed, or a setting is out of range.
        """
        values = {name: given[getattr(self, name)] for name in self.__dataclass_fields__}
        return asked(pipe, **values)


def asked(
    pipe: SmaltiPipeline,
    *,
    steps: int | float,
    sampler: str,
    temperature: int | float,
    label: int,
    guidance: int | float,
    seed: int | float | None,
    count: int | float,
) -> Asked:
    """What sampling is asked for by numbers as a page gives them.

    Raises:
        SmaltiError: there is no seed, or a setting is out of range.
    """
    if seed is None:
        raise SmaltiError("there is no seed; give a whole number.")
    settings = SampleSettings(
        scheduler=None if sampler == OWN_SAMPLER else sampler,
        steps=int(steps),
        temperature=None if pipe.process.default_temperature is None else float(temperature),
        guidance=float(guidance) if pipe.classes else 1.0,
        seed=int(seed),
    )
    return Asked(settings=settings, count=int(count), labels=labels_of(pipe.classes, label, int(count)))


def label_choices(classes: Sequence[str]) -> list[tuple[str, int]]:
    """The classes by name, and what else a label may be."""
    return [
        ("each class in turn", EACH_CLASS),
        ("any", NO_LABEL),
        *((name, number) for number, name in enumerate(classes)),
    ]


def labels_of(classes: Sequence[str], label: int, count: int) -> list[int] | None:
    """The label of each picture; the classes in turn are in order, as many of each as fit."""
    if not classes or label == NO_LABEL:
        return None
    return [number * len(classes) // count if label == EACH_CLASS else label for number in range(count)]
