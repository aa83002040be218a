"""How many samples of a data set are scored, where it has numbers of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bench.options import Count, OptionModel, Positive, refuse

NoiseBank = Literal["scoring", "selection"]


def distinct(values: list[Any]) -> list[Any]:
    """Values of which none is given twice."""
    twice = next((v for i, v in enumerate(values) if v in values[:i]), None)
    if twice is not None:
        raise refuse(f"{twice!r} is given twice; remove one")
    return values


class SizesSpec(OptionModel):
    """How many samples of one data set are scored; what it leaves out is that of the sweep.

    Distances that see a fault in one data set need more samples in another: ``python
    workflow/power.py`` measures how many.

    Attributes:
        samples: of a noise bank, in place of ``sweep.samples``; the banks are those of the sweep.
        block: in place of ``sweep.block``.
        bandwidths: widths of the kernels of ``mmd_modes``, in units of the data; their mean is
            taken. Empty for the one width that the law of the data has.
        assigned: most points in an exact assignment (``w2``), whose seconds grow with the cube: a
            larger block is split into parts of that many. None for whole blocks.
    """

    samples: dict[NoiseBank, Count] = Field(default={})
    block: Count | None = None
    bandwidths: Annotated[list[Positive], AfterValidator(distinct)] = Field(default=[])
    assigned: Count | None = None
