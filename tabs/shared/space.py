"""What the host of a Hugging Face Space should know, said in the Space's log at its start."""

import os
import threading
from typing import Any

import psutil
from pydantic import SecretStr

from models.runtime.placement import Hardware, hardware
from models.settings import Settings
from models.weights.hub import NO_ANSWER, space_variables
from tabs.shared.strings import say

_LITTLE = 4e9  # bytes of memory: under it not all that ships is sure to fit at once
SECRETS = frozenset(
    str(field.alias)
    for field in Settings.model_fields.values()
    if SecretStr.__name__ in str(field.annotation)  # also within Annotated and beside None
)
Remark = tuple[str, dict[str, Any]]  # a string of [space], and what it names


def remarks(settings: Settings, machine: Hardware, memory: float) -> list[Remark]:
    """What can be known without a network.

    Args:
        settings: the Space's.
        machine: its hardware.
        memory: its bytes of memory.
    """
    what: list[Remark] = []
    if settings.openai_api_key is None:
        what.append(("no_key", {}))
    elif not settings.may_use_server_key:
        what.append(("key_unused", {}))
    if not (machine.zero_gpu or machine.cuda):
        what.append(("no_gpu", {}))
    if memory < _LITTLE:
        what.append(("little_memory", {"gb": f"{memory / 1e9:.1f}"}))
    return what


def remarks_of_hub(settings: Settings, name: str) -> list[Remark]:
    """Remarks on Variables that should be Secrets. The hub lists them only for people who may change the Space.

    Args:
        settings: with the token of HF_TOKEN.
        name: of the Space, its SPACE_ID.
    """
    variables = space_variables(name, settings)
    if variables is NO_ANSWER:
        return [("no_hub", {})]
    return [("variable", {"name": one}) for one in sorted(SECRETS & variables)]


def tell(settings: Settings) -> None:
    """Print all remarks; those of the hub a little later, so that the start does not wait for it."""
    name = os.environ.get("SPACE_ID", "")
    language = "ko" if os.environ.get("LANG", "").startswith("ko") else "en"

    def show(new: list[Remark]) -> None:
        for key, values in new:
            print(f"GenLab: {say(f'space.{key}', language, **values)}", flush=True)

    show(remarks(settings, hardware(), psutil.virtual_memory().total))
    threading.Thread(target=lambda: show(remarks_of_hub(settings, name)), daemon=True).start()
