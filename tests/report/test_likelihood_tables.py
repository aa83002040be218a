"""The table of likelihoods, from made-up records."""

from __future__ import annotations

from typing import Any

import pytest

from bench.evidence import records
from bench.report.study import Study
from bench.report.table import latex, markdown
from bench.report.tables.likelihood import likelihood
from tests import synthetic

SEEDS = [0, 1, 2]
VALUES = {0: -0.2, 1: 0.1, 2: 0.4}


def rows(dataset: str, label: str, seed: int) -> list[dict[str, Any]]:
    base = {
        "experiment": "synthetic", "dataset": dataset, "label": label, "train_seed": seed,
        "solver": "dopri5", "grid": "data_to_noise", "tolerance": 1e-5, "n_samples": 597,
        "reference_set": "held_out", "nfe": 100.0 + seed, "nfe_min": 90.0, "nfe_max": 110.0 + seed,
    }  # fmt: skip
    if label == "ot_flow_matching":
        return [base | {"metric": "refused", "status": "refused", "error": "guidance mixes"}]
    if label == "rectified_flow":
        return [base | {"metric": "failed", "status": "failed", "error": "ValueError: planted"}]
    found = {"nll": VALUES[seed]}
    if dataset == "digits":
        found |= {"bits_per_dim": 3.0 + seed, "nll_probe_se": 0.04}
    else:
        found |= {"nll_exact": -0.5, "nll_gap": VALUES[seed] + 0.5}
    return [base | {"metric": k, "value": v, "value_se": 0.25} for k, v in found.items()]


@pytest.fixture(scope="module")
def study() -> Study:
    labels = ["flow_matching", "ot_flow_matching", "rectified_flow", "consistency_training"]
    one = synthetic.experiment(
        seeds=SEEDS, formulations=dict.fromkeys(labels), likelihood={"samples": 597}
    )
    made = [
        row
        for dataset in one.datasets
        for label in labels[:3]
        for seed in SEEDS
        for row in rows(dataset, label, seed)
    ]
    return Study(records.frame(made), [one])


def test_each_data_set_shows_what_it_has(study: Study) -> None:
    table = likelihood(study)
    (_, points), (_, images) = table.blocks()
    assert "exact law (nats)" in points and "bits/dim" not in points
    assert "bits/dim" in images and "exact law (nats)" not in images
    first = points.iloc[0]
    # Mean 0.1 and Student t with two degrees of freedom: 4.303 * 0.3 / sqrt(3).
    assert first["NLL (nats)"] == "0.10 [-0.65, 0.85]"
    assert first["exact law (nats)"] == "-0.500"
    assert first["NFE (min to max)"] == "101 (90 to 112)"
    assert first["SE"] == "0.25"
    assert images.iloc[0]["SE"] == "0.25 (0.040)"


def test_the_others_say_why_they_have_no_value(study: Study) -> None:
    for _, block in likelihood(study).blocks():
        assert block["NLL (nats)"].tolist()[1:] == ["refused", "failed", "n/a"]


def test_the_csv_has_every_quantity_in_full(study: Study) -> None:
    data = likelihood(study).data
    assert set(data["label"]) == {"flow_matching"}
    gap = data[data["metric"] == "nll_gap"].iloc[0]
    assert gap["estimate"] == pytest.approx(0.6)
    assert gap["seeds"] == gap["seeds_expected"] == 3
    assert gap["nfe_mean"] == 101 and gap["tolerance"] == 1e-5 and gap["samples"] == 597
    bits = data[data["metric"] == "bits_per_dim"].iloc[0]
    assert bits["estimate"] == pytest.approx(4.0)


def test_an_experiment_that_does_not_ask_has_an_empty_table() -> None:
    one = synthetic.experiment(seeds=SEEDS)
    table = likelihood(Study(records.frame([]), [one]))
    assert table.data.empty and table.text.empty
    assert table.caption.startswith("No experiment here asks for it")
    assert "Nothing to show." in markdown(table)
    assert "Nothing to show." in latex(table)
