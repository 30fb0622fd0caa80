"""Figures and pages for people."""

from smalti.report.page import Page, Tile
from smalti.report.pictures import (
    COLUMNS,
    GAP,
    Cell,
    Pictures,
    drawn,
    grid,
    level_curves,
    sample_sheet,
    side_by_side,
    training_curve,
)

__all__ = [
    "COLUMNS",
    "GAP",
    "Cell",
    "Page",
    "Pictures",
    "Tile",
    "drawn",
    "grid",
    "level_curves",
    "sample_sheet",
    "side_by_side",
    "training_curve",
]
