"""The base of everything a pipeline holds: a diffusers model that loads strictly and fails in one sentence."""

import inspect
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from safetensors import SafetensorError
from torch import Tensor

from smalti.digests import require_sealed, seal, unseal
from smalti.errors import SmaltiError
from smalti.files import written
from smalti.mixins import ConfigMixin, ModelMixin

__all__ = ["Component", "Float32Component"]

_SEALED = ("config.json", "*.safetensors*")


class Component(ModelMixin, ConfigMixin):
    """A `diffusers` model saved as `config.json` and safetensors.

    diffusers warns of a configuration key that it does not know and goes on; here it is an error, since a model that
    ignores a setting is another model.
    """

    config_name = "config.json"

    if TYPE_CHECKING:  # diffusers wraps this one in a way that loses its signature

        def to(self, *args: Any, **kwargs: Any) -> Self: ...  # noqa: D102

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Any:
        """Load what `save_pretrained` wrote; options are those of diffusers.

        Raises:
            SmaltiError: the folder or a file of it is missing, cut short, of another kind, or from a later version.
        """
        folder = Path(pretrained_model_name_or_path) / (options.get("subfolder") or "")
        if not folder.is_dir():
            raise SmaltiError(f"{folder}: there is no such folder; name one that holds a saved {cls.__name__}.")
        require_sealed(folder)
        with _one_sentence(folder, cls.__name__):
            return super().from_pretrained(str(pretrained_model_name_or_path), **{"use_safetensors": True, **options})

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
        unknown = given - set(inspect.signature(cls.__init__).parameters)
        made_by = (config or {}).get("_class_name", cls.__name__)
        if made_by != cls.__name__:
            raise SmaltiError(f"the configuration is of a {made_by}, not of a {cls.__name__}; name the right folder.")
        if unknown:
            raise SmaltiError(
                f"{cls.__name__} does not know the setting {', '.join(sorted(unknown))}: the folder was written by "
                "another version; use that version or make it again."
            )
        return super().from_config(config or {}, **options)


class Float32Component(Component):
    """A component of tables, which keep their precision when the networks around them are cast to another."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Any:
        """Load what `save_pretrained` wrote, in float32 whatever dtype the options ask for.

        Raises:
            SmaltiError: the folder or a file of it is missing, cut short, of another kind, or from a later version.
        """
        options.pop("torch_dtype", None)
        return super().from_pretrained(pretrained_model_name_or_path, **options)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # `pipe.to(torch.bfloat16)` comes through here: follow to the device, keep the dtype.
        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, recurse)


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
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        missing = [
            name for name in ("config.json", "diffusion_pytorch_model.safetensors") if not (folder / name).is_file()
        ]
        reason = (
            f"{' and '.join(missing)} missing" if missing else f"a file is damaged ({str(error).splitlines()[0][:120]})"
        )
        raise SmaltiError(f"{folder}: not a whole {kind}: {reason}; make the folder again or copy it whole.") from error
    finally:
        logger.setLevel(level)
