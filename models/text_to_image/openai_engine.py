"""Text-to-image behind a key: OpenAI's image models, or any server that speaks the same API."""

import base64
import io
import queue
import threading
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from models.contract import Event, ModelSpec, Placement, Stop
from models.errors import InvalidInput, Stopped, Unavailable
from models.settings import Settings
from models.text_to_image.events import ImagesDone
from models.text_to_image.png import encode, parameters
from models.text_to_image.requests import ImageGridRequest, ImageRequest

if TYPE_CHECKING:
    from openai import OpenAI

_LOOK = 0.1  # seconds between two looks at the stop flag
_PATIENCE = 4  # a picture takes so many times longer than a first token: times OPENAI_TIMEOUT
_NEEDED = {"prompt", "model"}


class OpenAIImages:
    """OpenAI's images endpoint, which knows no guidance, steps, seed or negative prompt."""

    def __init__(self, spec: ModelSpec, settings: Settings) -> None:
        self._spec = spec
        self._settings = settings

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Keep the settings; a person's key comes with each request and is not kept."""
        return cls(spec, settings)

    def nbytes(self) -> int:
        """No weights here."""
        return 0

    def stream(self, request: ImageRequest | ImageGridRequest, stop: Stop) -> Generator[Event]:
        """Ask the server for the pictures; the connection is closed once stop is set.

        Yields:
            ImagesDone, without seeds: the server has none.

        Raises:
            InvalidInput: a grid, or a picture to start from (invalid_not_hosted): it has neither.
            MissingKey: neither the request nor the settings have one to use.
            ModelError: what the server or the connection said.
            Stopped: stop was set.
        """
        from models.servers.openai_client import as_model_error, client

        if isinstance(request, ImageGridRequest) or request.image is not None:
            raise InvalidInput("invalid_not_hosted", model=self._spec.label)
        request = request.filled(self._spec)
        model = request.model_name or self._settings.openai_image_model
        answers: queue.SimpleQueue[list[bytes] | Exception] = queue.SimpleQueue()
        with client(self._settings, request.api_key) as server:
            patient = server.with_options(timeout=self._settings.openai_timeout * _PATIENCE)
            ask = {"model": model, **arguments(request)}
            threading.Thread(target=_ask, args=(patient, ask, answers), daemon=True).start()
            answer = _await(answers, stop)
        if isinstance(answer, Exception):
            raise as_model_error(answer, model) from None
        text = parameters(
            request.prompt, "", {"Size": ask["size"], "Model": model, "Version": "GenLab"}
        )
        yield ImagesDone(tuple(_png(image, text) for image in answer), ())


def arguments(request: ImageRequest) -> dict[str, Any]:
    """What of a request the images endpoint understands."""
    size = f"{request.width}x{request.height}" if request.width and request.height else "auto"
    return {"prompt": request.prompt, "size": size, "n": request.num_images}


def _await(
    answers: "queue.SimpleQueue[list[bytes] | Exception]", stop: Stop
) -> list[bytes] | Exception:
    while not stop.is_set():
        try:
            return answers.get(timeout=_LOOK)
        except queue.Empty:
            continue
    raise Stopped


def _ask(
    server: "OpenAI",
    ask: dict[str, Any],
    answers: "queue.SimpleQueue[list[bytes] | Exception]",
) -> None:
    try:
        answers.put(_images(server, ask))
    except Exception as error:
        answers.put(error)


def _images(server: "OpenAI", ask: dict[str, Any]) -> list[bytes]:
    """The pictures; a parameter that the server turns down is left out and the rest asked again."""
    from models.servers.openai_client import unsupported_parameter

    ask = dict(ask)
    while True:
        try:
            made = server.images.generate(**ask)
        except Exception as error:
            refused = unsupported_parameter(error)
            if refused is None or refused in _NEEDED or refused not in ask:
                raise
            del ask[refused]
            continue
        found = [one.b64_json for one in getattr(made, "data", None) or []]
        if not found or None in found:
            raise Unavailable("unavailable_server")
        return [base64.b64decode(one) for one in found if one]


def _png(image: bytes, text: str) -> bytes:
    """The server's picture as a PNG that says how it was made."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image)) as opened:
            return encode(opened.convert("RGB"), text)
    except (OSError, Image.DecompressionBombError):
        raise Unavailable("unavailable_server") from None
