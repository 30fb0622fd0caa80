"""Digests of files."""

import json
from pathlib import Path
from typing import Any

import pytest

from smalti.digests import DIGESTS, digest_of, replace_sealed, require_digests, require_sealed, seal, unseal
from smalti.errors import SmaltiError
from smalti.files import read_json, write_json, write_record


def test_a_digest_is_what_sha256sum_prints(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-4, example of one block
    assert digest_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_sealed_folder_is_as_it_was_or_the_file_is_named(tmp_path: Path) -> None:
    require_sealed(tmp_path)  # never sealed
    for name in "ab":
        (tmp_path / name).write_text(name)
    seal(tmp_path, ["a"])
    (tmp_path / "b").write_text("changed")
    require_sealed(tmp_path)
    (tmp_path / "a").write_text("b")
    unseal(tmp_path)
    unseal(tmp_path)  # nothing to forget
    require_sealed(tmp_path)
    (tmp_path / "a").write_text("a")
    seal(tmp_path, ["a"])
    (tmp_path / "a").write_text("b")
    with pytest.raises(SmaltiError, match="/a: is not what was written there"):
        require_sealed(tmp_path)
    (tmp_path / "a").unlink()
    require_sealed(tmp_path)  # whoever needs the file will say so
    with pytest.raises(SmaltiError, match=r"/a: cannot be read \(No such file"):
        require_digests(tmp_path, {"a": ""})


def test_a_file_that_is_replaced_is_right_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", ".new"):
        (tmp_path / name).write_text(name)
    seal(tmp_path, ["a"])

    def looked(*given: Any, **options: Any) -> None:
        require_sealed(tmp_path)
        write_json(*given, **options)
        require_sealed(tmp_path)

    monkeypatch.setattr("smalti.digests.write_json", looked)
    replace_sealed(tmp_path / ".new", tmp_path / "a")
    assert (tmp_path / "a").read_text() == ".new"
    assert read_json(tmp_path / DIGESTS)["files"] == {"a": digest_of(tmp_path / "a")}
    with pytest.raises(SmaltiError):
        require_digests(tmp_path, {"a": "0" * 64})


def test_any_other_value_in_a_record_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_record(path, size=(32, 32), name=tmp_path, psnr=float("inf"), kind={"k": 4, "of": ["x", None, True, 0.1]})
    content = json.loads(path.read_text())
    assert {key: value for key, value in content.items() if key != "digest"} == read_json(path)
    for key in content:
        path.write_text(json.dumps(content | {key: "another"}))
        with pytest.raises(SmaltiError, match="is not what was written there"):
            read_json(path)
    for key in content.keys() - {"digest"}:
        path.write_text(json.dumps({name: value for name, value in content.items() if name != key}))
        with pytest.raises(SmaltiError, match="is not what was written there"):
            read_json(path)
