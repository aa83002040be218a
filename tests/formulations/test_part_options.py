"""Options of parts, read without torch, are those of the constructors that take them."""

from __future__ import annotations

import inspect
import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from bench.errors import InputError
from bench.formulations import parts
from bench.formulations.grammar import Part
from bench.formulations.parts import BUILT_FROM, ROOMS, part_options, without_defaults
from bench.options import OptionModel, _parsed
from bench.registry import discover, module

PARTS = [(room, name) for room in ROOMS.values() for name in discover(room)]
NUMBERS: dict[type, list[Any]] = {
    int: [-1, 0, 1, 2, 3, 16, 1000],
    float: [-2.0, -1.0, 0.0, 0.002, 0.5, 1.0, 1.5, 80.0, 1.0e4],
}


def trials(kind: Any) -> list[Any]:
    """Values of a type, some of which a part may refuse."""
    if kind in NUMBERS:
        return NUMBERS[kind]
    words = [word for word in get_args(kind) if isinstance(word, str)]
    if words:
        return words
    return [None, *(value for inside in get_args(kind) for value in trials(inside))]


def is_built(part: Part) -> bool:
    """Whether the constructor takes the options."""
    try:
        part.build(**dict.fromkeys(BUILT_FROM.get(part.room, ())))
    except ValueError:
        return False
    return True


def is_sound(part: Part) -> bool:
    """Whether a plan takes them."""
    try:
        part_options(part.room, part.name).model_validate(dict(part.options))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(("room", "name"), PARTS, ids=[f"{r}/{n}" for r, n in PARTS])
def test_a_plan_refuses_what_the_constructor_refuses(room: str, name: str) -> None:
    fields = part_options(room, name).model_fields
    needed = {o: trials(f.annotation)[-1] for o, f in fields.items() if f.is_required()}
    for option, field in fields.items():
        for value in trials(field.annotation):
            part = Part(room, name, needed | {option: value})
            assert is_sound(part) == is_built(part), part
    for first, second in itertools.combinations(fields, 2):
        for pair in itertools.product(*(trials(fields[o].annotation) for o in (first, second))):
            part = Part(room, name, needed | dict(zip((first, second), pair, strict=True)))
            assert is_sound(part) == is_built(part), part


def test_some_options_are_refused() -> None:
    assert not is_sound(Part("time_sampling", "logit_normal", {"std": -1}))
    assert not is_built(Part("time_sampling", "logit_normal", {"std": -1}))
    assert is_sound(Part("couplings", "minibatch_ot", {"block": 2}))
    assert not is_sound(Part("couplings", "minibatch_ot", {"block": 1}))


def test_options_with_their_default_value_are_left_out() -> None:
    given = Part("paths", "vp", {"beta_min": 0.1, "beta_max": 5.0})
    assert without_defaults(given).options == {"beta_max": 5.0}
    assert without_defaults(Part("paths", "vp")).options == {}


def test_options_are_checked_without_torch() -> None:
    code = (
        "import sys; from bench.formulations.parts import part_options; "
        "part_options('time_sampling', 'mode').model_validate({'scale': 1}); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("room", "name"), PARTS, ids=[f"{r}/{n}" for r, n in PARTS])
def test_conditions_name_parameters_and_refuse_with_the_same_words(room: str, name: str) -> None:
    conditions = parts._constructor(room, name).conditions
    options = part_options(room, name)
    for condition in conditions:
        _, named = _parsed(condition, options.model_fields)
        assert set(named) <= set(inspect.signature(module(room, name).build).parameters)
    fields = options.model_fields
    needed = {o: trials(f.annotation)[-1] for o, f in fields.items() if f.is_required()}
    refused = set()
    for option, field in fields.items():
        for value in trials(field.annotation):
            part = Part(room, name, needed | {option: value})
            try:
                part.build(**dict.fromkeys(BUILT_FROM.get(room, ())))
            except ValueError as error:
                words = str(error).partition(", got ")[0]
                with pytest.raises(ValidationError, match=re.escape(words)):
                    options.model_validate(dict(part.options))
                refused.add(words.removeprefix("need "))
    assert refused == set(conditions), "a condition that no trial breaks"


def test_words_that_an_option_does_not_know_are_refused_by_a_plan() -> None:
    for wrong in ({"schedule": "none"}, {"neighbour": "far"}):
        assert not is_sound(Part("objectives", "consistency", {"neighbour": "pair"} | wrong))


def of_own_file(file: Path, condition: str, monkeypatch: pytest.MonkeyPatch) -> type[OptionModel]:
    """The options of a part in a file that needs torch, under a condition as it stands there."""
    file.write_text(
        "import torch\n"
        "from bench.options import requires\n"
        "class Own:\n"
        f"    @requires({condition})\n"
        "    def __init__(self, scale: float, table: torch.Tensor = None) -> None:\n"
        "        self.scale = torch.tensor(scale)\n"
        "        if scale < 0:\n"
        "            raise ValueError('left to the constructor')\n"
        "build = Own\n"
    )
    monkeypatch.setattr(parts, "source", lambda room, name: file)
    parts._constructor.cache_clear()
    return part_options("paths", f"a part of one's own under {condition}")


def test_only_conditions_are_read_of_a_constructor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = of_own_file(tmp_path / "own.py", "'scale <= 3'", monkeypatch)
    options.model_validate({"scale": "-1e0", "table": [1, 2]})
    with pytest.raises(ValidationError, match="need scale <= 3"):
        options.model_validate({"scale": 4})


def test_a_condition_that_a_plan_cannot_read_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"requires\(SMALL\): write the condition as a string"):
        of_own_file(tmp_path / "own.py", "SMALL", monkeypatch)
