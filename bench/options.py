"""Options of parts and sections: immutable, and a misspelt key names the nearest one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from bench.registry import nearest


class OptionModel(BaseModel):
    """Base of every option model: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest_key(cls, values: Any) -> Any:
        names = tuple(cls.model_fields)
        for key in values if isinstance(values, Mapping) else ():
            if key not in names:
                context = {"key": key, "hint": nearest(key, names)}
                raise PydanticCustomError("unknown_key", "unknown key; {hint}", context)
        return values


def refuse(remedy: str) -> PydanticCustomError:
    """The error of a value, for a validator to raise; ``remedy`` says what to do about it."""
    return PydanticCustomError("refused", "{remedy}", {"remedy": remedy})


def number(value: Any) -> Any:
    """Undo two traps: YAML reads ``1e-4`` as a string, and Python reads ``true`` as 1."""
    if isinstance(value, bool):
        raise refuse("write a number")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise refuse("write a number, such as 3 or 1.0e-4") from None
    return value


Count = Annotated[int, Field(ge=1), BeforeValidator(number)]


Natural = Annotated[int, Field(ge=0), BeforeValidator(number)]


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(number)]


NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(number)]


Fraction = Annotated[float, Field(ge=0, lt=1), BeforeValidator(number)]


Share = Annotated[float, Field(gt=0, lt=1), BeforeValidator(number)]
