from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled

from smalti.errors import SmaltiError
from smalti.hub import is_asked_for, require_name, upload


@pytest.mark.parametrize("name", ["flowers", "a/b/c", "../b", "a/../b", "https://host/a", "a/", "-/ b", "ö/b"])
def test_what_is_no_name_is_refused_before_anybody_is_asked(name: str, tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match="no name on the Hub"):
        require_name(name)
    with pytest.raises(SmaltiError, match="no name on the Hub"):
        upload(tmp_path, name, ["*"])


def test_a_folder_is_never_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_asked_for("someone/cats")
    Path("someone").mkdir()
    assert not is_asked_for("someone/cats")  # a folder in which there is none


def _raises(error: Exception) -> Callable[..., Any]:
    def called(*_: Any, **__: Any) -> None:
        raise error

    return called


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (LocalTokenNotFoundError("no token\nfound"), "hf auth login"),
        (OfflineModeIsEnabled("offline"), "cannot be reached"),
        (ValueError("a name\nis too long"), r"does not take it \(a name is too long\)"),
        (TimeoutError(), "cannot be reached"),
    ],
    ids=["no token", "offline", "a bad name", "no answer"],
)
def test_whatever_goes_wrong_is_one_sentence(
    error: Exception, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HfApi, "create_repo", _raises(error))
    with pytest.raises(SmaltiError, match=says) as caught:
        upload(tmp_path, "someone/cats", ["*"])
    assert str(caught.value).startswith("someone/cats: ")
