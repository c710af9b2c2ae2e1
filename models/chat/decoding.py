"""From a conversation to token ids that fit the model's window, and from there token by token to text."""

import hashlib
import secrets
import threading
import time
import weakref
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jinja2 import TemplateError
from tokenizers.decoders import DecodeStream
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
)
from transformers.cache_utils import DynamicLayer

from models.chat.decoder_program import DecoderProgram
from models.chat.events import Note
from models.chat.requests import ChatRequest, NextTokenRequest
from models.chat.token_odds import common_length
from models.errors import InvalidInput

MAX_ENTRIES = 4  # conversations
MAX_BYTES = 256_000_000
IDLE_SECONDS = 300.0
_KEY = secrets.token_bytes(16)


@dataclass(slots=True, eq=False)
class _Entry:
    prefixes: list[bytes]  # one a token
    cache: DynamicCache
    nbytes: int
    last_use: float = field(default_factory=time.monotonic)


class KVCache:
    """A few conversations' keys and values; safe to use from several threads.

    Args:
        idle_seconds: after so long without use an entry goes.
    """

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle = idle_seconds
        self._entries: list[_Entry] = []  # the one used last is the last
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def take(self, ids: Iterable[int]) -> DynamicCache | None:
        """The keys and values of as many of the first tokens as are known, but not of all.

        The entry leaves the cache: the caller alters it and may put it back.
        """
        prefixes = _prefixes(ids)[:-1]  # the last token is to be read: it brings the logits
        with self._lock:
            lengths = [(common_length(entry.prefixes, prefixes), entry) for entry in self._entries]
            length, best = max(lengths, key=lambda pair: pair[0], default=(0, None))
            if best is None or not length:
                return None
            self._entries.remove(best)
        best.cache.crop(length - len(best.prefixes))
        return best.cache

    def put(self, ids: Iterable[int], cache: object) -> None:
        """Add the keys and values of a conversation's first tokens.

        Args:
            ids: of the conversation, at least as many as the cache holds.
            cache: one of a kind that cannot be cut back later is not added.
        """
        if not isinstance(cache, DynamicCache):
            return
        layers: list[Any] = list(cache.layers)
        if not layers or any(type(layer) is not DynamicLayer for layer in layers):
            return
        tensors = [t for layer in layers for t in (layer.keys, layer.values)]
        nbytes = sum(t.numel() * t.element_size() for t in tensors if t is not None)
        entry = _Entry(_prefixes(ids)[: cache.get_seq_length()], cache, nbytes)
        with self._lock:
            self._entries.append(entry)
            while len(self._entries) > MAX_ENTRIES or self.nbytes > MAX_BYTES:
                self._entries.pop(0)
            self._start_timer()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(entry.nbytes for entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _start_timer(self) -> None:
        if self._timer is None and self._entries:
            self._timer = threading.Timer(self._idle, _expire, [weakref.ref(self)])
            self._timer.daemon = True
            self._timer.start()

    def expire(self) -> None:
        """Drop the entries that were not used for the idle time."""
        oldest = time.monotonic() - self._idle
        with self._lock:
            self._entries = [entry for entry in self._entries if entry.last_use > oldest]
            self._timer = None
            self._start_timer()


def _expire(reference: "weakref.ref[KVCache]") -> None:
    cache = reference()  # the timer does not hold an unloaded model's tensors in memory
    if cache is not None:
        cache.expire()


def _prefixes(ids: Iterable[int]) -> list[bytes]:
    """For each token a hash of it and all before it."""
    prefixes: list[bytes] = []
    digest = b""
    for token in ids:
        data = digest + token.to_bytes(8, "little")
        digest = hashlib.blake2b(data, digest_size=16, key=_KEY).digest()
        prefixes.append(digest)
    return prefixes


# ---------------------------------------------------------------- the prompt


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads.

    Attributes:
        ids: of the conversation and of the answer's beginning.
        answer_ids: of the answer's beginning, the last of `ids`; often none.
        room: tokens that the answer may still have.
        notes: what a person should know about how it was put together.
    """

    ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    room: int
    notes: tuple[Note, ...]

    def inputs(self, device: torch.device) -> dict[str, torch.Tensor]:
        """input_ids and attention_mask, each (1, tokens)."""
        ids = torch.tensor([self.ids], device=device)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def chat_prompt(tokenizer: PreTrainedTokenizerBase, request: ChatRequest, window: int) -> Prompt:
    """Encode a conversation.

    With a chat template: the system prompt and the turns. The oldest turns are left out where they
    and the answer do not fit. Without one (GPT-2): the last message alone, to be continued.

    Args:
        tokenizer: the model's own.
        request: the conversation.
        window: how many tokens the model can see at once.

    Raises:
        InvalidInput: the last message alone does not fit, the template refuses the turns, or an id
            is not one of the model's.
    """
    prefix = tokenizer(request.prefix, add_special_tokens=False)["input_ids"]
    answer_ids = (*prefix, *_check_ids(tokenizer, request.prefix_ids))
    if tokenizer.chat_template is None:
        ids = tuple(tokenizer(request.messages[-1].content)["input_ids"])
        notes = [Note("plain_continuation")]
    else:
        # Up to half of the window is for the answer.
        most = window - len(answer_ids) - min(request.max_new_tokens, window // 2)
        ids, start = _fitting_turns(tokenizer, request, most)
        notes = [Note("turns_left_out", start)] if start else []
    room = window - len(ids) - len(answer_ids)
    if room < 1:
        raise InvalidInput("invalid_over_window", limit=window)
    if room < request.max_new_tokens:
        notes.append(Note("room", room))
    return Prompt(ids + answer_ids, answer_ids, room, tuple(notes))


def _fitting_turns(
    tokenizer: PreTrainedTokenizerBase, request: ChatRequest, most: int
) -> tuple[tuple[int, ...], int]:
    """The ids of as many of the newest turns as fit into `most` tokens, and the first turn's index.

    The last message is there in any case. Each try costs a run of the template: so it is a bisection.
    """

    def encode(start: int) -> tuple[int, ...]:
        return _apply_template(tokenizer, request.turns(start))

    starts = sorted({0, *(i for i, turn in enumerate(request.messages) if turn.role == "user")})
    at = bisect_left(starts, True, hi=len(starts) - 1, key=lambda start: len(encode(start)) <= most)
    ids = encode(starts[at])
    # Some templates leave old turns out by themselves: then the ids are the same without them.
    if at + 1 < len(starts) and encode(starts[at + 1]) == ids:
        at = bisect_left(starts, True, lo=at + 1, key=lambda start: encode(start) != ids) - 1
    return ids, starts[at]


def next_token_prompt(
    tokenizer: PreTrainedTokenizerBase, request: NextTokenRequest, window: int
) -> Prompt:
    """Encode a text, or a message and the beginning of its answer.

    Raises:
        InvalidInput: it does not fit, or an id is not one of the model's.
    """
    if request.as_message and tokenizer.chat_template is not None:
        ids, notes = _apply_template(tokenizer, request.turns()), ()
    else:
        ids = tuple(tokenizer(request.text)["input_ids"])
        notes = (Note("plain_continuation"),) if request.as_message else ()
    ids += _check_ids(tokenizer, request.ids)
    if len(ids) > window:
        raise InvalidInput("invalid_over_window", limit=window)
    return Prompt(ids, request.ids, window - len(ids), notes)


def _check_ids(tokenizer: PreTrainedTokenizerBase, ids: tuple[int, ...]) -> tuple[int, ...]:
    if max(ids, default=0) >= len(tokenizer):
        raise InvalidInput("invalid_token", limit=len(tokenizer) - 1)
    return ids


def _apply_template(
    tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]]
) -> tuple[int, ...]:
    try:
        encoding: Any = tokenizer.apply_chat_template(
            turns,
            add_generation_prompt=True,
            enable_thinking=False,  # Qwen3 would think aloud first; other templates ignore it
            return_dict=True,
        )
    except TemplateError:  # some know no system prompt, some want strict turns
        raise InvalidInput("invalid_turns") from None
    return tuple(encoding["input_ids"])


# ---------------------------------------------------------------- tokens


class Step(NamedTuple):
    """One turn of the loop.

    Attributes:
        token: the new id.
        logits: the model's, (vocabulary,) float32.
        scores: the logits after temperature, top_k and top_p, from which the token was sampled.
        greedy: True where the likeliest was taken, without sampling.
    """

    token: int
    logits: torch.Tensor
    scores: torch.Tensor
    greedy: bool


def generate_steps(
    model: PreTrainedModel,
    inputs: dict[str, torch.Tensor],
    seed: int,
    kv_cache: KVCache | None = None,
    program: DecoderProgram | None = None,
    **arguments: Any,
) -> Iterator[Step]:
    """The answer's tokens one at a time, the end token among them.

    `generate` prepares everything (the model's own settings, cache, warpers) and hands over to
    `_decode` for the loop itself. So the ids are those of `torch.manual_seed(seed)` and a bare
    `generate`, but no other thread can disturb the sampling, and closing the iterator ends the loop.

    Args:
        model: a causal language model.
        inputs: input_ids and attention_mask, each (1, tokens), on the model's device.
        seed: of the sampling.
        kv_cache: keys and values of earlier conversations; those of this one are added at the end.
        program: computes the steps after the first instead of the model.
        **arguments: as `requests.generate_arguments` gives them.
    """
    past = kv_cache.take(inputs["input_ids"][0].tolist()) if kv_cache is not None else None
    return model.generate(  # type: ignore[return-value]
        **inputs,
        **arguments,
        **({} if past is None else {"past_key_values": past}),
        custom_generate=_decode,
        generator=torch.Generator(model.device).manual_seed(seed),
        kv_cache=kv_cache,
        program=program,
    )


def _decode(
    model: Any,
    input_ids: Any,  # (1, tokens)
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    generator: torch.Generator,
    kv_cache: KVCache | None,
    program: DecoderProgram | None,
    **model_kwargs: Any,
) -> Iterator[Step]:
    # The steps of transformers' GenerationMixin._sample for one sequence, token by token.
    past = model_kwargs.get("past_key_values")
    length = past.get_seq_length() if past is not None else 0
    first = {"is_first_iteration": True, "next_sequence_length": input_ids.shape[1] - length}
    greedy = not generation_config.do_sample
    consistent = False  # the cache holds the tokens of input_ids, except the last
    try:
        while True:
            consistent = False
            past = model_kwargs.get("past_key_values")
            if program is not None and len(first) == 1 and program.takes(past):
                logits = program(input_ids[:, -1:], past)
            else:
                inputs = model.prepare_inputs_for_generation(input_ids, **first, **model_kwargs)
                outputs = model(**inputs, return_dict=True)
                first = {"next_sequence_length": 1}
                model_kwargs = model._update_model_kwargs_for_generation(outputs, model_kwargs)
                logits = outputs.logits[:, -1].to(copy=True, dtype=torch.float32)
                del outputs
            scores = logits_processor(input_ids, logits)
            if greedy:
                token = scores.argmax(dim=-1, keepdim=True)
            else:
                distribution = torch.softmax(scores, dim=-1)
                token = torch.multinomial(distribution, num_samples=1, generator=generator)
            input_ids = torch.cat([input_ids, token], dim=-1)
            consistent = True
            yield Step(int(token), logits[0], scores[0], greedy)
            if bool(stopping_criteria(input_ids, None).all()):  # type: ignore[arg-type]
                return
    finally:
        if kv_cache is not None and consistent:  # not after an error in the middle of a step
            kv_cache.put(input_ids[0].tolist(), model_kwargs.get("past_key_values"))


# ---------------------------------------------------------------- text

_NO_LETTER = "\ufffd"  # what a tokenizer writes for bytes that are not a whole letter


class TextStream:
    """Text of a growing list of token ids; a letter comes when all of its bytes are there.

    Args:
        tokenizer: the model's own.
        answer_ids: the answer's beginning, whose text is there already; what is missing of its last
            letter makes the letter come whole.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, answer_ids: Iterable[int] = ()) -> None:
        self._tokenizer: Any = tokenizer
        self._stream = DecodeStream([], skip_special_tokens=True)
        self._ids: list[int] = []
        self._length = 0  # of the text so far, in characters
        for token in answer_ids:
            self.add(token)

    def add(self, token: int) -> str:
        """The text that this token completes; "" while a letter is not whole."""
        self._ids.append(token)
        if self._tokenizer.is_fast:
            text = self._stream.step(self._tokenizer.backend_tokenizer, token) or ""
        else:  # DecodeStream reads the tokenizers library's own only, not those written in Python
            whole = self._decode()
            text = "" if whole.endswith(_NO_LETTER) else whole[self._length :]
        self._length += len(text)
        return text

    def rest(self) -> str:
        """What is still to come at the end, without a letter of which bytes are missing."""
        return self._decode()[self._length :].rstrip(_NO_LETTER)

    def _decode(self) -> str:
        return str(self._tokenizer.decode(self._ids, skip_special_tokens=True))
