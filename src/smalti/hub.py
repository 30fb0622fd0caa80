"""The Hugging Face Hub: what is had from it and put there, and what went wrong in one sentence."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, RepositoryNotFoundError

from smalti.errors import SmaltiError

__all__ = ["UPLOAD_OPTIONS", "download", "is_asked_for", "require_name", "upload"]

UPLOAD_OPTIONS = ("private", "token", "commit_message", "create_pr")
"""Of diffusers' `push_to_hub`, and of `upload`."""

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_DENIED = (401, 403)


def is_asked_for(path: str | Path) -> bool:
    """Whether a path is an `owner/name` on the Hub: neither it nor the folder that it would lie in is here."""
    return not Path(path).exists() and not Path(path).parent.exists() and _NAME.fullmatch(str(path)) is not None


def require_name(name: str) -> None:
    """Refuse what is no `owner/name`.

    Raises:
        SmaltiError: so it is.
    """
    if _NAME.fullmatch(name) is None:
        raise SmaltiError(f"'{name}' is no name on the Hub; give it as owner/name, of letters, digits, ., - and _.")


def download(name: str, what: str, **options: Any) -> Path:
    """Have a repository of models; options are those of `snapshot_download`.

    Raises:
        SmaltiError: there is no such `what`, or the Hub cannot be reached.
    """
    try:
        return Path(snapshot_download(name, **options))
    except Exception as error:  # of whichever library it asks the network by
        raise SmaltiError(
            f"{name}: neither a folder nor a {what} on the Hub that can be had ({type(error).__name__}); check the "
            "name, and the network."
        ) from error


def upload(
    folder: Path,
    name: str,
    files: Sequence[str],
    *,
    kind: Literal["model", "space"] = "model",
    private: bool | None = None,
    token: str | None = None,
    commit_message: str | None = None,
    create_pr: bool = False,
) -> str:
    """Put those files of a folder that match into a repository, which is made if there is none; return its address.

    Raises:
        SmaltiError: there is no token, or none that may write there; no such owner; or no way to the Hub.
    """
    require_name(name)
    api = HfApi(token=token)
    sdk = "gradio" if kind == "space" else None
    with _one_sentence(name):
        made = api.create_repo(name, private=private, repo_type=kind, space_sdk=sdk, exist_ok=True)
        api.upload_folder(
            repo_id=name,
            repo_type=kind,
            folder_path=folder,
            allow_patterns=list(files),
            commit_message=commit_message or f"Upload a {kind} of smalti",
            create_pr=create_pr,
        )
    return str(made)


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of whichever library it asks the network by
        raise SmaltiError(f"{name}: {_told(error)}.") from error


def _told(error: Exception) -> str:
    """What the Hub, or the way to it, is wanting, and what to do."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, LocalTokenNotFoundError) or status in _DENIED:
        return "the Hub lets nobody write there without a token that may; check the owner, and run `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return "there is no such owner, or your token may not write there; check the name, and run `hf auth login`"
    if status is not None:
        return f"the Hub refused it (status {status}); try again later"
    if isinstance(error, ValueError):  # what it knows of names before it asks
        return f"the Hub does not take it ({' '.join(str(error).split())}); mend that"
    return f"the Hub cannot be reached ({type(error).__name__}); check the network, and publish again"
