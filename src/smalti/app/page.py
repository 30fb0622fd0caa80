"""The page: which tabs there are, for a model or without one."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from PIL import Image
from skimage import data

from smalti.app import compress, generate, mosaic, paint, train
from smalti.app.look import mast
from smalti.app.shared import codecs_of, scratch, takes_photos
from smalti.devices import find_device
from smalti.model_folder import ModelFolder
from smalti.pipeline import SmaltiPipeline


@dataclass(frozen=True)
class Subject:
    """A model and its folder."""

    folder: ModelFolder
    pipe: SmaltiPipeline

    @classmethod
    def load(cls, model: str, device: str | None = None) -> "Subject":
        """Load a model from a folder, or from the Hugging Face Hub by `owner/name`.

        Raises:
            SmaltiError: there is no such model or device, or it is damaged.
        """
        folder = ModelFolder.find(model)
        return cls(folder, SmaltiPipeline.from_pretrained(folder.path).to(find_device(device)))

    @property
    def told(self) -> str:
        """What it is, in words."""
        pipe = self.pipe
        words = [
            f"{pipe.told_sizes} pixels",
            f"{type(pipe.process).__name__.lower()} diffusion on {pipe.codec.spec}",
        ]
        words += [f"{len(pipe.classes)} classes"] if pipe.classes else []
        words += ["refined"] if pipe.refiner is not None else []
        trained = self.folder.generator.trained
        return ", ".join([*words, *([f"as it was after {trained:,} images"] if trained else [])])


def build(subject: Subject | None) -> gr.Blocks:
    """The page of a model; without one, of the codecs that come along."""
    name, told = ("Smalti", "codecs that come along; start it with a model to generate")
    if subject is not None:
        name, told = subject.folder.path.resolve().name, subject.told
    pipe = None if subject is None else subject.pipe
    codecs, example = codecs_of(pipe), _example()
    # Files that were made for somebody are cleared away after a day, looked for every hour.
    with gr.Blocks(title=f"{name} · Smalti", analytics_enabled=False, delete_cache=(3_600, 86_400)) as page:
        gr.HTML(mast(name, told))
        with gr.Tabs(overflow_behavior="wrap"):
            if subject is not None:
                with gr.Tab("Generate"):
                    generate.tab(subject.pipe)
                if takes_photos(subject.pipe.codec):
                    with gr.Tab("Paint"):
                        paint.tab(subject.pipe, subject.folder)
            with gr.Tab("Mosaic"):
                mosaic.tab(codecs, example)
            with gr.Tab("Compress"):
                compress.tab(codecs, example)
            if subject is not None and train.has_run(subject.folder):
                with gr.Tab("Train"):
                    train.tab(subject.folder)
    return page


def _example() -> Path:
    """A photo to begin with: the cat of scikit-image."""
    path = scratch() / "cat.png"
    Image.fromarray(data.chelsea()).save(path)
    return path
