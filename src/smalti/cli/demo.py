"""`smalti demo`: a small generator from data that comes with the installed libraries."""

from pathlib import Path

from smalti.recipes.demo import DemoSettings
from smalti.recipes.demo import demo as make_demo


def demo(*, out: Path = Path("demo"), settings: DemoSettings = DemoSettings(), device: str | None = None) -> Path:
    """Train a generator of digits in minutes, show codecs on photos, and write a report.

    Example: smalti demo --out demo

    Args:
        out: new folder for the pictures, the report and the model.
        settings: how long to train.
        device: cpu or cuda; the accelerator, if there is one, when left out.
    """
    make_demo(out, settings, device=device)
    return out / "report.json"
