"""A deployed stack with two logins, secrets of each kind and readers of each platform."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.compromised.command import main
from tests.support.command_line import CommandLine, Done
from tests.support.ecs_services import CLUSTER, SERVICE, service
from tests.support.emulator_functions import TRUST
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.shops import SECRET, Shop, new_shop
from tests.support.stacks import new_stack
from tools.localcloud.postgres import PostgresServer

SINGLE = "shop-single"
GENERATED: dict[str, Any] = {"random": {"length": 24, "special": False}}
SECRETS: dict[str, dict[str, Any]] = {
    "app": {
        "initialValues": "managed",
        "values": {
            "KEY_BASE": {"random": {"length": 32}},
            "SIGNING": {"randomBytes": {"length": 16}, "generation": 3},
            "STRIPE": {"config": "stripeKey"},
            "TOKEN": {"filledByHand": "the vendor's dashboard"},
            "MODE": {"value": "production"},
        },
    },
    "once": {"values": {"KEY": {"randomBytes": {"length": 16, "encoding": "base64"}}}},
    "sessions": {"values": {"KEY": GENERATED}, "rotation": {"keys": ["KEY"]}},
}
WORKLOADS: dict[str, Any] = {
    "web": {
        "ecs": {"redeploy": {"cluster": CLUSTER, "service": SERVICE}},
        "environment": {"DATABASE_URL": {"secret": SECRET}, "KEY_BASE": {"secret": "app"}},
    },
    "pod": {
        "kubernetes": {
            "operator": "external-secrets",
            "namespace": "shop",
            "role": "pod",
        },
        "environment": {"KEY": {"secret": "sessions"}},
    },
    "job": {"lambda": {"role": "job"}, "environment": {"KEY": {"secret": "once"}}},
}


@dataclass(frozen=True)
class Leaks:
    shop: Shop
    command: Callable[..., Done]
    single_user: str

    def labelled(self, secret: str, label: str = "AWSCURRENT") -> str:
        stages: dict[str, list[str]] = self.shop.described(secret)["VersionIdsToStages"]
        return next((version for version, labels in stages.items() if label in labels), "")

    def arguments(self, *arguments: str) -> list[str]:
        return [*arguments, "--stack", "test", "--cwd", str(self.shop.stack.folder)]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("compromised")
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        shop = new_shop(new_stack(folder / "project", environment, emulator.endpoint), server)
        both = {
            SECRET: {"username": shop.username, "database": shop.database, "grants": "owner"},
            SINGLE: {"username": f"{shop.username}_one", "database": shop.database, "users": "single"},
        }
        shop.configure(server={"logins": both}, workloads=WORKLOADS)
        declare(shop, SECRETS)
        for role in ("pod", "job"):
            shop.stack.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
        service(shop.stack)
        shop.stack.up()
        shop.wait_for_rotations()
        # the stack's own function deploys readers as well; here every deployment is the command's
        events = shop.stack.client("events")
        for rule in events.list_rules()["Rules"]:
            events.disable_rule(Name=rule["Name"])
        yield shop


def declare(shop: Shop, secrets: dict[str, Any]) -> None:
    content = yaml.safe_load(shop.stack.file.read_text())
    content["config"]["aws-secrets:secrets"] = secrets
    shop.stack.file.write_text(yaml.safe_dump(content))


@pytest.fixture
def leaks(deployed: Shop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Leaks:
    line = CommandLine(main, monkeypatch, capfd)
    whole = ("--stack", "test", "--cwd", str(deployed.stack.folder))

    def run(*arguments: str, **environment: str) -> Done:
        return line.run([*arguments, *whole], {**deployed.stack.environment, **environment})

    return Leaks(deployed, run, f"{deployed.username}_one")


def policy(folder: Path) -> str:
    """Return the policy that docs/leak.md documents."""
    text = (folder / "docs" / "leak.md").read_text()
    return text.partition("```json\n")[2].partition("```")[0]
