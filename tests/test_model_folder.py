import json
from pathlib import Path
from typing import Any

import pytest

from smalti.errors import SmaltiError
from smalti.files import read_json
from smalti.model_folder import INDEX, WEIGHTS, ModelFolder, Run


class Part:
    """Something that is saved, or that dies while it is."""

    def __init__(self, content: str, dies: bool = False):
        self.content = content
        self.dies = dies

    def save_pretrained(self, folder: Any, /) -> None:
        (Path(folder) / WEIGHTS).write_text(self.content)
        if self.dies:
            raise KeyboardInterrupt


class Pipeline(Part):
    """A model with a network, and its index."""

    def save_pretrained(self, folder: Any, /) -> None:
        (Path(folder) / "net").mkdir()
        super().save_pretrained(Path(folder) / "net")
        (Path(folder) / INDEX).write_text(json.dumps({"net": self.content, "refiner": [None, None]}))


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    made = ModelFolder(tmp_path / "model")
    made.begin(Pipeline("first"), {"asked": 1})
    return made


def _net(folder: ModelFolder) -> str:
    return (folder.path / "net" / WEIGHTS).read_text()


def _hidden(folder: ModelFolder) -> list[Path]:
    return [path for path in folder.path.iterdir() if path.name.startswith(".")]


def test_a_model_is_begun_once_unless_it_is_begun_again(folder: ModelFolder) -> None:
    assert folder.exists
    assert read_json(folder.generator.record)["asked"] == 1
    with pytest.raises(SmaltiError, match="holds a model already"):
        folder.begin(Pipeline("second"), {})
    assert _net(folder) == "first"
    folder.begin(Pipeline("second"), {"asked": 2}, again=True)
    assert _net(folder) == "second"
    assert not _hidden(folder)


def test_beginning_leaves_alone_what_lies_beside_the_model(folder: ModelFolder) -> None:
    folder.latents.mkdir()
    (folder.latents / "codes").write_text("kept")
    folder.begin(Pipeline("second"), {}, again=True)
    assert (folder.latents / "codes").read_text() == "kept"


def test_a_network_is_replaced_whole_or_not_at_all(folder: ModelFolder) -> None:
    with pytest.raises(KeyboardInterrupt):
        folder.replace_net(Part("half", dies=True))
    assert _net(folder) == "first"
    folder.replace_net(Part("second"))
    assert _net(folder) == "second"
    assert not _hidden(folder)


def test_a_refiner_is_part_of_the_model_once_it_is_there(folder: ModelFolder) -> None:
    with pytest.raises(KeyboardInterrupt):
        folder.replace_refiner(Part("half", dies=True))
    assert json.loads((folder.path / INDEX).read_text())["refiner"] == [None, None]
    for content in ("one", "another"):
        folder.replace_refiner(Part(content))
        assert (folder.path / "refiner" / WEIGHTS).read_text() == content
        assert json.loads((folder.path / INDEX).read_text())["refiner"] == ["smalti", "Refiner"]


def test_where_a_run_was_begun_the_way_on_is_named(folder: ModelFolder, tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match="a run was begun there; go on with --resume"):
        folder.refuse_begun()
    created = ModelFolder(tmp_path / "created")
    created.latents.mkdir(parents=True)
    finished = created.latents / "manifest.json"
    finished.write_text("{}")
    with pytest.raises(SmaltiError, match="go on with --resume"):
        created.refuse_begun(finished)
    with pytest.raises(SmaltiError, match="is not empty; name a new one or empty it first"):
        created.refuse_begun()  # there is nothing that a training could go on with


def test_what_a_model_was_trained_on_is_known_or_not(folder: ModelFolder) -> None:
    assert folder.trained_on() is None
    folder.generator.record.write_text(json.dumps({"latents": {"images": 3}}))
    assert folder.trained_on() == {"images": 3}
    folder.generator.record.unlink()
    assert folder.trained_on() is None


def test_what_was_trained_is_not_begun_again_when_its_checkpoints_are_gone(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.require_nothing_to_lose()
    run.begin()
    run.metrics.write_text("")
    run.require_nothing_to_lose()
    run.clear()
    with pytest.raises(SmaltiError, match="checkpoints are gone"):
        run.require_nothing_to_lose()


def test_only_a_model_is_found_and_only_one_here_can_be_changed(folder: ModelFolder, tmp_path: Path) -> None:
    assert ModelFolder.find(folder.path).path == folder.path
    with pytest.raises(SmaltiError, match="holds no model"):
        ModelFolder.find(tmp_path)
    for elsewhere in ("owner/name", tmp_path / "absent"):
        with pytest.raises(SmaltiError, match="no such folder"):
            ModelFolder.here(elsewhere)


def test_a_name_that_is_mistyped_here_is_not_asked_for_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("smalti.hub.snapshot_download", lambda *_, **__: pytest.fail("asked the Hub"))
    with pytest.raises(SmaltiError, match="models/mine: there is no such folder"):
        ModelFolder.find("models/mine")


def test_checkpoints_are_told_in_order_and_a_run_that_was_never_begun_is_not_resumed(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(SmaltiError, match="no training was begun"):
        run.require_begun()
    run.record.write_text("{}")
    run.require_begun()
    for image in (200, 1_000, 30):
        run.checkpoint(image).mkdir(parents=True)
    (tmp_path / "checkpoints" / ".000000002000.7.partial").mkdir()
    assert [int(path.name) for path in run.checkpoints] == [30, 200, 1_000]
    run.clear()
    assert run.checkpoints == []
