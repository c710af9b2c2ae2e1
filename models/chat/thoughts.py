"""The thoughts that a model writes in tags in front of its answer, parted from the answer.

Servers and models on this machine write them alike. Some templates open the thoughts themselves, so
that the text has only the tag that closes them.
"""

import re

from models.chat.events import Note

# Opening -> closing. The last is the form of gpt-oss, where nothing parsed it.
TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|channel|>analysis<|message|>": "<|end|><|start|>assistant<|channel|>final<|message|>",
}
_CLOSING = "</think>"  # also where nothing opened them
_OPENING = "<think"


def begins_in_thoughts(prompt: str) -> bool:
    """Whether a prompt, as the template wrote it, ends with the tag that opens thoughts."""
    return prompt.rstrip().endswith("<think>")


def writes_thoughts(template: object) -> bool:
    """Whether a chat template knows of thoughts in tags."""
    return bool(re.search(r"</?think>|\[THINK\]", str(template or "")))


def notes_on(has_thoughts: bool, has_answer: bool, reason: str) -> tuple[Note, ...]:
    """The note on an answer with thoughts, by how it ended."""
    if not has_thoughts:
        return ()
    if has_answer:
        return (Note("thought_aloud"),)
    return (Note("all_thought" if reason == "length" else "empty_answer"),)


class ThoughtSplitter:
    """Parts the thoughts from the answer as the text comes.

    Args:
        in_thoughts: the prompt has opened them already.

    Attributes:
        before_was_thought: the last piece closed thoughts that nothing had opened, so that all text
            before it was none of the answer.
    """

    def __init__(self, in_thoughts: bool = False) -> None:
        self._rest = ""  # text that may turn out to be a part of a tag
        self._closing = (
            _CLOSING if in_thoughts else ""
        )  # the tag that ends the thoughts; "" outside
        self._in_answer = False  # the answer has begun: a tag in it is text
        self._in_thoughts = in_thoughts
        self._end = ""  # of the answer: one with a tag in it speaks of tags
        self.before_was_thought = False

    def split(self, text: str) -> tuple[str, str]:
        """(answer, thoughts) in the next piece of text."""
        self.before_was_thought = False
        return self._split(text)

    def _split(self, text: str) -> tuple[str, str]:
        if self._in_answer:
            return self._answer(text)
        self._rest += text
        if not self._closing:
            start = self._rest.lstrip()
            tag = next((tag for tag in TAGS if start.startswith(tag)), "")
            if not tag:
                if not start or any(one.startswith(start) for one in TAGS):
                    return "", ""
                text, self._in_answer, self._rest = self._rest, True, ""
                return self._answer(start if self._in_thoughts else text)
            self._closing = TAGS[tag]
            self._rest, self._in_thoughts = start[len(tag) :], True
        thoughts, closing, after = self._rest.partition(self._closing)
        if closing:
            self._closing, self._rest = "", ""
            answer, more = self._split(after)  # some models think twice
            return answer, thoughts + more
        thoughts, self._rest = _split_at(self._rest, self._closing)
        return "", thoughts

    def _answer(self, text: str) -> tuple[str, str]:
        """Text of the answer, unless a tag closes thoughts that nothing has opened."""
        if self._in_thoughts or _OPENING in self._end:
            text, self._rest = self._rest + text, ""
            return text, ""
        self._rest += text
        before, closing, after = self._rest.partition(_CLOSING)
        if closing and _OPENING not in self._end + before:
            self.before_was_thought = self._in_thoughts = True
            self._in_answer, self._rest = False, ""
            answer, more = self._split(after)
            return answer, before + more
        text, self._rest = _split_at(self._rest, _CLOSING)
        self._end = _OPENING if _OPENING in self._end + text else (self._end + text)[-8:]
        return text, ""

    def finish(self) -> tuple[str, str]:
        """(answer, thoughts) that were held back; nothing comes after."""
        rest, self._rest = self._rest, ""
        if self._in_thoughts and not self._closing and not self._in_answer:
            rest = rest.lstrip()
        return ("", rest) if self._closing else (rest, "")


def _split_at(text: str, tag: str) -> tuple[str, str]:
    """A text and its end that may be the beginning of a tag."""
    keep = next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
    return text[: len(text) - keep], text[len(text) - keep :]
