"""Chat with a transformers model on this machine."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Self

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from models.chat import token_odds as dice
from models.chat.decoding import TextOf, tokens
from models.chat.events import ChatDone, NextToken, TextDelta, Token
from models.chat.kv_cache import Kept
from models.chat.options import generation
from models.chat.prompt import Prompt, next_token_prompt, prompt
from models.chat.requests import ChatRequest, NextTokenRequest
from models.chat.token_text import pieces
from models.contract import ModelSpec, Placement, Stop
from models.errors import UntrainedHead
from models.fields import draw_seed
from models.settings import Settings
from models.torch_tools.loading import loading, token_limit, torch_dtype, weights_bytes


class TransformersChat:
    """Any causal language model of the transformers library.

    Args:
        model: on its device.
        tokenizer: its own; a chat template in it makes the model one to chat with.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._window = token_limit(model, tokenizer)
        # Rounded more coarsely, what is kept could turn a draw: the same seed gave another answer.
        self._kept = Kept() if model.dtype == torch.float32 else None

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Bring model and tokenizer into memory.

        Args:
            spec: the catalogue entry.
            folder: a transformers folder with safetensors.
            placement: device and dtype.
            settings: not used.

        Raises:
            Damaged: a file is missing or broken.
            Refused: pickled weights only, or code of its own.
            UntrainedHead: the files hold another kind of model, without the layers that write.
        """
        assert folder is not None, "a language model has weights"
        options = {"local_files_only": True, "trust_remote_code": False}
        with loading(spec, folder, "config.json", "model.safetensors", "tokenizer.json"):
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch_dtype(placement),
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
        model, found = loaded  # the loading info was asked for
        if found["missing_keys"]:
            missing = ", ".join(sorted(found["missing_keys"])[:3])
            raise UntrainedHead("untrained_writer", model=spec.label, missing=missing)
        return cls(model.to(placement.device), tokenizer)

    def stream(
        self, request: ChatRequest | NextTokenRequest, stop: Stop
    ) -> Generator[TextDelta | ChatDone | NextToken]:
        """Yield the answer as it grows; sample k is drawn with seed + k, all grow side by side.

        For a NextTokenRequest: one NextToken.

        Raises:
            InvalidInput: the conversation does not fit the model.
        """
        with torch.inference_mode():
            if isinstance(request, NextTokenRequest):
                yield self._next_token(request)
            else:
                yield from self._answer(request, stop)

    def _answer(self, request: ChatRequest, stop: Stop) -> Generator[TextDelta | ChatDone]:
        seed = draw_seed(request.seed)
        asked = prompt(self._tokenizer, request, self._window)
        if asked.begun and asked.begun[-1] in self._end_tokens():  # what is there is whole
            yield ChatDone("stop", seed, len(asked.ids), 0, asked.notes)
            return
        samples = {
            index: self._sample(asked, request, seed, index)
            for index in range(request.num_return_sequences)
        }
        reasons: list[str] = []
        count = 0
        while samples:
            for index, sample in list(samples.items()):
                if stop.is_set():
                    return
                delta, reason = next(sample)
                count += 1
                if delta.text or delta.tokens:
                    yield delta
                if reason:
                    reasons.append(reason)
                    del samples[index]
        done = "length" if "length" in reasons else "stop"
        yield ChatDone(done, seed, len(asked.ids), count, asked.notes)

    def _sample(
        self, asked: Prompt, request: ChatRequest, seed: int, index: int
    ) -> Iterator[tuple[TextDelta, str]]:
        """Yield (what is new, reason why it ended or "") once a token."""
        options = generation(request, asked.room)
        text = TextOf(self._tokenizer, asked.begun)
        ends = self._end_tokens()
        inputs = asked.inputs(self._model.device)
        kept = None if index else self._kept  # a conversation goes on from the first sample
        steps = tokens(self._model, inputs, seed + index, kept, **options)
        held: list[Token] = []  # of a letter that is not whole
        for count, step in enumerate(steps, 1):
            if request.alternatives:
                held.append(dice.token(self._tokenizer, step, request.alternatives))
            new = text.add(step.token)
            full = count >= options["max_new_tokens"]
            reason = "stop" if step.token in ends else "length" if full else ""
            new += text.rest() if reason else ""
            told: tuple[Token, ...] = ()
            if new or reason:
                told, held = tuple(held), []
            yield TextDelta(new, index, told), reason

    def _next_token(self, request: NextTokenRequest) -> NextToken:
        asked = next_token_prompt(self._tokenizer, request, self._window)
        output: Any = self._model(**asked.inputs(self._model.device), logits_to_keep=1)
        logits = output.logits[0, -1].float()
        top = torch.topk(logits, min(request.likeliest, len(logits))).indices.tolist()
        return NextToken(
            read=pieces(self._tokenizer, asked.ids),
            logits=logits.cpu().numpy(),
            likeliest=pieces(self._tokenizer, top),
            ends=frozenset(self._end_tokens()),
            notes=asked.notes,
        )

    def _end_tokens(self) -> set[int]:
        ids: Any = self._model.generation_config.eos_token_id  # type: ignore[union-attr]
        return set(ids) if isinstance(ids, list) else {ids}

    def nbytes(self) -> int:
        """Bytes of weights held."""
        return weights_bytes(self._model)
