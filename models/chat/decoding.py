"""Drawing tokens one at a time, and turning them into text as they come."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
)

_BROKEN = "\ufffd"  # what a decoder writes for bytes that are not a letter yet


class Step(NamedTuple):
    """One turn of the loop.

    Attributes:
        token: the id that was drawn.
        logits: the model's, (vocabulary,) float32.
        scores: what it was drawn from as logits, after temperature, top_k and top_p.
        sampled: False where the likeliest was taken without a draw.
    """

    token: int
    logits: torch.Tensor
    scores: torch.Tensor
    sampled: bool


def tokens(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], seed: int, **options: Any
) -> Iterator[Step]:
    """Yield the answer's tokens one at a time, the end token among them.

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
) -> Iterator[Step]:
    # The steps of transformers' GenerationMixin._sample for one sequence, token by token.
    sampled = bool(generation_config.do_sample)
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
        if sampled:
            chances = torch.softmax(scores, dim=-1)
            token = torch.multinomial(chances, num_samples=1, generator=generator)
        else:
            token = scores.argmax(dim=-1, keepdim=True)
        input_ids = torch.cat([input_ids, token], dim=-1)
        yield Step(int(token), logits[0], scores[0], sampled)
        if bool(stopping_criteria(input_ids, None).all()):  # type: ignore[arg-type]
            return


class TextOf:
    """Text of a growing list of token ids; a letter shows only when all of its bytes are there.

    Decodes the last few ids with the few before them, since a token's text may depend on its left
    neighbour (a space, the rest of a syllable): the sum is the text of all ids.

    Args:
        tokenizer: the model's own.
        before: ids of the answer whose text is known already; a letter that they begin is not.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, before: Iterable[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._from = 0  # where the decoded window begins
        self._told = 0  # how many ids have been told
        for token in before:
            self.add(token)

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
