"""The base classes of diffusers, without what they import and nothing here uses.

diffusers takes one decorator from `torch._dynamo`, torch's compiler, whose import takes as long as that of torch
itself; where there is none, diffusers does without. Here there is none while it is imported. Who compiles later finds
the compiler as ever: the decorator only says that it need not look into some blocks of diffusers' own networks.
"""

import json
import sys

_COMPILER = "torch._dynamo"
_absent = _COMPILER not in sys.modules
if _absent:
    sys.modules[_COMPILER] = None  # pyright: ignore[reportArgumentType] -- how an import is made to fail
try:
    from diffusers.configuration_utils import ConfigMixin, register_to_config
    from diffusers.models.modeling_utils import ModelMixin
finally:
    if _absent:
        del sys.modules[_COMPILER]

__all__ = ["ConfigMixin", "ModelMixin", "PlacelessConfig", "register_to_config"]


class PlacelessConfig(ConfigMixin):
    """A configuration that is saved without the place that it was loaded from, which diffusers keeps in it."""

    def to_json_string(self) -> str:
        """The configuration as it is saved."""
        kept = {name: value for name, value in json.loads(super().to_json_string()).items() if name != "_name_or_path"}
        return json.dumps(kept, indent=2, sort_keys=True) + "\n"
