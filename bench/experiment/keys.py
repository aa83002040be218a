"""The keys of an experiment file, as the page of ``configs`` shows them."""

from __future__ import annotations

import inspect
import re
import types
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from bench.experiment.spec import Experiment
from bench.markdown import code, plain, table


def keys() -> str:
    """Every section of an experiment file: what its docstring says, its keys and their defaults."""
    sections = [_section("(top level)", Experiment)]
    for name, field in Experiment.model_fields.items():
        model = _model(field.annotation)
        if model is not None:
            sections.append(
                _section(name + (".NAME" if _is_mapping(field.annotation) else ""), model)
            )
    return "\n\n".join(sections)


def _section(name: str, model: type[BaseModel]) -> str:
    prose, attributes = _docstring(model)
    rows = []
    for key, field in model.model_fields.items():
        default = "required" if field.is_required() else _default(field.default)
        rows.append([code(key), default, attributes.get(key, "")])
    explained = any(row[2] for row in rows)
    rows = rows if explained else [row[:2] for row in rows]
    header = ["key", "default", "what it is"] if explained else ["key", "default"]
    title = "### Top level" if model is Experiment else f"### `{name}`"
    prose = "" if model is Experiment else prose + "\n\n"
    return f"{title}\n\n{prose}{table(header, rows)}"


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see its section"
    if value is None:
        return "none"
    return code("''" if value == "" else str(value).lower() if isinstance(value, bool) else value)


def _docstring(model: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """The paragraphs of a docstring, and what it says of each attribute."""
    prose, _, listed = inspect.cleandoc(model.__doc__ or "").partition("\n\nAttributes:\n")
    paragraphs = "\n\n".join(plain(paragraph) for paragraph in prose.split("\n\n"))
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", listed, re.MULTILINE)
    return paragraphs, {name: plain(text).rstrip(".") for name, text in entries}


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is dict


def _model(annotation: Any) -> type[BaseModel] | None:
    """The section in an annotation: a model, one or none, or a mapping of names to models."""
    if get_origin(annotation) in (Union, types.UnionType, dict):
        models = [model for a in get_args(annotation) if (model := _model(a)) is not None]
        return models[0] if models else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None
