"""What is measured once a model, beside the cells of its sweep: straightness, and its field."""

from __future__ import annotations

from typing import Any

from bench.evidence.records import Record
from bench.experiment.cells import SCORING
from bench.metrics.measures.endpoint_rmse import rmse
from bench.models.path_model import PathModel
from bench.sampling import straightness as geometry
from bench.sampling.field_error import field_errors, field_points
from bench.stages.running.journal import Array, Entry
from bench.stages.running.model_sweep import REFERENCE, Sweep

GEOMETRY_SAMPLES = 256
SHOWN_TRAJECTORIES = 128


def measure_geometry(sweep: Sweep, columns: dict[str, Any], digest: str) -> Entry:
    """The three straightness figures, from fine solves."""
    noise = sweep.noise(SCORING)[:GEOMETRY_SAMPLES]
    model = sweep.model_of(SCORING).part(slice(GEOMETRY_SAMPLES))
    assert isinstance(model, PathModel), "only models have a straightness of their own"
    native = geometry.native(model, noise)
    linear = geometry.on_linear_path(model, noise)
    columns = {
        **columns,
        "solver": REFERENCE,
        "grid": f"uniform_t({geometry.INTERVALS}, {geometry.METHOD})",
        **sweep.about(model.path, SCORING, len(noise), digest),
    }
    values = {
        "straightness_native": native.straightness,
        "straightness_linear": linear.straightness,
        "arc_over_chord": native.arc_over_chord,
    }
    arrays: dict[str, Array] = {}
    if sweep.references.dataset.kind == "vector":
        arrays = {
            "times": native.times.cpu().numpy(),
            "trajectories": native.states[:, :SHOWN_TRAJECTORIES].cpu().numpy(),
        }
    return Entry([{**columns, "metric": k, "value": v} for k, v in values.items()], arrays)


def measure_field(sweep: Sweep, columns: dict[str, Any], digest: str) -> Entry:
    """How far the model's field is from the exact one: over time, and at the end points.

    ``field_error.velocity`` is relative, ``field_error.data`` the mean square a coordinate;
    ``field_rmse`` is between the fine solves of model and exact flow from the same noise.
    """
    exact = sweep.exact
    assert exact is not None, "the exact flow is not known"
    data, noise, component = field_points(sweep.references.dataset, exact.law)
    model, flow = sweep.model, exact
    if sweep.conditional is not None and exact.law.labels is not None:
        assert isinstance(model, PathModel), "only models are told classes"
        label = exact.law.labels[component].to(sweep.device)
        model, flow = model.given(label, sweep.conditional.guidance), exact.given(label)
    errors = field_errors(model, flow, data.to(sweep.device), noise.to(sweep.device))
    over_time = {**columns, **sweep.about(model.path, None, len(data), digest)}
    rows: list[Record] = [
        {**over_time, "metric": metric, "log_snr": error.log_snr, "value": value}
        for error in errors
        for metric, value in (
            ("field_error.velocity", error.velocity),
            ("field_error.data", error.data),
        )
    ]
    exact_solution = sweep.exact_end
    assert exact_solution is not None
    fine, true = sweep.fine_end(()).end, exact_solution.end
    at_end = {**columns, **sweep.about(model.path, SCORING, len(fine), digest)}
    measured = rmse("field_rmse", fine, true, "exact_solve")
    return Entry([*rows, {**at_end, "solver": REFERENCE, **measured.columns()}])
