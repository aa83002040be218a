"""What screening samplers adds to an experiment file: every grid in a word, and the screen."""

from __future__ import annotations

from pydantic import BeforeValidator, WithJsonSchema

from bench.options import Count, OptionModel
from bench.sampling.solvers.catalogue import ADAPTED, GRIDS, OWN, SEARCHED

# The word becomes the names it stands for: a grid that is added is another choice of cells.
EVERY_GRID = BeforeValidator(
    lambda value: [OWN, *GRIDS, ADAPTED, SEARCHED] if value == "all" else value
)

EVERY_GRID_SCHEMA = WithJsonSchema(
    {"anyOf": [{"const": "all"}, {"items": {"type": "string"}, "minItems": 1, "type": "array"}]}
)


class ScreenSpec(OptionModel):
    """Sample every solver on every grid with few samples, and only the best with many.

    All combinations are sampled in the noise bank ``selection``. In the bank ``scoring``, for each
    model and number of evaluations, only the ``best`` by the mean log of the primary metric over
    the other seeds are sampled, and the common solver on its own grid. With one seed its own
    screen decides.
    """

    best: Count = 3
