"""Record this release's deployments, which every later release must preview without a change.

    python -m tests.support.record_deployed RELEASE

Deploys each shape on a local cloud and saves stack files and states in tests/engine/deployed/RELEASE.
"""

import gzip
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.ecs_services import CLUSTER, SERVICE, service
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.pipelines import ACCOUNT, CLUSTER_PROVIDER, ISSUER, SECRETS, TRUST, roles_of
from tests.support.shops import new_shop
from tests.support.stacks import ROOT, Stack, new_stack
from tools.localcloud import postgres
from tools.localcloud.postgres import PostgresServer

FOLDER = Path(__file__).parents[1] / "engine" / "deployed"
_FILL = {"filledByHand": "the vendor"}
_READS = {"TOKEN": {"secret": "once"}}


@dataclass(frozen=True)
class _Place:
    stack: Stack
    server: PostgresServer


def _whole(place: _Place) -> list[str]:
    """Deploy every mode, a policy, replicas, a rotated login, and workloads of every platform."""
    stack = place.stack
    shop = new_shop(stack, place.server)
    service(stack)
    stack.client("iam").create_role(RoleName="hook-role", AssumeRolePolicyDocument=TRUST)
    stack.client("eks").create_cluster(
        name="shop",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
    )
    shutil.copyfile(place.server.ca_file, stack.folder / "ca.pem")
    made = {"KEY": {"random": {}}, "BYTES": {"randomBytes": {"length": 32, "encoding": "base64url"}}}
    secrets: dict[str, Any] = {
        "once": {
            "description": "first",
            "values": {**made, "TOKEN": _FILL, "STRIPE": {"config": "stripeKey"}},
        },
        "managed": {"initialValues": "managed", "values": {**made, "PLAIN": {"value": "v"}}},
        "account": {"initialValues": "account", "values": {**made, "TOKEN": _FILL}},
        "shared": {
            "values": {"KEY": {"random": {"length": 32, "special": False}}},
            "encryption": "aws-managed",
            "replicas": [{"region": "eu-west-1"}],
            "protect": True,
            "tags": {"team": "a"},
            "policy": SECRETS["shop-vendor"]["policy"],
        },
    }
    kubernetes = {"operator": "external-secrets", "oidcProviderArn": CLUSTER_PROVIDER}
    workloads = {
        "web": {"kubernetes": kubernetes, "environment": {**_READS, "DATABASE_URL": {"secret": "login"}}},
        "files": {
            "kubernetes": {"operator": "secrets-store-csi", "podIdentity": {"cluster": "shop"}},
            "files": {"app/token": {"secret": "once", "key": "TOKEN"}},
        },
        "task": {"ecs": {"redeploy": {"cluster": CLUSTER, "service": SERVICE}}, "environment": _READS},
        "hook": {"lambda": {"role": "hook-role"}, "environment": _READS},
        "foreign": {
            "lambda": {"role": "arn:aws:iam::210987654321:role/foreign"},
            "environment": {"KEY": {"secret": "managed"}},
        },
    }
    logins = {
        "login": {"username": shop.username, "database": shop.database, "grants": "owner"},
        "report": {
            "username": f"report_{shop.username}",
            "database": shop.database,
            "users": "single",
            "grantStatements": ["GRANT USAGE ON SCHEMA {schema} TO {owner}"],
            "rotation": {"automaticallyAfterDays": 7},
            "initialValues": "account",
        },
    }
    database = {
        "host": place.server.host,
        "port": place.server.port,
        "outsideVpc": True,
        "admin": {
            "secret": "admin",
            "username": place.server.admin_user,
            "password": {"config": "adminPassword"},
        },
        "certificateAuthorities": "ca.pem",
        "logins": logins,
    }
    stack.configure(secrets, databases={"shop": database}, workloads=workloads, tags={"owner": "tests"})
    stack.configure_secretly("adminPassword", place.server.admin_password)
    stack.up()
    shop.wait_for_rotations()
    return ["test"]


def _pipeline(place: _Place) -> list[str]:
    """Deploy the roles of a pipeline."""
    stack = place.stack
    stack.client("iam").create_open_id_connect_provider(
        Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
    )
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    roles_of(stack, f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:admin-AbCdEf", key)
    return ["pipeline"]


def _fleet(place: _Place) -> list[str]:
    """Deploy two stacks from one file."""
    stack = place.stack
    secrets = {
        "web/app": {"values": {"KEY": {"random": {}}}},
        "jobs/app": {"values": {"STRIPE": {"config": "stripeKey"}}},
    }
    groups = {"web": ["web/*"], "jobs": ["jobs/*"]}
    stack.configure(secrets, fleet={"groups": groups})
    command = [
        sys.executable,
        "-m",
        "operations",
        "fleet",
        "up",
        "--stack",
        "test",
        "--yes",
        "--cwd",
        str(stack.folder),
    ]
    subprocess.run(command, cwd=ROOT, env=dict(stack.environment), check=True)
    return ["test.web", "test.jobs"]


SHAPES: dict[str, Callable[[_Place], list[str]]] = {"whole": _whole, "pipeline": _pipeline, "fleet": _fleet}


def _keep(stack: Stack, names: list[str], folder: Path) -> None:
    folder.mkdir(parents=True)
    state = Path(stack.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    for name in names:
        [file] = state.glob(f".pulumi/stacks/*/{name}.json")
        text = re.sub("|".join(map(re.escape, (str(ROOT), str(stack.folder)))), "/project", file.read_text())
        (folder / f"{name}.json.gz").write_bytes(gzip.compress(_without_places(text).encode(), mtime=0))
        (folder / f"Pulumi.{name}.yaml").write_text((stack.folder / f"Pulumi.{name}.yaml").read_text())
    if (stack.folder / "ca.pem").exists():
        shutil.copyfile(stack.folder / "ca.pem", folder / "ca.pem")


def _without_places(state: str) -> str:
    """Remove the stack frames outside this project, which name paths of the machine."""
    document = json.loads(state)
    for resource in document["checkpoint"]["latest"]["resources"]:
        frames = resource.get("stackTrace", [])
        resource["stackTrace"] = [frame for frame in frames if ".." not in frame["sourcePosition"]]
        if ".." in resource.get("sourcePosition", ""):
            del resource["sourcePosition"]
    return json.dumps(document, indent=4)


def main(release: str) -> None:
    """Record all shapes."""
    folder = Path(tempfile.mkdtemp(prefix="record-postgres-"))
    try:
        server = postgres.start(folder)
        for shape, deploy in SHAPES.items():
            with running_emulator(None) as emulator, tempfile.TemporaryDirectory() as temporary:
                made = Path(temporary)
                environment = stack_environment(made, emulator.endpoint)
                stack = new_stack(made / "project", environment, emulator.endpoint, provider="passphrase")
                _keep(stack, deploy(_Place(stack, server)), FOLDER / release / shape)
    finally:
        postgres.remove(folder)


if __name__ == "__main__":
    main(sys.argv[1])
