"""Smalti: image generators of your own pictures, on classical codebooks instead of a pretrained autoencoder."""

import importlib
from typing import Any

import lazy_loader

# What is public, and where it lives, stands in `__init__.pyi`. It is loaded on first use: importing torch and diffusers
# takes seconds, and `smalti --help` should not wait for them. Saved models name their parts by these names too.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# diffusers finds out how to load a part by looking for its base class in the library that the part comes from.
_FOR_DIFFUSERS = ("ModelMixin", "SchedulerMixin")


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("diffusers"), name) if name in _FOR_DIFFUSERS else _load(name)
