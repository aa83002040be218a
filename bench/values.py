"""Numbers of an experiment file: types for option models, and how a wrong value is refused."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError


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
