"""Vector drawings: made light, put into a page, and taken out of it again.

A page is the one place where a published drawing stands: :func:`drawing_in` gives back what
:func:`data_uri` put there, so that a drawing whose arrays are not published is never lost.
"""

from __future__ import annotations

import base64
import io
import re
from urllib.parse import quote, unquote

import numpy as np
from PIL import Image

from bench.report import FIGURES

DECIMALS = 2
"""Digits kept behind the point: a hundredth of a point of print is finer than any screen."""

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_PLACES = re.compile(r'(?<= )(?:d|x|y|width|height|points)="[^"]*"|\b(?:translate|rotate)\([^)]*\)')
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_PATH = re.compile(r'(?<= d=")[^"]*')
_COMMAND = re.compile(r"\s*([A-Za-z])\s*")
_NAME = re.compile(r' id="([^"]*)"')
_NAMED = re.compile(r"""["']#([^"']+)["']|url\(#([^)]+)\)""")
_PICTURE = re.compile(r"""(?<=data:image/png;base64,)[^"']*""")
_UNTURNED = re.compile(r' transform="rotate\(-0 [^"]*\)"')
_QUOTED = re.compile(r"=\"([^\"']*)\"")

FONTS = "DejaVu Sans,Verdana,sans-serif"
"""Of one width where there is one of the first two; a drawing was laid out in the first."""

_FONT = " font-family: 'DejaVu Sans';"

SAFE = " !$'()*+,-./:;<=>?@[]^_`{|}~"
"""Characters of a data URI that stand for themselves, between double quotes in a page."""

_START = "data:image/svg+xml,"


def lightened(drawing: str) -> str:
    """A drawing of matplotlib's without what no reader sees.

    Comments, indentation and names that nothing refers to are left out, coordinates are rounded,
    the fonts are named once, pictures of few colours have a palette, and values stand in single
    quotes, which a page need not encode.
    """
    text = _UNTURNED.sub("", _COMMENT.sub("", drawing))
    if _FONT in text:
        text = text.replace(_FONT, "").replace("</style>", f" text{{font-family:{FONTS}}}</style>")
    text = _PLACES.sub(lambda place: _NUMBER.sub(_rounded, place[0]), text)
    text = _PATH.sub(lambda path: _COMMAND.sub(r"\1", path[0]), text)
    text = _PICTURE.sub(lambda picture: _with_palette(picture[0]), text)
    used = {name for pair in _NAMED.findall(text) for name in pair}
    text = _NAME.sub(lambda name: name[0] if name[1] in used else "", text)
    text = _QUOTED.sub(r"='\1'", text)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip()) + "\n"


def _rounded(number: re.Match[str]) -> str:
    text = f"{float(number[0]):.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


COLOURS = 256
"""Entries of a palette."""


def _with_palette(encoded: str) -> str:
    """A PNG with one byte a pixel, the same colours in every pixel; one of more colours as it is.

    Both are base64.
    """
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as opened:
        pixels = np.asarray(opened.convert("RGBA"))
    # A pixel as one number sorts like its four bytes, and much faster.
    numbers = np.ascontiguousarray(pixels).view(">u4").astype(np.uint32).ravel()
    colours, places = np.unique(numbers, return_inverse=True)
    if len(colours) > COLOURS:
        return encoded
    shades = colours.astype(">u4").view(np.uint8).reshape(-1, 4)
    indexed = Image.fromarray(places.reshape(pixels.shape[:2]).astype(np.uint8)).convert("L")
    picture = Image.frombytes("P", indexed.size, indexed.tobytes())
    picture.putpalette(shades[:, :3].tobytes())
    light = io.BytesIO()
    picture.save(light, "PNG", optimize=True, transparency=shades[:, 3].tobytes())
    return min(base64.b64encode(light.getvalue()).decode(), encoded, key=len)


def data_uri(drawing: str) -> str:
    """A drawing as the source of an image, in text that stays readable.

    A browser takes line breaks out of a URI, so they become spaces.
    """
    return _START + quote(drawing.strip().replace("\n", " "), safe=SAFE)


def drawing_in(page: str, name: str) -> str | None:
    """The drawing of the figure ``name`` in a page of this suite, if it is there.

    Raises:
        ValueError: there is no figure of that name.
    """
    if name not in FIGURES:
        raise ValueError(f"no figure {name!r}")
    match = re.search(rf'<img id="figure-{name}" src="{re.escape(_START)}([^"]*)"', page)
    return None if match is None else unquote(match[1])
