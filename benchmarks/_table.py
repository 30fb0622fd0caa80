"""What every benchmark ends with: a table for people, and JSON with the machine beside it; and what the paper found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smalti.files import read_json, record, write_json

RESULTS = Path(__file__).parent / "results"
PAPER = read_json(Path(__file__).parent / "paper.json")
"""Its figures, as they are printed there."""


def finish(
    name: str, headers: Sequence[str], rows: Sequence[Sequence[Any]], *, folder: Path = RESULTS, **figures: Any
) -> None:
    """Print a Markdown table and write `<name>.json`, among the results where nothing else is said."""
    cells = [list(map(str, headers)), *[[_cell(value) for value in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        print("| " + " | ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)) + " |")
    folder.mkdir(exist_ok=True)
    table = [dict(zip(headers, row, strict=True)) for row in rows]
    write_json(folder / f"{name}.json", record(table=table, **figures))


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
