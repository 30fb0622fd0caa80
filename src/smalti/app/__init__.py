"""A page in the browser to play with a model, its codec, and photos: one module a tab."""

from smalti.app.page import Subject, build
from smalti.app.serving import launch, served

__all__ = ["Subject", "build", "launch", "served"]
