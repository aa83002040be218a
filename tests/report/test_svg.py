"""Drawings are made light without a visible change, and come out of a page as they went in."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from bench.report import FIGURES
from bench.report.style import new_figure, styled
from bench.report.svg import data_uri, drawing_in, lightened

LINK = "{http://www.w3.org/1999/xlink}href"
SVG = "{http://www.w3.org/2000/svg}"


def drawn(figure: Figure) -> str:
    """What matplotlib writes."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg")
    return stream.getvalue()


@pytest.fixture(scope="module")
def heavy() -> str:
    generator = np.random.default_rng(0)
    with styled():
        figure = new_figure(6, 3)
        left, middle, right = figure.subplots(1, 3)
        left.plot(generator.normal(size=500), generator.normal(size=500))
        left.set_xlabel("a < b & 'c'")
        middle.scatter(*generator.normal(size=(2, 500)), s=3, rasterized=True)
        right.imshow(generator.integers(0, 17, (8, 8)), cmap="gray", interpolation="none")
        return drawn(figure)


def numbers(drawing: str, attribute: str) -> list[float]:
    """All numbers of an attribute, in order."""
    found = [element.get(attribute, "") for element in ElementTree.fromstring(drawing).iter()]
    return [float(number) for text in found for number in re.findall(r"-?\d+\.?\d*", text)]


def pictures(drawing: str) -> list[NDArray[np.uint8]]:
    """The pictures inside a drawing, as RGBA."""
    links = [image.get(LINK, "") for image in ElementTree.fromstring(drawing).iter(f"{SVG}image")]
    opened = [Image.open(io.BytesIO(base64.b64decode(link.partition(",")[2]))) for link in links]
    return [np.asarray(image.convert("RGBA")) for image in opened]


def test_a_light_drawing_weighs_less(heavy: str) -> None:
    assert len(lightened(heavy)) < 0.75 * len(heavy)


@pytest.mark.parametrize("attribute", ["d", "x", "y", "width", "height", "transform"])
def test_every_coordinate_stays_within_half_of_a_hundredth(heavy: str, attribute: str) -> None:
    turned = re.sub(r' transform="rotate\(-0 [^"]*"', "", heavy)  # by nothing
    before, after = (numbers(drawing, attribute) for drawing in (turned, lightened(heavy)))
    assert len(before) == len(after) > 0
    assert before == pytest.approx(after, abs=0.0051)


def test_scales_are_not_rounded() -> None:
    drawing = '<svg><g transform="translate(1.23456 0) scale(0.015625)"/></svg>'
    assert "translate(1.23 0) scale(0.015625)" in lightened(drawing)


def test_text_stays_text(heavy: str) -> None:
    texts = [
        [element.text for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]
        for drawing in (heavy, lightened(heavy))
    ]
    assert texts[0] == texts[1]
    assert "a < b & 'c'" in texts[1]
    assert lightened(heavy).count("font-family") == 1


def test_every_reference_leads_somewhere(heavy: str) -> None:
    light = lightened(heavy)
    elements = list(ElementTree.fromstring(light).iter())
    names = [element.get("id") for element in elements if element.get("id")]
    links = {element.get(LINK, "") for element in elements}
    used = {link[1:] for link in links if link.startswith("#")}
    used |= set(re.findall(r"url\(#([^)]*)\)", light))
    assert used
    assert used <= set(names)
    assert len(names) < heavy.count(' id="')


def test_pictures_keep_every_pixel(heavy: str) -> None:
    before, after = pictures(heavy), pictures(lightened(heavy))
    assert len(before) == len(after) == 2
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_picture_of_many_colours_is_left_as_it_is() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(colours).save(stream, "PNG")
    encoded = base64.b64encode(stream.getvalue()).decode()
    drawing = f'<svg><image xlink:href="data:image/png;base64,{encoded}"/></svg>'
    assert encoded in lightened(drawing)


def test_what_is_light_stays_as_it_is(heavy: str) -> None:
    assert lightened(lightened(heavy)) == lightened(heavy)


def test_a_drawing_comes_out_of_a_page_as_it_went_in(heavy: str) -> None:
    light = lightened(heavy)
    page = f'<img id="figure-samples" src="{data_uri(light)}" alt="x">'
    found = drawing_in(page, "samples")
    assert found is not None
    assert ElementTree.canonicalize(found, strip_text=True) == ElementTree.canonicalize(
        light, strip_text=True
    )
    assert drawing_in(page, "training") is None
    with pytest.raises(ValueError, match="no figure 'sample'"):
        drawing_in(page, "sample")


def test_a_source_holds_nothing_that_ends_an_attribute(heavy: str) -> None:
    assert not set(data_uri(lightened(heavy))) & set('"#&\n')


def test_a_page_holds_every_drawing_of_its_folder(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    for name in FIGURES:
        drawing = (finished / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert drawing_in(page, name) == drawing.strip().replace("\n", " ")
