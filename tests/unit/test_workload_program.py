"""Workloads: access and checks, without an engine."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from program import authorities
from stack_file import SettingsError
from tests.support.manifests import manifests_of, pod_of
from tests.support.recorded_run import MASTER_ARN, Recording, run
from tests.unit.test_program import KEY, POLICY

ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
ACCOUNT = "123456789012"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
PODS = {
    "operator": "external-secrets",
    "namespace": "shop",
    "serviceAccount": "web",
    "oidcProviderArn": PROVIDER,
}
SECRETS: dict[str, dict[str, Any]] = {
    "app": {"values": {"KEY_BASE": {"random": {}}, "tls.key": {"value": "x"}}},
    "vendor": {"values": {"TOKEN": {"filledByHand": "the vendor"}}},
}
FOREIGN = "arn:aws:iam::210987654321:role/team/reader"


def one_workload(workload: Mapping[str, Any] | None = None, **stack_wide: object) -> Recording:
    declared = {"environment": {"KEY_BASE": {"secret": "app"}}, "kubernetes": PODS, **(workload or {})}
    return run(
        {
            "aws:region": "us-east-1",
            "aws-secrets:secrets": SECRETS,
            "aws-secrets:workloads": {
                "web": {key: value for key, value in declared.items() if value is not None}
            },
            **{f"aws-secrets:{key}": value for key, value in stack_wide.items()},
        }
    )


def document(recording: Recording, type_: str, name: str, key: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(recording.only(type_, name).inputs[key])["Statement"]
    return statements


def test_a_workload_may_read_only_its_declared_secrets() -> None:
    read, decrypt = document(one_workload(), ROLE_POLICY, "web-policy", "policy")
    arn = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app-AbCdEf"
    assert read["Resource"] == [arn]
    assert set(read["Action"]) == {"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}
    assert decrypt["Action"] == ["kms:Decrypt"]
    assert decrypt["Resource"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"
    assert decrypt["Condition"]["StringEquals"] == {
        "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com",
        "kms:EncryptionContext:SecretARN": [arn],
    }


def test_only_the_declared_service_account_assumes_the_role() -> None:
    [trust] = document(one_workload(), ROLE, "web-role", "assumeRolePolicy")
    issuer = "oidc.eks.us-east-1.amazonaws.com/id/ABC"
    assert trust["Principal"] == {"Federated": PROVIDER}
    assert trust["Condition"]["StringEquals"] == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": "system:serviceaccount:shop:web",
    }


def test_a_role_is_only_for_this_accounts_ecs_tasks() -> None:
    [trust] = document(one_workload({"kubernetes": None, "ecs": {}}), ROLE, "web-role", "assumeRolePolicy")
    assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}


def test_pod_identity_associates_one_service_account() -> None:
    declared = {**PODS, "operator": "secrets-store-csi", "podIdentity": {"cluster": "shop"}}
    declared.pop("oidcProviderArn")
    recording = one_workload({"kubernetes": declared})
    [trust] = document(recording, ROLE, "web-role", "assumeRolePolicy")
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert set(trust["Action"]) == {"sts:AssumeRole", "sts:TagSession"}
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": ACCOUNT,
        "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:us-east-1:{ACCOUNT}:cluster/shop",
        "aws:RequestTag/kubernetes-namespace": "shop",
        "aws:RequestTag/kubernetes-service-account": "web",
    }
    association = recording.only(ASSOCIATION)
    assert (
        association.inputs.items()
        >= {
            "clusterName": "shop",
            "namespace": "shop",
            "serviceAccount": "web",
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/web-role",
        }.items()
    )
    assert recording.only(ROLE_POLICY).urn in association.dependencies
    [provider_class] = manifests_of(recording.outputs["workloads"]["web"])
    assert provider_class["spec"]["parameters"]["usePodIdentity"] == "true"


def test_only_the_operators_role_assumes_the_created_one() -> None:
    declared = {**PODS, "operatorRole": f"arn:aws:iam::{ACCOUNT}:role/external-secrets"}
    declared.pop("oidcProviderArn")
    recording = one_workload({"kubernetes": declared})
    [trust] = document(recording, ROLE, "web-role", "assumeRolePolicy")
    assert trust["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:role/external-secrets"}
    store = manifests_of(recording.outputs["workloads"]["web"])[0]
    assert store["spec"]["provider"]["aws"]["role"] == f"arn:aws:iam::{ACCOUNT}:role/web-role"


def test_a_role_with_a_path_keeps_it_in_its_arn() -> None:
    recording = one_workload({"kubernetes": None, "lambda": {"role": "team/hook"}})
    assert recording.only(ROLE_POLICY).inputs["role"] == "hook"
    assert recording.outputs["workloads"]["web"]["roleArn"] == f"arn:aws:iam::{ACCOUNT}:role/team/hook"


def test_the_parts_of_a_template_are_read_like_any_key() -> None:
    template = {"template": "a:${token}", "keys": {"token": {"secret": "vendor", "key": "TOKEN"}}}
    recording = one_workload({"environment": {"URL": template}})
    [read, _] = document(recording, ROLE_POLICY, "web-policy", "policy")
    assert read["Resource"] == [f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:vendor-AbCdEf"]


@pytest.mark.parametrize(
    "platform",
    [
        {"kubernetes": {"operator": "secrets-store-csi", "role": "web-role-of-mine"}},
        {"kubernetes": None, "ecs": {"role": "web-role-of-mine"}},
        {"kubernetes": None, "lambda": {"role": f"arn:aws:iam::{ACCOUNT}:role/a/path/web-role-of-mine"}},
    ],
)
def test_an_existing_role_gets_the_policy(platform: dict[str, Any]) -> None:
    recording = one_workload(platform)
    assert recording.only(ROLE_POLICY).inputs["role"] == "web-role-of-mine"
    assert ROLE not in recording.types()


def test_secret_and_key_grant_another_accounts_role_access() -> None:
    recording = one_workload({"kubernetes": {"operator": "external-secrets", "role": FOREIGN}})
    [statement] = document(recording, POLICY, "app-policy", "policy")
    assert statement["Principal"] == {"AWS": [FOREIGN]}
    by_key = next(
        found
        for found in document(recording, KEY, "stack-key", "policy")
        if found["Principal"] == {"AWS": [FOREIGN]}
    )
    assert by_key["Action"] == "kms:Decrypt"
    assert by_key["Condition"] == {
        "StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}
    }
    assert ROLE_POLICY not in recording.types()


def test_other_secrets_grant_no_cross_account_access() -> None:
    recording = one_workload({"kubernetes": {"operator": "external-secrets", "role": FOREIGN}})
    assert [found.name for found in recording.resources if found.type == POLICY] == ["app-policy"]


def test_outputs_have_each_platforms_data_and_no_value() -> None:
    pods = one_workload(
        {"environmentFrom": ["vendor"], "files": {"tls/key.pem": {"secret": "app", "key": "tls.key"}}}
    )
    web = pods.outputs["workloads"]["web"]
    assert {"roleArn", "contract"} == web.keys()
    assert "ExternalSecret" in {manifest["kind"] for manifest in manifests_of(web)}
    tasks = one_workload({"kubernetes": None, "ecs": {}}).outputs["workloads"]["web"]
    arn = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app-AbCdEf"
    assert tasks["containerSecrets"] == [{"name": "KEY_BASE", "valueFrom": f"{arn}:KEY_BASE::"}]
    assert "RRRR" not in json.dumps([pods.outputs, tasks])


def test_a_login_is_read_like_any_secret() -> None:
    database = {
        "host": "db.example",
        "outsideVpc": True,
        "admin": {"secretArn": MASTER_ARN},
        "logins": {"shop-database": {"username": "shop", "database": "shop"}},
    }
    recording = one_workload(
        {"environment": {"DATABASE_URL": {"secret": "shop-database"}}}, databases={"x": database}
    )
    [read, _] = document(recording, ROLE_POLICY, "web-policy", "policy")
    assert read["Resource"] == [f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:shop-database-AbCdEf"]


DATABASES: dict[str, dict[str, Any]] = {
    "x": {
        "rdsInstance": "example-db",
        "logins": {"shop-database": {"username": "shop", "database": "shop"}},
    }
}


def with_authorities(
    declared: Mapping[str, Any] | None = None, workload: Mapping[str, Any] | None = None
) -> Recording:
    """Run a stack whose workload reads a login and asks for its authorities."""
    reads = {"DATABASE_URL": {"secret": "shop-database"}}
    return one_workload(
        {"environment": reads, "databaseAuthorities": dict(declared or {}), **(workload or {})},
        databases=DATABASES,
    )


@pytest.mark.parametrize("operator", ["external-secrets", "secrets-store-csi"])
def test_pods_mount_the_authorities_and_set_variables(operator: str) -> None:
    asked = {"variables": ["PGSSLROOTCERT", "NODE_EXTRA_CA_CERTS"]}
    recording = with_authorities(asked, {"kubernetes": {**PODS, "operator": operator}})
    output = recording.outputs["workloads"]["web"]
    [config_map] = [found for found in manifests_of(output) if found["kind"] == "ConfigMap"]
    assert config_map["metadata"] == {"name": "web-database-authorities", "namespace": "shop"}
    assert config_map["data"] == {"ca.pem": authorities.of_regions(["us-east-1"])}
    pod = pod_of(output)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    path = "/etc/database-authorities/ca.pem"
    assert container["env"] == [
        {"name": "NODE_EXTRA_CA_CERTS", "value": path},
        {"name": "PGSSLROOTCERT", "value": path},
    ]
    mounted = {"name": "database-authorities", "mountPath": "/etc/database-authorities", "readOnly": True}
    assert mounted in container["volumeMounts"]
    volume = {"name": "database-authorities", "configMap": {"name": "web-database-authorities"}}
    assert volume in pod["volumes"]


def test_reloader_restarts_pods_when_the_authorities_change() -> None:
    recording = with_authorities({}, {"kubernetes": {**PODS, "restart": "reloader"}})
    pod = pod_of(recording.outputs["workloads"]["web"])
    assert pod["metadata"]["annotations"]["configmap.reloader.stakater.com/reload"] == (
        "web-database-authorities"
    )


def test_an_ecs_container_writes_the_authorities_first() -> None:
    output = with_authorities({}, {"kubernetes": None, "ecs": {}}).outputs["workloads"]["web"]
    needed = output["databaseAuthorities"]
    container = needed["container"]
    assert needed["dependsOn"] == [{"containerName": container["name"], "condition": "SUCCESS"}]
    assert container["essential"] is False
    assert "image" not in container
    assert needed["environment"] == [{"name": "PGSSLROOTCERT", "value": "/etc/database-authorities/ca.pem"}]
    assert len(json.dumps(output)) < 65_536 / 2


def test_a_lambda_function_gets_the_authorities_for_a_layer() -> None:
    recording = with_authorities({}, {"kubernetes": None, "lambda": {"role": "hook"}})
    output = recording.outputs["workloads"]["web"]
    path = "/opt/database-authorities/ca.pem"
    assert output["environment"]["PGSSLROOTCERT"] == path
    assert output["databaseAuthorities"] == {"path": path, "pem": authorities.of_regions(["us-east-1"])}


@pytest.mark.parametrize("platform", [{}, {"kubernetes": None, "ecs": {}}])
def test_by_default_workloads_have_no_authorities(platform: dict[str, Any]) -> None:
    reads = {"environment": {"DATABASE_URL": {"secret": "shop-database"}}}
    text = json.dumps(one_workload({**reads, **platform}, databases=DATABASES).outputs["workloads"])
    assert "uthorities" not in text
    assert "CERTIFICATE" not in text


W = "aws-secrets:workloads.web"
CSI = {**PODS, "operator": "secrets-store-csi"}


def templated(template: str = "${a}", **more: Any) -> dict[str, Any]:  # noqa: ANN401  any mistake
    """Return a workload's variable T with a template."""
    keys = {"a": {"secret": "app", "key": "KEY_BASE"}}
    return {"environment": {"T": {"template": template, "keys": keys, **more}}}


def identified(operator: str, **identity: object) -> dict[str, Any]:
    return {"kubernetes": {"operator": operator, **identity}}


def asking(place: str, words: str, **declared: object) -> tuple[dict[str, Any], str, str]:
    """Return a workload with a mistake in databaseAuthorities, the path and words of its error."""
    return {"databaseAuthorities": declared}, place, words


@pytest.mark.parametrize(
    ("workload", "path", "words"),
    [
        ({"environment": {"A": {"secret": "ap"}}}, f"{W}.environment.A.secret", 'did you mean "app"'),
        ({"environment": {"A": {"secret": "app", "key": "KEYBASE"}}}, f"{W}.environment.A.key", '"KEY_BASE"'),
        ({"environment": {"KEY": {"secret": "app"}}}, f"{W}.environment.KEY.key", 'no key "KEY"'),
        ({"environment": {"1A": {"secret": "app"}}}, f'{W}.environment["1A"]', "do not start with a digit"),
        ({"environment": {}}, W, "reads nothing"),
        ({"environmentFrom": ["vender"]}, f"{W}.environmentFrom[0]", 'did you mean "vendor"'),
        (
            {"environment": {"TOKEN": {"secret": "vendor"}}, "environmentFrom": ["vendor"]},
            f"{W}.environmentFrom[0]",
            'variable "TOKEN" is also set by environment',
        ),
        ({"environment": {}, "environmentFrom": ["app"]}, f"{W}.environmentFrom[0]", '"tls.key"'),
        (
            {"environment": {}, "environmentFrom": ["vendor", "vendor"]},
            f"{W}.environmentFrom[1]",
            "environmentFrom[0]",
        ),
        (
            {"files": {"../x": {"secret": "app", "key": "KEY_BASE"}}},
            f'{W}.files["../x"]',
            "outside mountPath",
        ),
        ({"files": {"/x": {"secret": "app", "key": "KEY_BASE"}}}, f'{W}.files["/x"]', "relative path"),
        ({"files": {"a//b": {"secret": "app", "key": "KEY_BASE"}}}, f'{W}.files["a//b"]', "single slashes"),
        (
            {"files": {"a": {"secret": "app", "key": "tls.key"}, "a/b": {"secret": "app", "key": "tls.key"}}},
            f"{W}.files.a",
            'folder of "a/b"',
        ),
        ({"kubernetes": None}, W, "exactly one of kubernetes, ecs and lambda"),
        ({"ecs": {}}, W, "exactly one of kubernetes, ecs and lambda"),
        ({"kubernetes": {"operator": "external-secrets"}}, f"{W}.kubernetes", "oidcProviderArn"),
        (
            {"files": {"..data": {"secret": "app", "key": "tls.key"}}},
            f'{W}.files["..data"]',
            "Kubernetes reserves",
        ),
        ({"files": {"a": {"secret": "app"}}}, f"{W}.files.a", 'Add "key"'),
        (
            {"environment": {"T": {}}},
            f"{W}.environment.T",
            "exactly one of secret, existingSecret and template",
        ),
        (templated(secret="app"), f"{W}.environment.T", "exactly one of secret, existingSecret and template"),
        (templated("${a} costs $5"), f"{W}.environment.T.template", "$$ for a dollar sign"),
        (templated("none"), f"{W}.environment.T", "no placeholder"),
        (templated("${a}${b}"), f"{W}.environment.T", "uses b, which is not in keys"),
        (templated(key="KEY_BASE"), f"{W}.environment.T", "belong to the keys of a template"),
        (templated(keys={"a": {"secret": "ap", "key": "X"}}), f"{W}.environment.T.keys.a.secret", '"app"'),
        (templated(keys={"a-b": {"secret": "app", "key": "X"}}), f"{W}.environment.T.keys.a-b", "64"),
        ({**templated(), "kubernetes": CSI}, W, "only the External Secrets Operator supports templates"),
        ({**templated(), "kubernetes": None, "ecs": {}}, W, "Store the whole text in a secret"),
        ({"kubernetes": {**CSI, "podIdentity": {"cluster": "c"}}}, f"{W}.kubernetes", "exactly one of"),
        (
            identified("external-secrets", podIdentity={"cluster": "c"}),
            f"{W}.kubernetes",
            "Set operatorRole",
        ),
        (
            identified("secrets-store-csi", operatorRole=f"arn:aws:iam::{ACCOUNT}:role/x"),
            f"{W}.kubernetes",
            "Use podIdentity",
        ),
        (identified("external-secrets", operatorRole="x"), f"{W}.kubernetes.operatorRole", "role/NAME"),
        (
            identified("secrets-store-csi", podIdentity={"cluster": "a/b"}),
            f"{W}.kubernetes.podIdentity.cluster",
            "1 to 100",
        ),
        ({"kubernetes": {**PODS, "namespace": "Shop"}}, f"{W}.kubernetes.namespace", "a-z 0-9"),
        ({"kubernetes": {**PODS, "refresh": "often"}}, f"{W}.kubernetes.refresh", '"15m"'),
        (
            {"kubernetes": {**PODS, "oidcProviderArn": "x"}},
            f"{W}.kubernetes.oidcProviderArn",
            "oidc-provider/",
        ),
        (
            {"kubernetes": None, "ecs": {}, "files": {"a": {"secret": "app", "key": "tls.key"}}},
            W,
            "do not support files",
        ),
        ({"databaseAuthorities": {}}, f"{W}.databaseAuthorities", "reads no database login"),
        asking(f"{W}.databaseAuthorities.path", "absolute path of a file", path="ca.pem"),
        asking(f"{W}.databaseAuthorities.path", "absolute path of a file", path="/ca.pem"),
        asking(f"{W}.databaseAuthorities.path", "absolute path of a file", path="/etc/x/../ca.pem"),
        asking(f"{W}.databaseAuthorities.path", "the mount would hide", path="/etc/ca.pem"),
        asking(f"{W}.databaseAuthorities.path", "the mount would hide", path="/etc/ssl/certs/ca.pem"),
        asking(f"{W}.databaseAuthorities.path", "begin with ..", path="/etc/x/..ca.pem"),
        asking(W, "outside mountPath", path="/run/secrets/aws/ca.pem"),
        asking(
            f"{W}.databaseAuthorities.variables[1]",
            "also set by environment.KEY_BASE",
            variables=["A", "KEY_BASE"],
        ),
        (
            {"environmentFrom": ["vendor"], "databaseAuthorities": {"variables": ["TOKEN"]}},
            f"{W}.databaseAuthorities.variables[0]",
            "also set by environmentFrom[0]",
        ),
        (
            {"kubernetes": None, "lambda": {"role": "x"}, "databaseAuthorities": {"path": "/etc/x/ca.pem"}},
            W,
            "/opt/...} for a layer",
        ),
        (
            {"environment": {f"V{number}": {"secret": "app", "key": "KEY_BASE"} for number in range(2_000)}},
            W,
            "at most 1000",
        ),
    ],
)
def test_a_mistake_in_a_workload_has_path_and_remedy(workload: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        one_workload(workload)
    found = {mistake.path: str(mistake) for mistake in raised.value.mistakes}
    assert path in found, found
    assert words in found[path]


def test_an_invalid_kubernetes_name_is_rejected() -> None:
    with pytest.raises(SettingsError, match="API server would reject"):
        run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:secrets": SECRETS,
                "aws-secrets:workloads": {
                    "Web_1": {"kubernetes": PODS, "environment": {"KEY_BASE": {"secret": "app"}}}
                },
            }
        )


def test_another_account_cannot_use_the_aws_managed_key() -> None:
    recording = Recording()
    with pytest.raises(SettingsError, match="encryption: stack-key for app") as raised:
        run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:secrets": {"app": {**SECRETS["app"], "encryption": "aws-managed"}},
                "aws-secrets:workloads": {
                    "web": {
                        "kubernetes": {"operator": "external-secrets", "role": FOREIGN},
                        "environment": {"KEY_BASE": {"secret": "app"}},
                    }
                },
            },
            recording=recording,
        )
    assert [mistake.path for mistake in raised.value.mistakes] == [W]
    assert recording.resources == []
