"""Statistics of records: pure functions, numbers or records in, numbers out. Torch-free.

=============  =====================================================================
intervals      Student t intervals over training seeds
comparisons    the paired t test that comparisons are made of; many tests at once
components     retraining error and resampling error apart
power          seeds and samples that a difference of given size needs
selection      samplers chosen on other seeds than those they are scored on
crossings      evaluations needed for a quality, censored where it is not reached
floor          whether a cell can be told from exact or real samples
datasets       over data sets: interquartile mean, probability of improvement, ranks
=============  =====================================================================

A value that is missing, not finite, or belongs to a failed cell is left out and the number of seeds
that remain is returned beside each figure, so that a table can mark it.

The names that most callers need stand here; the others are imported from their files.
"""

from bench.evidence.statistics.crossings import (
    TARGET_FACTORS,
    Crossing,
    CrossingSummary,
    nfe_to_quality,
    quality_targets,
    summarise_crossings,
)
from bench.evidence.statistics.intervals import (
    LEVEL,
    Interval,
    interval,
    paired_ratio,
    scale_of,
    student_t,
)
from bench.evidence.statistics.selection import (
    CANDIDATE,
    PANEL,
    exact_cells,
    fixed_sampler,
    select_samplers,
)
from bench.metrics.declared import Scale

__all__ = [
    "CANDIDATE",
    "LEVEL",
    "PANEL",
    "TARGET_FACTORS",
    "Crossing",
    "CrossingSummary",
    "Interval",
    "Scale",
    "exact_cells",
    "fixed_sampler",
    "interval",
    "nfe_to_quality",
    "paired_ratio",
    "quality_targets",
    "scale_of",
    "select_samplers",
    "student_t",
    "summarise_crossings",
]
