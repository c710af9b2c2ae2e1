"""Drawing tokens one at a time, and turning them into text as they come."""

from collections.abc import Iterator
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
)

_BROKEN = "\ufffd"  # what a decoder writes for bytes that are not a letter yet


def tokens(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], seed: int, **options: Any
) -> Iterator[int]:
    """Yield the answer's token ids one at a time, the end token among them.

    `generate` prepares everything (the model's own settings, cache, warpers) and hands over to
    `_decode` for the loop itself, so the ids are those of `torch.manual_seed(seed)` and a bare
    `generate`, but no other thread can disturb the draw, and the loop ends when it is left.

    Args:
        model: a causal language model.
        inputs: input_ids and attention_mask, each (1, tokens), on the model's device.
        seed: of the draw.
        **options: as `options.generation` gives them.
    """
    generator = torch.Generator(model.device).manual_seed(seed)
    return model.generate(**inputs, **options, custom_generate=_decode, generator=generator)  # type: ignore[return-value]


def _decode(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    generator: torch.Generator,
    **model_kwargs: Any,
) -> Iterator[int]:
    # The steps of transformers' GenerationMixin._sample for one sequence, token by token.
    first = True
    while True:
        step = {"is_first_iteration": True} if first else {"next_sequence_length": 1}
        prepared = model.prepare_inputs_for_generation(input_ids, **step, **model_kwargs)
        outputs = model(**prepared, return_dict=True)
        first = False
        model_kwargs = model._update_model_kwargs_for_generation(outputs, model_kwargs)
        logits = outputs.logits[:, -1].to(copy=True, dtype=torch.float32)
        del outputs
        scores = logits_processor(input_ids, logits)
        if generation_config.do_sample:
            chances = torch.softmax(scores, dim=-1)
            token = torch.multinomial(chances, num_samples=1, generator=generator)
        else:
            token = scores.argmax(dim=-1, keepdim=True)
        input_ids = torch.cat([input_ids, token], dim=-1)
        yield int(token)
        if bool(stopping_criteria(input_ids, None).all()):  # type: ignore[arg-type]
            return


class TextOf:
    """Text of a growing list of token ids; a letter shows only when all of its bytes are there.

    Decodes the last few ids with the few before them, since a token's text may depend on its left
    neighbour (a space, the rest of a syllable): the sum is the text of all ids.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._from = 0  # where the decoded window begins
        self._told = 0  # how many ids have been told

    def add(self, token: int) -> str:
        """The text that this token completes; "" while a letter is not whole."""
        self._ids.append(token)
        return self._new_text(self._ids[self._from :])

    def rest(self) -> str:
        """What is still held back at the end, without a letter that was cut in two."""
        held = self._decoded(self._ids[self._from :])
        known = self._decoded(self._ids[self._from : self._told])
        return held[len(known) :].rstrip(_BROKEN)

    def _new_text(self, window: list[int]) -> str:
        known = self._decoded(self._ids[self._from : self._told])
        text = self._decoded(window)
        if len(text) <= len(known) or text.endswith(_BROKEN):
            return ""
        self._from, self._told = self._told, len(self._ids)
        return text[len(known) :]

    def _decoded(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)) if ids else ""
