"""The forms in which a value may show, and where a text has one of them.

A text is searched as it is, and again with its escapes undone, up to `_MOST_LEVELS` times over: so a value
is found however many of its characters are escaped, by whichever of JSON's, Go's, YAML's, SQL's, a shell's,
HTML's and URLs' rules, and one rule inside the other. Base64 and hexadecimal digits are looked for as such.
"""

import base64
import bisect
import html
import json
import re
import string
import sys
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

SHORTEST = 4
"""Values with fewer characters are never looked for: words, numbers and names are full of them."""

SHORTEST_ANYWHERE = 6
"""Values with fewer characters count as whole words alone, and as they are."""

_SHORTEST_LINE = 12  # of a value of several lines, a line alone may show

_MOST_LEVELS = 4
Span = tuple[int, int]


@dataclass(frozen=True)
class _Level:
    """A text with some of its escapes undone.

    Attributes:
        text: what it says.
        starts: where in it each piece begins that was copied or decoded as a whole.
        origins: the span of each piece in the level above.
        copied: for each piece, whether it is there character by character.
    """

    text: str
    starts: Sequence[int] = ()
    origins: Sequence[Span] = ()
    copied: Sequence[bool] = ()

    def origin(self, span: Span) -> Span:
        """Where in the level above a span comes from, whole escapes included."""
        first = bisect.bisect_right(self.starts, span[0]) - 1
        last = bisect.bisect_left(self.starts, span[1]) - 1
        begin, end = self.origins[first][0], self.origins[last][1]
        if self.copied[first]:
            begin += span[0] - self.starts[first]
        if self.copied[last]:
            end = self.origins[last][0] + span[1] - self.starts[last]
        return begin, end


# --- Escapes, undone

_NAMED = dict(zip("abefnrtv0", "\a\b\x1b\f\n\r\t\v\0", strict=True))
_LAST_CHARACTER = 0x10FFFF
_ESCAPE = re.compile(
    r"""
    (?P<units>(?:\\u[0-9a-fA-F]{4})+)                     # JSON, JavaScript, Go, YAML
    | \\u\{(?P<braced>0*[0-9a-fA-F]{1,6})\}               # JavaScript, Rust
    | \\U(?P<long>[0-9a-fA-F]{8})                         # Python, Go, YAML, shells
    | (?P<bytes>(?:\\x[0-9a-fA-F]{2})+)                   # shells, Python's bytes, YAML
    | (?P<octal>(?:\\[0-3][0-7]{2})+)                     # shells, PostgreSQL
    | (?P<quote>'(?:\\''|"'"'))                           # a quote inside of a shell's quotes
    | (?P<doubled>''|"")                                  # YAML, SQL, CSV
    | (?P<folded>\\?\r?\n[ \t]*(?:\\(?=[ \t]))?)          # YAML, MIME: a text over several lines
    | \\(?P<one>[\s\S])
    | (?P<percent>(?:%[0-9a-fA-F]{2})+)                   # URLs
    | (?P<entity>&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)
    | (?P<plus>\+)                                        # forms: a space
    | (?P<nul>\0)                                         # UTF-16, read as another encoding
    """,
    re.VERBOSE,
)
_MAY_ESCAPE = re.compile(r"[\\%&+\0\n]|''|\"\"|'\"")


def _decoded(found: re.Match[str]) -> str:
    kind = found.lastgroup or ""
    decode = _DECODERS.get(kind)
    return decode(found[0], found[kind]) if decode else ""


def _of_number(text: str, digits: str) -> str:
    number = int(digits, 16)
    return chr(number) if number <= _LAST_CHARACTER else text


def _of_bytes(found: bytes) -> str:
    """As UTF-8, else byte by byte."""
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found.decode("latin-1")


# Of an escape and the part of it that its group has; what has none leaves nothing behind.
_DECODERS: Mapping[str, Callable[[str, str], str]] = {
    "units": lambda text, _: bytes.fromhex(text.replace("\\u", "")).decode("utf-16-be", "replace"),
    "braced": _of_number,
    "long": _of_number,
    "bytes": lambda text, _: _of_bytes(bytes.fromhex(text.replace("\\x", ""))),
    "octal": lambda text, _: _of_bytes(bytes(int(digits, 8) for digits in text.split("\\")[1:])),
    "percent": lambda text, _: _of_bytes(bytes.fromhex(text.replace("%", ""))),
    "quote": lambda _, __: "'",
    "doubled": lambda text, _: text[0],
    "one": lambda _, one: _NAMED.get(one, one),
    "entity": lambda text, _: html.unescape(text),
    "plus": lambda _, __: " ",
}


def _undone(text: str) -> _Level | None:
    """The text with its escapes undone once; None where it has none."""
    if _MAY_ESCAPE.search(text) is None:
        return None
    pieces: list[str] = []
    starts: list[int] = []
    origins: list[Span] = []
    copied: list[bool] = []
    length = end = 0

    def add(piece: str, span: Span, *, as_it_is: bool) -> None:
        nonlocal length
        if piece:
            pieces.append(piece)
            starts.append(length)
            origins.append(span)
            copied.append(as_it_is)
            length += len(piece)

    for found in _ESCAPE.finditer(text):
        add(text[end : found.start()], (end, found.start()), as_it_is=True)
        add(_decoded(found), found.span(), as_it_is=False)
        end = found.end()
    add(text[end:], (end, len(text)), as_it_is=True)
    undone = "".join(pieces)
    return None if undone == text else _Level(undone, starts, origins, copied)


def _levels(text: str) -> Iterator[_Level]:
    level: _Level | None = _Level(text)
    for _ in range(_MOST_LEVELS + 1):
        if level is None:
            return
        yield level
        level = _undone(level.text)


# --- Forms


def forms(value: str) -> frozenset[str]:
    """Return the texts by which a value is found anywhere; none for one that is too short for that.

    Each is looked for in a text and in the same text with its escapes undone.
    """
    if len(value) < SHORTEST_ANYWHERE:
        return frozenset()
    found = {*_plain_forms(value), *_base64_forms(value)}
    for encoded in _encoded(value):
        found |= {encoded.hex(), encoded.hex().upper()}
    return frozenset(form for form in found if len(form) >= SHORTEST_ANYWHERE)


def _encoded(value: str) -> tuple[bytes, bytes]:
    return value.encode("utf-8", "surrogatepass"), value.encode("utf-16-le", "surrogatepass")


def _plain_forms(value: str) -> Iterator[str]:
    for text in (value, *_lines(value)):
        for level in _levels(text):
            yield level.text
            # what surrounds a value in a text may end a folded line before it, or begin one behind it
            yield level.text.strip()
        yield from _escaped(text)


def _escaped(text: str) -> Iterator[str]:
    """What common encoders make of a text, quotes around it aside.

    Most of it is found by undoing escapes. But a text that has the look of an escape itself, such as a
    backslash at its end, is found for sure only as the very encoder writes it.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    for written in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield written
        yield json.dumps(written)[1:-1]
        escaped = re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", written)  # as Go does
        yield from (escaped, json.dumps(escaped)[1:-1], written.replace("/", "\\/"))
    yield from (repr(text)[1:-1], repr(encoded)[2:-1])
    yield yaml.safe_dump(text, default_style='"', width=sys.maxsize)[1:-2]
    yield from (
        text.replace("'", "'\"'\"'"),
        text.replace("'", "'\\''"),
        re.sub(r"([^A-Za-z0-9])", r"\\\1", text),
    )
    yield from (text.replace("'", "''"), text.replace('"', '""'))
    yield from (html.escape(text), html.escape(text, quote=False))
    yield from ("".join(f"&#{ord(one)};" for one in text), "".join(f"&#x{ord(one):X};" for one in text))
    for safe in ("", "/"):
        for quote in (urllib.parse.quote, urllib.parse.quote_plus):
            yield quote(text, safe=safe, errors="surrogatepass")
    yield "".join(f"%{byte:02x}" for byte in encoded)
    yield "\0".join(text)


def _lines(value: str) -> Iterator[str]:
    lines = [line.strip() for line in value.splitlines()]
    yield from (line for line in lines if len(lines) > 1 and len(line) >= _SHORTEST_LINE)


def _base64_forms(value: str) -> Iterator[str]:
    """The characters that base64 has for a value alone, wherever in longer bytes it is."""
    for encoded in _encoded(value):
        for before in range(3):
            padded = base64.b64encode(bytes(before) + encoded + bytes(2)).decode()
            first, last = -(-before * 8 // 6), (before + len(encoded)) * 8 // 6
            own = padded[first:last]
            yield own
            yield own.translate(_URL_SAFE)
            yield own.replace("+", " ")  # as `_undone` leaves it


_URL_SAFE = str.maketrans("+/", "-_")
_BASE64 = frozenset(string.ascii_letters + string.digits + "+/-_")


# --- Search

_STRIDE = 6

_WORD = re.compile(r"""[^\s"'`=,;()\[\]{}<>&|\\]+""")
_AROUND_WORDS = ".:!?"


class Finder:
    """Finds known values in texts.

    The time that a search takes grows with the text and not with the number of values.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._words: set[str] = set()
        self._base64: set[str] = set()
        self._forms = seen = set[str]()
        for value in values:
            if SHORTEST <= len(value) < SHORTEST_ANYWHERE:
                self._words.add(value)
            elif len(value) >= SHORTEST_ANYWHERE:
                seen.update(forms(value))
                self._base64.update(_base64_forms(value))
        long = {form for form in seen if len(form) >= SHORTEST_ANYWHERE + _STRIDE - 1}
        self._tables = [
            (stride, _table(some, stride)) for stride, some in ((_STRIDE, long), (1, seen - long)) if some
        ]

    def spans(self, text: str) -> list[Span]:
        """Return where known values are in a text, in order; none overlaps another."""
        found: list[Span] = list(self._whole_words(text))
        if self._tables and len(text) >= SHORTEST_ANYWHERE:
            origins: list[Callable[[Span], Span]] = []
            for level in _levels(text):
                if level.starts:
                    origins.append(level.origin)
                for span in self._anywhere(level.text):
                    place = span
                    for origin in reversed(origins):
                        place = origin(place)
                    found.append(place)
        return _merged(found)

    def masked(self, text: str, mask: str) -> str:
        """Return the text with a mask in the place of each known value."""
        pieces, end = [], 0
        for first, last in self.spans(text):
            pieces += [text[end:first], mask]
            end = last
        return "".join([*pieces, text[end:]]) if pieces else text

    def _anywhere(self, text: str) -> Iterator[Span]:
        end = len(text) - SHORTEST_ANYWHERE + 1
        for stride, table in self._tables:
            for at in [at for at in range(0, end, stride) if text[at : at + SHORTEST_ANYWHERE] in table]:
                for offset, length in table[text[at : at + SHORTEST_ANYWHERE]]:
                    first, last = at - offset, at - offset + length
                    form = text[first:last] if first >= 0 else ""
                    if form in self._forms:
                        span = (first, last)
                        yield _with_halves(text, span) if form in self._base64 else span

    def _whole_words(self, text: str) -> Iterator[Span]:
        if not self._words:
            return
        for found in _WORD.finditer(text):
            word = found[0].strip(_AROUND_WORDS)
            if found[0] in self._words:
                yield found.span()
            elif word in self._words:
                first = found.start() + found[0].index(word)
                yield first, first + len(word)


def _table(forms: Iterable[str], stride: int) -> dict[str, set[tuple[int, int]]]:
    """Six characters to where in forms they are, and how long those forms are.

    Of each form, the first characters at each of `stride` places: a look at every one of so many places in a
    text meets one of them. Forms that begin alike, such as keys of one vendor, cost no more than one does.
    """
    table: dict[str, set[tuple[int, int]]] = {}
    for form in forms:
        for offset in range(stride):
            table.setdefault(form[offset : offset + SHORTEST_ANYWHERE], set()).add((offset, len(form)))
    return table


def _with_halves(text: str, span: Span) -> Span:
    """A span of base64 with the characters around it that hold some bits of the value, and the padding."""
    first, last = span
    if first and text[first - 1] in _BASE64:
        first -= 1
    if text[last : last + 1] in _BASE64 and last < len(text):
        last += 1
    while text[last : last + 1] == "=":
        last += 1
    return first, last


def _merged(spans: list[Span]) -> list[Span]:
    """In order, those that overlap as one."""
    merged: list[Span] = []
    for first, last in sorted(spans, key=lambda span: (span[0], -span[1])):
        if merged and first < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
