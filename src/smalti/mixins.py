"""The base classes of diffusers, without what they import and nothing here uses.

diffusers takes one decorator from `torch._dynamo`, torch's compiler, whose import takes as long as that of torch
itself; where there is none, diffusers does without. Here there is none while it is imported. Who compiles later finds
the compiler as ever: the decorator only says that it need not look into some blocks of diffusers' own networks.
"""

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

__all__ = ["ConfigMixin", "ModelMixin", "register_to_config"]
