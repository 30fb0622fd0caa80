"""`smalti app`: a page in the browser."""

from typing import Annotated

import tyro

from smalti.errors import SmaltiError


def app(
    model: Annotated[str | None, tyro.conf.Positional] = None,
    /,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    device: str | None = None,
) -> None:
    """Show a page in the browser to play with a model, or without one with the codecs.

    Example: smalti app model

    It generates, fills in what is painted over, shows photos as tiles, compresses them, and follows a training.

    Args:
        model: a model folder, or owner/name on the Hugging Face Hub; without one there are the codecs that come along.
        host: address to serve at; the default is reached from this machine alone. There is no password: whoever reaches
            it can use it.
        port: to serve at; the first from 7860 on that is free when left out.
        device: cpu or cuda; the accelerator, if there is one, when left out.
    """
    try:
        from smalti.app import launch
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise SmaltiError("the page needs gradio, which is not installed; run: pip install '.[app]'") from None
    launch(model, host=host, port=port, device=device)
