"""The claims, in the order in which a newcomer would ask them.

Margins and rules stand here and in :mod:`bench.evidence.claims.contrasts`. Each is registered with
a version and a date, and says what was changed after records had been seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.evidence.claims.asked import Role
from bench.evidence.claims.contrasts import (
    SAME_POINT,
    Sampler,
    ahead_at_one_evaluation,
    cost_in_quality,
    equal_quality,
    explained_by,
    fewer_evaluations,
    less_of,
    proportional_time,
    same_end_points,
    solved_finely,
)
from bench.evidence.claims.declared import BOTH, Claim, Part, Registration
from bench.evidence.samplers import COMMON_SOLVER
from bench.evidence.statistics import TARGET_FACTORS

DIFFERENCE = "difference: 95% interval excludes 1"
EQUALITY = "equality: 90% interval inside 1.1 either way"
SLOPE_MARGIN = 0.05

WHOLE_NUMBERS = Registration(
    2,
    "2026-11-28",
    "evaluations were interpolated between those swept, and are bounded by them; seeds that need "
    "the same number were judged by their signs, and are by the resolution of a whole number",
)
FINE_ENDS = Registration(
    3,
    "2026-11-28",
    "the margin was 0.05; solves whose error still falls with more evaluations refuted nothing and "
    "supported nothing, and are no test",
)
TIMED_SEEDS = Registration(
    2,
    "2026-11-28",
    "the replicates were the labels of one seed, which one job had timed; they are training seeds",
)
BEYOND_THE_MARGIN = Registration(2, "2026-11-22")
"""Any difference would do in version 1; changed before there were records of a matched model."""

DIFFUSION = Role(
    "VP diffusion",
    "vp_diffusion",
    {"trained_path": "vp", "prediction": "noise", "time_sampling": "uniform", "weighting": "unit"},
)
FLOW = Role(
    "flow matching",
    "flow_matching",
    {
        "trained_path": "linear",
        "coupling": "independent",
        "prediction": "velocity",
        "time_sampling": "uniform",
        "weighting": "unit",
    },
)
OPTIMAL_TRANSPORT = Role("flow matching by minibatch OT", "ot_flow_matching")
REFLOW = Role("rectified flow", "rectified_flow")


def _matched(prediction: str) -> Role:
    """VP diffusion under flow matching's emphasis; ``configs/claims.yaml`` trains it."""
    return Role(
        "VP diffusion under flow matching's emphasis",
        "vp_diffusion",
        {
            "trained_path": "vp",
            "prediction": prediction,
            "time_sampling": "linear_uniform",
            "weighting": "linear_velocity",
        },
        remedy="configs/claims.yaml trains it",
    )


MATCHED = {name: _matched(name) for name in ("noise", "v")}

FIGURES = {
    "straightness_native": ("own path and time", "deviation from a straight line"),
    "arc_over_chord": ("arc over chord", "length over the distance travelled"),
    "straightness_linear": (
        "after change to the linear path",
        "deviation from a straight line, all paths changed to the linear one,",
    ),
}
"""Straightness figures: a short name, and what they measure in plain words."""


def _straighter(
    role: Role, reference: Role, names: tuple[str, str], *figures: str
) -> Iterator[Part]:
    """Parts that ask whether ``role`` is straighter than ``reference``, figure by figure."""
    model, rival = names
    for figure in figures:
        name, measured = FIGURES[figure]
        yield Part(
            name=f"straightness: {name}",
            contrast=less_of(role, reference, figure),
            rule=DIFFERENCE,
            statement=f"samples travel straighter with {model} than with {rival} ({name})",
            opposite=f"samples travel straighter with {rival} than with {model} ({name})",
            measure=f"their {measured} is {{effect}} times as large with {model}",
        )


def _fewer(
    role: Role, reference: Role, names: tuple[str, str], *samplers: tuple[Sampler, str]
) -> Iterator[Part]:
    """Parts that ask whether ``role`` needs fewer evaluations than ``reference``."""
    model, rival = names
    for sampler, words in samplers:
        for factor in TARGET_FACTORS:
            within = f"{100 * (factor - 1):.0f}%"
            yield Part(
                name=f"evaluations to within {within} of the best: {words}",
                contrast=fewer_evaluations(role, reference, factor, sampler),
                rule=DIFFERENCE,
                statement=f"{model} comes within {within} of the best attainable quality in fewer "
                f"network evaluations than {rival} ({words})",
                opposite=f"{model} needs more network evaluations than {rival} to come within "
                f"{within} of the best attainable quality ({words})",
                measure=f"it needs {{effect}} times as many as {rival}",
                registration=WHOLE_NUMBERS,
            )


_SELECTED: tuple[Sampler, str] = ("selected", "best sampler of each")
_COMMON: tuple[Sampler, str] = ("common", f"one solver for all, {COMMON_SOLVER}")
_FLOW_AND_DIFFUSION = ("flow matching", "diffusion")
_REFLOW_AND_FLOW = ("reflow", "flow matching alone")


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "1",
        "Are the paths of flow matching straighter than those of diffusion?",
        "Flow matching's paths are straighter than diffusion's.",
        ("2210.02747", "2209.03003"),
        tuple(_straighter(FLOW, DIFFUSION, _FLOW_AND_DIFFUSION, *FIGURES)),
    ),
    Claim(
        "2",
        "Does flow matching need fewer network evaluations than diffusion for a given quality?",
        "Flow matching reaches a given quality in fewer evaluations: 4-10 against 20-50.",
        ("2210.02747",),
        tuple(_fewer(FLOW, DIFFUSION, _FLOW_AND_DIFFUSION, _SELECTED, _COMMON)),
    ),
    Claim(
        "3",
        "Does rectifying a flow straighten it further, and save evaluations again?",
        "Reflow straightens further and lowers the evaluations needed again.",
        ("2209.03003",),
        (
            *_straighter(REFLOW, FLOW, _REFLOW_AND_FLOW, "straightness_native", "arc_over_chord"),
            *_fewer(REFLOW, FLOW, _REFLOW_AND_FLOW, _SELECTED),
        ),
        BOTH,
    ),
    Claim(
        "4",
        "Do consistency models do with one evaluation, and what does it cost in quality?",
        "Consistency models need one evaluation, at some cost in quality.",
        ("2303.01469", "2310.14189"),
        (
            Part(
                name="quality at one evaluation",
                contrast=ahead_at_one_evaluation,
                rule=DIFFERENCE,
                statement="with a single network evaluation, the best consistency model is better "
                "than the best of all others",
                opposite="with a single network evaluation, another model is better than the best "
                "consistency model",
                measure="its distance to real data is {effect} times that of the others",
            ),
            Part(
                name="cost in quality against the best attainable",
                contrast=cost_in_quality,
                rule=DIFFERENCE,
                statement="the best consistency model at one evaluation is worse than what others "
                "attain with many",
                opposite="the best consistency model at one evaluation is better than what others "
                "attain with many",
                measure="its distance to real data is {effect} times theirs",
            ),
        ),
        BOTH,
    ),
    Claim(
        "5a",
        "Do diffusion and flow matching end in the same samples, were their networks perfect?",
        "Exact fields end in the same points on every path.",
        ("2303.00848",),
        (
            Part(
                name="end points of the exact field",
                contrast=same_end_points,
                fineness=solved_finely,
                rule=f"equality: bound on the RMSE between paths below {SAME_POINT:g}; not tested "
                "where more evaluations would still lower it",
                registration=FINE_ENDS,
                statement="without a network's error, one noise ends in the same sample on every "
                "path",
                opposite="without a network's error, one noise ends in different samples on "
                "different paths",
                measure="the end points on two paths are at most {effect} apart",
                ratio=False,
            ),
        ),
    ),
    Claim(
        "5b",
        "Is diffusion that is trained with the emphasis of flow matching as good as it?",
        "VP trained with flow matching's log-SNR density and weighting equals flow matching.",
        ("2303.00848",),
        tuple(
            Part(
                name=f"quality at the most evaluations: {words}",
                contrast=equal_quality(MATCHED[prediction], FLOW),
                rule=EQUALITY,
                statement="diffusion that is trained with flow matching's emphasis is as good as "
                f"flow matching, within 10% ({words})",
                opposite="diffusion that is trained with flow matching's emphasis differs from "
                f"flow matching by more than 10% ({words})",
                measure="its distance to real data is {effect} times that of flow matching",
            )
            for prediction, words in (
                ("noise", "the network predicts noise"),
                ("v", "the network predicts v"),
            )
        ),
    ),
    Claim(
        "5c",
        "Is training emphasis all that sets diffusion and flow matching apart?",
        "What remains without matching is training emphasis.",
        ("2303.00848",),
        tuple(
            Part(
                name=f"difference without matching, none with it: {words}",
                contrast=explained_by(DIFFUSION, MATCHED[prediction], FLOW),
                rule=f"beyond 1.1 either way without matching, and {EQUALITY} with it",
                registration=BEYOND_THE_MARGIN,
                statement="diffusion and flow matching differ by more than 10% as they are "
                f"published, and by less under one emphasis ({words})",
                opposite="diffusion and flow matching differ by more than 10% as they are "
                f"published, and still do under one emphasis ({words})",
                measure="as published, diffusion's distance to real data is {effect} times that "
                "of flow matching",
            )
            for prediction, words in (
                ("noise", "the network predicts noise"),
                ("v", "the network predicts v"),
            )
        ),
    ),
    Claim(
        "6",
        "Do fewer network evaluations save time in proportion?",
        "Fewer evaluations mean a proportional gain in wall-clock.",
        ("2210.02747", "2209.03003"),
        (
            Part(
                name="slope of log seconds on log NFE",
                contrast=proportional_time(SLOPE_MARGIN),
                rule=f"equality: 90% interval inside 1 ± {SLOPE_MARGIN:g}",
                statement="sampling time is proportional to the number of network evaluations",
                opposite="sampling time is not proportional to the number of network evaluations",
                measure="it grows as that number to the power {effect}",
                registration=TIMED_SEEDS,
            ),
        ),
    ),
    Claim(
        "7",
        "Does minibatch optimal transport straighten paths at an equal budget?",
        "Minibatch OT straightens paths against the independent coupling.",
        ("2302.00482", "2304.14772"),
        (
            *_straighter(
                OPTIMAL_TRANSPORT,
                FLOW,
                ("minibatch OT", "the independent coupling"),
                "straightness_native",
                "arc_over_chord",
            ),
        ),
    ),
)
