"""What an answer of a hosted model cost, by the price table in prices.toml or the host's own."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.settings import Settings, SettingsError

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Price(BaseModel):
    """US dollars for a million tokens of one model; cached_input None where it is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Dollars for one answer.

        Args:
            prompt_tokens: all that were read, the cached ones among them.
            completion_tokens: all that were written, hidden ones among them.
            cached_tokens: those that the server had read before; at the full price where the
                table has no other.
        """
        reuse = min(cached_tokens, prompt_tokens)
        again = self.input if self.cached_input is None else self.cached_input
        whole = (prompt_tokens - reuse) * self.input + reuse * again
        return (whole + completion_tokens * self.output) / 1e6


class PriceList(BaseModel):
    """Prices of one server, read at one source on one date (YYYY-MM or YYYY-MM-DD)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str
    source: str
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
    models: Mapping[str, Price]


class _PriceFile(BaseModel):
    list: tuple[PriceList, ...] = ()


@cache
def read(path: Path) -> tuple[PriceList, ...]:
    """The lists of a price table.

    Args:
        path: a TOML file as prices.toml is.

    Raises:
        ValueError: it cannot be read, or is not such a table; the message says where.
    """
    try:
        return _PriceFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).list
    except OSError:
        raise ValueError("the file cannot be read") from None
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise ValueError(f"{place}: {fault['msg']}") from None


def check(settings: Settings) -> None:
    """Read the price table once when the app starts, so that a fault in it ends the start.

    Raises:
        SettingsError: it cannot be used; the message names the variable and not the path.
    """
    try:
        read(settings.prices)
    except ValueError as error:
        raise SettingsError(f"GENLAB_PRICES: Value error, {error}") from None


def price_of(
    lists: tuple[PriceList, ...], server: str, model: str
) -> tuple[Price, PriceList] | None:
    """A model's price on a server and the list it stands in; None where none has it."""
    for name in (model, _DATE.sub("", model)):
        for prices in lists:
            if prices.server == server and name in prices.models:
                return prices.models[name], prices
    return None
