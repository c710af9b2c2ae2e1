"""Requests to a chat model, and their parameters in the words of transformers and of OpenAI's API.

Engines and recipes share those words, so that a recipe says what the engine did.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from models.chat.catalog import ChatDials
from models.contract import ModelSpec, Request
from models.fields import MAX_TEXT, Address, Seed, Text, TokenIds

MAX_CONVERSATION = 200_000  # characters of all turns
_USUAL = ChatDials()

# Below it the likeliest token has all the probability, and logits divided by it overflow.
_COLD = 1e-4


def _likeliest(temperature: float) -> float:
    """0 for a temperature that no text can tell from 0."""
    return temperature if temperature >= _COLD else 0.0


Temperature = Annotated[float, Field(ge=0, le=2), AfterValidator(_likeliest)]
TopP = Annotated[float, Field(gt=0, le=1)]
TopK = Annotated[int, Field(ge=0, le=1000)]
MaxNewTokens = Annotated[int, Field(ge=1, le=4096)]
Samples = Annotated[int, Field(ge=1, le=8)]
LongText = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
ServerModel = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]


class ChatMessage(Request):
    """One turn; an assistant's may be empty (it was stopped before its first token)."""

    role: Literal["user", "assistant"]
    content: LongText


def _check_messages(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    if messages[-1].role != "user" or not messages[-1].content.strip():
        raise PydanticCustomError("blank", "blank")
    if sum(len(message.content) for message in messages) > MAX_CONVERSATION:
        raise PydanticCustomError("too_long", "too long", {"max_length": MAX_CONVERSATION})
    return messages


class ChatRequest(Request):
    """A conversation to continue.

    Attributes:
        messages: oldest first; the last is the person's.
        temperature: 0 takes the likeliest token each time.
        top_p: nucleus: the smallest set of tokens whose probabilities sum to this.
        top_k: so many of the likeliest tokens; 0 sets no limit.
        max_new_tokens: at most so many tokens in the answer.
        seed: -1 draws one.
        num_return_sequences: how many samples of the answer.
        prefix: the answer's beginning, already there: only what follows it is yielded.
        prefix_ids: tokens of the answer after that, also there already; for models on this machine.
        alternatives: so many of the likeliest tokens come with each token; 0: no tokens come.
        model_name: which model of the server, for hosted models; "" takes the host's choice.
        base_url: the server the person named, for hosted models; "" takes the host's.
        api_key: a key the person typed, for hosted models; stored nowhere.
    """

    messages: Annotated[
        tuple[ChatMessage, ...],
        Field(min_length=1, max_length=400),
        AfterValidator(_check_messages),
    ]
    system_prompt: LongText = ""
    temperature: Temperature = _USUAL.temperature
    top_p: TopP = _USUAL.top_p
    max_new_tokens: MaxNewTokens = _USUAL.max_new_tokens
    seed: Seed = -1
    num_return_sequences: Samples = 1
    top_k: TopK = 0
    prefix: LongText = ""
    prefix_ids: TokenIds = ()
    alternatives: Annotated[int, Field(ge=0, le=20)] = 0
    model_name: ServerModel = ""
    base_url: Address = ""
    api_key: SecretStr | None = None

    def passes(self, spec: ModelSpec) -> float:
        """A token takes about a twentieth of a picture's pass: both read the weights once, one does little else."""
        return 1 + self.max_new_tokens * self.num_return_sequences / 20

    @property
    def tokens(self) -> int:
        """Those of the conversation, and of all answers at their full length."""
        return super().tokens + self.max_new_tokens * self.num_return_sequences

    def turns(self, start: int = 0) -> list[dict[str, str]]:
        """The system prompt, if there is one, and the messages from `start` on, as chat APIs take them."""
        turns = [message.model_dump() for message in self.messages[start:]]
        return with_system(self.system_prompt, turns)


def with_system(system_prompt: str, turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """Turns as chat templates take them, after the system prompt if there is one."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt.strip() else []
    return [*system, *turns]


class SamplingParameters(Request):
    """What changes a distribution before a token is sampled: as in ChatRequest, by default nothing."""

    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    top_k: TopK = 0


class NextTokenRequest(Request):
    """What the model on this machine says about the one token that comes next.

    Attributes:
        text: what is there so far; as a message, what the person said to the model.
        as_message: put it into the model's chat template, if it has one.
        system_prompt: for a message.
        ids: tokens after that: of a growing answer or text.
        likeliest: so many tokens come with their text.
    """

    text: Text
    as_message: bool = False
    system_prompt: LongText = ""
    ids: TokenIds = ()
    likeliest: Annotated[int, Field(ge=1, le=100)] = 12

    def turns(self) -> list[dict[str, str]]:
        """The text as a conversation, for a chat template."""
        return with_system(self.system_prompt, [{"role": "user", "content": self.text}])


class ServerModelsRequest(Request):
    """Which models a server has.

    Attributes:
        base_url, api_key: as in ChatRequest.
    """

    base_url: Address = ""
    api_key: SecretStr | None = None


# ---------------------------------------------------------------- in the words of each library


def generate_arguments(request: ChatRequest, room: int) -> dict[str, Any]:
    """The arguments of transformers' `generate` for a request.

    top_k is always given, 0 for none: transformers' own default of 50 would cut silently.

    Args:
        request: temperature, top_p, top_k and max_new_tokens are read.
        room: tokens left in the model's window.
    """
    limit = {"max_new_tokens": min(request.max_new_tokens, room)}
    if request.temperature == 0:
        return {"do_sample": False, **limit}
    sampling = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    return {"do_sample": True, **sampling, **limit}


def completion_arguments(request: ChatRequest, unsupported: Iterable[str] = ()) -> dict[str, Any]:
    """The parameters of a Chat Completions call for a request, without those a server refuses.

    A server that does not know max_completion_tokens gets max_tokens, its older name.
    """
    unsupported = set(unsupported)
    arguments: dict[str, Any] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_completion_tokens": request.max_new_tokens,
        "seed": request.seed,
    }
    if request.num_return_sequences > 1:
        arguments["n"] = request.num_return_sequences
    if "max_completion_tokens" in unsupported:
        arguments["max_tokens"] = request.max_new_tokens
    arguments = {name: value for name, value in arguments.items() if name not in unsupported}
    if request.top_k and "top_k" not in unsupported:
        # Not OpenAI's, but known to most servers that run open models.
        arguments["extra_body"] = {"top_k": request.top_k}
    return arguments


def completion_messages(
    request: ChatRequest, start: int = 0, system_as_user: bool = False
) -> list[dict[str, str]]:
    """The messages of a Chat Completions call; the beginning of an answer is the last of them.

    Args:
        request: the conversation.
        start: the first of its messages that is sent.
        system_as_user: put the system prompt in front of the first message, for models without one.
    """
    turns = request.turns(start)
    if system_as_user and turns[0]["role"] == "system":
        system, first, *rest = turns
        content = f"{system['content']}\n\n{first['content']}"
        turns = [{"role": first["role"], "content": content}, *rest]
    prefix = [{"role": "assistant", "content": request.prefix}] if request.prefix else []
    return [*turns, *prefix]
