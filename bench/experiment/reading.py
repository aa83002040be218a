"""An experiment file as YAML: keys are words, given once; what is wrong is told in one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bench.errors import InputError


class _UniqueKeys(yaml.SafeLoader):
    """YAML as PyYAML reads it, but a key that is given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode)]
        for index, (key_node, _) in enumerate(node.value):
            if isinstance(key_node, yaml.ScalarNode) and key_node.value in keys[:index]:
                problem = f"key {key_node.value!r} is given twice; remove one"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path | str) -> Any:
    """The values of a YAML file, not yet validated.

    Raises:
        InputError: the file cannot be read, is not YAML, or gives a key twice.
    """
    try:
        loader = _UniqueKeys(Path(path).read_text(encoding="utf-8"))
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the path of an experiment file") from None
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark, error.problem
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{path}: {place}not a valid experiment file: {problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML text: {str(error).splitlines()[0]}") from None


def only_words(value: Any, source: str, at: tuple[str, ...] = ()) -> None:
    """Refuse keys that YAML did not read as text, such as ``on`` and ``1``.

    Raises:
        InputError: there is one.
    """
    if isinstance(value, Mapping):
        for key, below in value.items():
            if not isinstance(key, str):
                raise bad(source, ".".join((*at, str(key))), key, "write the key in quotes")
            only_words(below, source, (*at, key))


def shown(value: Any) -> str:
    """A value as an error line quotes it."""
    if isinstance(value, Mapping):
        keys = f"{len(value)} key{'s' if len(value) > 1 else ''}"
        return f"a mapping with {keys}" if value else "an empty mapping"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def bad(source: str, key: str, value: Any, remedy: str) -> InputError:
    """The error of one value: its file, its key, what was found there, and what to do about it."""
    return InputError(f"{source}: {key}: got {shown(value)}; {remedy}")
