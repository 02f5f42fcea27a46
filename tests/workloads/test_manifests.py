"""Pods get exactly the values that are in AWS, by what the operators do with the manifests."""

import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.localcloud.emulator_process import running_emulator
from tests.workloads import operators
from workloads import external_secrets, secrets_store_csi
from workloads.contract import Source, Workload
from workloads.ecs import container_secrets
from workloads.lambda_environment import lambda_environment
from workloads.pod import Operator, pod_part
from workloads.write import write
from workloads.yaml_files import render

SCHEMAS = {
    path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.json")
}
OPERATORS: tuple[Operator, ...] = ("external-secrets", "secrets-store-csi")
PEM = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
AWKWARD = {
    "PLAIN": "value",
    "with-hyphen": "a",
    "with.dot": "b",
    "with/slash": "c",
    "0digit": "d",
    "with": "not an object",
    "..dots": "e",
    "NEWLINES": "one\ntwo\r\n",
    "QUOTES": 'it\'s "quoted" \\ back',
    "PEM": PEM,
    "EMPTY": "",
    "TEMPLATE": '{{ .Value | printf "%s" }} ${HOME} $(id)',
    "UNICODE": "é\u2028\U0001f511",
    "LONG": "x" * 60_000,
    "YAML": "no",
}


class Secrets:
    """Secrets Manager as far as a reader asks it."""

    def __init__(self, values: dict[str, dict[str, str]]) -> None:
        self.values = values

    def get_secret_value(self, **asked: str) -> dict[str, str]:
        name = asked["SecretId"].rpartition(":")[2]
        found = self.values.get(name) or self.values[re.sub(r"-[A-Za-z0-9]{6}$", "", name)]
        return {"SecretString": json.dumps(found)}


def source(key: str, name: str = "app") -> Source:
    arn = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf"
    return Source(secret_name=name, secret_arn=arn, key=key)


def manifests(workload: Workload, operator: Operator) -> list[dict[str, Any]]:
    renderer = external_secrets if operator == "external-secrets" else secrets_store_csi
    return list(yaml.safe_load_all(render(renderer.manifests(workload))))


def obtained(secrets: Any, workload: Workload, operator: Operator) -> tuple[dict[str, str], dict[str, str]]:  # noqa: ANN401  boto3
    """Variables and files of the container; what the driver mounts beside them has names with a dot first."""
    pod = yaml.safe_load(render([pod_part(workload, operator)]))
    if operator == "external-secrets":
        made = operators.external_secrets(secrets, manifests(workload, operator))
        return operators.container(pod, made, {})
    [provider_class] = manifests(workload, operator)
    mounted, synced = operators.secrets_store_csi(secrets, provider_class)
    variables, files = operators.container(pod, synced, mounted)
    beside = f"{workload.mount_path}/."
    return variables, {path: text for path, text in files.items() if not path.startswith(beside)}


def awkward_workload() -> Workload:
    return Workload(
        name="web",
        region="us-east-1",
        environment={f"V{number}": source(key) for number, key in enumerate(AWKWARD)},
        files={f"deep/{number}/key.pem": source(key) for number, key in enumerate(AWKWARD)},
    )


@pytest.mark.parametrize("operator", OPERATORS)
def test_awkward_keys_and_values_arrive_as_they_are(operator: Operator) -> None:
    variables, files = obtained(Secrets({"app": AWKWARD}), awkward_workload(), operator)
    assert variables == {f"V{number}": value for number, value in enumerate(AWKWARD.values())}
    assert files == {
        f"/run/secrets/aws/deep/{number}/key.pem": value for number, value in enumerate(AWKWARD.values())
    }


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


@pytest.mark.parametrize("operator", OPERATORS)
def test_they_arrive_from_the_emulated_service_too(emulated: Any, operator: Operator) -> None:  # noqa: ANN401  boto3
    name = f"team/{operator}"
    arn = emulated.create_secret(Name=name, SecretString=json.dumps(AWKWARD))["ARN"]
    workload = Workload(
        name="web",
        region="us-east-1",
        environment={"A": Source(secret_name=name, secret_arn=arn, key="with/slash")},
        files={"b": Source(secret_name=name, secret_arn=arn, key="PEM")},
    )
    assert obtained(emulated, workload, operator) == ({"A": "c"}, {"/run/secrets/aws/b": PEM})


keys = st.text(string.ascii_letters + string.digits + "_./-", min_size=1, max_size=20)
variables = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
paths = st.from_regex(r"[A-Za-z0-9_-]{1,5}(/[A-Za-z0-9_-]{1,5}){0,2}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(
    st.dictionaries(keys, texts, min_size=1, max_size=5),
    st.data(),
    st.sampled_from(OPERATORS),
)
def test_every_declared_key_arrives_under_its_name_and_nothing_else_does(
    value: dict[str, str], data: st.DataObject, operator: Operator
) -> None:
    chosen = st.sampled_from(sorted(value))
    environment = data.draw(st.dictionaries(variables, chosen, max_size=4))
    files = data.draw(st.dictionaries(paths, chosen, max_size=4))
    files = {
        path: key
        for path, key in files.items()
        if not any(f"{path}/" in f"{other}/" and other != path for other in files)
    }
    workload = Workload(
        name="web",
        region="us-east-1",
        environment={name: source(key) for name, key in environment.items()},
        files={path: source(key) for path, key in files.items()},
    )
    assert obtained(Secrets({"app": value}), workload, operator) == (
        {name: value[key] for name, key in environment.items()},
        {f"/run/secrets/aws/{path}": value[key] for path, key in files.items()},
    )


@pytest.mark.parametrize("operator", OPERATORS)
def test_manifests_are_what_the_api_server_takes(operator: Operator) -> None:
    found = manifests(awkward_workload(), operator)
    assert found
    for manifest in found:
        jsonschema.validate(manifest, SCHEMAS[manifest["kind"]])
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(
                {**manifest, "spec": {**manifest["spec"], "typo": 1}}, SCHEMAS[manifest["kind"]]
            )


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_text_does_not_depend_on_the_order_of_declaration(operator: Operator) -> None:
    one = awkward_workload()
    other = Workload(
        name="web",
        region="us-east-1",
        environment=dict(list(one.environment.items())[::-1]),
        files=dict(list(one.files.items())[::-1]),
    )
    assert render(manifests(one, operator)) == render(manifests(other, operator))
    assert render([pod_part(one, operator)]) == render([pod_part(other, operator)])


@pytest.mark.parametrize("operator", OPERATORS)
def test_pods_restart_by_the_reloader_when_a_secret_of_theirs_changes(operator: Operator) -> None:
    workload = Workload(
        name="web",
        region="us-east-1",
        environment={"A": source("A")},
        restart="reloader",
        service_account="web",
    )
    part = pod_part(workload, operator)
    assert part["metadata"]["annotations"] == {"secret.reloader.stakater.com/reload": "web-environment"}
    assert part["spec"]["template"]["spec"]["serviceAccountName"] == "web"


@pytest.mark.parametrize("operator", OPERATORS)
def test_pods_restart_by_the_checksum_when_what_they_read_changes(operator: Operator) -> None:
    def checksum(key: str) -> str:
        workload = Workload(
            name="web", region="us-east-1", environment={"A": source(key)}, restart="checksum"
        )
        part = pod_part(workload, operator)
        return str(part["spec"]["template"]["metadata"]["annotations"]["checksum/aws-secrets"])

    assert checksum("A") == checksum("A") != checksum("B")


def test_the_operator_looks_for_new_values_as_often_as_declared() -> None:
    workload = Workload(name="web", region="us-east-1", environment={"A": source("A")}, refresh_seconds=900)
    assert external_secrets.manifests(workload)[1]["spec"]["refreshInterval"] == "900s"


def test_ecs_names_the_current_version_of_one_key() -> None:
    workload = Workload(name="web", region="us-east-1", environment={"A": source("with.dot")})
    arn = source("x").secret_arn
    assert container_secrets(workload) == [{"name": "A", "valueFrom": f"{arn}:with.dot::"}]


def test_lambda_gets_references_only() -> None:
    workload = Workload(name="web", region="us-east-1", environment={"A": source("with.dot")})
    assert lambda_environment(workload) == {
        "A_SECRET_ARN": source("x").secret_arn,
        "A_SECRET_KEY": "with.dot",
    }


def test_files_are_written_again_without_a_difference(tmp_path: Path) -> None:
    outputs: dict[str, dict[str, object]] = {
        "web": {"roleArn": "r", "manifests": "kind: A\n", "pod": "kind: B\n"},
        "task": {"roleArn": "r", "containerSecrets": []},
    }
    names = [path.name for path in write(outputs, tmp_path)]
    assert names == ["task.json", "web.yaml", "web-pod.yaml"]
    before = [path.read_bytes() for path in write(outputs, tmp_path)]
    assert before == [path.read_bytes() for path in write(outputs, tmp_path)]
