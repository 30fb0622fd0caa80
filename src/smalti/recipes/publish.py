"""`publish`: a model to the Hugging Face Hub, with its card, and a page to play with it."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from smalti.files import new_folder, refuse_occupied
from smalti.hub import require_name, upload
from smalti.model_folder import ModelFolder
from smalti.pipeline import PUBLISHED, SmaltiPipeline, model_card

_SPACE_FILES = ("README.md", "app.py", "requirements.txt")


def publish(
    model: Path,
    name: str,
    *,
    licence: str | None = None,
    data: str | None = None,
    private: bool = False,
    space: bool = False,
    out: Path | None = None,
) -> list[str]:
    """Publish a model as `owner/name`: its parts, its samples, and a card; nothing that it was trained with.

    With `space` a Space of that name, too, which runs `smalti app`. With `out` nothing is published: what would be is
    written there. Return the addresses of what was published, or the folders.

    Raises:
        SmaltiError: there is no such model, it is damaged, `name` is none, `out` is taken, or the Hub does not take it.
    """
    require_name(name)
    folder = ModelFolder.here(model)
    if out is not None:
        refuse_occupied(out)
    pipe = SmaltiPipeline.from_pretrained(folder.path)
    card = model_card(pipe, folder, name, licence=licence, data=data)

    def staged(place: Path) -> list[tuple[Path, tuple[str, ...]]]:
        for pattern in PUBLISHED:
            for path in sorted(folder.path.glob(pattern)):
                target = place / "model" / path.relative_to(folder.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        (place / "model" / "README.md").write_text(str(card), encoding="utf-8")
        if space:
            (place / "space").mkdir()
            for file, text in zip(_SPACE_FILES, _space(name, licence), strict=True):
                (place / "space" / file).write_text(text, encoding="utf-8")
        made: list[tuple[Path, tuple[str, ...]]] = [(place / "model", PUBLISHED)]
        return made + ([(place / "space", _SPACE_FILES)] if space else [])

    if out is not None:
        with new_folder(out) as aside:
            return [str(out / path.name) for path, _ in staged(aside)]
    with TemporaryDirectory(prefix="smalti-") as scratch:
        both = zip(staged(Path(scratch)), ("model", "space"), strict=False)
        return [upload(path, name, files, kind=kind, private=private) for (path, files), kind in both]


def _space(name: str, licence: str | None) -> tuple[str, str, str]:
    """The three files of a Space that shows a model."""
    said = f"license: {licence}\n" if licence else ""
    title = name.partition("/")[2]
    return (
        f"---\ntitle: {title}\nsdk: gradio\napp_file: app.py\nmodels:\n- {name}\n{said}---\n\n"
        f"A page to play with the model [{name}](https://huggingface.co/{name}).\n",
        "import sys\n\nfrom smalti.cli import main\n\n"
        f'sys.exit(main(["app", "{name}", "--host", "0.0.0.0", "--port", "7860"]))\n',
        "# Where smalti is not had from PyPI: smalti[app] @ git+ADDRESS of its repository\nsmalti[app]\n",
    )
