"""`publish`: a model to the Hugging Face Hub, with its card, and a page to play with it."""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import SpaceCardData

from smalti.errors import SmaltiError
from smalti.files import new_folder, refuse_occupied
from smalti.hub import require_name, upload
from smalti.model_folder import ModelFolder
from smalti.pipeline import CARD, PUBLISHED, SmaltiPipeline, evaluations, model_card

_REQUIREMENT = re.compile(r"smalti ?\[(.*,)?app(,.*)?\].*")


def publish(
    model: Path,
    name: str,
    *,
    licence: str | None = None,
    data: str | None = None,
    private: bool = False,
    space: str | None = None,
    out: Path | None = None,
) -> list[str]:
    """Publish a model as `owner/name`: its parts, its samples, and a card; nothing that it was trained with.

    With `space` a Space of that name, too, which runs `smalti app`: what pip installs Smalti from there. With `out`
    nothing is published: what would be is written there. Return the addresses of what was published, or the folders.

    Raises:
        SmaltiError: there is no such model, it is damaged, `name` or `space` is none, `out` is taken, or the Hub does
            not take it.
    """
    require_name(name)
    files = {} if space is None else _space(name, licence, space)
    folder = ModelFolder.here(model)
    if out is not None:
        refuse_occupied(out)
    pipe = SmaltiPipeline.from_pretrained(folder.path)
    measured, others = evaluations(pipe, folder)
    card = model_card(pipe, folder, name, licence=licence, data=data, evaluation=measured)
    _say_figures(folder, measured, others)

    def staged(place: Path) -> list[tuple[Path, tuple[str, ...]]]:
        pipe.save_pretrained(place / "model")  # what was loaded, whatever a training writes there meanwhile
        if folder.samples.is_file():
            shutil.copyfile(folder.samples, place / "model" / folder.samples.name)
        card.save(place / "model" / CARD)
        for file, text in files.items():
            (place / "space").mkdir(exist_ok=True)
            (place / "space" / file).write_text(text, encoding="utf-8")
        made: list[tuple[Path, tuple[str, ...]]] = [(place / "model", PUBLISHED)]
        return made + ([(place / "space", tuple(files))] if files else [])

    if out is not None:
        with new_folder(out) as aside:
            return [str(out / path.name) for path, _ in staged(aside)]
    with TemporaryDirectory(prefix="smalti-") as scratch:
        both = zip(staged(Path(scratch)), ("model", "space"), strict=False)
        return [upload(path, name, patterns, kind=kind, private=private) for (path, patterns), kind in both]


def _say_figures(folder: ModelFolder, taken: Path | None, others: list[Path]) -> None:
    """Which figures the card has, and which not."""
    for path in others:
        print(f"{path}: left out, since the model had other weights then, or it is of an older version; evaluate again")
    if taken is not None:
        print(f"the card has the figures of {taken}")
    else:
        print(
            f"note: the card has no figures of samples; first run: smalti evaluate, with --out {folder.path}/evaluated"
        )


def _space(name: str, licence: str | None, requirement: str) -> dict[str, str]:
    """The files of a Space that shows a model, by their names.

    Raises:
        SmaltiError: `requirement` is nothing that pip could install Smalti with its page from.
    """
    if not _REQUIREMENT.fullmatch(requirement):
        raise SmaltiError(
            f"'{requirement}': is not Smalti with its page; give it as 'smalti[app] @ git+https://' and so on, the "
            "address of a repository that the Space can reach."
        )
    header = SpaceCardData(
        title=name.partition("/")[2], sdk="gradio", app_file="app.py", models=[name], license=licence
    )
    return {
        "README.md": f"---\n{header.to_yaml()}\n---\n\n"
        f"A page to play with the model [{name}](https://huggingface.co/{name}).\n",
        "app.py": "import sys\n\nfrom smalti.cli import main\n\n"
        f'sys.exit(main(["app", "{name}", "--host", "0.0.0.0", "--port", "7860"]))\n',
        "requirements.txt": f"{requirement}\n",
    }
