"""Rendered manifests: schemas, stable text, and what restarts pods."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from program.manifests import external_secrets, kubernetes
from program.manifests.contract import Authorities, Operator, Source, Template, Workload
from program.manifests.contract_json import ContractError, from_json, to_json
from program.manifests.ecs import container_secrets
from program.manifests.lambda_environment import lambda_environment
from program.manifests.pod import pod_part
from program.manifests.write import write
from program.manifests.yaml_files import render
from stack_file.template import Placeholder, TemplateError, parse

SCHEMAS = {
    path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.json")
}
OPERATORS: tuple[Operator, ...] = ("external-secrets", "secrets-store-csi")
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-AbCdEf"
# Scalars that YAML 1.1, YAML 1.2 or go-yaml read as another type.
AMBIGUOUS = [
    *("y", "N", "no", "ON", "true", "null", "~", "", "NaN", ".inf", "1e3", "5.5e3", "1_000", "0x1F", "0o17"),
    *(
        "0400",
        "190:20:30",
        "+1",
        "-.5",
        "2001-01-01",
        "=",
        "<<",
        "- a",
        "a: b",
        "a #b",
        "*a",
        "&a",
        "!a",
        "@a",
    ),
]


def source(key: str, name: str = "app") -> Source:
    return Source(secret_name=name, secret_arn=ARN.replace("app", name), key=key)


def workload(**declared: Any) -> Workload:  # noqa: ANN401  any field of the contract
    return Workload(name="web", region="us-east-1", **declared)


def manifests(declared: Workload, operator: Operator) -> list[dict[str, Any]]:
    return kubernetes.manifests(replace(declared, operator=operator))


def pod(declared: Workload, operator: Operator) -> dict[str, Any]:
    return pod_part(replace(declared, operator=operator))


def full_workload() -> Workload:
    keys = ["PLAIN", "with-hyphen", "with.dot", "with/slash", "y", "1e3"]
    return workload(
        environment={f"V{number}": source(key) for number, key in enumerate(keys)},
        files={f"deep/{key}.pem": source(key, name) for key in keys for name in ("app", "other")},
    )


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("pod_identity", [False, True])
def test_manifests_match_the_api_schemas(operator: Operator, pod_identity: bool) -> None:
    declared = replace(full_workload(), pod_identity=pod_identity)
    wholes = replace(source("PLAIN", "whole"), key=None)
    declared = replace(declared, files={**declared.files, "whole.json": wholes})
    if operator == "external-secrets":
        declared = replace(declared, environment_from_all=(wholes,))
    found = list(yaml.safe_load_all(render(manifests(declared, operator))))
    assert found
    for manifest in found:
        jsonschema.validate(manifest, SCHEMAS[manifest["kind"]])
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(
                {**manifest, "spec": {**manifest["spec"], "typo": 1}}, SCHEMAS[manifest["kind"]]
            )


AUTHORITIES = Authorities(pem="-----BEGIN CERTIFICATE-----\nMII=\n", path="/ca/ca.pem", variables=("B", "A"))


@pytest.mark.parametrize("operator", OPERATORS)
def test_authorities_only_add_to_the_manifests(operator: Operator) -> None:
    plain = full_workload()
    asking = replace(plain, authorities=AUTHORITIES)
    *others, config_map = manifests(asking, operator)
    assert others == manifests(plain, operator)
    # the API requires DNS subdomains as names, and file names as keys
    assert (config_map["apiVersion"], config_map["kind"]) == ("v1", "ConfigMap")
    assert config_map["data"] == {"ca.pem": AUTHORITIES.pem}
    before, after = pod(plain, operator), pod(asking, operator)
    [container] = after["spec"]["template"]["spec"]["containers"]
    assert [entry["name"] for entry in container.pop("env")] == ["A", "B"]
    container["volumeMounts"].pop()
    after["spec"]["template"]["spec"]["volumes"].pop()
    assert after == before
    assert "BEGIN CERTIFICATE" in render([config_map])


def test_a_layer_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    pem = AUTHORITIES.pem
    output = {"hook": {"environment": {}, "databaseAuthorities": {"path": "/opt/a/ca.pem", "pem": pem}}}
    written = {folder: write(output, tmp_path / folder) for folder in ("one", "two")}
    assert [path.name for path in written["one"]] == ["hook.json", "hook-ca.pem", "hook-layer.zip"]
    one, two = (paths[-1].read_bytes() for paths in written.values())
    assert one == two
    in_package = {
        "hook": {"environment": {}, "databaseAuthorities": {"path": "/var/task/ca.pem", "pem": pem}}
    }
    assert [path.name for path in write(in_package, tmp_path)] == ["hook.json", "hook-ca.pem"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_text_does_not_depend_on_the_order_of_declaration(operator: Operator) -> None:
    one = full_workload()
    other = workload(
        environment=dict(list(one.environment.items())[::-1]), files=dict(list(one.files.items())[::-1])
    )
    assert render(manifests(one, operator)) == render(manifests(other, operator))
    assert render([pod(one, operator)]) == render([pod(other, operator)])


@pytest.mark.parametrize("operator", OPERATORS)
def test_one_secret_more_adds_lines_and_changes_none(operator: Operator) -> None:
    before = render(manifests(workload(files={"m": source("K", "mm")}), operator)).splitlines()
    more = workload(files={"a": source("K", "aa"), "m": source("K", "mm"), "z": source("K", "zz")})
    after = iter(render(manifests(more, operator)).splitlines())
    assert all(line in after for line in before)


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_ambiguous_yaml_text_is_quoted(text: str) -> None:
    written = text.replace("'", "''")
    assert render([{"key": text}]) == f"key: '{written}'\n"
    assert render([{text: "value"}]).partition("'")[2].startswith(written)


@given(st.lists(st.text(max_size=20)), st.text())
@example(["\x85", "\u2028", "\r\n", " \n", "\ufeff"], "\x85\n")
def test_rendered_yaml_is_read_back_unchanged(texts: list[str], text: str) -> None:
    content = [{"list": texts, "text": text, "twice": [texts, texts]}]
    assert list(yaml.safe_load_all(render(content))) == content


@pytest.mark.parametrize(
    ("operator", "annotations"),
    [
        ("external-secrets", {"secret.reloader.stakater.com/reload": "web-environment,web-files"}),
        (
            "secrets-store-csi",
            {
                "secret.reloader.stakater.com/reload": "web-environment",
                "secretproviderclass.reloader.stakater.com/reload": "web",
            },
        ),
    ],
)
def test_reloader_watches_the_objects_with_values(operator: Operator, annotations: dict[str, str]) -> None:
    declared = workload(environment={"A": source("A")}, files={"a": source("A")}, restart="reloader")
    assert pod(declared, operator)["metadata"]["annotations"] == annotations
    made = [manifest["metadata"]["name"] for manifest in manifests(declared, operator)]
    if operator == "external-secrets":
        assert {"web-environment", "web-files"} <= set(made)
    else:
        assert made == ["web"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_checksum_changes_with_the_declaration(operator: Operator) -> None:
    def checksum(key: str) -> str:
        part = pod(workload(environment={"A": source(key)}, restart="checksum"), operator)
        return str(part["spec"]["template"]["metadata"]["annotations"]["checksum/aws-secrets"])

    assert checksum("A") == checksum("A") != checksum("B")


@given(st.one_of(st.text(), st.text("-._aA0", max_size=4), st.sampled_from(["x" * 253, "x" * 254])))
@example("..")
@example(".\n")
def test_only_keys_that_a_kubernetes_secret_can_hold_become_variables(key: str) -> None:
    declared = workload(environment_from_all=(replace(source("A"), key=None),))
    [found] = manifests(declared, "external-secrets")[1]["spec"]["dataFrom"]
    [rewrite] = found["rewrite"]
    possible = re.fullmatch(r"(?!\.$|\.\.)[-._a-zA-Z0-9]{1,253}", key)
    renamed = re.sub(rewrite["regexp"]["source"], rewrite["regexp"]["target"], key)
    assert renamed == (key if possible else "")


@pytest.mark.parametrize("operator", OPERATORS)
def test_secrets_are_referenced_by_arn(operator: Operator) -> None:
    found = manifests(full_workload(), operator)
    if operator == "external-secrets":
        asked = [entry["remoteRef"]["key"] for manifest in found[1:] for entry in manifest["spec"]["data"]]
    else:
        objects = yaml.safe_load(found[0]["spec"]["parameters"]["objects"])
        asked = [entry["objectName"] for entry in objects]
    assert {ARN, source("K", "other").secret_arn} == set(asked)


@pytest.mark.parametrize("operator", OPERATORS)
def test_pods_and_the_operator_use_the_declared_service_account(operator: Operator) -> None:
    declared = workload(environment={"A": source("A")}, service_account="web-account")
    spec = pod(declared, operator)["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "web-account"
    if operator == "external-secrets":
        auth = manifests(declared, operator)[0]["spec"]["provider"]["aws"]["auth"]
        assert auth == {"jwt": {"serviceAccountRef": {"name": "web-account"}}}


def test_pod_identity_uses_the_pods_role() -> None:
    declared = workload(environment={"A": source("A")}, pod_identity=True)
    assert manifests(declared, "secrets-store-csi")[0]["spec"]["parameters"]["usePodIdentity"] == "true"


def test_the_operator_assumes_the_workloads_role() -> None:
    role = "arn:aws:iam::123456789012:role/web-role"
    found = manifests(workload(environment={"A": source("A")}, assumed_role=role), "external-secrets")
    assert found[0]["spec"]["provider"]["aws"] == {
        "service": "SecretsManager",
        "region": "us-east-1",
        "role": role,
    }
    jsonschema.validate(found[0], SCHEMAS["SecretStore"])


def templated() -> Workload:
    pieces = parse("redis://:${password|url}@cache:6379/${database}")
    sources = {"password": source("PASSWORD"), "database": source("DATABASE")}
    template = Template(pieces=pieces, sources=sources)
    return workload(environment={"URL": template, "PLAIN": source("PLAIN")}, files={"conf/url": template})


def test_templates_match_the_schema_without_keys_of_parts() -> None:
    for manifest in yaml.safe_load_all(render(manifests(templated(), "external-secrets"))):
        jsonschema.validate(manifest, SCHEMAS[manifest["kind"]])
    environment = manifests(templated(), "external-secrets")[1]["spec"]["target"]["template"]
    assert environment["data"].keys() == {"URL", "PLAIN"}


def test_only_external_secrets_supports_templates() -> None:
    with pytest.raises(ValueError, match="web: this platform has no templates"):
        manifests(templated(), "secrets-store-csi")
    without_files = replace(templated(), files={})
    for renderer in (container_secrets, lambda_environment):
        with pytest.raises(ValueError, match="web: this platform has no templates"):
            renderer(without_files)


@pytest.mark.parametrize("text", ["$", "a$b", "${", "${}", "${a b}", "${a|html}", "$${$", "${1}"])
def test_a_stray_dollar_sign_is_rejected(text: str) -> None:
    with pytest.raises(TemplateError, match=r'the "\$" at character \d'):
        parse(text)


def test_two_dollar_signs_make_one() -> None:
    assert parse("$${a}$$ ${a}") == ("${a}$ ", Placeholder("a"))


def test_the_refresh_interval_is_as_declared() -> None:
    declared = workload(environment={"A": source("A")}, refresh_seconds=900)
    assert external_secrets.manifests(declared)[1]["spec"]["refreshInterval"] == "900s"


def test_ecs_references_the_current_version_of_a_key() -> None:
    declared = workload(environment={"A": source("with.dot")})
    assert container_secrets(declared) == [{"name": "A", "valueFrom": f"{ARN}:with.dot::"}]


def test_lambda_gets_only_references() -> None:
    declared = workload(environment={"A": source("with.dot")})
    assert lambda_environment(declared) == {"A_SECRET_ARN": ARN, "A_SECRET_KEY": "with.dot"}


@pytest.mark.parametrize("renderer", [container_secrets, lambda_environment])
def test_files_are_rejected_on_other_platforms(renderer: Any) -> None:  # noqa: ANN401  either renderer
    with pytest.raises(ValueError, match=r"web: .* provides neither files"):
        renderer(workload(files={"a": source("A")}))


def test_files_are_rewritten_unchanged(tmp_path: Path) -> None:
    outputs: dict[str, dict[str, object]] = {
        "web": {"roleArn": "r", "contract": to_json(full_workload())},
        "task": {"roleArn": "r", "containerSecrets": []},
    }
    names = [path.name for path in write(outputs, tmp_path)]
    assert names == ["task.json", "web.yaml", "web-pod.yaml"]
    before = [path.read_bytes() for path in write(outputs, tmp_path)]
    assert before == [path.read_bytes() for path in write(outputs, tmp_path)]


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_contract_survives_its_way_through_json(operator: Operator) -> None:
    declared = replace(
        full_workload(),
        operator=operator,
        environment_from_all=(replace(source("A"), key=None),),
        pod_identity=True,
        refresh_seconds=900,
        restart="checksum",
        assumed_role="arn:aws:iam::123456789012:role/web",
        authorities=AUTHORITIES,
    )
    assert from_json(json.loads(json.dumps(to_json(declared)))) == declared


@pytest.mark.parametrize(
    "output",
    [
        {"roleArn": "r", "manifests": "kind: A\n", "pod": "kind: B\n"},
        {"roleArn": "r", "contract": {**to_json(workload()), "version": 2}},
        {"roleArn": "r", "contract": {"version": 1, "name": "web"}},
    ],
)
def test_another_releases_output_is_rejected_before_writing(tmp_path: Path, output: dict[str, Any]) -> None:
    outputs: dict[str, dict[str, Any]] = {"task": {"roleArn": "r", "containerSecrets": []}, "web": output}
    with pytest.raises(ContractError, match=r"workload web: .*Run pulumi up"):
        write(outputs, tmp_path / "new")
    assert not (tmp_path / "new").exists()
