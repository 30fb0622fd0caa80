"""Whole ways from data to a model, as functions."""

from smalti.recipes.create import create
from smalti.recipes.demo import demo
from smalti.recipes.samples import save_sample_grid

__all__ = ["create", "demo", "save_sample_grid"]
