"""A workload end to end: its own credentials and manifests bring exactly the declared values."""

import base64
import json
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from tests.support import operators
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.manifests import manifests_of, pod_of
from tests.support.stacks import Stack, new_stack

ACCOUNT, OTHER = "123456789012", "210987654321"
ISSUER = "oidc.eks.us-east-1.amazonaws.com/id/ABC"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
OPERATOR_ROLE = f"arn:aws:iam::{ACCOUNT}:role/external-secrets"
FOREIGN_ROLE = f"arn:aws:iam::{OTHER}:role/reader"
CLUSTER = "shop"
CLUSTER_ARN = f"arn:aws:eks:us-east-1:{ACCOUNT}:cluster/{CLUSTER}"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"

SECRETS = {
    "app": {"values": {"KEY_BASE": {"random": {}}, "tls.key": {"value": PEM}}},
    "vendor": {"values": {"TOKEN": {"filledByHand": "the vendor"}}},
    "cache": {"values": {"PASSWORD": {"random": {"length": 30}}}},
    "other": {"values": {"PASSWORD": {"random": {}}}},
}
READS = {
    "environment": {"KEY_BASE": {"secret": "app"}, "VENDOR_TOKEN": {"secret": "vendor", "key": "TOKEN"}},
    "files": {"tls/key.pem": {"secret": "app", "key": "tls.key"}},
}
POD = {"namespace": "shop", "serviceAccount": "web"}
TEMPLATE = {
    "CACHE_URL": {
        "template": "redis://:${password|url}@cache:6379/0",
        "keys": {"password": {"secret": "cache", "key": "PASSWORD"}},
    }
}
WORKLOADS: dict[str, dict[str, Any]] = {
    "by-token": {
        **READS,
        "environment": {**READS["environment"], **TEMPLATE},
        "kubernetes": {**POD, "operator": "external-secrets", "oidcProviderArn": PROVIDER},
    },
    "by-operator": {
        **READS,
        "kubernetes": {**POD, "operator": "external-secrets", "operatorRole": OPERATOR_ROLE},
    },
    "by-driver": {
        **READS,
        "kubernetes": {**POD, "operator": "secrets-store-csi", "oidcProviderArn": PROVIDER},
    },
    "by-pod-identity": {
        **READS,
        "kubernetes": {**POD, "operator": "secrets-store-csi", "podIdentity": {"cluster": CLUSTER}},
    },
    "task": {"environment": READS["environment"], "ecs": {}},
    "abroad": {"environment": READS["environment"], "ecs": {"role": FOREIGN_ROLE}},
}


@dataclass(frozen=True)
class Deployed:
    """A stack after one update, its workloads output, and the name of a master secret."""

    stack: Stack
    workloads: Mapping[str, Any]
    master: str

    @property
    def values(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the variables and files that READS declares, from AWS."""
        app, vendor = self.stack.value("app"), self.stack.value("vendor")
        variables = {"KEY_BASE": app["KEY_BASE"], "VENDOR_TOKEN": vendor["TOKEN"]}
        return variables, {"/run/secrets/aws/tls/key.pem": app["tls.key"]}

    def reader(self, credentials: Mapping[str, str]) -> Any:  # noqa: ANN401  boto3 is untyped
        """Return a Secrets Manager client with a session's credentials."""
        return self.stack.client(credentials=credentials)

    def obtained(self, name: str, credentials: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return what a pod's container sees, by its manifests and these credentials."""
        declared = self.workloads[name]
        manifests, pod = manifests_of(declared), pod_of(declared)
        reader = self.reader(credentials)
        if manifests[0]["kind"] == "SecretStore":
            return operators.container(pod, operators.external_secrets(reader, manifests), {})
        files, synced = operators.secrets_store_csi(reader, manifests[0], driver_writes=True)
        return operators.container(pod, synced, files)

    def service_session(self, name: str, service: str, **more: object) -> dict[str, str]:
        """Return the credentials that an AWS service gives a workload; HTTP 400 if it is not trusted."""
        asked = {"RoleArn": self.workloads[name]["roleArn"], "Service": service, **more}
        request = urllib.request.Request(
            f"{self.stack.endpoint}/_localcloud/sessions", data=json.dumps(asked).encode()
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, str] = json.load(answer)
        return found


def in_account(stack: Stack, service: str, account: str) -> Any:  # noqa: ANN401  boto3 is untyped
    made = stack.client(service)
    made.meta.events.register(
        "before-sign.*.*", lambda request, **_: request.headers.add_header("x-moto-account-id", account)
    )
    return made


def trust(principal: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def existing(master: str, name: str = "platform/sentry") -> dict[str, Any]:
    """A workload that reads secrets of other owners."""
    dsn, password = {"existingSecret": name, "key": "dsn"}, {"existingSecret": master, "key": "password"}
    return {
        "elsewhere": {"environment": {"DSN": dsn, "PASSWORD": password}, "ecs": {}},
        "whole": {
            "environmentFromAll": [{"existingSecret": name}, {"secret": "vendor"}],
            "files": {"master.json": {"existingSecret": master, "whole": True}},
            "kubernetes": WORKLOADS["by-token"]["kubernetes"],
        },
    }


def make_existing_secrets(stack: Stack) -> str:
    """Create one with its own KMS key, as another team does; return the name of RDS's master secret."""
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    stack.client().create_secret(Name="platform/sentry", SecretString='{"dsn": "a-dsn"}', KmsKeyId=key)
    made = stack.client("rds").create_db_instance(
        DBInstanceIdentifier="pods",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        MasterUsername="master",
        ManageMasterUserPassword=True,
        AllocatedStorage=20,
    )
    arn = made["DBInstance"]["MasterUserSecret"]["SecretArn"]
    return str(stack.client().describe_secret(SecretId=arn)["Name"])


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("pods")
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        stack = new_stack(folder / "project", environment, emulator.endpoint)
        iam = stack.client("iam")
        iam.create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
        )
        iam.create_role(
            RoleName="external-secrets", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{ACCOUNT}:root")
        )
        in_account(stack, "iam", OTHER).create_role(
            RoleName="reader", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{OTHER}:root")
        )
        stack.client("eks").create_cluster(
            name=CLUSTER, roleArn=OPERATOR_ROLE, resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]}
        )
        master = make_existing_secrets(stack)
        stack.configure(SECRETS, workloads={**WORKLOADS, **existing(master)})
        stack.up()
        stack.edit("vendor", TOKEN='filled "by hand"\n')
        outputs = json.loads(stack.pulumi("stack", "output", "--json").stdout)
        yield Deployed(stack, outputs["workloads"], master)


def token(account: str = "web", namespace: str = "shop") -> str:
    """Return a service account token; the emulator verifies no signature."""
    claims = {
        "iss": f"https://{ISSUER}",
        "aud": ["sts.amazonaws.com"],
        "sub": f"system:serviceaccount:{namespace}:{account}",
        "exp": int(time.time()) + 3600,
    }
    parts = [{"alg": "RS256"}, claims, {}]
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


def with_token(deployed: Deployed, name: str, web_identity: str) -> dict[str, str]:
    answer = deployed.stack.client("sts").assume_role_with_web_identity(
        RoleArn=deployed.workloads[name]["roleArn"], RoleSessionName="pod", WebIdentityToken=web_identity
    )
    found: dict[str, str] = answer["Credentials"]
    return found


def by_pod_identity(deployed: Deployed, **tags: str) -> dict[str, str]:
    """Return a session as the Pod Identity agent gets it: EKS takes the association's role and adds tags."""
    eks = deployed.stack.client("eks")
    [association] = eks.list_pod_identity_associations(
        clusterName=CLUSTER, namespace="shop", serviceAccount="web"
    )["associations"]
    described = eks.describe_pod_identity_association(
        clusterName=CLUSTER, associationId=association["associationId"]
    )
    assert described["association"]["roleArn"] == deployed.workloads["by-pod-identity"]["roleArn"]
    given = {
        "eks-cluster-arn": CLUSTER_ARN,
        "eks-cluster-name": CLUSTER,
        "kubernetes-namespace": "shop",
        "kubernetes-service-account": "web",
        "kubernetes-pod-name": "web-1",
        "kubernetes-pod-uid": "1",
    }
    return deployed.service_session(
        "by-pod-identity",
        "pods.eks.amazonaws.com",
        SourceArn=CLUSTER_ARN,
        Tags={**given, **{key.replace("_", "-"): value for key, value in tags.items()}},
    )


def credentials_of(deployed: Deployed, name: str) -> Mapping[str, str]:
    match name:
        case "by-token" | "by-driver":
            return with_token(deployed, name, token())
        case "by-operator":
            sts = deployed.stack.client("sts")
            own = sts.assume_role(RoleArn=OPERATOR_ROLE, RoleSessionName="operator")["Credentials"]
            as_operator = deployed.stack.client("sts", credentials=own)
            # the SecretStore names the role to assume
            store = manifests_of(deployed.workloads[name])[0]
            role = store["spec"]["provider"]["aws"]["role"]
            taken = as_operator.assume_role(RoleArn=role, RoleSessionName="web")["Credentials"]
            return dict(taken)
        case "by-pod-identity":
            return by_pod_identity(deployed)
        case _:
            tasks = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/shop/1"
            return deployed.service_session(name, "ecs-tasks.amazonaws.com", SourceArn=tasks)


PODS = ["by-token", "by-operator", "by-driver", "by-pod-identity"]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_the_declared_variables_and_files(deployed: Deployed, name: str) -> None:
    variables, files = deployed.obtained(name, credentials_of(deployed, name))
    if name == "by-token":
        url = variables.pop("CACHE_URL")
        password = deployed.stack.value("cache")["PASSWORD"]
        assert url == f"redis://:{quote(password, safe='')}@cache:6379/0"
    assert (variables, files) == deployed.values


@pytest.mark.parametrize("name", [*PODS, "task"])
def test_a_workload_cannot_read_or_write_other_secrets(deployed: Deployed, name: str) -> None:
    reader = deployed.reader(credentials_of(deployed, name))
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.get_secret_value(SecretId="other")
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.put_secret_value(SecretId="app", SecretString="{}")


def test_a_task_reads_secrets_of_other_owners(deployed: Deployed) -> None:
    reader = deployed.reader(credentials_of(deployed, "elsewhere"))
    found = operators.ecs_container(reader, deployed.workloads["elsewhere"]["containerSecrets"])
    assert found == {"DSN": "a-dsn", "PASSWORD": deployed.stack.value(deployed.master)["password"]}


def test_a_pod_gets_whole_secrets_without_listed_keys(deployed: Deployed) -> None:
    variables, files = deployed.obtained("whole", with_token(deployed, "whole", token()))
    assert variables == {"dsn": "a-dsn", **deployed.stack.value("vendor")}
    [(path, text)] = files.items()
    assert path == "/run/secrets/aws/master.json"
    assert json.loads(text) == deployed.stack.value(deployed.master)


def test_a_preview_reports_a_missing_secret_without_a_provider_error(deployed: Deployed) -> None:
    stack, missing = deployed.stack, "platform/sentr"
    written = stack.file.read_text()
    stack.configure(SECRETS, workloads={**WORKLOADS, **existing(deployed.master, missing)})
    try:
        done = stack.pulumi("preview", check=False)
    finally:
        stack.file.write_text(written)
    assert done.returncode != 0
    assert f'AWS has no secret "{missing}"' in done.stdout
    assert "aws-secrets:workloads.elsewhere.environment.DSN.existingSecret" in done.stdout
    assert "invoking" not in done.stdout
    assert "ResourceNotFoundException" not in done.stdout


@pytest.mark.parametrize("name", ["by-token", "by-driver"])
@pytest.mark.parametrize("pod", [{"account": "default"}, {"namespace": "other"}])
def test_another_pods_token_gives_no_access(deployed: Deployed, name: str, pod: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        with_token(deployed, name, token(**pod))


@pytest.mark.parametrize(
    "tag",
    [
        {"kubernetes_namespace": "other"},
        {"kubernetes_service_account": "default"},
        {"eks_cluster_arn": CLUSTER_ARN.replace(CLUSTER, "another")},
    ],
)
def test_pod_identity_gives_no_other_pod_the_role(deployed: Deployed, tag: dict[str, str]) -> None:
    with pytest.raises(HTTPError):
        by_pod_identity(deployed, **tag)


def test_only_the_operator_can_assume_its_role(deployed: Deployed) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        deployed.stack.client("sts").assume_role(
            RoleArn=deployed.workloads["by-operator"]["roleArn"], RoleSessionName="somebody"
        )


def test_an_ecs_task_has_the_declared_variables(deployed: Deployed) -> None:
    reader = deployed.reader(credentials_of(deployed, "task"))
    assert (
        operators.ecs_container(reader, deployed.workloads["task"]["containerSecrets"])
        == (deployed.values[0])
    )


def test_another_accounts_role_reads_once_its_account_allows_it(deployed: Deployed) -> None:
    declared = deployed.workloads["abroad"]["containerSecrets"]
    sts = in_account(deployed.stack, "sts", OTHER)
    session = sts.assume_role(RoleArn=FOREIGN_ROLE, RoleSessionName="task")["Credentials"]
    with pytest.raises(ClientError, match="AccessDenied"):
        operators.ecs_container(deployed.reader(session), declared)
    arns = sorted({entry["valueFrom"].rpartition(":")[0].rsplit(":", 2)[0] for entry in declared})
    statements = [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arns},
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"},
    ]
    in_account(deployed.stack, "iam", OTHER).put_role_policy(
        RoleName="reader",
        PolicyName="reads",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    session = sts.assume_role(RoleArn=FOREIGN_ROLE, RoleSessionName="task")["Credentials"]
    reader = deployed.reader(session)
    assert operators.ecs_container(reader, declared) == deployed.values[0]
    with pytest.raises(ClientError, match=r"AccessDenied|ResourceNotFound"):
        reader.get_secret_value(SecretId=deployed.stack.client().describe_secret(SecretId="other")["ARN"])


def test_the_next_preview_is_empty_and_outputs_hold_no_value(
    deployed: Deployed,
) -> None:
    assert deployed.stack.preview() == []
    said = json.dumps(deployed.workloads)
    for name in SECRETS:
        for value in deployed.stack.value(name).values():
            shows = json.dumps(value)[1:-1] in said
            assert not shows
