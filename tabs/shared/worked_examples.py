"""Worked examples: what a result looks like before the first use of a part of the page.

They were recorded with what ships (`python -m training.worked_examples`) and are plain data here, so that no
model is loaded for them; a test records them again and compares. A person's own result takes their place.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from tabs.shared.charts import example_note
from tabs.shared.strings import LANGUAGES

FILE = Path(__file__).with_name("worked_examples.json")
Recording = Mapping[str, Any]
T = TypeVar("T")


@lru_cache
def recordings() -> Mapping[str, Mapping[str, Recording]]:
    """Part of the page -> language -> name -> what was recorded."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def worked_example(part: str, render: Callable[[Recording], str], note: bool = True) -> str:
    """The examples of a part as HTML, of which the page shows that of its language.

    Args:
        part: its name in the file.
        render: a recording -> HTML, by the functions that render a person's result.
        note: whether it says that it is an example; False for the second piece of one.
    """
    head = example_note() if note else ""
    return "".join(
        f'<div class="in-{language}" lang="{language}">{head}{render(recordings()[part][language])}</div>'
        for language in LANGUAGES
    )


def restore(kind: type[T], value: Any) -> T:
    """A recorded event as it was."""
    return adapter(kind).validate_python([value])[0]


def adapter(kind: type[T]) -> TypeAdapter[tuple[T]]:
    """What turns an event, alone in a tuple, into plain data and back; its arrays have to be None."""
    return TypeAdapter(tuple[kind], config={"arbitrary_types_allowed": True})  # pyright: ignore
