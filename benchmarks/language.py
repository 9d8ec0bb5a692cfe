"""How often languages are told right and wrong, and what a call costs, on texts that people wrote.

Prompts and answers come from the folder of real model outputs, interface strings from gettext
catalogues (`*.mo`) below any folder: the Python packages of an environment with Sphinx or Django's
REST framework will do. Django's and Wagtail's own are left out: the code was adjusted on them.

    python benchmarks/language.py DATA [--catalogues FOLDER] [--against REVISION] [--json]

DATA may be left out if UNDERSTUDY_TEST_MODEL_OUTPUTS names it. With `--against` the code of another
revision of this repository is measured as well.
"""

from __future__ import annotations

import argparse
import contextlib
import gettext
import gzip
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from understudy.analyzers.compare import language as language_of_this_revision
from understudy.analyzers.compare.language_tags import UNDETERMINED, normalize_tag, same_language

DATA_VARIABLE: Final = "UNDERSTUDY_TEST_MODEL_OUTPUTS"
FILES_WITH_LANGUAGES: Final = ("m_arena_hard_latin", "m_arena_hard_nonlatin", "mtbench_eu")
ADJUSTED_ON: Final = frozenset({"django", "wagtail"})
"""Packages whose strings were looked at while the code was written."""
OTHERS: Final = ("ar", "bg", "cs", "de", "es", "fr", "hi", "it", "ja", "pt", "ru")
"""Languages of requests that get English answers."""
STRINGS_OF: Final = (
    "bg",
    "es",
    "hi",
    "pt",
    "zh-Hant",
    "ru",
    "de",
    "fr",
    "it",
    "nl",
    "pl",
    "cs",
    "ja",
)
LONG_PROMPT: Final = 60
"""Characters from which on a prompt says enough in any language."""
REPEATS: Final = 3
"""The fastest of them counts: the others were disturbed."""

SHORT_TRADITIONAL: Final = """
可以的。 不可以。 已送出。 是的，有。 沒問題。 好的。 不行。 明天上午到。
今天下午三點。 已取消。 已收到。 不用，免費。 可以，三天之內。 有，共三件。
沒有。 是，已付款。 不是。 已退回。 可以改期。 請再等一天。 在二樓。 在台北。
星期三。 八月四日。 早上九點。 已安排。 快到了。 三十天。 我不知道。 可以用。
不必。 不要用力。 已完成。 本店有。 要，全部都要。 不含在內。 同一天。
下午四點前。 打九折。 共五百元。 可以，但要加價。 不能退。 找不到。 正在路上。
已改好。 無法修改。
"""
"""Terse answers of a shop, written for this benchmark."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What is measured on."""

    prompts: list[tuple[str, str]]
    """Language and prompt, each once."""
    answers: list[tuple[str, str]]
    """Language of the request and answer, of those that hold prose."""
    strings: dict[str, list[str]]
    """Interface strings of 20 to 60 characters by language, held out."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str
    reach: str = ""
    of: int = 0


# --- texts -----------------------------------------------------------------------------------


def read_texts(data: Path, catalogues: Path | None) -> Texts:
    """Prompts, answers and interface strings."""
    prompts: dict[tuple[str, str], None] = {}
    answers: dict[tuple[str, str], None] = {}
    for name in (*FILES_WITH_LANGUAGES, "arena_hard_en_quant"):
        for row in _rows(data / f"pairs_{name}.ndjson.gz"):
            language = normalize_tag(row["language"])
            prompts[language, row["prompt"]] = None
            for side in ("stable", "candidate"):
                text = row[side]["output"]
                if text and _holds_prose(text):
                    answers[language, text] = None
    return Texts(list(prompts), list(answers), read_strings(catalogues) if catalogues else {})


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _holds_prose(text: str) -> bool:
    """Whether an answer is more than code, JSON or a word; a rule that the code does not share."""
    outside = re.sub(r"```.*?(```|\Z)", "", text, flags=re.DOTALL).strip()
    return len(outside) >= 40 and not outside.startswith(("{", "[", "def ", "import ", "function "))


def read_strings(folder: Path) -> dict[str, list[str]]:
    """Translated strings without place holders or markup, by language."""
    strings: dict[str, set[str]] = {}
    for path in sorted(folder.glob("**/LC_MESSAGES/*.mo")):
        if not ADJUSTED_ON.intersection(path.parts):
            found = strings.setdefault(normalize_tag(path.parent.parent.name), set())
            found.update(_translations(path))
    return {language: sorted(texts) for language, texts in strings.items()}


def _translations(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            catalogue: dict[Any, str] = vars(gettext.GNUTranslations(file))["_catalog"]
    except ValueError:  # some packages ship catalogues that gettext cannot read
        return
    for key, text in catalogue.items():
        source = key[0] if isinstance(key, tuple) else key
        if (
            source
            and isinstance(text, str)
            and text != source
            and 20 <= len(text) <= 60
            and not re.search(r"[%{<\n]", text)
        ):
            yield text


# --- figures ---------------------------------------------------------------------------------


def measure(module: ModuleType, texts: Texts) -> list[Figure]:
    """The table, for one revision's code."""
    return [
        *_figures_of_prompts(module, texts.prompts),
        *_figures_of_strings(module, texts.strings),
        *_figures_of_answers(module, texts.answers),
        *_costs(module, texts),
    ]


def _figures_of_prompts(module: ModuleType, prompts: list[tuple[str, str]]) -> Iterator[Figure]:
    found = [(tag, text, module.detect_language(text)) for tag, text in prompts]
    yield _share("prompts told right", [_same(tag, told) for tag, _, told in found])
    yield _share("prompts told wrong", [_other(tag, told) for tag, _, told in found])
    russian = [_same(tag, told) for tag, _, told in found if tag == "ru"]
    yield _share("Russian prompts told as ru", russian, "≥ 95")
    spanish = [_same(t, told) for t, p, told in found if t == "es" and len(p) >= LONG_PROMPT]
    yield _share(
        f"Spanish prompts of {LONG_PROMPT} characters and more told as es", spanish, "≥ 95"
    )


def _figures_of_strings(module: ModuleType, strings: dict[str, list[str]]) -> Iterator[Figure]:
    for language in STRINGS_OF:
        own = [t for tag, texts in strings.items() if _is_base(language, tag) for t in texts]
        if not own:
            continue
        mismatches = _match(module, language, own) == 0
        yield _share(f"correct strings called another language: {language}", mismatches, "≤ 1")
        told = [_other(language, module.detect_language(text)) for text in own]
        yield _share(f"the same as prompts: {language}", told)
    short = SHORT_TRADITIONAL.split()
    columns = module.match_languages(["zh-Hant"] * len(short), short, np.ones(len(short), bool))
    simplified = [language == "zh-Hans" for language in columns.output_language]
    yield _share("short Traditional answers called zh-Hans", simplified, "0")


def _is_base(language: str, tag: str) -> bool:
    return tag == language or tag.partition("-")[0] == language


def _figures_of_answers(module: ModuleType, answers: list[tuple[str, str]]) -> Iterator[Figure]:
    english = [text for language, text in answers if language == "en"]
    found = np.concatenate([_match(module, other, english) == 0 for other in OTHERS])
    yield _share(f"English answers to {len(OTHERS)} other languages found", found, "≥ 99")
    verdicts = module.match_languages(
        [language for language, _ in answers],
        [text for _, text in answers],
        np.ones(len(answers), bool),
    ).match
    for name, verdict in (("match", 1), ("mismatch", 0), ("not judged", -1)):
        yield _share(f"all answers: {name}", verdicts == verdict)


def _match(module: ModuleType, language: str, texts: list[str]) -> Any:
    return module.match_languages([language] * len(texts), texts, np.ones(len(texts), bool)).match


def _share(name: str, values: Any, reach: str = "") -> Figure:
    of = len(values)
    return Figure(name, 100.0 * float(np.mean(values)) if of else float("nan"), "%", reach, of)


def _same(tag: str, told: str) -> bool:
    return told == tag or same_language(tag, told)


def _other(tag: str, told: str) -> bool:
    return told != UNDETERMINED and not _same(tag, told)


def _costs(module: ModuleType, texts: Texts) -> Iterator[Figure]:
    prompts = [text for _, text in texts.prompts]
    yield _cost("detect_language, a prompt", len(prompts), lambda: _each(module, prompts))
    tags = [language for language, _ in texts.answers]
    answers = [text for _, text in texts.answers]
    all_of_them = np.ones(len(answers), bool)
    match: Callable[[], object] = lambda: module.match_languages(tags, answers, all_of_them)  # noqa: E731
    yield _cost("match_languages, an answer", len(answers), match)


def _each(module: ModuleType, prompts: list[str]) -> None:
    for text in prompts:
        module.detect_language(text)


def _cost(name: str, calls: int, run: Callable[[], object]) -> Figure:
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return Figure(name, 1e6 * min(times) / calls, "µs", of=calls)


# --- another revision ------------------------------------------------------------------------


@contextlib.contextmanager
def code_of(revision: str) -> Iterator[ModuleType]:
    """The language modules of another revision, imported beside those of this one."""
    root = Path(__file__).resolve().parent.parent
    listed = _git(root, "ls-tree", "--name-only", revision, "analyzers/compare/").split()
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "language_of_another_revision"
        package.mkdir()
        (package / "__init__.py").touch()
        for name in listed:
            if Path(name).name.startswith("language"):
                source = _git(root, "show", f"{revision}:{name}")
                here = re.sub(
                    r"understudy\.analyzers\.compare(?=\.language| import language)",
                    package.name,
                    source,
                )
                (package / Path(name).name).write_text(here, encoding="utf-8")
        sys.path.insert(0, folder)
        try:
            yield importlib.import_module(f"{package.name}.language")
        finally:
            sys.path.remove(folder)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# --- report ----------------------------------------------------------------------------------


def report(figures: list[Figure], before: list[Figure] | None) -> None:
    table = Table("measured", "of", "before" if before else "", "now", "reach")
    for row, figure in enumerate(figures):
        earlier = f"{before[row].value:.2f} {figure.unit}" if before else ""
        now = f"{figure.value:.2f} {figure.unit}"
        table.add_row(figure.name, f"{figure.of:,}", earlier, now, figure.reach)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get(DATA_VARIABLE))
    parser.add_argument("--catalogues", type=Path, help="folder with gettext catalogues below it")
    parser.add_argument("--against", metavar="REVISION", help="measure that revision as well")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if options.data is None:
        parser.error(f"where are the model outputs? Name the folder, or set {DATA_VARIABLE}")
    texts = read_texts(Path(options.data), options.catalogues)
    before = None
    if options.against:
        with code_of(options.against) as module:
            before = measure(module, texts)
    figures = measure(language_of_this_revision, texts)
    if options.json:
        rows = [
            {"name": f.name, "unit": f.unit, "value": f.value, "of": f.of, "reach": f.reach}
            | ({"before": before[row].value} if before else {})
            for row, f in enumerate(figures)
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        report(figures, before)


if __name__ == "__main__":
    main()
