"""Secrets, and what workloads read from them: the same on the real External Secrets Operator and on ours.

`make test-operators` records what the real operator answers to each in `tests/manifests/recorded`.
"""

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from program.manifests.contract import Source, Template, Value, Workload
from stack_file.template import Placeholder

PEM = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
AWKWARD = {
    "PLAIN": "value",
    "with-hyphen": "a",
    "with.dot": "b",
    "with/slash": "c",
    "0digit": "d",
    "7": "seven",
    "with": "not an object",
    "..dots": "e",
    "-": "hyphen alone",
    "NEWLINES": "one\ntwo\r\n",
    "QUOTES": 'it\'s "quoted" \\ back',
    "PEM": PEM,
    "EMPTY": "",
    "TEMPLATE": '{{ .Value | printf "%s" }} ${HOME} $(id)',
    "UNICODE": "é\u2028\U0001f511",
    "LONG": "x" * 60_000,
    "YAML": "no",
    "JSON": '{"with": {"dot": 1}}',
    **{f"key {number}{key}": key for number, key in enumerate("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")},
    **{key: f"alone {key}" for key in "!\"#$%&'()*+,./:;<=>?@[\\]^_`{|}~"},
    "@this": "e1",
    "!true": "e2",
    "{a,b}": "e3",
    "[a]": "e4",
    "#(a==1)": "e5",
    "a.#": "e6",
    "a|b": "e7",
    " leading and trailing ": "f",
    "é\U0001f511": "g",
    "\\": "backslash",
    "\\.": "h",
    "':'": "i",
}

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
NAMESPACE, SERVICE_ACCOUNT = "shop", "web"

# A key of a secret, by both names, and None for the whole secret; or a template of such.
Key: TypeAlias = tuple[str, str | None]
Read: TypeAlias = Key | tuple[tuple[str | Placeholder, ...], Mapping[str, Key]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Secrets in AWS, the reads of a workload, and what its container gets.

    Attributes:
        secrets: name to value.
        environment, files: as in a workload.
        whole: secrets whose keys all become variables.
        variables, texts: what the container gets as variables and as files; bytes as characters 0 to 255.
        error: a part of the operator's message instead.
    """

    secrets: Mapping[str, str | bytes]
    environment: Mapping[str, Read] = field(default_factory=dict)
    files: Mapping[str, Read] = field(default_factory=dict)
    whole: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    error: str = ""

    def workload(self, name: str, arns: Mapping[str, str]) -> Workload:
        """Return the workload for secrets with these ARNs."""

        def source(key: Key) -> Source:
            return Source(secret_name=key[0], secret_arn=arns[key[0]], key=key[1])

        def value(read: Read) -> Value:
            if isinstance(read[1], Mapping):
                pieces: Any = read[0]
                return Template(pieces=pieces, sources={part: source(key) for part, key in read[1].items()})
            return source((str(read[0]), read[1]))

        return Workload(
            name=name,
            region="us-east-1",
            namespace=NAMESPACE,
            service_account=SERVICE_ACCOUNT,
            environment={variable: value(read) for variable, read in self.environment.items()},
            files={path: value(read) for path, read in self.files.items()},
            environment_from_all=tuple(source((secret, None)) for secret in self.whole),
        )


class StoredSecrets:
    """A client of Secrets Manager that knows these values."""

    def __init__(self, values: Mapping[str, str | bytes]) -> None:
        self._values = values

    def get_secret_value(self, SecretId: str, VersionStage: str) -> dict[str, str | bytes]:  # noqa: N803  boto3's names
        assert VersionStage == "AWSCURRENT"
        value = self._values[SecretId]
        return {"SecretString" if isinstance(value, str) else "SecretBinary": value}


RECORDED = Path(__file__).parents[1] / "manifests" / "recorded" / "external_secrets.json"
_LONGEST_RECORDED = 1_000  # characters


def shortened(data: Mapping[str, str]) -> dict[str, str]:
    """Return the data of a Kubernetes Secret as they are recorded: long texts by their hash."""
    return {
        key: text if len(text) <= _LONGEST_RECORDED else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        for key, text in sorted(data.items())
    }


def text_of(content: bytes) -> str:
    """Return the text that a container sees; other bytes as the characters 0 to 255."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _awkward() -> Case:
    reads = {f"V{number}": ("app", key) for number, key in enumerate(AWKWARD)}
    values = {f"V{number}": value for number, value in enumerate(AWKWARD.values())}
    return Case(
        secrets={"app": json.dumps(AWKWARD, ensure_ascii=False)},
        environment=reads,
        files={f"deep/{name}/key.pem": read for name, read in reads.items()},
        variables=values,
        texts={f"deep/{name}/key.pem": value for name, value in values.items()},
    )


def _whole() -> Case:
    document = json.dumps({"A": "one", "b.c": 'a "two"\n'}, indent=1)
    binary = bytes(range(256))
    return Case(
        secrets={"app": document, "pem": PEM, "binary": binary, "bytes": document.encode()},
        environment={"APP": ("app", None), "A": ("app", "A"), "PEM": ("pem", None), "B": ("bytes", "b.c")},
        files={"app.json": ("app", None), "tls.key": ("pem", None), "store.p12": ("binary", None)},
        variables={"APP": document, "A": "one", "PEM": PEM, "B": 'a "two"\n'},
        texts={"app.json": document, "tls.key": PEM, "store.p12": binary.decode("latin-1")},
    )


_JSON = r"""{"integer": 5432, "negative": -1, "float": 1.50, "exponent": 1e3, "large": 12345678901234567890,
 "true": true, "false": false, "list": [1, "é", "\u00e9", null], "map": {"a:b" : [1, {"on": true}]},
 "empty": {}, "escaped": "\u00e9\/\ud83d\udd11"}"""


def _json() -> Case:
    keys = list(json.loads(_JSON))
    as_declared = {
        "integer": "5432",
        "negative": "-1",
        "float": "1.5",
        "exponent": "1000",
        "large": "12345678901234567890",
        "true": "true",
        "false": "false",
        "list": r'[1, "é", "\u00e9", null]',
        "map": '{"a:b" : [1, {"on": true}]}',
        "empty": "{}",
        "escaped": "é/\U0001f511",
    }
    return Case(
        secrets={"app": _JSON},
        environment={f"V_{key}": ("app", key) for key in keys},
        variables={f"V_{key}": as_declared[key] for key in keys},
    )


def _everything() -> Case:
    app = {"A": "one", "B": "two", "PORT": 5432, "FLAGS": {"on": [1.50, None]}, "NOTHING": None}
    other = {"B": "of other", "T": "t", "with-hyphen": "h", "with.dot": "d"}
    return Case(
        secrets={"app": json.dumps(app), "other": json.dumps(other)},
        environment={"A": ("other", "T"), "URL": (("x:", Placeholder("t")), {"t": ("other", "T")})},
        whole=("app", "other"),
        variables={
            "A": "t",
            "B": "of other",
            "PORT": "5432",
            "FLAGS": '{"on": [1.5, null]}',
            "NOTHING": "",
            "T": "t",
            "URL": "x:t",
            "with-hyphen": "h",
            "with.dot": "d",
        },
    )


def _keys_added_by_hand() -> Case:
    impossible = [
        "a b",
        "a_b",
        "a/b",
        "caf\u00e9",
        "..",
        ".",
        "..dots",
        "",
        "x" * 300,
        "\u4e2d",
        "line\nbreak",
    ]
    app = {"A": "one", **{key: f"of {key}" for key in impossible}}
    return Case(secrets={"app": json.dumps(app)}, whole=("app",), variables={"A": "one", "a_b": "of a_b"})


_LITERALS = ["{", "{{", "}}", '{{ "', "$", "\\", '"', "\n", " - {{-", "{{/*", "`", "é\u2028", "\t", "%", "'"]


def _templates() -> Case:
    """Return a workload with many templates, of everything that is special in YAML or Go's templates."""
    values = {
        "a": "a b+c/d?e#f@g:h%é{{ }}",
        "b": 'it\'s "quoted" \\ back\n\r\t{{ .a }}',
        "c": "",
        "d": "\U0001f511~-_.",
    }
    choose = random.Random(1)  # noqa: S311  the same templates each time
    environment: dict[str, Read] = {}
    variables: dict[str, str] = {}
    sources: dict[str, Key] = {part: ("app", part) for part in values}
    for number in range(40):
        pieces: list[str | Placeholder] = []
        text = ""
        for _ in range(choose.randint(0, 6)):
            if choose.random() < 0.5:
                part, url = choose.choice(list(values)), choose.random() < 0.5
                pieces.append(Placeholder(part, url))
                text += quote(values[part], safe="") if url else values[part]
            else:
                literal = choose.choice(_LITERALS)
                pieces.append(literal)
                text += literal
        environment[f"T{number}"] = (tuple(pieces), sources)
        variables[f"T{number}"] = text
    return Case(
        secrets={"app": json.dumps(values)},
        environment={**environment, "PLAIN": ("app", "b")},
        files={"deep/t": environment["T7"], "b": ("app", "b")},
        variables={**variables, "PLAIN": values["b"]},
        texts={"deep/t": variables["T7"], "b": values["b"]},
    )


def _longest() -> Case:
    value = "k" * (65_536 - len(json.dumps({"K": ""})))
    return Case(
        secrets={"app": json.dumps({"K": value})},
        environment={"A": ("app", "K")},
        files={"a": ("app", "K")},
        variables={"A": value},
        texts={"a": value},
    )


CASES = {
    "awkward": _awkward(),
    "whole": _whole(),
    "json": _json(),
    "everything": _everything(),
    "added-by-hand": _keys_added_by_hand(),
    "templates": _templates(),
    # a name as long as a workload's may be
    "l" * 63: _longest(),
    "no-such-key": Case(
        secrets={"app": '{"A": "one"}'},
        environment={"B": ("app", "B")},
        error="key B does not exist in secret",
    ),
    "dot-is-no-path": Case(
        secrets={"app": '{"with": {"dot": "another"}}'},
        files={"a": ("app", "with.dot")},
        error="does not exist in secret",
    ),
    "not-json": Case(secrets={"app": PEM}, whole=("app",), error="unable to unmarshal secret"),
}
