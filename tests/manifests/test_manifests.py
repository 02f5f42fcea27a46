"""Manifests on emulated platforms: containers get exactly the secrets' values."""

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

from program.manifests import external_secrets, kubernetes
from program.manifests.contract import Operator, Source, Template, Workload
from program.manifests.ecs import container_secrets
from program.manifests.lambda_environment import lambda_environment
from program.manifests.pod import pod_part
from program.manifests.yaml_files import render
from stack_file.template import Placeholder, parse
from tests.support import operators
from tests.support.emulator_process import running_emulator
from tests.support.loopback_server import Answer, Handler, serving
from tests.support.operator_cases import AWKWARD, PEM

OPERATORS: tuple[Operator, ...] = ("external-secrets", "secrets-store-csi")
LIMIT = 65_536  # bytes that Secrets Manager accepts


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
    """Create a secret; return the source of each of its keys."""
    name = f"{name}-{next(_number)}"
    arn = emulated.create_secret(Name=name, SecretString=json.dumps(value, ensure_ascii=False))["ARN"]
    return {key: Source(secret_name=name, secret_arn=arn, key=key) for key in value}


def workload(**declared: Any) -> Workload:  # noqa: ANN401  any field of the contract
    return Workload(name="web", region="us-east-1", **declared)


def manifests(declared: Workload, operator: Operator) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(render(kubernetes.manifests(replace(declared, operator=operator)))))


def obtained(
    emulated: Any,  # noqa: ANN401  boto3 is untyped
    declared: Workload,
    operator: Operator,
    *,
    driver_writes: bool = True,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the container's variables, and the files that a user other than root can read."""
    pod = yaml.safe_load(render([pod_part(replace(declared, operator=operator))]))
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
    """Return the source of the whole secret of these keys."""
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
    annotations = pod_part(replace(declared, operator="external-secrets"))["metadata"]["annotations"]
    assert annotations == {"secret.reloader.stakater.com/reload": "web-environment-from,web-environment"}


@pytest.mark.parametrize(
    "renderer",
    [container_secrets, lambda_environment, lambda declared: manifests(declared, "secrets-store-csi")],
)
def test_only_external_secrets_finds_undeclared_keys(emulated: Any, renderer: Any) -> None:  # noqa: ANN401  boto3, any renderer
    declared = workload(environment_from_all=(whole(stored(emulated, {"A": "one"})),))
    with pytest.raises(ValueError, match="all keys of a secret"):
        renderer(declared)


def test_the_csi_driver_rejects_a_second_whole_file(emulated: Any) -> None:  # noqa: ANN401  boto3 is untyped
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


def test_external_secrets_reads_json_values_as_json(emulated: Any) -> None:  # noqa: ANN401  boto3
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
def test_the_longest_value_arrives_whole(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
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
def test_the_next_refresh_finds_a_rotated_value(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
    [source] = stored(emulated, {"K": "before"}).values()
    declared = workload(environment={"A": source}, files={"a": source})
    for value in ("before", "after"):
        emulated.put_secret_value(SecretId=source.secret_arn, SecretString=json.dumps({"K": value}))
        assert obtained(emulated, declared, operator) == ({"A": value}, {"/run/secrets/aws/a": value})


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_key_with_a_dot_is_not_a_path(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
    [source] = stored(emulated, {"with.dot": "v"}).values()
    emulated.put_secret_value(SecretId=source.secret_arn, SecretString='{"with": {"dot": "another"}}')
    with pytest.raises((AssertionError, operators.OperatorError), match=r"does not exist|is not a text"):
        obtained(emulated, workload(files={"a": source}), operator)


keys = st.one_of(
    st.text(string.ascii_letters + string.digits + "_./-", min_size=1, max_size=20),
    st.sampled_from(sorted(AWKWARD)),
)
variables = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
paths = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,5}(/[A-Za-z0-9_-]{1,5}){0,2}", fullmatch=True)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
    # without the long value: two of them exceed the limit of a secret
    st.sampled_from(sorted({text for text in AWKWARD.values() if len(text) < 100})),
)


@given(st.dictionaries(keys, texts, min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=60)
def test_exactly_the_declared_keys_arrive(
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
    # ECS does not support a key with a colon, and the stack file rejects it
    named = {name: sources[key] for name, key in environment.items() if ":" not in key}
    found = operators.ecs_container(emulated, container_secrets(workload(environment=named)))
    assert found == {name: expected[0][name] for name in named}


# pieces of a template, with everything that is special in YAML, Go's templates or ours
literals = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10),
    st.sampled_from(["{", "{{", "}}", '{{ "', "$", "\\", '"', "\n", " - {{-", "{{/*", "`"]),
)
placeholders = st.builds(Placeholder, st.sampled_from(["a", "b"]), st.booleans())


@given(st.lists(st.one_of(literals, placeholders), max_size=8), texts, texts)
@settings(deadline=None, max_examples=60)
def test_a_template_combines_texts_and_values(
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


def test_an_awkward_password_makes_a_valid_url(emulated: Any) -> None:  # noqa: ANN401  boto3
    password = "a b+c/d?e#f@g:h%é{{"
    sources = stored(emulated, {"PASSWORD": password})
    template = Template(
        pieces=parse("redis://:${password|url}@cache:6379/0"), sources={"password": sources["PASSWORD"]}
    )
    variables, _ = obtained(emulated, workload(environment={"URL": template}), "external-secrets")
    url = urlsplit(variables["URL"])
    assert (url.hostname, url.port, url.path) == ("cache", 6379, "/0")
    assert unquote(url.password or "") == password


def test_files_in_folders_have_the_drivers_annotation(emulated: Any) -> None:  # noqa: ANN401  boto3
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


def test_a_thousand_files_have_a_thousand_keys() -> None:
    source = Source(secret_name="app", secret_arn="arn", key="K")
    declared = workload(files={f"{number}/same": source for number in range(1_000)})
    assert len(set(external_secrets.file_keys(declared).values())) == 1_000


def test_a_lambda_function_reads_as_documented(emulated: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401  boto3
    """Run the code of docs/workloads.md with an emulated extension, over HTTP."""
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
