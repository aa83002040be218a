"""A digest changes with what a result depends on, and with nothing else."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.experiment import code, digests
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment

SIX: dict[str, Any] = {
    "name": "trial",
    "datasets": {"digits": {}, "mixture2d": {}},
    "formulations": {
        "vp_diffusion": {},
        "flow_matching": {},
        "ot_flow_matching": {},
        "rectified_flow": {},
        "consistency_distillation": {},
        "consistency_training": {},
    },
    "seeds": [0, 1],
    "budget": {"amount": {"digits": 2.0e12, "mixture2d": 1.0e11}},
}
CONSISTENCY = {
    "consistency_distillation/teacher",
    "consistency_distillation/distill",
    "consistency_training/train",
}


def experiment(**changes: Any) -> Experiment:
    mapping = copy.deepcopy(SIX)
    for key, value in changes.items():
        *folders, last = key.split("__")
        place = mapping
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return from_mapping(mapping, "trial.yaml")


def stage_digests(one: Experiment, dataset: str = "digits", seed: int = 0) -> dict[str, str]:
    """Digest of every stage, by ``label/stage``."""
    return {
        f"{label}/{stage.name}": digests.stage_digest(one, dataset, label, stage.name, seed)
        for label in one.labels
        for stage in one.formulation(label).stages
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert before.keys() <= after.keys()
    return {name for name in before if before[name] != after[name]}


Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Replaces text in a copy of the package that digests are taken from.

    Without an old text the new one is appended.
    """
    copied = tmp_path / "bench"
    shutil.copytree(code.PACKAGES / "bench", copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGES", tmp_path)

    def replace(file: str, old: str, new: str) -> None:
        path = copied / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1) if old else text + new)
        code.Code.of.cache_clear()

    yield replace
    code.Code.of.cache_clear()


def test_a_chain_of_flows_takes_the_digest_of_each_stage_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"options": {"k": 5, "distilled": True}}
    long = experiment(formulations__rectified_flow=options)
    last = long.formulation("rectified_flow").final.name
    taken: list[str] = []

    def count(experiment: Experiment, dataset: str) -> str:
        taken.append(dataset)
        return "data"

    monkeypatch.setattr(digests, "data_digest", count)
    digests.stage_digest(long, "digits", "rectified_flow", last, 0)
    assert len(taken) == len(long.formulation("rectified_flow").stages)


@pytest.mark.parametrize(
    ("file", "old", "new", "touched"),
    [
        ("models/paths/vp.py", "beta / 2", "beta / 3", {"vp_diffusion/train"}),
        ("models/paths/edm.py", "= 0.002", "= 0.003", CONSISTENCY),
        ("training/couplings/minibatch_ot.py", "maximize=True", "maximize=False",
         {"ot_flow_matching/train"}),
        ("training/couplings/paired.py", "return pair", "return pair or None",
         {"rectified_flow/flow_2"}),
        (
            "training/objectives/consistency.py", "0.00054 *", "0.00055 *",
            CONSISTENCY - {"consistency_distillation/teacher"},
        ),
        ("sampling/solvers/ode.py", "ROUNDING = 1e-6", "ROUNDING = 2e-6",
         {"rectified_flow/pairs_2", "rectified_flow/flow_2"}),
    ],
)  # fmt: skip
def test_a_part_that_is_edited_retrains_only_what_declares_it(
    edit: Edit, file: str, old: str, new: str, touched: set[str]
) -> None:
    before = stage_digests(experiment())
    edit(file, old, new)
    assert changed(before, stage_digests(experiment())) == touched


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("training/loop.py", "LOGGED_POINTS = ", "LOGGED_POINTS = 1 + "),
        ("models/networks/residual_mlp.py", "lowest: float = 0.25", "lowest: float = 0.5"),
        ("stages/train.py", "STEPS = ", "STEPS = 1 + "),
        ("stages/running/job.py", "SMALLEST_FRACTION = ", "SMALLEST_FRACTION = 0.0 + "),
        ("stages/running/devices.py", "rounded = ", "rounded = not "),
    ],
)
def test_code_that_all_stages_share_retrains_all(edit: Edit, file: str, old: str, new: str) -> None:
    before = stage_digests(experiment())
    edit(file, old, new)
    trained = {name for name in before if "pairs" not in name}
    assert changed(before, stage_digests(experiment())) >= trained


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("training/loop.py", "", "\nEXTRA = 1\n"),
        ("experiment/spec.py", "class Experiment", "EXTRA = 1\n\n\nclass Experiment"),
        ("progress.py", "PERIOD = ", "PERIOD = 1 + "),
        ("stages/running/outcome.py", "_LONGEST_ERROR = ", "_LONGEST_ERROR = 1 + "),
        ("sampling/solvers/catalogue.py", '"Euler"', '"Explicit Euler"'),
        ("formulations/methods/vp_diffusion.py", 'TITLE = "', 'TITLE = "The '),
        ("models/paths/vp.py", "class Vp", 'TITLE = "VP"\n\n\nclass Vp'),
        ("evidence/records.py", "SCHEMA_VERSION = ", "SCHEMA_VERSION = 1 + "),
        ("metrics/measures/frechet.py", "seed=i", "seed=i + 1"),
        ("data/sources/mixture2d.py", "def build", "EXTRA = 1\n\n\ndef build"),
    ],
)
def test_code_that_trains_nothing_retrains_nothing(
    edit: Edit, file: str, old: str, new: str
) -> None:
    before = stage_digests(experiment())
    edit(file, old, new)
    assert changed(before, stage_digests(experiment())) == set()


def test_a_title_of_a_label_retrains_nothing() -> None:
    plain, titled = experiment(), experiment(formulations__vp_diffusion={"title": "Score SDE"})
    assert titled.digest != plain.digest
    assert stage_digests(titled) == stage_digests(plain)
    place = ("digits", "vp_diffusion", 0)
    assert digests.sweep_digest(titled, *place) == digests.sweep_digest(plain, *place)
    assert digests.timing_digest(titled, "digits") == digests.timing_digest(plain, "digits")


def test_comments_docstrings_and_layout_retrain_nothing(edit: Edit) -> None:
    before = stage_digests(experiment())
    edit("training/loop.py", "import time", "import time  # for checkpoints\n\n")
    edit("training/loop.py", '"""', '"""Another first line. ')
    edit("models/paths/linear.py", "class Linear", '"""A bare string."""\n\n\nclass Linear')
    edit("models/paths/linear.py", "class Linear", "# a comment\nclass Linear")
    assert changed(before, stage_digests(experiment())) == set()


def test_one_changed_constant_is_a_change(edit: Edit) -> None:
    before = stage_digests(experiment())
    edit("models/path_model.py", "LOG_SNR_CLIP = 15.0", "LOG_SNR_CLIP = 16.0")
    assert changed(before, stage_digests(experiment())) == set(before)


def test_another_seed_or_label_changes_no_other_training() -> None:
    before = stage_digests(experiment())
    more = experiment(seeds=[0, 1, 2], formulations__again={"formulation": "flow_matching"})
    assert changed(before, stage_digests(more)) == set()
    assert changed(before, stage_digests(experiment(), seed=1)) == set(before)
    assert changed(before, stage_digests(experiment(), dataset="mixture2d")) == set(before)


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"formulations__vp_diffusion__options": {"beta_max": 19.0}}, {"vp_diffusion/train"}),
        (
            {"formulations__consistency_distillation__options": {"last_levels": 80}},
            {"consistency_distillation/distill"},
        ),
        (
            {"budget__split": {"rectified_flow": {"flow_1": 0.3}}},
            {"rectified_flow/flow_1", "rectified_flow/pairs_2", "rectified_flow/flow_2"},
        ),
        ({"sweep__nfe": [1, 2]}, set()),
        ({"sweep__overlap": "on"}, set()),
        ({"metrics__kid_subsets": 20}, set()),
        ({"timing__repeats": 3}, set()),
        ({"training__seeds_per_job": 1}, set()),
        ({"name": "other"}, set()),
        ({"datasets__mixture2d__network": {"width": 32}}, set()),
    ],
)
def test_a_changed_option_retrains_what_depends_on_it(
    change: dict[str, Any], touched: set[str]
) -> None:
    assert changed(stage_digests(experiment()), stage_digests(experiment(**change))) == touched


@pytest.mark.parametrize(
    "change",
    [
        {"budget__amount__digits": 1.0e12},
        {"budget__accounting": "marginal"},
        {"training__batch_size": 128},
        {"training__learning_rate": 2.0e-3},
        {"datasets__digits__network": {"width": 32}},
    ],
)
def test_a_setting_of_all_retrains_all(change: dict[str, Any]) -> None:
    before = stage_digests(experiment())
    assert changed(before, stage_digests(experiment(**change))) == set(before)


def test_a_numeric_package_retrains_all_and_its_build_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = stage_digests(experiment())
    real = digests.version

    def installed(name: str, more: str) -> str:
        return real(name).split("+")[0] + more

    try:
        for more, expected in (("+other", set()), (".1", set(before))):
            monkeypatch.setattr(digests, "version", partial(installed, more=more))
            digests._public_version.cache_clear()
            assert changed(before, stage_digests(experiment())) == expected
    finally:
        digests._public_version.cache_clear()


def test_device_seconds_chain_the_calibration(edit: Edit) -> None:
    timed = experiment(budget__unit="device_seconds")
    before = stage_digests(timed)
    edit("stages/calibrate.py", "STEPS = ", "STEPS = 1 + ")
    assert changed(before, stage_digests(timed)) == set(before)


def sweeps(one: Experiment) -> dict[str, str]:
    return {
        f"{label}/{dataset}": digests.sweep_digest(one, dataset, label, 0)
        for label in one.labels
        for dataset in one.datasets
    }


def test_one_more_nfe_changes_the_sweep_and_none_of_its_cells() -> None:
    few, more = experiment(sweep__nfe=[1, 2]), experiment(sweep__nfe=[1, 2, 4])
    assert changed(sweeps(few), sweeps(more)) == set(sweeps(few))
    bases = [digests.sweep_base(one, "digits", "vp_diffusion", 0) for one in (few, more)]
    assert bases[0] == bases[1]
    timed = [digests.timing_base(one, "digits", "vp_diffusion", 0) for one in (few, more)]
    assert timed[0] == timed[1]


def test_a_cell_depends_on_its_base_its_settings_and_its_solver(edit: Edit) -> None:
    cell = {"solver": "euler", "nfe": 8}
    before = digests.cell_digest("base", cell)
    assert digests.cell_digest("base", cell) == before
    assert digests.cell_digest("other", cell) != before
    assert digests.cell_digest("base", cell | {"nfe": 16}) != before
    ddim = digests.cell_digest("base", cell | {"solver": "ddim"})
    edit("sampling/solvers/exponential.py", "return [1.0]", "return [1.1]")
    assert digests.cell_digest("base", cell) == before
    assert digests.cell_digest("base", cell | {"solver": "ddim"}) != ddim


def test_sweeps_follow_their_model_metrics_and_extractor(edit: Edit) -> None:
    before = sweeps(experiment())
    edit("metrics/measures/frechet.py", "seed=i", "seed=i + 1")
    digits = {name for name in before if name.endswith("digits")}
    assert changed(before, sweeps(experiment())) == digits
    before = sweeps(experiment())
    assert changed(before, sweeps(experiment(extractor__seed=1))) == digits
    assert changed(before, sweeps(experiment(sweep__overlap="on"))) == set()
    options = {"formulations__vp_diffusion__options": {"beta_max": 19.0}}
    assert changed(before, sweeps(experiment(**options))) == {
        "vp_diffusion/digits",
        "vp_diffusion/mixture2d",
    }


def test_only_data_sets_that_declare_an_extractor_have_one() -> None:
    assert digests.extractor_digest(experiment(), "mixture2d") is None
    assert digests.extractor_digest(experiment(), "digits") is not None


def test_samples_drawn_for_an_extractor_matter_where_training_is_unlimited() -> None:
    def extractors(**changes: Any) -> dict[str, str | None]:
        one = experiment(datasets__letters={}, budget__amount__letters=1.0e12, **changes)
        return {name: digests.extractor_digest(one, name) for name in ("digits", "letters")}

    before, after = extractors(), extractors(extractor__samples=5000)
    assert {name for name in before if before[name] != after[name]} == {"letters"}
    assert "samples" not in experiment().resolved()["extractor"]


def test_data_extractor_floor_and_timing_follow_their_settings() -> None:
    def others(one: Experiment) -> dict[str, str | None]:
        return {
            "data": digests.data_digest(one, "mixture2d"),
            "extractor": digests.extractor_digest(one, "digits"),
            "floor": digests.floor_digest(one, "mixture2d"),
            "timing": digests.timing_digest(one, "mixture2d"),
        }

    def differing(**changes: Any) -> set[str]:
        before, after = others(experiment()), others(experiment(**changes))
        return {name for name in before if before[name] != after[name]}

    assert differing(datasets__mixture2d__options={"modes": 4}) == {"data", "floor", "timing"}
    assert differing(extractor__seed=1) == {"extractor"}
    assert differing(sweep__samples={"scoring": 597}) == {"floor"}
    assert differing(sweep__overlap="on") == set()
    assert differing(timing__repeats=3) == {"timing"}
    assert differing(sweep__nfe=[1]) == {"timing"}
    assert differing(name="other") == set()
