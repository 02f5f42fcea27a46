"""Record event logs of the real engine on the local cloud: one deployed stack, and previews of it."""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.report.live import Snapshot, parse
from tests.support.shops import Shop
from tests.support.stacks import CONFIGURED, ROOT, Stack

PROVIDER = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"
READER = "arn:aws:iam::210987654321:role/reader"
OTHER = "arn:aws:iam::210987654321:role/other"
FRIEND = "arn:aws:iam::210987654321:role/friend"
# Texts in stack files and logs that no report may show.
PLANTED = (
    *("plain-initial-value", "another-plain-initial-value", "hint-of-a-placeholder", "value-of-a-keeper"),
    *("a-description", "another-description", "value-of-a-tag", "another-value-of-a-tag"),
    *("value-in-a-condition", "value-in-a-principal", "value-in-an-action", "value-in-a-statement-id"),
    *("value-in-an-error", "configured-value-of-another-day", "description-by-hand", "tag-by-hand"),
)


@dataclass(frozen=True)
class Recordings:
    """Recorded event logs.

    Attributes:
        folder: has NAME.jsonl for each log, NAME.live with AWS's answers, and the live values.
    """

    folder: Path

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def live(self, name: str) -> Snapshot:
        """Return AWS's final settings of the secrets in a log."""
        return parse((self.folder / f"{name}.live").read_bytes())

    def events(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log(name).read_text().splitlines()]

    @property
    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.jsonl"))

    @property
    def values(self) -> list[str]:
        live: list[str] = json.loads((self.folder / "values").read_text())
        return [*live, *PLANTED]


SECRETS: dict[str, Any] = {
    "app": {
        "description": "a-description",
        "tags": {"team": "value-of-a-tag"},
        "values": {
            "KEY": {"random": {"length": 32, "keepers": {"made": "value-of-a-keeper"}}},
            "BYTES": {"randomBytes": {"length": 16}},
            "ENVIRONMENT": {"value": "plain-initial-value"},
            "STRIPE": {"config": "stripeKey"},
            "TOKEN": {"filledByHand": "hint-of-a-placeholder"},
        },
        "rotation": {"keys": ["KEY"], "automaticallyAfterDays": 30},
    },
    "team/pay": {
        "protect": True,
        "recoveryWindowDays": 30,
        "values": {"VENDOR": {"config": "stripeKey"}},
        "policy": {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": READER},
                    "Action": "secretsmanager:GetSecretValue",
                    "Resource": "*",
                    "Condition": {"StringEquals": {"aws:PrincipalTag/team": "value-in-a-condition"}},
                }
            ]
        },
    },
    "old": {"values": {"X": {"random": {}}}, "rotation": {"keys": ["X"], "automaticallyAfterDays": 30}},
    "other": {"recoveryWindowDays": 14, "values": {"X": {"random": {}}}},
}
WORKLOADS: dict[str, Any] = {
    "web": {
        "kubernetes": {"operator": "external-secrets", "oidcProviderArn": PROVIDER},
        "environment": {"KEY": {"secret": "app"}, "Y": {"secret": "old", "key": "X"}},
    },
    "hook": {"lambda": {"role": "hook-role"}, "environment": {"X": {"secret": "other"}}},
    "pods": {
        "kubernetes": {"operator": "secrets-store-csi", "podIdentity": {"cluster": "shop"}},
        "environment": {"X": {"secret": "other"}},
    },
}


def record(shop: Shop, folder: Path) -> None:
    """Deploy the stack and write all logs to the folder."""
    stack = shop.stack
    recorder = _Recorder(shop, folder)
    _create_prerequisites(stack)
    recorder.configure()
    recorder.run("up", "up", "--yes", "--skip-preview")
    recorder.run("nothing", "preview")
    live = [value for name in SECRETS for value in stack.value(name).values()]
    live += [stack.value("shop-database")[key] for key in ("password", "DATABASE_URL")]
    blob = json.dumps(stack.file.read_text()).partition("secure: ")[2].partition("\\n")[0]
    stack.edit("app", TOKEN="filled-by-hand-and-just-as-secret")
    values = {*live, CONFIGURED, blob, "filled-by-hand-and-just-as-secret", shop.server.admin_password}
    (folder / "values").write_text(json.dumps(sorted(value for value in values if len(value) > 6)))
    _record_harmless(recorder)
    _record_dangerous(recorder)
    _record_database(recorder)
    recorder.configure()
    recorder.run("refresh", "refresh", "--preview-only")
    _edit_in_aws(stack)
    recorder.query("dangerous")
    _record_with_another_program(recorder)


def _create_prerequisites(stack: Stack) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    stack.client("iam").create_role(RoleName="hook-role", AssumeRolePolicyDocument=json.dumps(trust))
    network = {"subnetIds": ["subnet-1", "subnet-2"]}
    role = "arn:aws:iam::123456789012:role/hook-role"
    stack.client("eks").create_cluster(name="shop", roleArn=role, resourcesVpcConfig=network)


@dataclass(frozen=True)
class _Recorder:
    shop: Shop
    folder: Path

    def run(self, name: str, *arguments: str, check: bool = True) -> None:
        log = self.folder / f"{name}.jsonl"
        self.shop.stack.pulumi(*arguments, "--event-log", str(log), check=check)

    def query(self, name: str) -> None:
        """Query AWS for the secrets in a log, as a pull request's job does."""
        command = [sys.executable, "-m", "operations", "report", "live"]
        files = [
            "--events",
            str(self.folder / f"{name}.jsonl"),
            "--output",
            str(self.folder / f"{name}.live"),
        ]
        subprocess.run([*command, *files], cwd=ROOT, env=dict(self.shop.stack.environment), check=True)

    def configure(
        self,
        secrets: Mapping[str, Any] = SECRETS,
        workloads: Mapping[str, Any] = WORKLOADS,
        logins: Mapping[str, Any] | None = None,
        **login: object,
    ) -> None:
        shop = self.shop
        declared = {"username": shop.username, "database": shop.database, "grants": "read-only", **login}
        database = {
            "rdsInstance": "shop",
            "certificateAuthorities": str(shop.server.ca_file),
            "logins": {"shop-database": declared, **(logins or {})},
        }
        shop.stack.configure(dict(secrets), databases={"shop": database}, workloads=dict(workloads))


def _edit_in_aws(stack: Stack) -> None:
    """Edit AWS by hand, as during an incident."""
    client = stack.client()
    client.update_secret(SecretId="app", Description="description-by-hand")
    client.tag_resource(SecretId="app", Tags=[{"Key": "team", "Value": "tag-by-hand"}])
    [statement] = SECRETS["team/pay"]["policy"]["Statement"]
    by_hand = {**statement, "Principal": {"AWS": FRIEND}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [by_hand]})
    client.put_resource_policy(SecretId="team/pay", ResourcePolicy=policy)
    client.cancel_rotate_secret(SecretId="shop-database")
    client.delete_secret(SecretId="other", RecoveryWindowInDays=14)


def _record_harmless(recorder: _Recorder) -> None:
    """Record harmless changes, such as a new secret for a reader, after a placeholder was filled in."""
    secrets, workloads = copy.deepcopy(SECRETS), copy.deepcopy(WORKLOADS)
    secrets["app"]["description"] = "another-description"
    secrets["app"]["tags"]["team"] = "another-value-of-a-tag"
    secrets["app"]["rotation"]["automaticallyAfterDays"] = 14
    secrets["other"]["recoveryWindowDays"] = 30
    secrets["other"]["protect"] = True
    secrets["new"] = {
        "values": {"N": {"random": {}}, "TOKEN": {"filledByHand": "hint-of-a-placeholder"}},
        "rotation": {"keys": ["N"], "automaticallyAfterDays": 30, "rotateImmediately": True},
    }
    workloads["hook"]["environment"]["N"] = {"secret": "new"}
    workloads["worker"] = {
        "ecs": {"redeploy": {"cluster": "shop", "service": "worker"}},
        "environment": {"N": {"secret": "new"}},
    }
    del workloads["web"]["environment"]["Y"]
    recorder.configure(secrets, workloads)
    recorder.run("harmless", "preview", "--refresh")
    recorder.run("harmless-again", "preview", "--refresh")


def _record_dangerous(recorder: _Recorder) -> None:
    """Record every danger that a stack file can cause."""
    secrets, workloads = copy.deepcopy(SECRETS), copy.deepcopy(WORKLOADS)
    values = secrets["app"]["values"]
    values["KEY"]["random"]["length"] = 40
    values["ENVIRONMENT"]["value"] = "another-plain-initial-value"
    values["ADDED"] = {"random": {}}
    del values["BYTES"], secrets["app"]["rotation"], secrets["old"]
    secrets["other"]["encryption"] = "aws-managed"
    pay = secrets["team/pay"]
    pay |= {"protect": False, "recoveryWindowDays": 7}
    pay["policy"]["Statement"][0] |= {
        "Sid": "value-in-a-statement-id",
        "Principal": {"AWS": [READER, OTHER, "value-in-a-principal"]},
        "Action": ["secretsmanager:*", "value-in-an-action"],
    }
    workloads["web"] = {
        "kubernetes": {**workloads["web"]["kubernetes"], "serviceAccount": "web"},
        "environment": {"KEY": {"secret": "app"}, "DATABASE_URL": {"secret": "shop-database"}},
    }
    workloads["pods"]["kubernetes"]["namespace"] = "another"
    workloads["late"] = {"lambda": {"role": "hook-role"}, "environment": {"KEY": {"secret": "app"}}}
    workloads["foreign"] = {
        "lambda": {"role": "arn:aws:iam::210987654321:role/foreign"},
        "environment": {"X": {"secret": "app", "key": "KEY"}},
    }
    recorder.configure(secrets, workloads, rotation={"automaticallyAfterDays": 90}, passwordLength=44)
    recorder.shop.stack.configure_secretly("stripeKey", "configured-value-of-another-day")
    recorder.run("dangerous", "preview")
    recorder.shop.stack.configure_secretly("stripeKey", CONFIGURED)


def _record_database(recorder: _Recorder) -> None:
    """Record more privileges for an existing login, and a new login."""
    second = {"username": "second", "database": recorder.shop.database, "grantStatements": ["SELECT 1"]}
    recorder.configure(
        logins={"second-database": second},
        grants="owner",
        schemas=["public", "billing"],
        ownerRole="billing_owner",
    )
    recorder.run("database", "preview")


def _record_with_another_program(recorder: _Recorder) -> None:
    """Record previews of a changed program, one of which fails."""
    folder = recorder.shop.stack.folder / "components"
    folder.unlink()
    shutil.copytree(ROOT / "components", folder)
    for file, before, after in _edits():
        text = (folder / file).read_text()
        assert before in text, before
        (folder / file).write_text(text.replace(before, after))
    secrets = copy.deepcopy(SECRETS)
    secrets["app"]["values"]["KEY"]["random"]["length"] = 40
    recorder.configure(secrets)
    recorder.run("program", "preview")
    del secrets["team/pay"]
    recorder.configure(secrets)
    secret = (folder / "secret.py").read_text()
    raises = '        pulumi.log.error("value-in-an-error", self)\n        self.arn = secret.arn'
    (folder / "secret.py").write_text(secret.replace("        self.arn = secret.arn", raises))
    recorder.run("failing", "preview", check=False)


def _edits() -> Iterator[tuple[str, str, str]]:
    yield "secret.py", 'ignore_changes=["secretString", "secretBinary", "versionStages"],', ""
    yield (
        "secret.py",
        "name=args.secret_name,",
        'name="renamed" if args.secret_name == "other" else args.secret_name,',
    )
    yield "secret.py", "block_public_policy=True", "block_public_policy=False"
    yield "encryption_key.py", "deletion_window_in_days=30", "deletion_window_in_days=7"
    yield "encryption_key.py", "enable_key_rotation=True", "enable_key_rotation=False"
    yield "encryption_key.py", "retain_on_delete=True", "retain_on_delete=False"
    yield "encryption_key.py", 'name=f"alias/{args.alias}"', 'name=f"alias/{args.alias}-2"'
    yield "rotation.py", "rotate_immediately=args.schedule.rotate_immediately", "rotate_immediately=True"
    yield "rotation_function.py", "_MEMORY_MEGABYTES = 256", "_MEMORY_MEGABYTES = 512"
