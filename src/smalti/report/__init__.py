"""Figures and pages for people."""

from smalti.report.pictures import Cell, grid, side_by_side, to_image, training_curve

__all__ = ["Cell", "grid", "side_by_side", "to_image", "training_curve"]
