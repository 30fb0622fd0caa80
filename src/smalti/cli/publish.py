"""`smalti publish`: a model to the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

import tyro

import smalti.recipes as recipes


def publish(
    model: Annotated[Path, tyro.conf.Positional],
    name: Annotated[str, tyro.conf.Positional],
    /,
    *,
    license: str | None = None,
    data: str | None = None,
    private: bool = False,
    space: str | None = None,
    out: Path | None = None,
) -> None:
    """Publish a model on the Hugging Face Hub, with a card.

    Example: smalti publish model owner/name --license cc-by-4.0 --data "My own photos of flowers."

    The parts of the model, samples.png and the card are published, and nothing that it was trained with: no photos,
    latents, checkpoints or records. Look at it first: --out.

    Args:
        model: a model folder.
        name: owner/name of the model on the Hub; you have to be logged in there (hf auth login).
        license: of the model, by the Hub's name for it, such as cc-by-4.0; the card says "not stated" when left out.
        data: a sentence on what it was trained on; the card says "not stated" when left out.
        private: only you, or the organization, can see it.
        space: make a Space of the same name, too, which runs `smalti app` with the model: what pip installs Smalti from
            there, such as 'smalti[app] @ git+https://' and the address of its repository, at a tag of your choice.
        out: write what would be published into this new folder, and publish nothing.
    """
    done = recipes.publish(model, name, licence=license, data=data, private=private, space=space, out=out)
    verb = "published" if out is None else "would be published"
    for each in done:
        print(f"{each}: {verb}")
    if private and space:
        print("note: the Space can load a private model only with a token: give it one as its secret HF_TOKEN")
    missing = [option for option, value in (("--license", license), ("--data", data)) if value is None]
    if missing:
        print(f"note: the card says 'not stated', since there is no {' and no '.join(missing)}")
