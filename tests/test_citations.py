"""Docstrings, comments and captions name authors and year beside an arXiv number."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(chain(*((ROOT / folder).rglob("*.py") for folder in ("bench", "workflow"))))

NUMBER = re.compile(r"(?<![\d.])(\d\d)\d\d\.\d{4,5}(?!\d)")
NAMED = re.compile(r"[A-Z]\w+(,? and [A-Z]\w+| et al\.)?( \(|, )(?P<year>\d{4}), (arXiv:)?$")
"""What stands before a number: who wrote it, and the year of its first version."""


def prose(text: str) -> Iterator[str]:
    """The strings of a file that are more than a number, and its comments, each in one line."""
    for node in ast.walk(ast.parse(text)):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, str) and not NUMBER.fullmatch(value):
            yield " ".join(value.split())
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = (token.string for token in tokens if token.type == tokenize.COMMENT)
    yield " ".join(comment.strip("# ") for comment in comments)


def unnamed(text: str) -> list[str]:
    """The numbers of a file without the year in which they began, and a name, before them."""
    return [
        passage[max(0, match.start() - 60) : match.end()]
        for passage in prose(text)
        for match in NUMBER.finditer(passage)
        if not (named := NAMED.search(passage[: match.start()])) or named["year"] != f"20{match[1]}"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"""Mean flows (Geng et al., 2025, 2505.13447)."""', []),
        ('"""Mean flows (Geng et al.,\n2025, 2505.13447)."""', []),
        ('"""Peebles & Xie (2022, 2212.09748)."""', []),
        ('reference = "2505.13447"', []),
        ("x = 2505.13447", []),
        ('"""Mean flows (2505.13447)."""', ["Mean flows (2505.13447"]),
        ('"""Geng et al., 2505.13447"""', ["Geng et al., 2505.13447"]),
        ('"""Geng et al., 2024, 2505.13447"""', ["Geng et al., 2024, 2505.13447"]),
        ("x = 1  # see (2025, 2505.13447)", ["see (2025, 2505.13447"]),
        (
            '"""Ho et al., 2020, 2006.11239, 2011.13456"""',
            ["Ho et al., 2020, 2006.11239, 2011.13456"],
        ),
    ],
)
def test_a_number_needs_a_name_and_its_year(text: str, expected: list[str]) -> None:
    assert unnamed(text) == expected


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_number_is_named(file: Path) -> None:
    assert unnamed(file.read_text(encoding="utf-8")) == []
