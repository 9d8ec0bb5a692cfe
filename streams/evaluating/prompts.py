"""What a judge model is asked: a frame with a rubric, and both answers as data.

The answers are hostile text. They reach the judge in blocks whose delimiters hold a nonce that is
drawn for each call, so that no answer can close its block; the frame says that nothing in a block
is an instruction. What chat templates of model servers take for the end of a message is made
harmless. A judge may obey an answer all the same.

A rubric is a file `NAME@VERSION.md`, with variants for some languages such as `NAME@VERSION.ja.md`.
`frame.md` beside it replaces the frame.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from understudy.schemas.evaluation_sampling import is_reference

FRAME: Final = "frame.md"
PLACEHOLDERS: Final = ("{nonce}", "{language}", "{rubric}")
"""What a frame must contain."""
MAX_FILE_CHARACTERS: Final = 20_000
"""A rubric that is longer would cost more than the answers."""

_NONCE_BYTES: Final = 12
"""Nobody guesses 96 bits."""
_VARIANT: Final = re.compile(
    r"\A(?P<reference>[^@\s]+@[^@\s]+?)(?:\.(?P<language>[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*))?\Z"
)
_SPECIAL: Final = re.compile(
    r"<(?=[|｜]"
    r"|/?(?:s|bos|eos|pad|unk|mask|think|start_of_turn|end_of_turn|tool_call|tool_response)>)"
    r"|\[(?=/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\])",
    re.IGNORECASE,
)
"""Where tokens begin that chat templates end a message with, such as `<|im_end|>` and `</s>`."""
_BROKEN: Final = "\u200b"
"""A zero-width space behind the first character: people read the same, tokenizers do not."""


class PromptError(ValueError):
    """A prompt file that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a judge is asked about two answers."""

    system: str
    user: str

    @property
    def utf8_bytes(self) -> int:
        """Return an upper bound of its tokens: no token of a byte-level tokenizer is empty."""
        return len((self.system + self.user).encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Rubric:
    """The rubric of one evaluator, with its variants by language."""

    text: str
    by_language: Mapping[str, str]

    def for_language(self, tag: str) -> str:
        """Return the variant of a language, of the same without its region, or the general one."""
        while tag:
            if tag in self.by_language:
                return self.by_language[tag]
            tag = tag.rpartition("-")[0]
        return self.text


@dataclass(frozen=True, slots=True)
class Prompts:
    """The frame, and the rubrics by `name@version`."""

    frame: str
    rubrics: Mapping[str, Rubric]

    def question(
        self, evaluator: str, *, language: str, prompt: str, first: str, second: str, nonce: str
    ) -> Question:
        """Return what the judge is asked; raises KeyError for an unknown evaluator."""
        rubric = self.rubrics[evaluator].for_language(language)
        named = language if language and language != "und" else "the one the request is written in"
        system = _filled(self.frame, {"{nonce}": nonce, "{language}": named, "{rubric}": rubric})
        blocks = {"request": prompt, "answer A": first, "answer B": second}
        user = "\n\n".join(_block(name, text, nonce) for name, text in blocks.items())
        return Question(system, user)


def new_nonce() -> str:
    """Return what stands in the delimiters of one call."""
    return secrets.token_hex(_NONCE_BYTES)


def _filled(frame: str, values: Mapping[str, str]) -> str:
    """Replace placeholders in one pass, so that what is filled in is never searched for more."""
    names = re.compile("|".join(map(re.escape, values)))
    return names.sub(lambda found: values[found.group()], frame)


def _block(name: str, text: str, nonce: str) -> str:
    return f"=== {nonce} begin {name}\n{harmless(text, nonce)}\n=== {nonce} end {name}"


def harmless(text: str, nonce: str) -> str:
    """Return a text without what ends a block or, in a model server's template, a message."""
    broken = _SPECIAL.sub(lambda found: found.group() + _BROKEN, text)
    return broken.replace(nonce, "")


def load_prompts(folder: str) -> Prompts:
    """Load the prompts that come with the service, and those of a folder over them.

    Raises `PromptError`.
    """
    found = _files(resources.files(__package__).joinpath("rubrics"))
    if folder:
        path = Path(folder)
        if not path.is_dir():
            raise PromptError(f"{folder} is not a folder")
        found |= _files(path)
    frame = found.pop(FRAME)
    missing = [name for name in PLACEHOLDERS if name not in frame]
    if missing:
        raise PromptError(f"{FRAME} must contain {', '.join(missing)}")
    return Prompts(frame, _rubrics(found))


def _files(folder: Traversable) -> dict[str, str]:
    texts = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if not file.name.endswith(".md") or (file.name != FRAME and "@" not in file.name):
            continue
        try:
            text = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PromptError(f"{file.name}: {error}") from None
        if not text or len(text) > MAX_FILE_CHARACTERS:
            raise PromptError(f"{file.name}: 1 to {MAX_FILE_CHARACTERS} characters are read")
        texts[file.name] = text
    return texts


def _rubrics(files: Mapping[str, str]) -> dict[str, Rubric]:
    general: dict[str, str] = {}
    variants: dict[str, dict[str, str]] = {}
    for name, text in files.items():
        match = _VARIANT.match(name.removesuffix(".md"))
        if match is None or not is_reference(match["reference"]):
            raise PromptError(f"{name}: call it NAME@VERSION.md or NAME@VERSION.LANGUAGE.md")
        if match["language"]:
            variants.setdefault(match["reference"], {})[match["language"]] = text
        else:
            general[match["reference"]] = text
    for reference in variants.keys() - general.keys():
        raise PromptError(f"{reference}.md is missing: it is for all languages without a variant")
    return {name: Rubric(text, variants.get(name, {})) for name, text in general.items()}
