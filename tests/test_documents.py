"""The documents: what they link to, name and command is there, and their pages can be built."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from smalti.cli import VERBS, help_file

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")})
MOST_WORDS = 900  # of what sells and starts


def test_the_tests_that_documents_name_are_there() -> None:
    named = {name for document in DOCUMENTS for name in re.findall(r"`(test_\w+)`", document.read_text("utf-8"))}
    tests = "".join(path.read_text("utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    assert len(named) > 10
    assert not [name for name in sorted(named) if f"def {name}(" not in tests]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_links_to_is_there(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert not missing


def test_readme_is_short_and_begins_with_what_is_generated() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= MOST_WORDS
    assert re.findall(r"!\[([^\]]*)\]", text)[0].startswith("generated")


def test_every_verb_and_every_public_name_is_in_the_reference() -> None:
    pages = "".join(path.read_text("utf-8") for path in ROOT.glob("docs/reference/*.md"))
    assert re.findall(r'^--8<-- "src/smalti/cli/help/(\w+)\.txt"', pages, re.MULTILINE) == list(VERBS)
    offered = re.findall(
        r"^from \.\w+ import (\w+)", (ROOT / "src/smalti/__init__.pyi").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(re.findall(r"^::: smalti\.(?:\w+\.)*(\w+)$", pages, re.MULTILINE)) == sorted(offered)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_in_the_text_are_options_of_their_verb(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for words in (code.split() for code in re.findall(r"`smalti ([^`]+)`", text)):
        if words[0] in VERBS:
            told = help_file(words[0]).read_text(encoding="utf-8").replace("--[no-]", "--no-")
            assert [word for word in words if word.startswith("--") and f"{word} " not in told] == []
        else:
            assert words[0] in ("VERB", "--version", "--tyro-print-completion"), words


class _Asked(HTMLParser):
    """What a browser asks for when it shows a page."""

    def __init__(self, text: str):
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag in ("script", "img", "iframe", "source") or (tag == "link" and told.get("rel") != "canonical"):
            self.addresses.append(told.get("src") or told.get("href") or "")


def test_the_pages_are_built_without_a_warning_and_ask_nobody_else_for_anything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, env={"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    asked = {address for page in pages for address in _Asked(page.read_text("utf-8")).addresses}
    assert not [address for address in asked if re.match(r"(\w+:)?//", address)]
    assert not [
        sheet for sheet in tmp_path.rglob("*.css") if re.search(r"url\(['\"]?https?:", sheet.read_text("utf-8"))
    ]
    shown = (tmp_path / "reference" / "codecs.html").read_text("utf-8")
    assert "Additive codebooks for the patches of each colour plane" in shown
