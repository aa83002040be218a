"""Capital letters in many hands: grey images rendered from fonts, as many as anybody asks for.

An image is one letter of one face (:mod:`bench.data.glyphs`: DejaVu and STIX, which matplotlib
ships, with their licences), white on black. Class and face are uniform; uniform as well, and all
independent, are

=========== ==========================================================================
slant       shear from -0.2 to 0.2 of the height, beside that of italic faces
turn        tangent of half the angle from -0.08 to 0.08, 9 degrees either way
height      0.58 to 0.78 of the image
width       0.85 to 1.15 of that of the face
weight      strokes thicker by -0.03 to 0.05 of the height, beside bold faces
place       up to 0.08 of the image from its middle, in both directions
blur        an edge 0 to 0.8 pixels wide, beside that of a pixel
=========== ==========================================================================

A pixel is the mean over a lattice of points in it, at least 32 to a side of the image, each of
which is read from the distance field of the letter (bilinear) and is the more white the deeper it
lies inside. Levels are 256, black -1 and white 1. Nothing but sums, products and quotients of
float32 is computed: an image is the same bits on every machine, in whatever portion it is drawn.

Held-out images have no end, and training has none by default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import Field

from bench.data.dataset import DataOptions, Description
from bench.data.endless import UNLIMITED, Drawn, TrainingSamples

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.data.dataset import DataSet

LEVELS: Final = 256

POINTS: Final = 32
"""Points on a side of an image, at least."""

AT_ONCE: Final = 2**21
"""Points that are computed at a time."""

RANDOM: Final = 10
"""Random numbers of an image."""


class Options(DataOptions):
    """Which letters, how large, and how many.

    Attributes:
        classes: letters, from A on.
        size: pixels on a side.
        train: images trained on; ``unlimited`` draws new ones for every update.
        held_out: images kept in the file of the data; more are drawn when asked for.
    """

    classes: int = Field(default=10, ge=2, le=26)
    size: int = Field(default=14, ge=8, le=28)
    train: TrainingSamples = UNLIMITED
    held_out: int = Field(default=20_000, ge=2)


def describe(options: Options) -> Description:
    """Grey images of letters."""
    return Description(
        title=f"Letters {options.size}x{options.size}",
        kind="image",
        shape=(1, options.size, options.size),
        primary="fd_letters",
        classes=options.classes,
        levels=LEVELS,
        extractor="letters",
        unlimited=options.train == UNLIMITED,
    )


def build(options: Options) -> DataSet:
    """Read the letters from the fonts and draw the images.

    Raises:
        InputError: the installed matplotlib ships other fonts.
    """
    from bench.data.dataset import endless
    from bench.data.glyphs import distance_fields

    description = describe(options)
    letters = Letters(distance_fields(options.classes), options.size)
    return endless("letters", description, letters, (options.train, options.held_out))


def sampler(tensors: Mapping[str, Tensor], shape: Sequence[int]) -> Letters:
    """The sampler whose tensors a file holds, of images of ``shape``."""
    return Letters(tensors["fields"], shape[-1])


@dataclass(frozen=True)
class Letters:
    """Draws letters.

    Args:
        fields: distances, ``[faces, letters, side, side]`` int8; see :mod:`bench.data.glyphs`.
        size: pixels on a side of an image.
    """

    fields: Tensor
    size: int

    def tensors(self) -> dict[str, Tensor]:
        """The distances."""
        return {"fields": self.fields}

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """Images ``[count, 1, size, size]`` and their letters."""
        import torch

        # Row by row, so that the first images are the same however many there are.
        u = torch.rand(count, RANDOM, generator=generator, dtype=torch.float64)
        faces, letters = self.fields.shape[:2]
        face, letter = (u[:, 0] * faces).long(), (u[:, 1] * letters).long()
        draws = u[:, 2:].float()
        batch = max(1, AT_ONCE // (self.size * self._points) ** 2)
        images = [
            self._rendered(*part)
            for part in zip(
                *(x.split(batch) for x in (face * letters + letter, draws)), strict=True
            )
        ]
        return Drawn(torch.cat(images), letter)

    @property
    def _points(self) -> int:
        """Points a pixel, in each direction."""
        return -(-POINTS // self.size)

    def _rendered(self, glyph: Tensor, u: Tensor) -> Tensor:
        """Images ``[n, 1, size, size]`` of glyphs ``[n]``, by random numbers ``u [n, 8]``."""
        import torch

        from bench.data.glyphs import SIDE, SPAN, STEP

        def between(column: int, low: float, high: float) -> Tensor:
            return (low + (high - low) * u[:, column])[:, None, None]

        slant, turn, height = between(0, -0.2, 0.2), between(1, -0.08, 0.08), between(2, 0.58, 0.78)
        width, weight, blur = between(3, 0.85, 1.15), between(4, -0.03, 0.05), between(5, 0, 0.8)
        right, down = between(6, -0.08, 0.08), between(7, -0.08, 0.08)
        points = self.size * self._points
        places = (torch.arange(points) + 0.5) / points - 0.5
        x = (places[None, None, :] - right) / height
        y = (places[None, :, None] - down) / height
        # A rotation by its tangent: sines differ in their last bits between machines.
        cosine, sine = (1 - turn * turn) / (1 + turn * turn), 2 * turn / (1 + turn * turn)
        x, y = cosine * x + sine * y, cosine * y - sine * x
        x = (x + slant * y) / width
        depth = self._read(glyph, x, y, SIDE, SPAN) * STEP + weight / 2
        edge = 1 / self._points + blur
        white = (depth * height * self.size / edge + 0.5).clamp(0, 1)
        k = self._points
        parts = [white[:, i::k, j::k] for i in range(k) for j in range(k)]
        mean = sum(parts[1:], start=parts[0]) / len(parts)
        return ((mean * (LEVELS - 1)).round() * (2 / (LEVELS - 1)) - 1)[:, None]

    def _read(self, glyph: Tensor, x: Tensor, y: Tensor, side: int, span: float) -> Tensor:
        """Distances in steps at places ``[n, h, w]`` in capital heights, interpolated."""
        flat = self.fields.flatten()

        def placed(at: Tensor) -> tuple[Tensor, Tensor]:
            on = ((at * (0.5 / span) + 0.5) * side - 0.5).clamp(0, side - 1.001)
            whole = on.floor()
            return whole.int(), on - whole

        (column, right), (row, below) = placed(x), placed(y)
        here = glyph.int()[:, None, None] * side**2 + row * side + column
        upper = flat[here] * (1 - right) + flat[here + 1] * right
        lower = flat[here + side] * (1 - right) + flat[here + side + 1] * right
        return upper * (1 - below) + lower * below
