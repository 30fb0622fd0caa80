import json
import shutil
from pathlib import Path

from smalti.app import Subject
from smalti.app.train import has_run, mark_of, seen_of
from smalti.model_folder import ModelFolder


def test_a_run_is_shown_as_far_as_it_has_come(subject: Subject, tmp_path: Path) -> None:
    shutil.copytree(subject.folder.path, tmp_path / "run")
    folder = ModelFolder(tmp_path / "run")
    assert has_run(folder)
    seen, before = seen_of(folder), mark_of(folder)
    assert "<b>1,280</b>" in seen.figures
    assert "<b>3.72</b>" in seen.figures
    assert seen.curve is not None
    assert [told for _, told in seen.grids] == ["after 640 images"]
    assert mark_of(folder) == before
    with folder.generator.metrics.open("a") as file:
        file.write(json.dumps({"images": 1_920, "loss": 3.5, "held_out_loss": 3.6}) + '\n{"images": 2560, "lo')
    folder.progress(1_280).write_bytes(folder.progress(640).read_bytes())
    folder.progress(1_920).write_bytes(folder.progress(640).read_bytes()[:60])  # while it is written
    assert mark_of(folder) != before
    seen = seen_of(folder)
    assert "<b>1,920</b>" in seen.figures
    assert "<b>3.6</b><span>loss on photos held out" in seen.figures
    assert [told for _, told in seen.grids] == ["after 1,280 images", "after 640 images"]


def test_a_run_that_has_just_begun_has_nothing_to_show_yet(tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path)
    assert not has_run(folder)
    folder.generator.metrics.write_text("")
    assert has_run(folder)
    assert seen_of(folder).curve is None
