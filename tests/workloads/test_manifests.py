"""What platforms make of the manifests: exactly the values that the emulated service holds."""

import itertools
import json
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import boto3
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.localcloud.emulator_process import running_emulator
from tests.loopback_server import Answer, Handler, serving
from tests.workloads import operators
from workloads import external_secrets, kubernetes
from workloads.contract import Source, Template, Workload
from workloads.ecs import container_secrets
from workloads.kubernetes import Operator
from workloads.lambda_environment import lambda_environment
from workloads.pod import pod_part
from workloads.template import Placeholder, parse
from workloads.yaml_files import render

OPERATORS: tuple[Operator, ...] = ("external-secrets", "secrets-store-csi")
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
LIMIT = 65_536  # bytes that Secrets Manager takes


@pytest.fixture(scope="module")
def emulated() -> Iterator[Any]:
    with running_emulator(None) as emulator:
        yield boto3.client(
            "secretsmanager",
            region_name="us-east-1",
            endpoint_url=emulator.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


_number = itertools.count()


def stored(emulated: Any, value: Mapping[str, object], name: str = "team/app") -> dict[str, Source]:  # noqa: ANN401  boto3
    """Where each key of a new secret is."""
    name = f"{name}-{next(_number)}"
    arn = emulated.create_secret(Name=name, SecretString=json.dumps(value, ensure_ascii=False))["ARN"]
    return {key: Source(secret_name=name, secret_arn=arn, key=key) for key in value}


def workload(**declared: Any) -> Workload:  # noqa: ANN401  any field of the contract
    return Workload(name="web", region="us-east-1", **declared)


def manifests(declared: Workload, operator: Operator) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(render(kubernetes.manifests(declared, operator))))


def obtained(
    emulated: Any,  # noqa: ANN401  boto3 is untyped
    declared: Workload,
    operator: Operator,
    *,
    driver_writes: bool = True,
) -> tuple[dict[str, str], dict[str, str]]:
    """Variables of the container, and the files that a user other than root can read in it."""
    pod = yaml.safe_load(render([pod_part(declared, operator)]))
    if operator == "external-secrets":
        made = operators.external_secrets(emulated, manifests(declared, operator))
        return operators.container(pod, made, {})
    [provider_class] = manifests(declared, operator)
    mounted, synced = operators.secrets_store_csi(emulated, provider_class, driver_writes=driver_writes)
    return operators.container(pod, synced, mounted)


@pytest.mark.parametrize("operator", OPERATORS)
def test_awkward_keys_and_values_arrive_as_they_are(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
    sources = stored(emulated, AWKWARD)
    declared = workload(
        environment={f"V{number}": source for number, source in enumerate(sources.values())},
        files={f"deep/{number}/key.pem": source for number, source in enumerate(sources.values())},
    )
    variables, files = obtained(emulated, declared, operator)
    assert variables == {f"V{number}": value for number, value in enumerate(AWKWARD.values())}
    assert files == {
        f"/run/secrets/aws/deep/{number}/key.pem": value for number, value in enumerate(AWKWARD.values())
    }


def whole(sources: Mapping[str, Source]) -> Source:
    """The whole of the secret that these keys are of."""
    return replace(next(iter(sources.values())), key=None)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_whole_secret_arrives_as_its_json_next_to_single_keys(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
    value = {"A": "one", "b.c": 'a "two"\n'}
    app, other = stored(emulated, value), stored(emulated, {"K": "other"})
    declared = workload(
        environment={"APP": whole(app), "A": app["A"], "K": other["K"], "OTHER": whole(other)},
        files={"app.json": whole(app), "a": app["A"], "k": other["K"]},
    )
    variables, files = obtained(emulated, declared, operator)
    text, other_text = json.dumps(value), json.dumps({"K": "other"})
    assert variables == {"APP": text, "A": "one", "K": "other", "OTHER": other_text}
    assert files == {
        "/run/secrets/aws/app.json": text,
        "/run/secrets/aws/a": "one",
        "/run/secrets/aws/k": "other",
    }


def test_a_whole_secret_is_one_variable_of_a_task_and_of_a_function(emulated: Any) -> None:  # noqa: ANN401  boto3
    app = stored(emulated, {"A": "one"})
    declared = workload(environment={"APP": whole(app), "A": app["A"]})
    found = {"APP": '{"A": "one"}', "A": "one"}
    assert operators.ecs_container(emulated, container_secrets(declared)) == found
    assert operators.lambda_function(emulated, lambda_environment(declared)) == found


def test_every_key_that_a_secret_has_in_aws_becomes_a_variable(emulated: Any) -> None:  # noqa: ANN401  boto3 is untyped
    app, other = stored(emulated, {"A": "one", "B": "two"}), stored(emulated, {"B": "of other", "T": "t"})
    declared = workload(
        environment={
            "A": other["T"],
            "URL": Template(pieces=tuple(parse("x:${t}")), sources={"t": other["T"]}),
        },
        environment_from_all=(whole(app), whole(other)),
        restart="reloader",
    )
    expected = {"A": "t", "B": "of other", "T": "t", "URL": "x:t"}
    assert obtained(emulated, declared, "external-secrets") == (expected, {})
    by_hand = json.dumps({"A": "one", "ADDED": "by hand"})
    emulated.put_secret_value(SecretId=app["A"].secret_arn, SecretString=by_hand)
    assert obtained(emulated, declared, "external-secrets") == ({**expected, "ADDED": "by hand"}, {})
    annotations = pod_part(declared, "external-secrets")["metadata"]["annotations"]
    assert annotations == {"secret.reloader.stakater.com/reload": "web-environment-from,web-environment"}


@pytest.mark.parametrize(
    "renderer",
    [container_secrets, lambda_environment, lambda declared: manifests(declared, "secrets-store-csi")],
)
def test_nobody_but_the_external_secrets_operator_finds_keys_by_itself(emulated: Any, renderer: Any) -> None:  # noqa: ANN401  boto3, any renderer
    declared = workload(environment_from_all=(whole(stored(emulated, {"A": "one"})),))
    with pytest.raises(ValueError, match="no variables by itself"):
        renderer(declared)


def test_the_csi_driver_makes_no_second_file_of_a_whole_secret(emulated: Any) -> None:  # noqa: ANN401  boto3 is untyped
    app = whole(stored(emulated, {"A": "one"}))
    with pytest.raises(ValueError, match="one file of a whole secret"):
        manifests(workload(files={"a": app, "b": app}), "secrets-store-csi")


def stored_whole(emulated: Any, content: str | bytes) -> Source:  # noqa: ANN401  boto3 is untyped
    name = f"team/whole-{next(_number)}"
    kind = "SecretString" if isinstance(content, str) else "SecretBinary"
    return Source(
        secret_name=name, secret_arn=emulated.create_secret(Name=name, **{kind: content})["ARN"], key=None
    )


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_secret_without_keys_arrives_whole_next_to_keys_of_others(
    emulated: Any,  # noqa: ANN401  boto3 is untyped
    operator: Operator,
) -> None:
    [key] = stored(emulated, {"K": "of a key"}).values()
    text, token, keystore = (
        stored_whole(emulated, content) for content in (PEM, '{"K": "a text of JSON"}', bytes(range(256)))
    )
    declared = workload(
        environment={"PEM": text, "AGAIN": text, "TOKEN": token, "K": key},
        files={"tls/server.key": text, "store.p12": keystore, "k": key},
    )
    variables, files = obtained(emulated, declared, operator)
    assert variables == {"PEM": PEM, "AGAIN": PEM, "TOKEN": '{"K": "a text of JSON"}', "K": "of a key"}
    assert files == {
        "/run/secrets/aws/tls/server.key": PEM,
        "/run/secrets/aws/store.p12": bytes(range(256)).decode("latin-1"),
        "/run/secrets/aws/k": "of a key",
    }


def test_the_external_secrets_operator_reads_json_that_is_not_a_text_as_json(emulated: Any) -> None:  # noqa: ANN401  boto3
    document = {"PORT": 5432, "CLIENT": {"a:b": [1, {"on": True}]}}
    sources = stored(emulated, document)
    variables, _ = obtained(emulated, workload(environment=sources), "external-secrets")
    assert {name: json.loads(text) for name, text in variables.items()} == document


def test_a_secret_without_keys_is_a_variable_of_a_task_and_of_a_function(emulated: Any) -> None:  # noqa: ANN401  boto3
    text = stored_whole(emulated, PEM)
    declared = workload(environment={"PEM": text})
    assert operators.ecs_container(emulated, container_secrets(declared)) == {"PEM": PEM}
    assert operators.lambda_function(emulated, lambda_environment(declared)) == {"PEM": PEM}


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_longest_value_that_the_service_takes_arrives_whole(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
    value = "k" * (LIMIT - len(json.dumps({"K": ""})))
    [source] = stored(emulated, {"K": value}).values()
    declared = workload(environment={"A": source}, files={"a": source})
    assert obtained(emulated, declared, operator) == ({"A": value}, {"/run/secrets/aws/a": value})


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_workload_reads_several_secrets(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
    first, second = (stored(emulated, {"K": text}, text)["K"] for text in ("one", "two"))
    declared = workload(environment={"A": first, "B": second}, files={"b": second})
    assert obtained(emulated, declared, operator) == (
        {"A": "one", "B": "two"},
        {"/run/secrets/aws/b": "two"},
    )


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_next_look_finds_a_rotated_value(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
    [source] = stored(emulated, {"K": "before"}).values()
    declared = workload(environment={"A": source}, files={"a": source})
    for value in ("before", "after"):
        emulated.put_secret_value(SecretId=source.secret_arn, SecretString=json.dumps({"K": value}))
        assert obtained(emulated, declared, operator) == ({"A": value}, {"/run/secrets/aws/a": value})


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_key_with_a_dot_is_never_taken_for_an_object_within(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
    [source] = stored(emulated, {"with.dot": "v"}).values()
    emulated.put_secret_value(SecretId=source.secret_arn, SecretString='{"with": {"dot": "another"}}')
    with pytest.raises(AssertionError, match=r"does not exist|leads to no text"):
        obtained(emulated, workload(files={"a": source}), operator)


keys = st.one_of(
    st.text(string.ascii_letters + string.digits + "_./-", min_size=1, max_size=20),
    st.sampled_from(sorted(AWKWARD)),
)
variables = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
paths = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,5}(/[A-Za-z0-9_-]{1,5}){0,2}", fullmatch=True)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
    # without the long one, of which the service does not take two in one secret
    st.sampled_from(sorted({text for text in AWKWARD.values() if len(text) < 100})),
)


@given(st.dictionaries(keys, texts, min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=60)
def test_every_declared_key_arrives_under_its_name_and_nothing_else_does(
    emulated: Any,  # noqa: ANN401  boto3 is untyped
    value: dict[str, str],
    data: st.DataObject,
) -> None:
    sources = stored(emulated, value)
    chosen = st.sampled_from(sorted(value))
    environment = data.draw(st.dictionaries(variables, chosen, max_size=4))
    files = data.draw(st.dictionaries(paths, chosen, max_size=4))
    files = {
        path: key
        for path, key in files.items()
        if not any(other != path and other.startswith(f"{path}/") for other in files)
    }
    declared = workload(
        environment={name: sources[key] for name, key in environment.items()},
        files={path: sources[key] for path, key in files.items()},
    )
    expected = (
        {name: value[key] for name, key in environment.items()},
        {f"/run/secrets/aws/{path}": value[key] for path, key in files.items()},
    )
    for operator in OPERATORS:
        assert obtained(emulated, declared, operator) == expected
    without_files = workload(environment=declared.environment)
    assert operators.lambda_function(emulated, lambda_environment(without_files)) == expected[0]
    # ECS cannot name a key with a colon, and the stack file refuses it there
    named = {name: sources[key] for name, key in environment.items() if ":" not in key}
    found = operators.ecs_container(emulated, container_secrets(workload(environment=named)))
    assert found == {name: expected[0][name] for name in named}


# pieces of a template, with all that has a meaning in YAML, Go's templates or ours
literals = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10),
    st.sampled_from(["{", "{{", "}}", '{{ "', "$", "\\", '"', "\n", " - {{-", "{{/*", "`"]),
)
placeholders = st.builds(Placeholder, st.sampled_from(["a", "b"]), st.booleans())


@given(st.lists(st.one_of(literals, placeholders), max_size=8), texts, texts)
@settings(deadline=None, max_examples=60)
def test_a_template_is_its_texts_with_the_values_between(
    emulated: Any,  # noqa: ANN401  boto3 is untyped
    pieces: list[str | Placeholder],
    first: str,
    second: str,
) -> None:
    sources = stored(emulated, {"a": first, "b": second})
    written = "".join(
        f"${{{piece.name}{'|url' if piece.url else ''}}}"
        if isinstance(piece, Placeholder)
        else piece.replace("$", "$$")
        for piece in pieces
    )
    template = Template(pieces=parse(written), sources=sources)
    values = {"a": first, "b": second}
    expected = "".join(
        (quote(values[piece.name], safe="") if piece.url else values[piece.name])
        if isinstance(piece, Placeholder)
        else piece
        for piece in pieces
    )
    declared = workload(environment={"T": template, "PLAIN": sources["a"]}, files={"deep/t": template})
    assert obtained(emulated, declared, "external-secrets") == (
        {"T": expected, "PLAIN": first},
        {"/run/secrets/aws/deep/t": expected},
    )


def test_a_url_with_an_awkward_password_is_one_url(emulated: Any) -> None:  # noqa: ANN401  boto3
    password = "a b+c/d?e#f@g:h%é{{"
    sources = stored(emulated, {"PASSWORD": password})
    template = Template(
        pieces=parse("redis://:${password|url}@cache:6379/0"), sources={"password": sources["PASSWORD"]}
    )
    variables, _ = obtained(emulated, workload(environment={"URL": template}), "external-secrets")
    url = urlsplit(variables["URL"])
    assert (url.hostname, url.port, url.path) == ("cache", 6379, "/0")
    assert unquote(url.password or "") == password


def test_files_in_folders_say_what_the_driver_needs_for_them(emulated: Any) -> None:  # noqa: ANN401  boto3
    [source] = stored(emulated, {"K": "v"}).values()
    flat = workload(environment={"A": source}, files={"k.pem": source})
    assert "annotations" not in manifests(flat, "secrets-store-csi")[0]["metadata"]
    assert obtained(emulated, flat, "secrets-store-csi", driver_writes=False) == (
        {"A": "v"},
        {"/run/secrets/aws/k.pem": "v"},
    )
    deep = workload(files={"tls/k.pem": source})
    with pytest.raises(AssertionError, match="pattern contains path separator"):
        obtained(emulated, deep, "secrets-store-csi", driver_writes=False)
    [provider_class] = manifests(deep, "secrets-store-csi")
    assert "driverWritesSecrets=true" in provider_class["metadata"]["annotations"]["aws-secrets/requires"]


def test_thousand_files_have_thousand_keys() -> None:
    source = Source(secret_name="app", secret_arn="arn", key="K")
    declared = workload(files={f"{number}/same": source for number in range(1_000)})
    assert len(set(external_secrets.file_keys(declared).values())) == 1_000


def test_a_lambda_function_reads_as_the_docs_say(emulated: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401  boto3
    """The code of docs/workloads.md, with an extension that answers as the service does, over real HTTP."""
    sources = stored(emulated, AWKWARD)
    environment = lambda_environment(workload(environment={"TOKEN": sources["QUOTES"]}))
    for name, value in {**environment, "AWS_SESSION_TOKEN": "session"}.items():
        monkeypatch.setenv(name, value)

    class Extension(Handler):
        def do_GET(self) -> None:  # noqa: N802  the base class's name
            assert self.headers["X-Aws-Parameters-Secrets-Token"] == "session"
            [arn] = parse_qs(urlsplit(self.path).query)["secretId"]
            told = {"ARN": arn, "SecretString": emulated.get_secret_value(SecretId=arn)["SecretString"]}
            self.reply(Answer(HTTPStatus.OK, (), json.dumps(told).encode()))

    docs = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", docs, re.DOTALL)
    names: dict[str, Any] = {}
    with serving(Extension) as address:
        exec(code.replace("http://localhost:2773", address), names)  # noqa: S102  our own docs
        assert names["secret"]("TOKEN") == AWKWARD["QUOTES"]
