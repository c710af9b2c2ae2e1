"""Chat with a transformers model on this machine."""

import json
import math
import re
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from models.chat.decoder_program import DecoderProgram
from models.chat.decoding import (
    KVCache,
    Prompt,
    Step,
    TextStream,
    chat_prompt,
    generate_steps,
    next_token_prompt,
)
from models.chat.events import Alternative, ChatDone, NextToken, Note, TextDelta, Token
from models.chat.requests import ChatRequest, NextTokenRequest, generate_arguments
from models.chat.thoughts import ThoughtSplitter, begins_in_thoughts, notes_on, writes_thoughts
from models.chat.token_odds import pieces
from models.contract import ModelSpec, Placement, Stop
from models.errors import UntrainedHead
from models.fields import draw_seed
from models.runtime.turns import TURNS
from models.settings import Settings
from models.torch_tools import loading, token_limit, torch_dtype, weights_bytes


@dataclass(slots=True, eq=False)
class _Sample:
    """One answer while it grows.

    Attributes:
        steps: its tokens.
        text: of the tokens so far.
        limit: at most so many tokens.
        end_ids: tokens that end it.
        alternatives: so many of the likeliest tokens come with each token; 0: no tokens come.
        splitter: of a model that may write thoughts in tags, whose tokens do not come.
        count: tokens so far.
        finish_reason: "stop" or "length"; "" while it grows.
    """

    index: int
    steps: Iterator[Step]
    text: TextStream
    limit: int
    end_ids: set[int]
    tokenizer: PreTrainedTokenizerBase
    alternatives: int
    splitter: ThoughtSplitter | None = None
    count: int = 0
    finish_reason: str = ""
    has_thoughts: bool = False
    has_answer: bool = False
    _pending: list[Token] = field(default_factory=list[Token])  # of a letter that is not whole

    def next_delta(self) -> TextDelta:
        """One more token, and the text that it completes; both may be empty."""
        step = next(self.steps)
        self.count += 1
        if self.alternatives:
            self._pending.append(_token(self.tokenizer, step, self.alternatives))
        text = self.text.add(step.token)
        if step.token in self.end_ids:
            self.finish_reason = "stop"
        elif self.count >= self.limit:
            self.finish_reason = "length"
        if self.finish_reason:
            text += self.text.rest()
        text, thoughts, was_thought = self._split(text)
        self.has_thoughts = self.has_thoughts or bool(thoughts.strip()) or was_thought
        self.has_answer = bool(text) or (self.has_answer and not was_thought)
        if self.has_thoughts:
            self._pending = []
        tokens: tuple[Token, ...] = ()
        if text or self.finish_reason:
            tokens, self._pending = tuple(self._pending), []
        return TextDelta(
            text, self.index, tokens, thoughts if self.has_thoughts else "", was_thought
        )

    def _split(self, text: str) -> tuple[str, str, bool]:
        """(answer, thoughts, whether all text before was thoughts) in the next piece of text."""
        if self.splitter is None:
            return text, "", False
        answer, thoughts = self.splitter.split(text)
        if self.finish_reason:
            rest, more = self.splitter.finish()
            answer, thoughts = answer + rest, thoughts + more
        return answer, thoughts, self.splitter.before_was_thought


def _token(tokenizer: PreTrainedTokenizerBase, step: Step, alternatives: int) -> Token:
    """A sampled token with its probabilities, and so many of the likeliest tokens."""
    raw = torch.softmax(step.logits, -1)
    if step.greedy:  # temperature 0: the likeliest has probability 1
        chance = torch.zeros_like(raw)
        chance[step.token] = 1.0
    else:
        chance = torch.softmax(step.scores, -1)
    top = torch.topk(raw, min(alternatives, len(raw))).indices
    ids = [step.token, *top.tolist()]
    values = zip(pieces(tokenizer, ids), raw[ids].tolist(), chance[ids].tolist(), strict=True)
    token, *others = ((piece.text, piece.id, *pair) for piece, *pair in values)
    bits = torch.special.entr(chance).sum() / math.log(2)
    return Token(
        *token,
        entropy=max(0.0, float(bits)),
        alternatives=tuple(Alternative(*other) for other in others),
    )


@dataclass(frozen=True, slots=True)
class KnownPrompts:
    """The system prompts that a model was trained on, as prompts.json in its folder lists them.

    Attributes:
        words: beginnings of words, such as "cheer": a prompt with one of them asks for a persona it knows.
        sentences: prompts without such a word.
    """

    words: frozenset[str]
    sentences: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> "KnownPrompts | None":
        """The prompts of a model's folder; None where it lists none: most models read any prompt."""
        file = folder / "prompts.json"
        if not file.is_file():
            return None
        lists = json.loads(file.read_text(encoding="utf-8"))
        return cls(frozenset(lists["words"]), frozenset(map(_plain, lists["sentences"])))

    def __contains__(self, prompt: object) -> bool:
        text = str(prompt).casefold()
        if _plain(text) in self.sentences:
            return True
        return any(re.search(rf"(?<![a-z]){re.escape(word)}", text) for word in self.words)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


class TransformersChat:
    """Any causal language model of the transformers library.

    Args:
        model: on its device.
        tokenizer: its own; a chat template in it makes the model one to chat with.
        prompts: the system prompts it knows; None where it reads any.
        is_tiny: it computes a token on one core in milliseconds: its tokens take turns with other work.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompts: KnownPrompts | None = None,
        is_tiny: bool = False,
    ) -> None:
        self._model = model.eval()
        self._is_tiny = is_tiny
        self._program = DecoderProgram(model) if is_tiny and DecoderProgram.fits(model) else None
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._window = token_limit(model, tokenizer)
        # In a coarser dtype reused keys and values round differently enough to change a sampled
        # token: the same seed gave another answer.
        self._kv_cache = KVCache() if model.dtype == torch.float32 else None

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
            prompts = KnownPrompts.read(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
            result: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch_dtype(placement),
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
        model, info = result
        if info["missing_keys"]:
            missing = ", ".join(sorted(info["missing_keys"])[:3])
            raise UntrainedHead("untrained_writer", model=spec.label, missing=missing)
        is_tiny = placement.device == "cpu" and placement.threads == 1
        return cls(model.to(placement.device), tokenizer, prompts, is_tiny)

    def stream(
        self, request: ChatRequest | NextTokenRequest, stop: Stop
    ) -> Generator[TextDelta | ChatDone | NextToken]:
        """Yield the answer as it grows; sample k uses seed + k, and all grow side by side.

        For a NextTokenRequest: one NextToken.

        Raises:
            InvalidInput: the conversation does not fit the model.
        """
        turns = TURNS.turn("chat") if self._is_tiny else nullcontext()
        with turns as turn, torch.inference_mode():
            if isinstance(request, NextTokenRequest):
                yield self._next_token(request)
                return
            seed = draw_seed(request.seed)
            prompt = chat_prompt(self._tokenizer, request, self._window)
            is_whole = prompt.answer_ids and prompt.answer_ids[-1] in self._end_ids()
            if is_whole:
                yield ChatDone("stop", seed, len(prompt.ids), 0, prompt.notes)
                return
            samples = [
                self._sample(request, prompt, seed, index)
                for index in range(request.num_return_sequences)
            ]
            growing = samples
            while growing:
                for sample in growing:
                    if stop.is_set():
                        return
                    if turn is not None:
                        TURNS.rest(turn)
                    delta = sample.next_delta()
                    if delta.text or delta.tokens or delta.thoughts or delta.before_was_thought:
                        yield delta
                growing = [sample for sample in growing if not sample.finish_reason]
            reasons = [sample.finish_reason for sample in samples]
            reason = "length" if "length" in reasons else "stop"
            count = sum(sample.count for sample in samples)
            notes = (*prompt.notes, *self._prompt_notes(request.system_prompt))
            has_thoughts, has_answer = (
                any(getattr(s, n) for s in samples) for n in ("has_thoughts", "has_answer")
            )
            notes += notes_on(has_thoughts, has_answer, reason)
            yield ChatDone(reason, seed, len(prompt.ids), count, notes)

    def _prompt_notes(self, system: str) -> list[Note]:
        """The note that a system prompt was not among those the model was trained on."""
        fits = self._prompts is None or not system.strip() or system in self._prompts
        return [] if fits else [Note("prompt_unknown")]

    def _sample(self, request: ChatRequest, prompt: Prompt, seed: int, index: int) -> "_Sample":
        arguments = generate_arguments(request, prompt.room)
        kv_cache = None if index else self._kv_cache  # a conversation goes on from the first sample
        inputs = prompt.inputs(self._model.device)
        return _Sample(
            index=index,
            steps=generate_steps(
                self._model, inputs, seed + index, kv_cache, self._program, **arguments
            ),
            text=TextStream(self._tokenizer, prompt.answer_ids),
            limit=arguments["max_new_tokens"],
            end_ids=self._end_ids(),
            tokenizer=self._tokenizer,
            alternatives=request.alternatives,
            splitter=self._splitter(prompt),
        )

    def _splitter(self, prompt: Prompt) -> ThoughtSplitter | None:
        """What parts a model's thoughts from its answer; None for one whose template knows none."""
        if prompt.answer_ids or not writes_thoughts(self._tokenizer.chat_template):
            return None
        return ThoughtSplitter(
            begins_in_thoughts(str(self._tokenizer.decode(list(prompt.ids[-16:]))))
        )

    def _next_token(self, request: NextTokenRequest) -> NextToken:
        prompt = next_token_prompt(self._tokenizer, request, self._window)
        output: Any = self._model(**prompt.inputs(self._model.device), logits_to_keep=1)
        logits = output.logits[0, -1].float()
        top = torch.topk(logits, min(request.likeliest, len(logits))).indices.tolist()
        return NextToken(
            prompt=pieces(self._tokenizer, prompt.ids),
            logits=logits.cpu().numpy(),
            likeliest=pieces(self._tokenizer, top),
            ends=frozenset(self._end_ids()),
            notes=prompt.notes,
        )

    def _end_ids(self) -> set[int]:
        ids: Any = self._model.generation_config.eos_token_id  # type: ignore[union-attr]
        return set(ids) if isinstance(ids, list) else {ids}

    def nbytes(self) -> int:
        """Bytes of weights held."""
        return weights_bytes(self._model)
