"""What a pipeline is made of: parts that agree, saved to a folder and loaded from one."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import DiffusionPipeline, SchedulerMixin

from smalti.codec import Codec
from smalti.component import Component
from smalti.diffusion import Process
from smalti.digests import require_sealed, seal, unseal
from smalti.errors import SmaltiError
from smalti.files import fingerprint
from smalti.mixins import PlacelessConfig
from smalti.model_folder import INDEX, ModelFolder
from smalti.nets import Refiner
from smalti.pipeline.mixed import Sizes, read_sizes
from smalti.pipeline.parts import PARTS, require_agreement, require_known_parts
from smalti.schedulers import require_suits
from smalti.sizes import told_size


class Assembled(DiffusionPipeline, PlacelessConfig):
    """A codec, a process, a network, a scheduler, and maybe a refiner.

    `size` is the height and width of the pictures in pixels (that of the network's grid, if not given), `classes` are
    the names of the labels it was trained with. Of photos that kept their shapes `sizes` says how many were of each.
    """

    codec: Codec
    process: Process
    net: Component
    scheduler: Any
    refiner: Refiner | None
    size: tuple[int, int]
    classes: list[str]
    sizes: Sizes

    _optional_components: ClassVar[list[str]] = ["refiner"]
    # With `enable_model_cpu_offload` networks come to the accelerator when they are called, each for the one before.
    # Codec and process are small, and called by other names.
    model_cpu_offload_seq: ClassVar[str] = "net->refiner"
    _exclude_from_cpu_offload: ClassVar[list[str]] = ["codec", "process"]

    def __init__(
        self,
        codec: Codec,
        process: Process,
        net: Component,
        scheduler: SchedulerMixin,
        size: list[int] | None = None,
        classes: list[str] | None = None,
        refiner: Refiner | None = None,
        sizes: list[list[int]] | None = None,
    ):
        super().__init__()
        require_agreement(codec, process, net, refiner)
        self.register_modules(codec=codec, process=process, net=net, scheduler=scheduler, refiner=refiner)
        # diffusers takes an argument without a default for a component, so these two have one.
        height, width = size or [side * codec.spec.patch for side in net.config["grid"]]
        self.size = (height, width)
        self.classes = classes or []
        self.sizes = read_sizes(sizes or [])
        several = {"sizes": sizes} if sizes else {}  # which earlier versions do not know
        self.register_to_config(size=[height, width], classes=self.classes, **several)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "scheduler":
            require_suits(value, self.process)
        super().__setattr__(name, value)
        # Ours are saved under their public names, so that models outlive a move of the code.
        if name in PARTS and type(value).__module__.startswith("smalti."):
            self.register_to_config(**{name: ("smalti", type(value).__name__)})

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Any:
        """Load a model from a folder, or from the Hugging Face Hub by `owner/name`; options are those of diffusers.

        Training state is not downloaded.

        Raises:
            SmaltiError: there is no such model, it is damaged, or made of what is no part of smalti.
        """
        download = {key: options.pop(key) for key in ("revision", "token", "cache_dir") if key in options}
        folder = ModelFolder.find(pretrained_model_name_or_path, **download)
        require_known_parts(folder.path)
        require_sealed(folder.path)
        try:
            return super().from_pretrained(str(folder), **{"local_files_only": True, **options})
        except (SmaltiError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # settings of schedulers that are no numbers fail in any way
            reason = "".join(str(error).splitlines()[:1]) or type(error).__name__
            raise SmaltiError(f"{folder}: not a whole model ({reason}); make it again or copy it whole.") from error

    def save_pretrained(self, save_directory: str | Path, *args: Any, **options: Any) -> None:
        """Write the parts and the index of them, and digests beside each; options are those of diffusers."""
        folder = Path(save_directory)
        unseal(folder)
        super().save_pretrained(save_directory, *args, **options)
        settings = sorted(path.relative_to(folder).as_posix() for path in folder.glob("scheduler/*.json"))
        seal(folder, [INDEX, *settings])

    @property
    def told_sizes(self) -> str:
        """The sizes of its pictures, in words."""
        return ", ".join(map(told_size, self.sizes or [self.size]))

    def weights_fingerprint(self, *, refined: bool) -> str:
        """Of the network's weights, and with `refined` of the refiner's, where there is one, in whatever precision."""
        parts = [self.net, *([self.refiner] if refined and self.refiner is not None else [])]
        return fingerprint(*(weight.detach().float().cpu().numpy() for part in parts for weight in part.parameters()))

    @classmethod
    def from_pipe(cls, pipeline: "Assembled", **others: Any) -> Any:
        """A pipeline of the parts of another, which they share, but for those that are given, such as a scheduler.

        Raises:
            SmaltiError: the other is no model of ours, what is given is no part, or the parts do not agree.
        """
        if not isinstance(pipeline, Assembled):
            raise SmaltiError(f"a {type(pipeline).__name__} has other parts than a {cls.__name__}; give one of these.")
        sizes = [[*size, images] for size, images in pipeline.sizes.items()]
        own = {**pipeline.components, "size": list(pipeline.size), "classes": pipeline.classes, "sizes": sizes}
        unknown = others.keys() - own.keys()
        if unknown:
            raise SmaltiError(f"{', '.join(sorted(unknown))}: no part of a model; its parts are {', '.join(own)}.")
        return cls(**own | others)
