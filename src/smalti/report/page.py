"""One design for every page that is written for people: self-contained HTML, nothing fetched, light and dark."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

_STYLE = """
:root { --paper: #fbfaf7; --ink: #23211d; --soft: #6f6a60; --line: #e2ddd2; --tile: #ffffff; --glass: #1f6f78;
  --warn: #fff3d6; --warn-line: #d9a520; }
@media (prefers-color-scheme: dark) { :root { --paper: #1b1a18; --ink: #ece8df; --soft: #a39d90; --line: #3a3731;
  --tile: #25231f; --glass: #6fc3cc; --warn: #3a3018; --warn-line: #b38a1d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .9rem; border-top: 1px solid var(--line); }
p { max-width: 46rem; } .soft, figcaption, .note { color: var(--soft); } code { font-size: .92em; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.tile { background: var(--tile); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; }
.name { font-size: .85rem; color: var(--soft); } .value { font-size: 1.55rem; color: var(--glass); font-weight: 600; }
.value small { font-size: .95rem; font-weight: 400; } .note { font-size: .82rem; line-height: 1.35; }
.warning { background: var(--warn); border-left: 4px solid var(--warn-line); padding: .6rem 1rem; margin: .6rem 0; }
figure { margin: 1.2rem 0; } figcaption { font-size: .88rem; margin-top: .35rem; max-width: 46rem; }
img { max-width: 100%; height: auto; background: #fff; border-radius: .25rem; }
.scroll { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 500; font-size: .88rem; color: var(--soft); }
"""


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure in large type: its name, its value, and what it means."""

    name: str
    value: str
    note: str = ""


class Page:
    """A report, put together from top to bottom and written as one HTML file with its pictures inside."""

    def __init__(self, title: str, subtitle: str):
        self._title = title
        self._parts = [f'<h1>{escape(title)}</h1><p class="soft">{escape(subtitle)}</p>']

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def command(self, line: str) -> None:
        """Add a line to type in a terminal."""
        self._parts.append(f"<p><code>{escape(line)}</code></p>")

    def warning(self, text: str) -> None:
        """Add something that must not be overlooked."""
        self._parts.append(f'<div class="warning" role="note">{escape(text)}</div>')

    def tiles(self, tiles: Sequence[Tile]) -> None:
        """Add a row of figures."""
        shown = "".join(
            f'<div class="tile"><div class="name">{escape(tile.name)}</div>'
            f'<div class="value">{escape(tile.value)}</div><div class="note">{escape(tile.note)}</div></div>'
            for tile in tiles
        )
        self._parts.append(f'<div class="tiles">{shown}</div>')

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table; the first column names the rows."""
        head = "".join(f"<th>{escape(header)}</th>" for header in headers)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        self._parts.append(
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )

    def picture(self, picture: Image.Image | Path, caption: str) -> None:
        """Add a picture, which is kept inside the page, and the line under it."""
        if isinstance(picture, Path):
            content = picture.read_bytes()
        else:
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")  # smaller ones by a tenth would take ten times as long
            content = buffer.getvalue()
        data = base64.b64encode(content).decode()
        self._parts.append(
            f'<figure><img src="data:image/png;base64,{data}" alt="{escape(caption)}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

    def write(self, path: Path) -> None:
        """Write the page."""
        path.write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self._title)}</title><style>{_STYLE}</style></head>"
            f"<body><main>{''.join(self._parts)}</main></body></html>\n",
            encoding="utf-8",
        )
