"""Static embeddings by `wordllama`, whose wheel carries 16 MB of weights: nothing is downloaded."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.evaluators.embeddings import Embed

_PACKAGE: Final = "wordllama"


def load_embeddings() -> Embed | None:
    """Return the embeddings, or None where the extra `embeddings` is not installed.

    The model, which takes a second to import and 50 MB, is loaded for the first text.
    """
    return _embed if importlib.util.find_spec(_PACKAGE) is not None else None


def _embed(texts: list[str]) -> NDArray[np.float32]:
    # One by one: a batch is padded to its longest text.
    return np.vstack([_model().embed([text]) for text in texts])


@cache
def _model() -> Any:
    """Load the model from the package's own folder.

    Told of another folder, or allowed to, it asks a hub for the files that lie beside it.
    """
    with _logging_as_it_was():
        import wordllama
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Undo what the package does to the root logger when it is imported."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
