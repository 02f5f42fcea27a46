"""The wording that CONTRIBUTING.md asks for, as far as a program can check it."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_WORDS_OF_A_TEST = 14

# What this project does not write, and what it writes instead.
INSTEAD = {
    r"\banew\b": "again, regenerate",
    r"\b(thereof|whereof|therein|wherein|thereby|hitherto|henceforth)\b": "rephrase",
    r"\bwants? attention\b": "needs attention",
    r"\b(this|that|it|which) is no (?!longer|more|less|change)": "is not a valid ...",
    r"\blets? (\w+ )?(in|more in)\b": "grants access",
    r"\b(has|have) the stack\b": "the stack is locked by another update",
    r"\ball the same\b": "anyway",
    r"\bsuch an? one\b": "one like it",
    r"\b(so many|as many as that)\b": "at least N",
    r"\b(is|are) (got|had)\b|\bto be had\b": "is available, was fetched",
    r"\bgiven values?\b": "configured value",
    r"\bfirst values?\b": "initial value",
    r"\bvalue kinds?\b": "value source",
    r"\bbeside\b": "next to, alongside",
    r"\binto the state\b": "import",
    r"\bstays? out of AWS\b": "is not applied",
    r"\bother(wise)? than before\b": "changed",
    r"\btake(s|n)? away\b|\btook away\b": "remove",
    r"\bThere is no such\b": "unknown ...",
    r"\bno meaning\b": "say what to write",
}
ASKS = ("What ", "Whether ", "Which ", "Who ", "Whose ", "How ", "That ")


def committed(*patterns: str) -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("this is not a git checkout")
    return [ROOT / name for name in done.stdout.split("\n") if name and (ROOT / name).is_file()]


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and texts: a document's lines, or a program's comments and strings."""
    text = path.read_text()
    if path.suffix != ".py":
        yield from enumerate(text.split("\n"), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in {tokenize.COMMENT, tokenize.STRING}:
            for offset, line in enumerate(token.string.split("\n")):
                yield token.start[0] + offset, line


def lines(path: Path, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Yield the prose of a file that has the pattern anywhere: to divide a program into tokens takes long."""
    if pattern.search(path.read_text()):
        yield from prose(path)


def test_no_wording_that_the_glossary_replaces() -> None:
    patterns = {re.compile(pattern, re.IGNORECASE): better for pattern, better in INSTEAD.items()}
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: {better}"
        for path in committed("*.py", "*.md", "*.jinja")
        if path != Path(__file__) and path.name != "CHANGELOG.md"
        for number, line in lines(path, re.compile("|".join(INSTEAD), re.IGNORECASE))
        for pattern, better in patterns.items()
        for match in pattern.finditer(line)
    ]
    assert not found, "\n".join(found)


def documented(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and texts of docstrings, of a file that has a string with such a beginning."""
    if not re.search(rf"""["'][\\\s]*({"|".join(ASKS)})""", path.read_text()):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def test_docstrings_name_the_thing_or_begin_with_a_verb() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {text.splitlines()[0]}"
        for path in committed("*.py")
        for number, text in documented(path)
        if text.startswith(ASKS)
    ]
    assert not found, "\n".join(found)


def test_names_of_tests_are_short_sentences() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in committed("test_*.py", "**/test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
        if len(name.split("_")) - 1 > MOST_WORDS_OF_A_TEST
    ]
    assert not found, "\n".join(found)
