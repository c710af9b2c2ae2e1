"""What all requests share: building one, and its first fault as an InvalidInput."""

import random
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from models.errors import InvalidInput

MAX_SEED = 2**32 - 1
MAX_TEXT = 20_000  # characters of one text, a long newspaper article


def not_blank(text: str) -> str:
    """The text itself; blank is a fault."""
    if not text.strip():
        raise PydanticCustomError("blank", "blank")
    return text


def drawn_seed(seed: int) -> int:
    """The seed itself, or a freshly drawn one for -1 (0 to 2**31 - 1, exact in JSON and in torch)."""
    return seed if seed >= 0 else random.SystemRandom().randrange(2**31)


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(not_blank)]
Sentence = Annotated[str, StringConstraints(max_length=2000), AfterValidator(not_blank)]
Seed = Annotated[int, Field(ge=-1, le=MAX_SEED)]


class Request(BaseModel):
    """A validated request. Build it with `of`, which raises InvalidInput instead of pydantic's error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Validate values.

        Raises:
            InvalidInput: the first fault, with the field's name and the limit that was passed.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise _invalid(error) from None


def _invalid(error: ValidationError) -> InvalidInput:
    fault = error.errors(include_url=False, include_input=False)[0]
    name = next((part for part in fault["loc"] if isinstance(part, str)), "")
    context = fault.get("ctx", {})
    kind = fault["type"]
    if kind in {"blank", "missing"}:
        return InvalidInput("invalid_blank", field=name)
    if kind == "too_long" and "field_type" in context:
        return InvalidInput("invalid_too_many", field=name, limit=context.get("max_length"))
    if kind.startswith("teach_"):
        return InvalidInput(kind, **context)
    if kind == "address":
        return InvalidInput("invalid_address", field=name)
    if kind in {"string_too_long", "too_long"}:
        return InvalidInput("invalid_too_long", field=name, limit=context.get("max_length"))
    if kind == "too_short":
        return InvalidInput("invalid_too_few", field=name, limit=context.get("min_length"))
    for bound in ("ge", "le", "gt", "lt", "multiple_of"):
        if bound in context:
            limit = context[bound]
            plain = int(limit) if limit == int(limit) else limit  # 15, not 15.0
            return InvalidInput(f"invalid_{bound}", field=name, limit=plain)
    if kind.startswith("string"):
        return InvalidInput("invalid_not_text", field=name)
    if kind.startswith(("int", "float", "finite", "decimal")):
        return InvalidInput("invalid_not_a_number", field=name)
    return InvalidInput(field=name)
