"""Requests to a chat model: an answer, the next token, the models of a server."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from models.contract import Request
from models.fields import MAX_TEXT, Address, Seed, Text, TokenIds

MAX_CONVERSATION = 200_000  # characters of all turns


class ChatMessage(Request):
    """One turn; an assistant's may be empty (it was stopped before its first token)."""

    role: Literal["user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=MAX_TEXT)]


def _to_answer(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    if messages[-1].role != "user" or not messages[-1].content.strip():
        raise PydanticCustomError("blank", "blank")
    if sum(len(message.content) for message in messages) > MAX_CONVERSATION:
        raise PydanticCustomError("too_long", "too long", {"max_length": MAX_CONVERSATION})
    return messages


class ChatRequest(Request):
    """A conversation to go on with.

    Attributes:
        messages: oldest first; the last is the person's.
        temperature: 0 takes the likeliest token each time.
        top_p: nucleus: the smallest set of tokens whose probabilities sum to this.
        top_k: so many of the likeliest tokens; 0 leaves it to the others.
        max_new_tokens: at most so many tokens in the answer.
        seed: -1 draws one.
        num_return_sequences: how many samples of the answer.
        prefix: the answer's beginning, already there: only what follows it is told.
        prefix_ids: tokens of the answer after that, also there already; for models on this machine.
        alternatives: so many of the likeliest tokens are told with each token; 0 tells no tokens.
        model_name: which model of the server, for hosted models; "" takes the host's choice.
        base_url: the server the person named, for hosted models; "" takes the host's.
        api_key: a key the person typed, for hosted models; never kept.
    """

    messages: Annotated[
        tuple[ChatMessage, ...], Field(min_length=1, max_length=400), AfterValidator(_to_answer)
    ]
    system_prompt: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.8
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)] = 256
    seed: Seed = -1
    num_return_sequences: Annotated[int, Field(ge=1, le=8)] = 1
    top_k: Annotated[int, Field(ge=0, le=1000)] = 0
    prefix: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""
    prefix_ids: TokenIds = ()
    alternatives: Annotated[int, Field(ge=0, le=20)] = 0
    model_name: Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)] = ""
    base_url: Address = ""
    api_key: SecretStr | None = None

    def turns(self, left_out: int = 0) -> list[dict[str, str]]:
        """The system prompt, if there is one, and all but the oldest messages, as chat APIs take them."""
        system = [{"role": "system", "content": self.system_prompt}]
        turns = [message.model_dump() for message in self.messages[left_out:]]
        return [*(system if self.system_prompt.strip() else []), *turns]


class Shape(Request):
    """What bends a distribution before a draw: as in ChatRequest, by default nothing."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0, le=1000)] = 0


class NextTokenRequest(Request):
    """What the model on this machine says about the one token that comes next.

    Attributes:
        text: what stands there so far; as a message, what the person said to the model.
        as_message: put it into the model's chat template, if it has one.
        system_prompt: for a message.
        ids: tokens after that: of a growing answer or text.
        likeliest: so many tokens are told with their text.
    """

    text: Text
    as_message: bool = False
    system_prompt: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""
    ids: TokenIds = ()
    likeliest: Annotated[int, Field(ge=1, le=100)] = 12


class ServerModelsRequest(Request):
    """Which models a server has.

    Attributes:
        base_url, api_key: as in ChatRequest.
    """

    base_url: Address = ""
    api_key: SecretStr | None = None
