"""Text-to-image behind a key: OpenAI's image models, or any server that speaks the same API."""

import base64
import io
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from models.contract import Event, ModelSpec, Placement, Stop
from models.errors import InvalidInput, Unavailable
from models.runtime.blocking import run
from models.servers.budget import reserve, tokens_of
from models.settings import Settings
from models.text_to_image.events import ImagesDone
from models.text_to_image.image_files import encode_png, format_parameters
from models.text_to_image.requests import ImageGridRequest, ImageRequest

_PATIENCE = 4  # a picture takes so many times longer than a first token: times OPENAI_TIMEOUT
_PIXELS_A_TOKEN = 200
_AUTO_TOKENS = 1536 * 1024 // _PIXELS_A_TOKEN  # the largest size that a server picks
_NECESSARY = {"prompt", "model"}


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
            InvalidInput: a grid, or a picture to start from (invalid_not_hosted), or a LoRA (invalid_no_lora): it
                has none of them.
            MissingKey: neither the request nor the settings have one to use.
            ModelError: what the server or the connection said.
            Stopped: stop was set.
        """
        from models.servers.openai_client import as_model_error

        if isinstance(request, ImageGridRequest) or request.image is not None:
            raise InvalidInput("invalid_not_hosted", model=self._spec.label)
        if request.lora:
            raise InvalidInput("invalid_no_lora", model=self._spec.label)
        request = request.with_defaults(self._spec)
        model = request.model_name or self._settings.openai_image_model
        values = {"model": model, **arguments(request)}
        try:
            images = run(_generate(self._settings, request.api_key, values), stop)
        except Exception as error:
            raise as_model_error(error, model) from None
        text = format_parameters(
            request.prompt, "", {"Size": values["size"], "Model": model, "Version": "GenLab"}
        )
        yield ImagesDone(tuple(_png(image, text) for image in images), ())


def arguments(request: ImageRequest) -> dict[str, Any]:
    """What of a request the images endpoint understands."""
    size = f"{request.width}x{request.height}" if request.width and request.height else "auto"
    return {"prompt": request.prompt, "size": size, "n": request.num_images}


async def _generate(
    settings: Settings, api_key: SecretStr | None, values: dict[str, Any]
) -> list[bytes]:
    """The pictures; what they may cost at most is set aside first."""
    from models.servers.openai_client import async_client

    tokens = tokens_of(values["prompt"]), values["n"] * _tokens_of_picture(values["size"])
    with reserve(settings, values["model"], tokens, api_key) as bill:
        async with async_client(settings, api_key) as client:
            server = client.with_options(timeout=settings.openai_timeout * _PATIENCE)
            answer = await _send(server, values)
        usage = getattr(answer, "usage", None)
        if bill and usage is not None:
            bill.settle(usage.input_tokens, usage.output_tokens)
    pictures = [one.b64_json for one in getattr(answer, "data", None) or []]
    if not pictures or None in pictures:
        raise Unavailable("unavailable_server")
    return [base64.b64decode(one) for one in pictures]


async def _send(server: Any, values: dict[str, Any]) -> Any:
    """The answer; a parameter that the server turns down is left out, and the rest is sent again."""
    from models.servers.openai_client import unsupported_parameter

    while True:
        try:
            return await server.images.generate(**values)
        except Exception as error:
            parameter = unsupported_parameter(error)
            if parameter is None or parameter in _NECESSARY or parameter not in values:
                raise
            values = {name: value for name, value in values.items() if name != parameter}


def _tokens_of_picture(size: str) -> int:
    """So many tokens a picture costs at most, with room: OpenAI's largest are one for 252 pixels."""
    width, _, height = size.partition("x")
    return int(width) * int(height) // _PIXELS_A_TOKEN if height else _AUTO_TOKENS


def _png(image: bytes, text: str) -> bytes:
    """The server's picture as a PNG that says how it was made."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image)) as picture:
            return encode_png(picture.convert("RGB"), text)
    except (OSError, Image.DecompressionBombError):
        raise Unavailable("unavailable_server") from None
