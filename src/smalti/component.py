"""The base of everything a pipeline holds: a diffusers model that loads strictly and fails in one sentence."""

import inspect
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import Module
from torch.nn.modules.module import register_module_parameter_registration_hook

from smalti.digests import require_sealed, seal, unseal
from smalti.errors import SmaltiError
from smalti.files import read_json, written
from smalti.mixins import ModelMixin, PlacelessConfig

__all__ = ["Component", "Float32Component"]

Part = TypeVar("Part", bound="Component")

_SEALED = ("config.json", "*.safetensors*")
_MADE_FOR = "codec_fingerprint"
_SPARE = 16  # parameters that a constructor may make, of small networks, and put others in the place of
_KINDS = {"F64": "float", "F32": "float", "F16": "float", "BF16": "float", "I64": "int64", "BOOL": "bool"}


class Component(ModelMixin, PlacelessConfig):
    """A `diffusers` model saved as `config.json` and safetensors.

    diffusers warns of a configuration key that it does not know and goes on; here it is an error, since a model that
    ignores a setting is another model.
    """

    config_name = "config.json"

    any_grid: ClassVar[bool] = True
    """Of a network: whether it serves on other grids than the one that it was trained on."""

    def require_grid(self, grid: tuple[int, int]) -> None:
        """Refuse a grid that this network does not serve.

        Raises:
            SmaltiError: so it is.
        """
        own = tuple(self.config["grid"])
        if grid != own and not self.any_grid:
            (rows, columns), (high, wide) = own, grid
            raise SmaltiError(
                f"a {type(self).__name__} is bound to the {rows}x{columns} places that it was trained on, and pictures "
                f"of that size have {high}x{wide}; take the model's own size, or a model with a U-Net."
            )

    def to(self: Part, *args: Any, **kwargs: Any) -> Part:
        """Bring it to a device or a precision, as torch does; diffusers warns of modules that it names none of."""
        Module.to(self, *args, **kwargs)
        return self

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Any:
        """Load what `save_pretrained` wrote; options are those of diffusers.

        What the weights have to be follows from the configuration, and is compared before memory is taken for them.

        Raises:
            SmaltiError: the folder or a file of it is missing, cut short, of another kind, or from a later version; its
                weights are not those of its configuration, or no numbers.
        """
        folder = Path(pretrained_model_name_or_path) / (options.get("subfolder") or "")
        if not folder.is_dir():
            raise SmaltiError(f"{folder}: there is no such folder; name one that holds a saved {cls.__name__}.")
        require_sealed(folder)
        with _one_sentence(folder, cls.__name__):
            cls._require_weights(folder)
            loaded: Any = super().from_pretrained(
                str(pretrained_model_name_or_path), **{"use_safetensors": True, "local_files_only": True, **options}
            )
        for name, tensor in loaded.numbers().items():
            if not tensor.isfinite().all():
                raise SmaltiError(
                    f"{folder}: its {name} holds what is no number; copy the folder again, or make it anew (where a "
                    "training went wrong, at a lower learning rate)."
                )
        return loaded

    def numbers(self) -> dict[str, Tensor]:
        """What has to be finite numbers, by its names: all that is saved."""
        return self.state_dict()

    @property
    def made_for(self) -> str | None:
        """The fingerprint of the codec that it was made for, where that is known."""
        return self.config.get(_MADE_FOR)

    def make_for(self, codec_fingerprint: str) -> None:
        """Keep the fingerprint of the codec that it is made for."""
        self.register_to_config(**{_MADE_FOR: codec_fingerprint})

    @classmethod
    def _require_weights(cls, folder: Path) -> None:
        """Refuse weights of other names, shapes or types than the configuration says, by what files begin with."""
        there: dict[str, tuple[tuple[int, ...], str]] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
                there |= {name: (tuple(each.get_shape()), each.get_dtype()) for name, each in slices.items()}
        if not there or not (folder / cls.config_name).is_file():
            return  # whoever loads says what is missing
        for name in cls._keys_to_ignore_on_load_unexpected or ():
            there.pop(name, None)
        config = read_json(folder / cls.config_name)
        with _at_most(2 * len(there) + _SPARE), torch.device("meta"):
            expected = cls.from_config(config).state_dict()
        for name in sorted(expected.keys() ^ there.keys()):
            raise ValueError(f"its weights have {'no' if name in expected else 'besides a'} {name}")
        for name, tensor in expected.items():
            shape, kind = there[name]
            wanted = "float" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
            if shape != tensor.shape:
                raise ValueError(f"its {name} is {list(shape)}, where its configuration says {list(tensor.shape)}")
            if _KINDS.get(kind) != wanted:
                raise ValueError(f"its {name} is of {kind}, and has to be {wanted}")

    def save_pretrained(self, save_directory: str | Path, *args: Any, **options: Any) -> None:
        """Write configuration and weights, and their digests beside them; options are those of diffusers."""
        folder = Path(save_directory)
        unseal(folder)
        with written(folder):
            super().save_pretrained(save_directory, *args, **options)
        for weights in folder.glob("*.safetensors"):  # which safetensors lets their owner alone read
            shutil.copymode(folder / self.config_name, weights)
        seal(folder, sorted(path.name for pattern in _SEALED for path in folder.glob(pattern)))

    @classmethod
    def from_config(cls, config: dict[str, Any] | None = None, **options: Any) -> Any:
        """Build the component from its configuration, refusing keys that `__init__` does not take.

        Raises:
            SmaltiError: an unknown key, or a configuration of another class.
        """
        given = {key for key in config or {} if not key.startswith("_")}
        known = set(inspect.signature(cls.__init__).parameters)
        unknown = given - known - {_MADE_FOR}
        made_by = (config or {}).get("_class_name", cls.__name__)
        if made_by != cls.__name__:
            raise SmaltiError(f"the configuration is of a {made_by}, not of a {cls.__name__}; name the right folder.")
        if unknown:
            raise SmaltiError(
                f"{cls.__name__} does not know the setting {', '.join(sorted(unknown))}: the folder was written by "
                "another version; use that version or make it again."
            )
        own = dict(config or {})
        made_for = None if _MADE_FOR in known else own.pop(_MADE_FOR, None)  # of which diffusers would warn
        made = super().from_config(own, **options)
        if made_for is not None:
            (made[0] if isinstance(made, tuple) else made).make_for(made_for)
        return made


class Float32Component(Component):
    """A component of tables, which keep their precision when the networks around them are cast to another."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Any:
        """Load what `save_pretrained` wrote, in float32 whatever dtype the options ask for.

        Raises:
            SmaltiError: the folder or a file of it is missing, cut short, of another kind, or from a later version.
        """
        options = {name: value for name, value in options.items() if name not in ("dtype", "torch_dtype")}
        return super().from_pretrained(pretrained_model_name_or_path, **options)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # `pipe.to(torch.bfloat16)` comes through here: follow to the device, keep the dtype.
        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, recurse)


@contextmanager
def _at_most(parameters: int) -> Iterator[None]:
    """Let a constructor fail that makes more parameters: a number in a configuration can ask for any."""
    made = 0

    def count(module: Any, name: str, parameter: Any) -> None:
        nonlocal made
        made += 1
        if made > parameters:
            raise ValueError("its configuration says that there are more weights")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _one_sentence(folder: Path, kind: str) -> Iterator[None]:
    # diffusers also logs what it raises; one report is enough.
    logger = logging.getLogger("diffusers.models.modeling_utils")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except SmaltiError as error:
        raise SmaltiError(f"{folder}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # a configuration of any values makes constructors fail in any way
        if isinstance(error, torch.OutOfMemoryError):
            raise
        missing = [
            name for name in ("config.json", "diffusion_pytorch_model.safetensors") if not (folder / name).is_file()
        ]
        reason = (
            f"{' and '.join(missing)} missing"
            if missing
            else f"a file is damaged ({''.join(str(error).splitlines()[:1])[:120] or type(error).__name__})"
        )
        raise SmaltiError(f"{folder}: not a whole {kind}: {reason}; make the folder again or copy it whole.") from error
    finally:
        logger.setLevel(level)
