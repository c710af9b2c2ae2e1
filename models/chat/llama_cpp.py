"""Chat with a GGUF model by llama.cpp, in a child process (models/chat/llama_server.py)."""

import queue
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from models.chat import llama_odds as odds
from models.chat.catalog import default_system_prompt
from models.chat.events import ChatDone, NextToken, Note, TextDelta, Token
from models.chat.llama_odds import GgufVocabulary
from models.chat.llama_server import LlamaServer
from models.chat.requests import ChatRequest, NextTokenRequest, with_system
from models.chat.thoughts import ThoughtSplitter, begins_in_thoughts, notes_on, writes_thoughts
from models.contract import ModelSpec, Placement, Stop
from models.errors import InvalidInput, ModelError, NotFound, OutOfMemory
from models.fields import draw_seed
from models.runtime.blocking import in_thread
from models.runtime.placement import free_memory
from models.settings import Settings
from models.weights import gguf

WINDOW = 2048  # tokens of each slot: memory grows with it
ORDER = ("temperature", "top_k", "top_p")  # of the samplers: as in token_odds.probabilities
_BUFFERS = 200_000_000  # bytes of the process beside weights and KV cache, at most, as measured
_LEAST_PROBABILITIES = 100  # tokens whose probabilities are requested where alternatives are
_WHOLE = 60_000  # tokens of a vocabulary that is answer whole; of a larger one the likeliest
_LOOK = 0.1  # seconds between two looks at the stop flag


class LlamaCppChat:
    """Any GGUF model that writes text. Answers of several people grow at once, a slot each.

    Args:
        spec: the catalogue entry; its concurrency is the number of slots, fewer where memory is short.
        files: the GGUF file, or all of one that is split, in order.
        placement: "cuda" and "mps" put its layers on the GPU.
        free: bytes of memory that it may take.
    """

    def __init__(
        self, spec: ModelSpec, files: Sequence[Path], placement: Placement, free: float
    ) -> None:
        header = gguf.read(files[0], spec.label)
        self._words = GgufVocabulary(header)
        self._window = min(WINDOW, header.context_length)
        self._system = default_system_prompt(spec)
        self._file, self._label, self._placement = files[0], spec.label, placement
        self._weights = sum(file.stat().st_size for file in files)
        self._slots = spec.concurrency
        while placement.device != "cuda" and self._bytes(header) > free:
            self._slots -= 1  # fewer at once rather than none
            if not self._slots:
                size = (self._weights + header.cache_bytes(self._window) + _BUFFERS) / 1e9
                raise OutOfMemory("out_of_memory_limit", needed=size, limit=free / 1e9)
        self._counting, self._busy = threading.Lock(), 0
        self._starting = threading.Lock()
        self._server = self._new_server()

    def _bytes(self, header: gguf.Header) -> int:
        return self._weights + header.cache_bytes(self._window * self._slots) + _BUFFERS

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Start the process that holds the model.

        Args:
            spec: the catalogue entry.
            folder: where its GGUF file is, or the files of one that is split.
            placement: decided for llama.cpp as it is installed; its threads are used.
            settings: memory_gb limits what it may take.

        Raises:
            Damaged: a file that llama.cpp cannot load (damaged_gguf).
            NotFound: no GGUF file (not_found_gguf), or an encoder (not_found_task).
            OutOfMemory: it would not fit (out_of_memory_limit).
        """
        assert folder is not None, "a language model has weights"
        try:
            files = gguf.files_in(spec, folder)
        except NotFound as problem:
            raise NotFound(problem.code, **{**problem.params, "model": spec.label}) from None
        limit = settings.memory_gb * 1e9 if settings.memory_gb else float("inf")
        return cls(spec, files, placement, min(free_memory(), limit))

    def _new_server(self) -> LlamaServer:
        return LlamaServer(
            self._file,
            self._label,
            slots=self._slots,
            window=self._window,
            threads=self._placement.threads or 1,
            gpu=self._placement.device in {"cuda", "mps"},
        )

    @property
    def server(self) -> LlamaServer:
        """The process, started again if it died."""
        with self._starting:
            if not self._server.alive:
                self._server.close()
                self._server = self._new_server()
            return self._server

    def nbytes(self) -> int:
        """Bytes of memory that the process holds."""
        return max(self._server.nbytes(), self._weights)

    def stream(
        self, request: ChatRequest | NextTokenRequest, stop: Stop
    ) -> Generator[TextDelta | ChatDone | NextToken]:
        """Yield the answer as it grows; sample k is drawn with seed + k, all grow side by side.

        For a NextTokenRequest: one NextToken.

        Raises:
            InvalidInput: the conversation does not fit the model.
            Unavailable: the process died (unavailable_llama_died); the next request starts another.
            Stopped: stop was set while it was started again.
        """
        if not self._server.alive:
            # A stop does not wait until it runs again.
            for _ in in_thread(lambda _: self.server, stop, join=False):
                pass
        talk = _Talk(self.server, self._words, self._window, self._system)
        if isinstance(request, NextTokenRequest):
            yield talk.next_token(request)
            return
        # Above temperature 1 what a token was drawn with depends on the whole vocabulary: only the
        # server knows it, and tells it instead of the raw probabilities. So it draws the answer twice.
        twice = bool(request.alternatives) and request.temperature > 1 and not request.top_k
        with self._slots_for(request.num_return_sequences, twice) as is_double:
            yield from talk.answer(request, stop, is_double)

    @contextmanager
    def _slots_for(self, count: int, twice: bool) -> Generator[bool]:
        """Count so many slots as busy, or twice as many where nobody has to wait for them."""
        with self._counting:
            is_double = twice and self._busy + 2 * count <= self._slots
            count = 2 * count if is_double else count
            self._busy += count
        try:
            yield is_double
        finally:
            with self._counting:
                self._busy -= count


def turns(request: ChatRequest, start: int, system: str) -> list[dict[str, str]]:
    """The turns from `start` on, with the person's system prompt or else `system`."""
    own_turns = request.turns(start)
    return own_turns if own_turns[0]["role"] == "system" else with_system(system, own_turns)


def completion(request: ChatRequest, ids: Sequence[int], seed: int, room: int) -> dict[str, Any]:
    """The body of llama.cpp's /completion for a request; the recipe has the same.

    Args:
        request: its sampling parameters are read.
        ids: what the model reads.
        seed: of this sample. llama.cpp takes its highest number for "draw one".
        room: tokens left in the window.
    """
    return {
        "prompt": list(ids),
        "n_predict": min(request.max_new_tokens, room),
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "samplers": list(ORDER),
        "seed": seed % (2**32 - 1),
    }


class _Talk:
    """One request to one process."""

    def __init__(
        self, server: LlamaServer, words: GgufVocabulary, window: int, system: str
    ) -> None:
        self._server, self._words, self._window, self._system = server, words, window, system
        self._header = words.header

    # ------------------------------------------------------------ the prompt

    def prompt(self, request: ChatRequest) -> tuple[list[int], list[int], tuple[Note, ...]]:
        """(ids of the conversation, ids of the answer's beginning, notes); oldest turns left out.

        As in models/chat/decoding.py: up to half of the window is kept free for the answer.
        """
        prefix = self._ids(request.prefix, special=False) if request.prefix else []
        prefix += self._valid_ids(request.prefix_ids)
        if self._header.chat_template is None:
            return self._ids(request.messages[-1].content), prefix, (Note("plain_continuation"),)

        def encode(start: int) -> list[int]:
            return self._apply_template(turns(request, start, self._system))

        most = self._window - len(prefix) - min(request.max_new_tokens, self._window // 2)
        cuts = sorted({0, *(i for i, turn in enumerate(request.messages) if turn.role == "user")})
        cut = bisect_left(cuts, True, hi=len(cuts) - 1, key=lambda at: len(encode(at)) <= most)
        notes = (Note("turns_left_out", cuts[cut]),) if cuts[cut] else ()
        return encode(cuts[cut]), prefix, notes

    def _apply_template(self, turns: list[dict[str, str]]) -> list[int]:
        # Qwen3 would think aloud first; other templates do not look.
        options = {"messages": turns, "chat_template_kwargs": {"enable_thinking": False}}
        return self._ids(self._server.post("/apply-template", options)["prompt"])

    def _ids(self, text: str, special: bool = True) -> list[int]:
        body = {"content": text, "add_special": special, "parse_special": special}
        return self._server.post("/tokenize", body)["tokens"]

    def _valid_ids(self, ids: Iterable[int]) -> list[int]:
        ids = list(ids)
        if max(ids, default=0) >= len(self._header.tokens):
            raise InvalidInput("invalid_token", limit=len(self._header.tokens) - 1)
        return ids

    # ------------------------------------------------------------ an answer

    def answer(
        self, request: ChatRequest, stop: Stop, is_double: bool
    ) -> Generator[TextDelta | ChatDone]:
        """The samples of an answer as they grow; is_double: each drawn twice, for both probabilities."""
        seed = draw_seed(request.seed)
        conversation, prefix, notes = self.prompt(request)
        ids = conversation + prefix
        room = self._window - len(ids)
        if room < 1:
            raise InvalidInput("invalid_over_window", limit=self._window)
        if room < request.max_new_tokens:
            notes = (*notes, Note("room", room))
        if prefix and prefix[-1] in self._header.ends:  # what is there is whole
            yield ChatDone("stop", seed, len(ids), 0, notes)
            return
        pieces: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        ends = []
        try:
            for index in range(request.num_return_sequences):
                body = completion(request, ids, seed + index, room)
                body |= {"stream": True, "cache_prompt": True}  # on a CPU the same text as without
                if request.alternatives:
                    body["n_probs"] = max(_LEAST_PROBABILITIES, request.top_k)
                ends.append(self._server.stream(body, partial(_put, pieces, index)))
                if is_double:
                    body["post_sampling_probs"] = True
                    number = request.num_return_sequences + index
                    ends.append(self._server.stream(body, partial(_put, pieces, number)))
            pairs = _pairs(pieces, request.num_return_sequences, is_double, stop)
            yield from self._lengthen(request, ids, pairs, seed, notes)
        finally:
            for end in ends:
                end()

    def _lengthen(
        self,
        request: ChatRequest,
        ids: list[int],
        pairs: Iterable[tuple[int, dict[str, Any], dict[str, Any]]],
        seed: int,
        notes: tuple[Note, ...],
    ) -> Generator[TextDelta | ChatDone]:
        growing = [list(ids) for _ in range(request.num_return_sequences)]
        open_count, count, finish = len(growing), 0, "stop"
        splitters = self._splitters(request, ids)
        with_thoughts, with_text = set[int](), set[int]()
        for index, piece, twin in pairs:
            if piece["stop"]:
                open_count -= 1
                count += piece["tokens_predicted"]
                finish = "length" if piece.get("stop_type") == "limit" else finish
                if splitters and any(rest := splitters[index].finish()):
                    with_text |= {index} if rest[0] else set()
                    yield TextDelta(rest[0], index, (), rest[1])
                if not open_count:
                    notes += notes_on(bool(with_thoughts), bool(with_text), finish)
                    yield ChatDone(finish, seed, len(ids), count, notes)
                continue
            answer = (
                self._tokens(request, growing[index], ids, piece, twin)
                if request.alternatives
                else ()
            )
            text, thoughts, was_thought = piece["content"], "", False
            if splitters:
                text, thoughts = splitters[index].split(text)
                was_thought = splitters[index].before_was_thought
            if thoughts.strip() or was_thought:
                with_thoughts.add(index)
                with_text -= {index} if was_thought else set()
            with_text |= {index} if text else set()
            answer = () if index in with_thoughts else answer
            thoughts = thoughts if index in with_thoughts else ""
            if text or answer or thoughts or was_thought:
                yield TextDelta(text, index, answer, thoughts, was_thought)

    def _splitters(self, request: ChatRequest, ids: list[int]) -> list[ThoughtSplitter]:
        """What parts each sample's thoughts from its answer; empty where the template knows none."""
        prefix = request.prefix or request.prefix_ids
        if prefix or not writes_thoughts(self._header.chat_template):
            return []
        end = "".join(self._words.piece(one).text for one in ids[-16:])
        samples = range(request.num_return_sequences)
        return [ThoughtSplitter(begins_in_thoughts(end)) for _ in samples]

    # ------------------------------------------------------------ what else could have come

    def _tokens(
        self,
        request: ChatRequest,
        so_far: list[int],
        ids: list[int],
        piece: dict[str, Any],
        twin: dict[str, Any],
    ) -> tuple[Token, ...]:
        """The tokens of a piece of text.

        The server tells the last token only of a letter that several make, so the ones before are
        found by their bytes, and what else could have come by asking once more.
        """
        entries = piece.get("completion_probabilities", [])
        missing = piece["tokens_predicted"] - (len(so_far) - len(ids)) - len(entries)
        answer: list[Token] = []
        if missing > 0 and entries:
            last = self._words.bytes_of(entries[-1]["id"])
            before = piece["content"].encode().removesuffix(last)
            for id_ in self._words.split(before, missing) or ():
                probabilities = self._probabilities(
                    so_far, max(_LEAST_PROBABILITIES, request.top_k)
                )
                answer.append(self._words.token(request, id_, probabilities))
                so_far.append(id_)
            so_far += [0] * (missing - len(answer))  # not found: the count stays right
        after = twin.get("completion_probabilities", [])
        for number, one in enumerate(entries):
            same = len(after) == len(entries) and after[number]["id"] == one["id"]
            answer.append(
                self._words.token(request, one["id"], one, after[number] if same else None)
            )
            so_far.append(one["id"])
        return tuple(answer)

    def _probabilities(self, ids: list[int], likeliest: int) -> dict[str, Any]:
        """The entry of completion_probabilities for the token after `ids`.

        The server tells nothing where the token that it takes is a part of a letter, so it is made to
        take a whole one; the raw probabilities do not change by that.
        """
        whole = [[self._words.whole, 1e6]]
        body = {"prompt": ids, "n_predict": 1, "n_probs": likeliest, "logit_bias": whole}
        answer = self._server.post("/completion", {**body, "temperature": 0})
        return answer["completion_probabilities"][0]

    # ------------------------------------------------------------ the next token

    def next_token(self, request: NextTokenRequest) -> NextToken:
        """The distribution of the next token.

        Of a very large vocabulary only the likeliest tokens are known, and the rest's probability is
        spread over the others evenly.
        """
        notes: tuple[Note, ...] = ()
        if request.as_message and self._header.chat_template is not None:
            message = [{"role": "user", "content": request.text}]
            ids = self._apply_template(with_system(request.system_prompt or self._system, message))
        else:
            ids = self._ids(request.text)
            notes = (Note("plain_continuation"),) if request.as_message else ()
        ids += self._valid_ids(request.ids)
        if len(ids) >= self._window:
            raise InvalidInput("invalid_over_window", limit=self._window - 1)
        size = len(self._header.tokens)
        answer = self._probabilities(ids, min(size, _WHOLE))
        logits = odds.log_probabilities(
            {entry["id"]: entry["logprob"] for entry in answer["top_logprobs"]}, size
        )
        top = [entry["id"] for entry in answer["top_logprobs"][: request.likeliest]]
        return NextToken(
            prompt=tuple(map(self._words.piece, ids)),
            logits=logits,
            likeliest=tuple(map(self._words.piece, top)),
            ends=self._header.ends,
            notes=notes,
        )


def _pairs(
    pieces: "queue.SimpleQueue[tuple[int, Any]]", count: int, is_double: bool, stop: Stop
) -> Generator[tuple[int, dict[str, Any], dict[str, Any]]]:
    """(number of the sample, its next piece, the same piece of its twin or {}), until stop is set."""
    queues = [deque[Any]() for _ in range(2 * count)]
    open_count = count
    while open_count and not stop.is_set():
        try:
            number, piece = pieces.get(timeout=_LOOK)
        except queue.Empty:
            continue
        if isinstance(piece, ModelError):
            raise piece
        queues[number].append(piece)
        own, twins = queues[number % count], queues[number % count + count]
        while own and (twins or not is_double):
            first = own.popleft()
            open_count -= bool(first["stop"])
            yield number % count, first, twins.popleft() if is_double else {}


def _put(pieces: "queue.SimpleQueue[tuple[int, Any]]", index: int, piece: Any) -> None:
    pieces.put((index, piece))
