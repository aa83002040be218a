"""The experiment file: what it means, and what is refused."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.errors import InputError
from bench.experiment import digests
from bench.experiment.loading import from_mapping, load
from bench.experiment.spec import Experiment, untuned

MINIMAL: dict[str, Any] = {
    "name": "trial",
    "datasets": {"digits": {}, "mixture2d": {"options": {"modes": 4}}},
    "formulations": {
        "flow_matching": None,
        "rectified_flow": {},
        "reflow_3": {"formulation": "rectified_flow", "options": {"k": 3}},
        "consistency_training": {},
    },
    "budget": {"amount": {"digits": 2.0e12, "mixture2d": 1.0e11}},
}


def minimal(**changes: Any) -> dict[str, Any]:
    """The minimal experiment with values at dotted keys (``__`` for the dot) replaced."""
    mapping = copy.deepcopy(MINIMAL)
    for key, value in changes.items():
        *folders, last = key.split("__")
        place = mapping
        for folder in folders:
            place[folder] = place.get(folder) or {}
            place = place[folder]
        place[last] = value
    return mapping


def experiment(**changes: Any) -> Experiment:
    return from_mapping(minimal(**changes), "trial.yaml")


def refusal(mapping: Any) -> str:
    with pytest.raises(InputError) as refused:
        from_mapping(mapping, "trial.yaml")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_resolved_is_canonical_and_loads_to_an_equal_experiment(tmp_path: Path) -> None:
    one = experiment()
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(one.resolved(), sort_keys=False))
    again = load(path)
    assert again == one
    assert again.digest == one.digest
    assert again.labels == one.labels
    json.dumps(one.resolved(), allow_nan=False)


def test_defaults_written_out_are_the_same_experiment() -> None:
    written = experiment(
        training__learning_rate=1.0e-3,
        formulations__rectified_flow={"formulation": "rectified_flow", "options": {"k": 2}},
        seeds=[0, 1, 2, 3, 4],
    )
    assert written.digest == experiment().digest
    assert experiment(seeds=[0, 1]).digest != experiment().digest


def test_entries_for_what_the_experiment_does_not_hold_change_nothing() -> None:
    rates = dict.fromkeys(experiment().labels, 1.0e-3)
    table = {"digits": rates | {"vp_diffusion": 5.0e-4}, "mixture2d": rates}
    assert experiment(training__learning_rate=table).digest == experiment().digest


def test_a_label_names_its_formulation_unless_told_otherwise() -> None:
    one = experiment()
    assert one.formulations["flow_matching"].formulation == "flow_matching"
    assert one.formulations["reflow_3"].formulation == "rectified_flow"
    assert len(one.formulation("reflow_3").stages) == 5


def test_yaml_traps_are_undone(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    text = yaml.safe_dump(MINIMAL) + "training: {learning_rate: 1e-4, batch_size: 1e2}\n"
    path.write_text(text)
    assert isinstance(yaml.safe_load(text)["training"]["learning_rate"], str)
    training = load(path).training
    assert load(path).learning_rate("digits", "flow_matching") == 1e-4
    assert training.batch_size == 100


def test_yaml_traps_in_options_of_parts_are_undone() -> None:
    factors = {
        "path": {"name": "linear", "sigma_min": "1e-4"},
        "coupling": {"name": "minibatch_ot", "block": "1e1"},
        "weighting": {"name": "min_snr", "gamma": 5},
    }
    one = experiment(formulations__flow_matching={"factors": factors})
    declared = one.formulation("flow_matching").final
    assert declared.path.options == {"sigma_min": 1e-4}
    assert declared.coupling is not None
    assert declared.coupling.options == {"block": 10}
    assert one.formulations["flow_matching"].factors["weighting"] == {"name": "min_snr", "gamma": 5}
    assert from_mapping(one.resolved(), "config.yaml") == one


def test_budget_all_in_shares_one_amount() -> None:
    one = experiment(budget__split={"rectified_flow": {"flow_1": 0.25, "pairs_2": 0.1}})
    stages = [stage.name for stage in one.formulation("rectified_flow").stages]
    spent = [one.stage_budget("digits", "rectified_flow", stage) for stage in stages]
    assert spent == pytest.approx([0.5e12, 0.2e12, 1.3e12])
    assert one.stage_budget("mixture2d", "flow_matching", "train") == 1.0e11


def test_budget_marginal_gives_upstream_one_further_amount() -> None:
    one = experiment(
        budget__accounting="marginal",
        budget__split={"rectified_flow": {"flow_1": 0.3, "pairs_2": 0.1}},
    )
    stages = [stage.name for stage in one.formulation("rectified_flow").stages]
    spent = [one.stage_budget("digits", "rectified_flow", stage) for stage in stages]
    assert spent == pytest.approx([1.5e12, 0.5e12, 2.0e12])
    assert one.stage_budget("digits", "flow_matching", "train") == 2.0e12


def test_keys_that_came_later_are_named_only_where_they_are_used() -> None:
    """Else the digest of every experiment would change with each key that is added."""
    plain = experiment().resolved()
    assert "models" not in plain
    assert "title" not in plain["formulations"]["flow_matching"]
    assert "acceleration" not in plain["training"]
    assert "overlap" not in plain["sweep"]
    assert "weights" not in plain["extractor"]
    named = experiment(
        formulations__flow_matching={"title": "Flow"},
        training__acceleration="off",
        sweep__overlap="on",
        extractor__weights="here.pth",
    )
    told = named.resolved()
    assert told["formulations"]["flow_matching"]["title"] == "Flow"
    assert told["training"]["acceleration"] == "off"
    assert told["sweep"]["overlap"] == "on"
    assert told["extractor"]["weights"] == "here.pth"
    assert from_mapping(told, "config.yaml") == named
    assert named.digest != experiment().digest


def test_a_data_set_may_be_ranked_by_other_metrics_than_its_own() -> None:
    """The first ranks, the others see what it misses; no model and no cell depends on them."""
    plain = experiment()
    ranked = experiment(datasets__mixture2d__ranked_by=["mmd_modes", "excess_nll"])
    told = ranked.described("mixture2d")
    assert (told.primary, told.companions) == ("mmd_modes", ("excess_nll",))
    assert plain.described("mixture2d").primary == "w2"
    assert from_mapping(ranked.resolved(), "config.yaml").digest == ranked.digest != plain.digest
    assert "ranked_by" not in plain.resolved()["datasets"]["mixture2d"]
    for digest in (digests.sweep_digest, digests.sweep_base):
        of_both = [digest(e, "mixture2d", "flow_matching", 0) for e in (plain, ranked)]
        assert of_both[0] == of_both[1]


def test_screens_depend_on_the_metric_that_ranks() -> None:
    """They measure it alone, and choose by it what is scored."""
    screened = {"sweep__screen": {"best": 2}}
    plain = experiment(**screened)
    ranked = experiment(**screened, datasets__mixture2d__ranked_by=["mmd_modes"])
    for digest in (digests.screen_digest, digests.sweep_digest):
        of_both = [digest(e, "mixture2d", "flow_matching", 0) for e in (plain, ranked)]
        assert of_both[0] != of_both[1]


@pytest.mark.parametrize(
    ("dataset", "metrics", "said"),
    [
        ("mixture2d", ["mmd_mode"], "not measured on mixture2d; did you mean 'mmd_modes'?"),
        ("digits", ["mmd_modes"], "not measured on digits"),
        ("mixture2d", ["mode_coverage"], "the first ranks models, lower first"),
        ("mixture2d", ["excess_nll"], "the first ranks models, lower first"),
        ("mixture2d", ["w2", "w2"], "given twice"),
    ],
)
def test_metrics_that_cannot_rank_are_one_line(dataset: str, metrics: list[str], said: str) -> None:
    line = refusal(minimal(**{f"datasets__{dataset}__ranked_by": metrics}))
    assert line.startswith(f"trial.yaml: datasets.{dataset}.ranked_by")
    assert said in line


def test_sizes_of_a_data_set_take_the_place_of_those_of_the_sweep() -> None:
    own = {"samples": {"scoring": 9552}, "block": 2388, "bandwidths": [0.1], "assigned": 597}
    one = experiment(
        datasets__mixture2d__sizes=own, sweep__samples={"scoring": 1194, "selection": 4776}
    )
    sweep = one.sweep_of("mixture2d")
    assert (dict(sweep.samples), sweep.block) == ({"scoring": 9552, "selection": 4776}, 2388)
    assert one.sweep_of("digits") == one.sweep
    assert sweep.solvers == one.sweep.solvers
    assert from_mapping(one.resolved(), "again") == one


@pytest.mark.parametrize(
    "own",
    [
        {"block": 199, "samples": {"scoring": 1194, "selection": 597}},
        {"bandwidths": [0.2]},
        {"assigned": 300},
        {"samples": {"scoring": 597}},
    ],
)
def test_sizes_change_the_scores_of_their_data_set_only(own: dict[str, Any]) -> None:
    before, after = experiment(), experiment(datasets__mixture2d__sizes=own)

    def scored(one: Experiment, dataset: str) -> list[str]:
        sweep = digests.sweep_digest(one, dataset, "flow_matching", 0)
        return [sweep, digests.floor_digest(one, dataset)]

    assert scored(before, "digits") == scored(after, "digits")
    assert not set(scored(before, "mixture2d")) & set(scored(after, "mixture2d"))
    trained = ("mixture2d", "flow_matching", "train", 0)
    assert digests.stage_digest(before, *trained) == digests.stage_digest(after, *trained)


@pytest.mark.parametrize(
    ("dataset", "own", "expected"),
    [
        ("mixture2d", {"block": 500}, "write multiples of its block (500), scoring has 1,194"),
        ("digits", {"block": 199}, "write at least twice metrics.kid_subset_size (596)"),
        ("digits", {"bandwidths": [1.0]}, "this one is not known; remove it"),
        ("mixture2d", {"samples": {"other": 597}}, "scoring"),
        ("mixture2d", {"bandwidths": [0.1, 0.1]}, "0.1 is given twice; remove one"),
        ("mixture2d", {"blocks": 2}, "did you mean 'block'?"),
    ],
)
def test_sizes_that_do_not_fit_are_one_line(
    dataset: str, own: dict[str, Any], expected: str
) -> None:
    line = refusal(minimal(**{f"datasets__{dataset}__sizes": own}))
    assert line.startswith(f"trial.yaml: datasets.{dataset}.sizes")
    assert expected in line


def test_a_bank_of_its_own_is_one_of_the_sweep() -> None:
    mapping = minimal(
        datasets__mixture2d__sizes={"samples": {"selection": 597}},
        sweep__samples={"scoring": 1194},
    )
    assert "no cell is sampled from this bank" in refusal(mapping)


def test_rates_of_a_tuning_grid_share_the_title_of_their_label() -> None:
    one = experiment(
        formulations__flow_matching={"title": "Flow"}, tuning={"learning_rates": [1e-4, 2e-3]}
    )
    assert {one.formulations[f"flow_matching@{rate}"].title for rate in ("0.0001", "0.002")} == {
        "Flow"
    }


def test_seed_blocks() -> None:
    assert experiment().seed_blocks() == [(0, 1, 2, 3, 4)]
    assert experiment(training__seeds_per_job=2).seed_blocks() == [(0, 1), (2, 3), (4,)]


def test_tuning_expands_each_label_over_the_rates() -> None:
    one = experiment(
        tuning={"learning_rates": [1e-4, 2e-3], "seed": 100},
        budget__split={"rectified_flow": {"pairs_2": 0.2}},
    )
    assert one.labels[:2] == ("flow_matching@0.0001", "flow_matching@0.002")
    assert one.seeds == [100]
    assert one.learning_rate("digits", "reflow_3@0.002") == 2e-3
    assert one.formulation("rectified_flow@0.002").stage("pairs_2").share == 0.2
    assert untuned("flow_matching@0.002") == "flow_matching"
    assert from_mapping(one.resolved(), "config.yaml") == one


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"budgte": {}}, "budgte: ", "did you mean 'budget'?"),
    ({"training__flip": True}, "training.flip: got True; ", "no images to mirror"),
    ({"training__batchsize": 8}, "training.batchsize: ", "did you mean 'batch_size'?"),
    ({"datasets__digits__network__widht": 8}, "datasets.digits.network.widht: ", "'width'"),
    ({"datasets__digits__network__kind": "unte"}, "digits.network.kind: got 'unte'; ", "'unet'"),
    (
        {"datasets__digits__network": {"kind": "unet", "multiplier": [1]}},
        "datasets.digits.network.multiplier: got [1]; ",
        "did you mean 'multipliers'?",
    ),
    (
        {"datasets__digits__network": {"kind": "unet", "width": 8}},
        "datasets.digits.network.width: got 8; ",
        "unknown key; known: kind, channels",
    ),
    (
        {"datasets__digits__network": {"kind": "unet", "multipliers": [1, 2.5]}},
        "datasets.digits.network.multipliers.1: got 2.5; ",
        "integer",
    ),
    (
        {"datasets__digits__network": {"kind": "unet", "attention": [7]}},
        "datasets.digits.network.attention: got (7,); ",
        "they have 8, 4, 2",
    ),
    (
        {"datasets__mixture2d__network": {"kind": "dit"}},
        "datasets.mixture2d.network.kind: got 'dit'; ",
        "write residual_mlp",
    ),
    ({"formulations__rectified_flow__options": {"kk": 3}}, "rectified_flow.options.kk: ", "'k'"),
    ({"formulations__rectified_flow__options": {"k": 9}}, "flow.options.k: got 9; ", "equal to 5"),
    ({"datasets__mixture2d__options": {"mods": 3}}, "mixture2d.options.mods: ", "'modes'"),
    ({"training__batch_size": "many"}, "training.batch_size: got 'many'; ", "write a number"),
    ({"training__batch_size": 2.5}, "training.batch_size: got 2.5; ", "integer"),
    ({"training__batch_size": True}, "training.batch_size: got True; ", "write a number"),
    ({"training__learning_rate": -1}, "training.learning_rate: got -1; ", "greater than 0"),
    ({"training__learning_rate": [1]}, "training.learning_rate: got [1]; ", "number"),
    ({"training__warmup": 1.0}, "training.warmup: got 1.0; ", "less than 1"),
    ({"training__seeds_per_job": "none"}, "seeds_per_job: got 'none'; ", "write a number"),
    ({"training__precision": "float16"}, "training.precision: got 'float16'; ", "'float32'"),
    ({"name": "Reference"}, "name: got 'Reference'; ", "choose another name"),
    ({"name": "a/b"}, "name: got 'a/b'; ", "it names a folder"),
    ({"name": ".."}, "name: got '..'; ", "it names a folder"),
    ({"name": 3}, "name: got 3; ", "must be a valid string"),
    ({"formulations__floor.mine": {}}, "formulations.floor.mine: got 'floor.mine'; ", "reserved"),
    ({"formulations__a b": {}}, "formulations.a b: got 'a b'; ", "it names a folder"),
    ({"formulations__a@1": {"formulation": "flow_matching"}}, "formulations.a@1: ", "tuning grid"),
    ({"formulations__flow_macthing": {}}, "formulations.flow_macthing: ", "'flow_matching'"),
    (
        {"formulations__x": {"formulation": "gan"}},
        "formulations.x.formulation: got 'gan'; ",
        "known: ",
    ),
    ({"formulations": {}}, "formulations: got an empty mapping; ", "at least 1"),
    ({"formulations": ["flow_matching"]}, "formulations: got ['flow_matching']; ", "dictionary"),
    ({"datasets__digit": {}}, "datasets.digit: got 'digit'; unknown data set; ", "'digits'"),
    ({"seeds": []}, "seeds: got []; ", "at least 1 item"),
    ({"seeds": [0, 1, 0]}, "seeds: got [0, 1, 0]; ", "0 is given twice"),
    ({"seeds": [-1]}, "seeds.0: got -1; ", "greater than or equal to 0"),
    ({"seeds": 5}, "seeds: got 5; ", "valid list"),
    ({"budget__amount": {"digits": 1e9}}, "budget.amount.mixture2d: ", "is missing; add it"),
    ({"budget__amount__digits": -1e9}, "budget.amount.digits: got -1000000000.0; ", "than 0"),
    ({"budget__amount__digits": float("inf")}, "budget.amount.digits: got inf; ", "finite"),
    ({"budget__amount__digts": 1e9}, "budget.amount.digts: ", "did you mean 'digits'?"),
    ({"budget__unit": "flop"}, "budget.unit: got 'flop'; ", "'flops', 'network_passes'"),
    ({"budget__split": {"rectified": {}}}, "budget.split.rectified: ", "'rectified_flow'"),
    (
        {"budget__split": {"rectified_flow": {"pair_2": 0.1}}},
        "budget.split.rectified_flow.pair_2: ",
        "'pairs_2'",
    ),
    (
        {"budget__split": {"flow_matching": {"teacher": 0.1}}},
        "budget.split.flow_matching.teacher: ",
        "there are none",
    ),
    (
        {"budget__split": {"rectified_flow": {"flow_2": 0.1}}},
        "budget.split.rectified_flow.flow_2: got 0.1; ",
        "takes the remainder",
    ),
    (
        {"budget__split": {"rectified_flow": {"flow_1": 0.6, "pairs_2": 0.4}}},
        "budget.split.rectified_flow.flow_2: got 0.0; ",
        "lower those of the other stages",
    ),
    (
        {"training__learning_rate": {"digits": {"flow_matching": 1e-3}}},
        "training.learning_rate.mixture2d: ",
        "is missing",
    ),
    (
        {"datasets": {"digits": {}}, "training__learning_rate": {"digits": {"rectified_flow": 1}}},
        "training.learning_rate.digits.flow_matching: ",
        "is missing",
    ),
    ({"sweep__solvers": ["eulr"]}, "sweep.solvers.0: got 'eulr'; ", "did you mean 'euler'?"),
    ({"sweep__solvers": ["euler"]}, "sweep.solvers: ", "add consistency"),
    ({"sweep__solvers": ["consistency"]}, "sweep.solvers: ", "add an ODE solver"),
    ({"sweep__nfe": [0, 1]}, "sweep.nfe.0: got 0; ", "greater than or equal to 1"),
    ({"sweep__nfe": []}, "sweep.nfe: got []; ", "at least one"),
    ({"sweep__tolerances": []}, "sweep.tolerances: got []; ", "1.0e-3"),
    ({"sweep__samples": {"scoring": 600}}, "sweep.samples.scoring: got 600; ", "multiple of"),
    ({"sweep__samples": {"selection": 597}}, "sweep.samples: ", "add scoring"),
    ({"sweep__samples": {"scorin": 597}}, "sweep.samples.scorin: got 'scorin'; ", "'scoring'"),
    ({"metrics__kid_subset_size": 299}, "metrics.kid_subset_size: got 299; ", "at most half"),
    (
        {"formulations__rectified_flow__options": {"pair_nfe": 15}},
        "formulations.rectified_flow.options: got 15; ",
        "pairs_2",
    ),
    ({"tuning": {"learning_rates": []}}, "tuning.learning_rates: got []; ", "at least 1"),
    ({"formulations__flow_matching": {"title": " "}}, "matching.title: got ' '; ", "one line"),
    (
        {"formulations__flow_matching": {"title": "a\nb"}},
        "matching.title: got 'a\\nb'; ",
        "one line",
    ),
    (
        {
            "formulations__flow_matching": {"title": "Flow"},
            "formulations__reflow_3": {"formulation": "rectified_flow", "title": "Flow"},
        },
        "formulations.reflow_3.title: got 'Flow'; ",
        "'flow_matching' has this title; choose another",
    ),
    *(
        ({f"formulations__flow_matching__factors__{factor}": part}, f"{place}: got {value}; ", why)
        for factor, part, place, value, why in [
            (
                "time_sampling",
                {"name": "logit_normal", "std": -1},
                "time_sampling.std",
                -1,
                "need std > 0",
            ),
            (
                "weighting",
                {"name": "min_snr", "gamma": "five"},
                "weighting.gamma",
                "'five'",
                "write a number, such as 3 or 1.0e-4",
            ),
            (
                "weighting",
                {"name": "min_snr", "gamma": float("inf")},
                "weighting.gamma",
                "inf",
                "finite",
            ),
            ("weighting", {"name": "min_snr", "gama": 5}, "weighting.gama", 5, "'gamma'"),
            ("path", {"name": "vp", "beta_min": True}, "path.beta_min", True, "write a number"),
            ("path", {"name": "vp", "beta_min": 30}, "path.beta_min", 30, "beta_min < beta_max"),
            (
                "path",
                {"name": "vp", "beta_min": 3, "beta_max": 2},
                "factors.path",
                "a mapping with 2 keys",
                "need 0 < beta_min < beta_max, got beta_min=3.0, beta_max=2.0",
            ),
            (
                "coupling",
                {"name": "minibatch_ot", "block": 1},
                "coupling.block",
                1,
                "need block >= 2",
            ),
            ("coupling", {"name": "minibatch_ot", "block": 2.5}, "coupling.block", 2.5, "integer"),
            ("prediction", {"name": "v", "scale": 1}, "prediction.scale", 1, "there are none"),
        ]
    ),
    (
        {"formulations__shortcut": {"options": {"finest": 100}}},
        "formulations.shortcut.options.finest: got 100; write",
        " a power of two",
    ),
    (
        {"datasets__mixture2d__options": {"layout": "rings"}},
        "datasets.mixture2d.options.layout: got 'rings'; must be 'ring', 'grid', 'spiral' or",
        " 'moons'",
    ),
    (
        {"formulations__vp_diffusion": {"options": {"beta_min": 30}}},
        "formulations.vp_diffusion.options: got a mapping with 3 keys; ",
        "need 0 < beta_min < beta_max, got beta_min=30.0, beta_max=20.0",
    ),
]


@pytest.mark.parametrize(("changes", "where", "remedy"), MISTAKES, ids=[m[1] for m in MISTAKES])
def test_a_mistake_is_one_line_with_file_key_value_and_remedy(
    changes: dict[str, Any], where: str, remedy: str
) -> None:
    line = refusal(minimal(**changes))
    assert line.startswith("trial.yaml: ")
    assert where in line
    assert remedy in line.split(where, 1)[1]


def test_a_missing_section_is_named() -> None:
    mapping = minimal()
    del mapping["budget"]
    assert refusal(mapping) == "trial.yaml: budget: is missing; add it"


def test_keys_that_yaml_does_not_read_as_text_are_refused() -> None:
    assert refusal({True: 1}) == "trial.yaml: True: got True; write the key in quotes"


@pytest.mark.parametrize("value", [None, [1], "text"])
def test_not_a_mapping(value: Any) -> None:
    assert "write keys and values" in refusal(value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name: [", "line 1, column 8: not a valid experiment file"),
        (b"name: a\nname: b\n", "line 2, column 1: not a valid experiment file: key 'name' is"),
        (b"budget: {unit: a, unit: b}\n", "key 'unit' is given twice; remove one"),
        (b"name: \xff\n", "not YAML text"),
        (b"name: \x00\n", "not YAML text"),
        (b"a: !!python/object/apply:os.getcwd []\n", "not a valid experiment file"),
    ],
)
def test_not_yaml(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "trial.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        load(path)
    line = str(refused.value)
    assert line.startswith(f"{path}: ")
    assert expected in line
    assert "\n" not in line


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory; give the path"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="Is a directory"):
        load(tmp_path)


def test_reading_an_experiment_never_imports_torch(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    code = (
        f"import sys; from bench.experiment.loading import load; load({str(path)!r}); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_saving_writes_only_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "results" / "config.yaml"
    experiment().save(path)
    written = path.stat().st_mtime_ns
    experiment().save(path)
    assert path.stat().st_mtime_ns == written
    assert load(path) == experiment()
    experiment(seeds=[7]).save(path)
    assert load(path).seeds == [7]


@pytest.mark.parametrize(
    ("section", "key", "off", "used"),
    [("sweep", "stop_above", None, 1.5), ("training", "weight_decay", 0.0, 0.1)],
)
def test_a_former_key_may_only_say_what_holds_without_it(
    section: str, key: str, off: object, used: object
) -> None:
    mapping = experiment().resolved()
    mapping[section][key] = off
    assert from_mapping(mapping, "old.yaml") == experiment()
    for value in (used, True):
        mapping[section][key] = value
        line = f"old.yaml: {section}.{key}: got {value!r}; this option was dropped in version 0.7.0"
        with pytest.raises(InputError, match=re.escape(line)):
            from_mapping(mapping, "old.yaml")


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"samples": {"scoring": 1194}}, r"add selection: sweep\.screen chooses samplers in one"),
        ({"screen": {"best": 0}}, r"sweep\.screen\.best: got 0"),
        ({"screen": {"beast": 3}}, r"sweep\.screen\.beast"),
        ({"grids": "every"}, r"sweep\.grids"),
    ],
)
def test_a_screen_that_cannot_choose_is_refused(sweep: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        experiment(**{f"sweep__{key}": value for key, value in ({"screen": {}} | sweep).items()})
