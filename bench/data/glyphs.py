"""Letters of fonts as distance fields: drawn once, and cheap to turn, thicken and blur.

The fonts are those that matplotlib ships (``mpl-data/fonts/ttf``), DejaVu and STIX; their licences
lie beside them. DejaVu (``LICENSE_DEJAVU``: the permissive licence of Bitstream Vera, changes in
the public domain) and STIX (``LICENSE_STIX``: SIL Open Font License 1.1) may both be used freely
for pictures of their letters, which are no copies of the fonts. Files are known by their SHA-256.

An outline is read without hinting and filled by the even-odd rule at the points of a fine lattice;
the signed distance to its edge (positive inside) is kept on a coarser one, in whole steps, so that
a file of it is the same everywhere. A lattice spans ``[-SPAN, SPAN]`` capital heights about the
centre of the letter's box, with row 0 at the top.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any, Final

from bench.errors import InputError
from bench.files import sha256

if TYPE_CHECKING:
    from torch import Tensor

FONTS: Final = {
    "DejaVuSans": "3fdf69cabf06049ea70a00b5919340e2ce1e6d02b0cc3c4b44fb6801bd1e0d22",
    "DejaVuSans-Bold": "b184b89e3c1075f22f6b71575b6fc20d4972b3cfd3b23322ca6fd596dcaef167",
    "DejaVuSans-Oblique": "ccdf74b350f11fd3dd5774de50e5e6346a1a5da1f5b7d5fb83590665e97a5213",
    "DejaVuSans-BoldOblique": "6edf0283160186af451cbee71e7b845f2e4cabf264bb992ce668c83c25465e6f",
    "DejaVuSerif": "107244956e9962b9e96faccdc551825e0ae0898ae13737133e1b921a2fd35ffa",
    "DejaVuSerif-Bold": "c3753f2ed6bc673f15846dc45addbeb3b9c872f32fb18fd53a21f1bef1ed7676",
    "DejaVuSerif-Italic": "3e7994fbc54fa10ce3352a42d548fadd7d9cadb69cb1109bc9d960f6dac57f04",
    "DejaVuSerif-BoldItalic": "d93efec7a9d2e826768d1a2ee95b95870e15e29599a84f3484af1de1cec2e181",
    "DejaVuSansMono": "602ec86b8948cfcd956482fe64f94c36c867770149ef2f791d4613f443bcecb3",
    "DejaVuSansMono-Bold": "baada9a5172fe20886251aff0433fc38461912d5daf07287e7bee56620a8da96",
    "DejaVuSansMono-Oblique": "28052813f7a709fc89f52d192dc995ef4f0fdc5c3d7b73a49d6849b1916d0cd0",
    "STIXGeneral": "167378031e2dddc6216d67819c9260e9a06ffc4c478e4e23cb98a6fd44b183c2",
    "STIXGeneralBol": "e8533dc7083fa346bda1933d60ea4a83b67d0945bceaf1b3541f82b4a0e2c6a0",
    "STIXGeneralItalic": "6cfcb333d22b7c3c623bdfd40174f14c85c3d6731ca6166c1edc80140eae8527",
    "STIXGeneralBolIta": "98788fd4ba48dfbb2bd026c0e20a247a8b06c7372879628b7a6bb0d5bb09736c",
}
"""Faces and the SHA-256 of their files."""

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

SPAN: Final = 0.8
"""Half a side of the lattice, in capital heights; the widest letter has 0.7 on each side."""

SIDE: Final = 64
"""Points of the lattice on a side."""

FINER: Final = 2
"""Points of the filled outline for each point of the lattice and direction."""

STEP: Final = SPAN / 512
"""Capital heights in a step of the distance; it ends at 127 of them, a fifth."""

EM: Final = 100.0
"""Size at which outlines are read."""


def distance_fields(letters: int) -> Tensor:
    """Distances of the first ``letters`` capitals, ``[faces, letters, SIDE, SIDE]`` int8 steps.

    Raises:
        InputError: the installed matplotlib ships other fonts.
    """
    import matplotlib
    import numpy as np
    import torch
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    folder = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fields = np.empty((len(FONTS), letters, SIDE, SIDE), np.int8)
    for face, (name, digest) in enumerate(FONTS.items()):
        path = folder / f"{name}.ttf"
        if not path.is_file() or sha256(path) != digest:
            raise InputError(
                f"data set 'letters': {path} is not the font known; see constraints.txt"
            )
        font = FontProperties(fname=str(path))

        def outline(letter: str, font: FontProperties = font) -> Any:
            return TextPath((0, 0), letter, size=EM, prop=font)

        height = outline("H").get_extents().height
        for index, letter in enumerate(LETTERS[:letters]):
            fields[face, index] = _distances(outline(letter), height)
    return torch.from_numpy(fields)


def _distances(outline: Any, height: float) -> Any:
    """Of one letter, ``[SIDE, SIDE]`` int8."""
    import numpy as np
    from matplotlib.path import Path
    from scipy.ndimage import distance_transform_edt

    fine = SIDE * FINER
    box = outline.get_extents()
    places = ((np.arange(fine) + 0.5) / fine * 2 - 1) * SPAN * height
    x, y = np.meshgrid((box.x0 + box.x1) / 2 + places, (box.y0 + box.y1) / 2 - places)
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    # One by one: of a path of several contours a point in any counts as inside, holes too.
    contours = [Path(corners).contains_points(points) for corners in outline.to_polygons()]
    filled = np.logical_xor.reduce(contours).reshape(x.shape)
    # Between the lattice points on both sides of an edge it lies half a point from either.
    signed = np.where(
        filled, distance_transform_edt(filled) - 0.5, 0.5 - distance_transform_edt(~filled)
    )
    coarse = signed.reshape(SIDE, FINER, SIDE, FINER).mean(axis=(1, 3)) * (2 * SPAN / fine)
    return np.clip(np.round(coarse / STEP), -127, 127).astype(np.int8)
