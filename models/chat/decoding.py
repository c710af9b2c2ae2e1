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

from models.chat.kv_cache import Kept

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
    model: PreTrainedModel,
    inputs: dict[str, torch.Tensor],
    seed: int,
    kept: Kept | None = None,
    **options: Any,
) -> Iterator[Step]:
    """Yield the answer's tokens one at a time, the end token among them.

    `generate` prepares everything (the model's own settings, cache, warpers) and hands over to
    `_decode` for the loop itself, so the ids are those of `torch.manual_seed(seed)` and a bare
    `generate`, but no other thread can disturb the draw, and the loop ends when it is left.

    Args:
        model: a causal language model.
        inputs: input_ids and attention_mask, each (1, tokens), on the model's device.
        seed: of the draw.
        kept: what is known of earlier conversations, and where what becomes known goes.
        **options: as `options.generation` gives them.
    """
    known = kept.take(inputs["input_ids"][0].tolist()) if kept is not None else None
    return model.generate(  # type: ignore[return-value]
        **inputs,
        **options,
        **({} if known is None else {"past_key_values": known}),
        custom_generate=_decode,
        generator=torch.Generator(model.device).manual_seed(seed),
        kept=kept,
    )


def _decode(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    generator: torch.Generator,
    kept: Kept | None,
    **model_kwargs: Any,
) -> Iterator[Step]:
    # The steps of transformers' GenerationMixin._sample for one sequence, token by token.
    known = model_kwargs.get("past_key_values")
    length = known.get_seq_length() if known is not None else 0
    step = {"is_first_iteration": True, "next_sequence_length": input_ids.shape[1] - length}
    sampled = bool(generation_config.do_sample)
    whole = False
    try:
        while True:
            whole = False
            prepared = model.prepare_inputs_for_generation(input_ids, **step, **model_kwargs)
            outputs = model(**prepared, return_dict=True)
            step = {"next_sequence_length": 1}
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
            whole = True
            yield Step(int(token), logits[0], scores[0], sampled)
            if bool(stopping_criteria(input_ids, None).all()):  # type: ignore[arg-type]
                return
    finally:
        if kept is not None and whole:  # not what an error left half done
            kept.give(input_ids[0].tolist(), model_kwargs.get("past_key_values"))


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
