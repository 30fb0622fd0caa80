"""How the page looks: colours of glass and gold on warm white, fonts of the system, and tiles."""

from collections.abc import Sequence
from html import escape

import gradio as gr

_TILES = ("#1c3f6e", "#2c6a8f", "#3d9a94", "#d7a33c", "#b9562f", "#efe3c8")
_LOGO = ("012210", "103341", "134552", "234542", "013320", "200112")  # which of them, row by row

LAPIS = gr.themes.Color(
    *("#eef5f8", "#d9e8ef", "#b5d2df", "#86b4c8", "#4f8eab", "#2c6a8f", "#235879", "#1c4763", "#173a52", "#122f43"),
    "#0b1e2c",
    name="lapis",
)
STONE = gr.themes.Color(
    *("#faf8f4", "#f3efe7", "#e6dfd2", "#d2c8b6", "#a79d8c", "#7b7265", "#5b544a", "#443f38", "#2c2925", "#1c1a18"),
    "#12110f",
    name="stone",
)
SYSTEM = ("ui-sans-serif", "system-ui", "sans-serif")
SYSTEM_MONO = ("ui-monospace", "monospace")

CSS = """
.gradio-container { width: 100% !important; max-width: 1240px !important; margin: 0 auto !important; }
.gradio-container > main { padding: 18px 24px 40px !important; }
footer { display: none !important; }
.mast { display: flex; align-items: center; gap: 16px; padding: 6px 0 2px; }
.mast svg { width: 52px; height: 52px; flex: none; border-radius: 7px; }
.mast h1 { font-size: 1.55rem; font-weight: 650; letter-spacing: .01em; margin: 0; line-height: 1.2; }
.mast p { margin: 2px 0 0; color: var(--body-text-color-subdued); font-size: .92rem; overflow-wrap: anywhere; }
.band { height: 9px; margin: 12px 0 4px; border-radius: 2px; background:
  repeating-linear-gradient(90deg, TILES); }
.crisp img, .crisp canvas { image-rendering: pixelated; }
.clicked img { cursor: crosshair; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 10px; margin: 4px 0; }
.figures div { background: var(--block-background-fill); border: 1px solid var(--block-border-color);
  border-radius: 9px; padding: 9px 12px; }
.figures b { display: block; font-size: 1.3rem; font-weight: 600; line-height: 1.25; }
.figures span { font-size: .8rem; color: var(--body-text-color-subdued); }
.note { color: var(--body-text-color-subdued); font-size: .9rem; }
.note p { margin: 0; }
#curve img { padding-top: 30px; background: white; }
.dark .gradio-container { --color-accent: var(--primary-300); }
.dark input[type=range] { --neutral-200: var(--neutral-600); }
@media (max-width: 640px) {
  .gradio-container > main { padding: 10px 12px 30px !important; }
  #generated, #canvas { height: 430px !important; }
  #generated .grid-container { grid-template-columns: repeat(3, minmax(0, 1fr)) !important; }
  #grids .grid-container { grid-template-columns: 1fr !important; }
  #mosaic img, #strip img { image-rendering: auto; }
  .tab-container button { padding: 0 10px !important; }
  .mast h1 { font-size: 1.25rem; }
  .mast svg { width: 42px; height: 42px; }
}
""".replace(
    "TILES",
    ", ".join(
        f"{_TILES[each]} {14 * place}px {14 * place + 12}px, transparent {14 * place + 12}px {14 * place + 14}px"
        for place, each in enumerate((0, 1, 3, 2, 0, 4, 1, 2, 5, 1, 0, 3, 1, 4, 2))
    ),
)


def theme() -> gr.themes.Base:
    """Colours, spacing and fonts; none of them is fetched from elsewhere."""
    return gr.themes.Base(
        primary_hue=LAPIS, secondary_hue=LAPIS, neutral_hue=STONE, font=SYSTEM, font_mono=SYSTEM_MONO
    ).set(
        body_background_fill="*neutral_50",
        block_background_fill="white",
        block_border_width="1px",
        block_border_color="*neutral_200",
        block_radius="10px",
        block_shadow="none",
        block_label_background_fill="white",
        block_label_text_color="*neutral_600",
        block_title_text_color="*neutral_700",
        block_title_text_weight="500",
        button_large_radius="9px",
        button_large_text_weight="500",
        button_large_text_size="*text_md",
        button_large_padding="*spacing_md *spacing_lg",
        body_text_color_subdued="*neutral_500",
        button_primary_background_fill="*primary_500",
        button_primary_background_fill_hover="*primary_600",
        button_primary_background_fill_dark="*primary_500",
        button_primary_background_fill_hover_dark="*primary_400",
        button_primary_text_color="white",
        button_secondary_background_fill="*neutral_100",
        button_secondary_background_fill_hover="*neutral_200",
        slider_color="*primary_500",
    )


def mast(title: str, subtitle: str) -> str:
    """The head of the page: the mark, what the page is of, and a row of tiles."""
    return (
        f'<div class="mast">{_logo()}<div><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></div></div>'
        '<div class="band"></div>'
    )


def note(text: str = "", name: str | None = None) -> gr.Markdown:
    """Put a sentence on the page that explains."""
    return gr.Markdown(text, elem_classes="note", elem_id=name)


def figures(told: Sequence[tuple[str, str]]) -> str:
    """A row of figures, each a value and what it is."""
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in told)
    return f'<div class="figures">{cells}</div>'


def _logo() -> str:
    tiles = "".join(
        f'<rect x="{10 * column + 1}" y="{10 * row + 1}" width="8" height="8" rx="1.2" fill="{_TILES[int(colour)]}"/>'
        for row, line in enumerate(_LOGO)
        for column, colour in enumerate(line)
    )
    return f'<svg viewBox="0 0 60 60" role="img" aria-label="Smalti">{tiles}</svg>'
