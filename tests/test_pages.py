"""The pages: their tables are those of the code, their links lead somewhere, the first is short."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests import pages
from tests.checkouts import ROOT

PAGES = pages.all_pages()
LINK = re.compile(r"\]\(([^)\s]+)\)")
WINGS = ("data", "evidence", "experiment", "formulations", "metrics", "models")
WINGS += ("report", "sampling", "stages", "training")

on_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    """``workflow/pages.py``."""
    spec = importlib.util.spec_from_file_location("workflow_pages", ROOT / "workflow" / "pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_those_of_the_code(
    writer: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where this fails, run ``python workflow/pages.py``."""
    code = writer.main(["--check"])
    assert (code, capsys.readouterr().out) == (0, "")


def test_a_stale_table_is_named_and_written(
    writer: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in writer.PAGES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    page = tmp_path / "bench" / "sampling" / "README.md"
    right = page.read_text()
    page.write_text(right.replace("| `rk4` | RK4 (3/8 rule) |", "| `rk4` | RK4 |"))
    assert page.read_text() != right
    monkeypatch.setattr(writer, "ROOT", _Elsewhere(tmp_path))
    assert writer.main(["--check"]) == 1
    assert capsys.readouterr().out == "bench/sampling/README.md: is not what the code says\n"
    assert writer.main([]) == 0
    assert page.read_text() == right


class _Elsewhere:
    """A root whose pages lie in one folder and whose code in another."""

    def __init__(self, pages_at: Path) -> None:
        self.pages_at = pages_at

    def __truediv__(self, name: str) -> Path:
        return (self.pages_at if name.endswith(".md") else ROOT) / name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no place", "needs one <!-- solvers:begin -->"),
        ("<!-- solvers:begin -->\n<!-- solvers:end -->\n" * 2, "needs one <!-- solvers:begin -->"),
        (
            "<!-- solvers:begin -->\n<!-- solvers:end -->\n<!-- sovlers:begin -->",
            "nothing makes the table 'sovlers'",
        ),
    ],
)
def test_a_page_without_its_place_is_refused(writer: ModuleType, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        writer.with_tables(text, {"solvers": lambda: "a table"})


@on_every_page
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page if not name else page.parent / name
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@on_every_page
def test_paths_that_are_named_exist(page: Path) -> None:
    """Files and folders in code, from the root; what a block of the page makes is there, too."""
    text = page.read_text(encoding="utf-8")
    made = {block["name"] for block in pages.BLOCK.finditer(text)}
    named = set(re.findall(r"`((?:bench|configs|tests|workflow)/[\w./]*)`", text)) - made
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_folder_that_is_extended_has_a_page() -> None:
    folders = {str(page.parent.relative_to(ROOT)) for page in PAGES}
    expected = {".", "bench", "configs", "workflow", "tests", "results/reference"}
    assert expected | {f"bench/{wing}" for wing in WINGS} <= folders
    packages = {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")}
    assert packages == set(WINGS)


def test_the_front_page_is_short_and_says_how_to_start() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    lines = {line.strip() for line in text.splitlines()}
    assert {"make bench", "make test", "snakemake --cores 8 --resources gpu=4"} <= lines


def test_the_front_page_leads_to_every_part_that_can_be_added() -> None:
    """A wing without a way to it from the front page is not found."""
    links = {link.partition("#")[0] for link in LINK.findall((ROOT / "README.md").read_text())}
    reached = {f"bench/{wing}/README.md" for wing in WINGS if wing != "experiment"}
    assert reached <= links
    inner = {
        link.partition("#")[0] for link in LINK.findall((ROOT / "bench/README.md").read_text())
    }
    assert {f"{wing}/README.md" for wing in WINGS} <= inner
