"""Text-to-image engines: diffusers pipelines on this machine, OpenAI's images behind a key."""

from models.text_to_image.hosted import OpenAIImages
from models.text_to_image.local import DiffusersTextToImage

__all__ = ["DiffusersTextToImage", "OpenAIImages"]
