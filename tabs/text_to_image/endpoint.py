"""The tab for programs: /generate_image."""

import base64
from collections.abc import Generator
from typing import Any

import gradio as gr

from models.contract import Finished, ModelSpec
from models.errors import InvalidInput
from models.select import select
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import ImagesDone, StepDone
from models.text_to_image.requests import ImageRequest
from tabs.shared.context import Context
from tabs.shared.events import Pace, follow, show_errors
from tabs.text_to_image.draw import save_images

Files = list[dict[str, Any]]


def build(context: Context) -> None:
    """Offer the endpoint."""

    def generate_image(
        prompt: str,
        negative_prompt: str = "",
        model: str = "auto",
        guidance_scale: float | None = None,
        num_inference_steps: int | None = None,
        seed: int = -1,
        width: int | None = None,
        height: int | None = None,
        num_images: int = 1,
        scheduler: str = "",
        image: str = "",
        strength: float = 0.6,
        lora: str = "",
        lora_strength: float = 1.0,
        decoder: str = "",
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Generator[tuple[Files, dict[str, Any]]]:
        """Draw pictures from words; gives PNG files and their seeds. What is left at None or "" is the model's own.

        Args:
            prompt: what to draw.
            negative_prompt: what to keep out.
            model: "auto" (what is here and reads the prompt's language), an id of the catalogue or a Hugging Face id.
            guidance_scale: weight of the prompt; 1 or less is none.
            num_inference_steps: denoising steps.
            seed: of the first picture, the next have the numbers after it; -1 draws one.
            width: in pixels, a multiple of 8.
            height: in pixels, a multiple of 8.
            num_images: 1 to 8.
            scheduler: name of a sampler.
            image: a PNG, JPEG or WebP file in base64 to start from.
            strength: how much of that file is drawn anew, above 0 and up to 1.
            lora: "ORG/NAME", "ORG/NAME:FILE.safetensors" or "file:NAME.safetensors".
            lora_strength: from 0 to 2.
            decoder: "tiny" for TAESD, which is faster and a little softer.

        Yields:
            While waiting and drawing no files and {"step", "steps"}; last the PNG files and {"seeds", "model",
            "seconds", "flagged", "cut", "unknown", "batch"}. A file that the safety checker blanked is left out.
        """
        with show_errors(request):
            image_request = ImageRequest.of(
                prompt=prompt,
                negative_prompt=negative_prompt,
                guidance_scale=guidance_scale,
                num_inference_steps=num_inference_steps,
                seed=seed,
                width=width,
                height=height,
                num_images=num_images,
                scheduler=scheduler,
                image=_decode(image),
                strength=strength,
                lora=lora,
                lora_strength=lora_strength,
                decoder=decoder,
            )
            spec = select(TEXT_TO_IMAGE, model, context.settings, image_request.prompt)
            image_request = image_request.with_defaults(spec)
        yield from _results(context, spec, image_request, request)

    gr.api(generate_image, api_name="generate_image")


def _decode(image: str) -> bytes | None:
    try:
        return base64.b64decode(image, validate=True) if image else None
    except (TypeError, ValueError):
        raise InvalidInput("invalid_picture") from None


def _results(
    context: Context, spec: ModelSpec, request: ImageRequest, visitor: gr.Request
) -> Generator[tuple[Files, dict[str, Any]]]:
    images, pace, step = ImagesDone((), ()), Pace(), {"step": 0, "steps": 0}
    for event in follow(context, spec, request, visitor):
        if isinstance(event, StepDone):
            step = {"step": event.step, "steps": event.total}
        if isinstance(event, ImagesDone):
            images = event
        if isinstance(event, Finished):
            with show_errors(visitor):
                paths = save_images(spec, images)
            files = [gr.FileData(path=path).model_dump() for path in paths]
            yield files, _facts(images, event)
        elif pace.due():  # while waiting too: only at a yield does Gradio notice that a caller left
            yield [], dict(step)


def _facts(images: ImagesDone, end: Finished) -> dict[str, Any]:
    return {
        "seeds": list(images.seeds),
        "model": end.spec.id,
        "seconds": end.seconds,
        "flagged": list(images.flagged),
        "cut": images.cut,
        "unknown": list(images.unknown),
        "batch": images.batch,
    }
