"""Text to image: diffusers pipelines on this machine, OpenAI's images behind a key."""
