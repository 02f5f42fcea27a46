"""Finds secret values in texts, in every form in which they may appear.

A text is searched verbatim and again with its escapes decoded, up to `_MOST_LEVELS` times. That finds a value
no matter which of its characters are escaped, for JSON, Go, YAML, SQL, shells, HTML or URLs, nested or not.
Base64 and hexadecimal forms are searched for directly.
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
"""Shorter values are never searched for: they occur in ordinary words, numbers and names."""

SHORTEST_ANYWHERE = 6
"""Shorter values are found only as whole words, verbatim."""

_SHORTEST_LINE = 12  # shortest line of a multi-line value that is searched for by itself

_MOST_LEVELS = 4
Span = tuple[int, int]


@dataclass(frozen=True)
class _Level:
    """A text after some rounds of decoding.

    Attributes:
        text: the decoded text, which consists of pieces that were copied or decoded as a whole.
        starts: offset of each piece in `text`.
        origins: span of each piece in the text of the previous level.
        copied: for each piece, whether it was copied verbatim.
    """

    text: str
    starts: Sequence[int] = ()
    origins: Sequence[Span] = ()
    copied: Sequence[bool] = ()

    def origin(self, span: Span) -> Span:
        """Return the span in the previous level that a span comes from, including whole escapes."""
        first = bisect.bisect_right(self.starts, span[0]) - 1
        last = bisect.bisect_left(self.starts, span[1]) - 1
        begin, end = self.origins[first][0], self.origins[last][1]
        if self.copied[first]:
            begin += span[0] - self.starts[first]
        if self.copied[last]:
            end = self.origins[last][0] + span[1] - self.starts[last]
        return begin, end


# --- Decoding escapes

_NAMED = dict(zip("abefnrtv0", "\a\b\x1b\f\n\r\t\v\0", strict=True))
_LAST_CHARACTER = 0x10FFFF
_ESCAPE = re.compile(
    r"""
    (?P<units>(?:\\u[0-9a-fA-F]{4})+)                     # JSON, JavaScript, Go, YAML
    | \\u\{(?P<braced>0*[0-9a-fA-F]{1,6})\}               # JavaScript, Rust
    | \\U(?P<long>[0-9a-fA-F]{8})                         # Python, Go, YAML, shells
    | (?P<bytes>(?:\\x[0-9a-fA-F]{2})+)                   # shells, Python's bytes, YAML
    | (?P<octal>(?:\\[0-3][0-7]{2})+)                     # shells, PostgreSQL
    | (?P<quote>'(?:\\''|"'"'))                           # a quote within a shell's quotes
    | (?P<doubled>''|"")                                  # YAML, SQL, CSV
    | (?P<folded>\\?\r?\n[ \t]*(?:\\(?=[ \t]))?)          # YAML, MIME: a folded line
    | \\(?P<one>[\s\S])
    | (?P<percent>(?:%[0-9a-fA-F]{2})+)                   # URLs
    | (?P<entity>&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)
    | (?P<plus>\+)                                        # forms: a space
    | (?P<nul>\0)                                         # UTF-16 read as another encoding
    """,
    re.VERBOSE,
)
_MAY_ESCAPE = re.compile(r"[\\%&+\0\n]|''|\"\"|'\"")


def _decoded(escape: re.Match[str]) -> str:
    kind = escape.lastgroup or ""
    decode = _DECODERS.get(kind)
    return decode(escape[0], escape[kind]) if decode else ""


def _of_number(text: str, digits: str) -> str:
    number = int(digits, 16)
    return chr(number) if number <= _LAST_CHARACTER else text


def _of_bytes(encoded: bytes) -> str:
    """Decode as UTF-8, or byte by byte if it is not UTF-8."""
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded.decode("latin-1")


# Decoders by group, called with the escape and the group's text. Escapes without a decoder are removed.
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


def _decode_once(text: str) -> _Level | None:
    """Return the text with its escapes decoded once; None if it has none."""
    if _MAY_ESCAPE.search(text) is None:
        return None
    pieces: list[str] = []
    starts: list[int] = []
    origins: list[Span] = []
    copied: list[bool] = []
    length = end = 0

    def add(piece: str, span: Span, *, verbatim: bool) -> None:
        nonlocal length
        if piece:
            pieces.append(piece)
            starts.append(length)
            origins.append(span)
            copied.append(verbatim)
            length += len(piece)

    for escape in _ESCAPE.finditer(text):
        add(text[end : escape.start()], (end, escape.start()), verbatim=True)
        add(_decoded(escape), escape.span(), verbatim=False)
        end = escape.end()
    add(text[end:], (end, len(text)), verbatim=True)
    decoded = "".join(pieces)
    return None if decoded == text else _Level(decoded, starts, origins, copied)


def _levels(text: str) -> Iterator[_Level]:
    level: _Level | None = _Level(text)
    for _ in range(_MOST_LEVELS + 1):
        if level is None:
            return
        yield level
        level = _decode_once(level.text)


# --- Forms


def forms(value: str) -> frozenset[str]:
    """Return the forms by which a value is found anywhere; none if it is too short for that.

    Each form is searched for in a text verbatim and with its escapes decoded.
    """
    if len(value) < SHORTEST_ANYWHERE:
        return frozenset()
    candidates = {*_plain_forms(value), *_base64_forms(value)}
    for encoded in _encoded(value):
        candidates |= {encoded.hex(), encoded.hex().upper()}
    return frozenset(form for form in candidates if len(form) >= SHORTEST_ANYWHERE)


def _encoded(value: str) -> tuple[bytes, bytes]:
    return value.encode("utf-8", "surrogatepass"), value.encode("utf-16-le", "surrogatepass")


def _plain_forms(value: str) -> Iterator[str]:
    for text in (value, *_lines(value)):
        for level in _levels(text):
            yield level.text
            # the text around a value may end a folded line before it, or begin one after it
            yield level.text.strip()
        yield from _escaped(text)


def _escaped(text: str) -> Iterator[str]:
    """Yield a text as common encoders write it, without surrounding quotes.

    Decoding escapes finds most of these. But a text that itself looks like an escape, for example one that
    ends with a backslash, is found reliably only in exactly the encoder's form.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    for written in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield written
        yield json.dumps(written)[1:-1]
        escaped = re.sub("[<>&\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", written)  # as Go does
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
    """Yield the base64 characters that depend on the value only, at any offset within longer data."""
    for encoded in _encoded(value):
        for before in range(3):
            padded = base64.b64encode(bytes(before) + encoded + bytes(2)).decode()
            first, last = -(-before * 8 // 6), (before + len(encoded)) * 8 // 6
            own = padded[first:last]
            yield own
            yield own.translate(_URL_SAFE)
            yield own.replace("+", " ")  # as `_decode_once` leaves it


_URL_SAFE = str.maketrans("+/", "-_")
_BASE64 = frozenset(string.ascii_letters + string.digits + "+/-_")


# --- Search

_STRIDE = 6

_WORD = re.compile(r"""[^\s"'`=,;()\[\]{}<>&|\\]+""")
_AROUND_WORDS = ".:!?"


class Finder:
    """Finds known values in texts.

    The time of a search depends on the length of the text, not on the number of values.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._words: set[str] = set()
        self._base64: set[str] = set()
        self._forms = set[str]()
        for value in values:
            if SHORTEST <= len(value) < SHORTEST_ANYWHERE:
                self._words.add(value)
            elif len(value) >= SHORTEST_ANYWHERE:
                self._forms.update(forms(value))
                self._base64.update(_base64_forms(value))
        long = {form for form in self._forms if len(form) >= SHORTEST_ANYWHERE + _STRIDE - 1}
        self._tables = [
            (stride, _table(some, stride))
            for stride, some in ((_STRIDE, long), (1, self._forms - long))
            if some
        ]

    def spans(self, text: str) -> list[Span]:
        """Return the spans of known values in a text, in order and without overlaps."""
        spans: list[Span] = list(self._whole_words(text))
        if self._tables and len(text) >= SHORTEST_ANYWHERE:
            origins: list[Callable[[Span], Span]] = []
            for level in _levels(text):
                if level.starts:
                    origins.append(level.origin)
                for span in self._anywhere(level.text):
                    original = span
                    for origin in reversed(origins):
                        original = origin(original)
                    spans.append(original)
        return _merged(spans)

    def masked(self, text: str, mask: str) -> str:
        """Return the text with a mask in place of each known value."""
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
        for match in _WORD.finditer(text):
            word = match[0].strip(_AROUND_WORDS)
            if match[0] in self._words:
                yield match.span()
            elif word in self._words:
                first = match.start() + match[0].index(word)
                yield first, first + len(word)


def _table(forms: Iterable[str], stride: int) -> dict[str, set[tuple[int, int]]]:
    """Return an index of forms: six characters, to the offsets and lengths of the forms that contain them.

    Each form is indexed at its first `stride` offsets, so that a search at every `stride`-th offset of a text
    meets one of them. Forms with a common prefix, such as keys of one vendor, share their entries.
    """
    table: dict[str, set[tuple[int, int]]] = {}
    for form in forms:
        for offset in range(stride):
            table.setdefault(form[offset : offset + SHORTEST_ANYWHERE], set()).add((offset, len(form)))
    return table


def _with_halves(text: str, span: Span) -> Span:
    """Extend a base64 span by the neighbouring characters that contain bits of the value, and the padding."""
    first, last = span
    if first and text[first - 1] in _BASE64:
        first -= 1
    if text[last : last + 1] in _BASE64 and last < len(text):
        last += 1
    while text[last : last + 1] == "=":
        last += 1
    return first, last


def _merged(spans: list[Span]) -> list[Span]:
    """Return the spans in order, with overlapping ones merged."""
    merged: list[Span] = []
    for first, last in sorted(spans, key=lambda span: (span[0], -span[1])):
        if merged and first < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
