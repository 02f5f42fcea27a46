"""A deployed stack, its manifests as an operator renders and applies them, and what its pods get."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.operators.conftest import World
from tests.support import operators
from tests.support.library_install import ROOT
from tests.support.local_engine import stack_environment
from tests.support.operator_cases import NAMESPACE, PEM, text_of
from tests.support.stacks import Stack, new_stack

SECRETS = {
    "app": {
        "values": {"KEY_BASE": {"random": {}}, "tls.key": {"value": PEM}, "LIMITS": {"json": {"a": [1]}}}
    },
    "vendor": {"values": {"TOKEN": {"filledByHand": "the vendor"}}},
    "cache": {"values": {"PASSWORD": {"random": {"length": 30}}}},
}
READS = {
    "environment": {
        "KEY_BASE": {"secret": "app"},
        "LIMITS": {"secret": "app"},
        "VENDOR_TOKEN": {"secret": "vendor", "key": "TOKEN"},
        "CACHE_URL": {
            "template": "redis://:${password|url}@cache:6379/0",
            "keys": {"password": {"secret": "cache", "key": "PASSWORD"}},
        },
    },
    "files": {"tls/key.pem": {"secret": "app", "key": "tls.key"}},
}


@dataclass(frozen=True)
class Deployed:
    """A stack whose manifests were rendered into a folder and applied."""

    stack: Stack
    world: World
    folder: Path

    def apply(self) -> None:
        """Render the stack's manifests with our command and apply them, as docs/workloads.md says."""
        outputs = json.loads(self.stack.pulumi("stack", "output", "--json").stdout)["workloads"]
        subprocess.run(
            [sys.executable, "-m", "operations", "manifests", str(self.folder)],
            cwd=ROOT,
            input=json.dumps(outputs),
            text=True,
            check=True,
            capture_output=True,
        )
        for name, output in outputs.items():
            self.world.give_role(f"{name}-account", output["roleArn"])
            self.world.cluster.apply((self.folder / f"{name}.yaml").read_text())

    def obtained(self, name: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return a container's variables and files, after the operator has read again."""
        found = {}
        for kind in ("environment", "files"):
            self.world.cluster.synced(f"{name}-{kind}")
            stored = self.world.cluster.data(f"{name}-{kind}")
            found[f"{name}-{kind}"] = {key: text_of(content) for key, content in stored.items()}
        pod = yaml.safe_load((self.folder / f"{name}-pod.yaml").read_text())
        return operators.container(pod, found, {})

    def expected(self) -> tuple[dict[str, str], dict[str, str]]:
        app, vendor, cache = (self.stack.value(name) for name in ("app", "vendor", "cache"))
        variables = {
            "KEY_BASE": app["KEY_BASE"],
            "LIMITS": '{"a": [1]}',
            "VENDOR_TOKEN": vendor["TOKEN"],
            "CACHE_URL": f"redis://:{quote(cache['PASSWORD'], safe='')}@cache:6379/0",
        }
        return variables, {"/run/secrets/aws/tls/key.pem": app["tls.key"]}


def workloads(world: World) -> dict[str, Any]:
    identities = {
        "by-token": {"oidcProviderArn": world.provider},
        "by-operator": {"operatorRole": world.operator_role},
    }
    return {
        name: {
            **READS,
            "kubernetes": {
                "operator": "external-secrets",
                "namespace": NAMESPACE,
                "serviceAccount": f"{name}-account",
                **identity,
            },
        }
        for name, identity in identities.items()
    }


@pytest.fixture(scope="module")
def deployed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("stack")
    endpoint = world.emulator.endpoint
    stack = new_stack(folder / "project", stack_environment(folder, endpoint), endpoint)
    stack.configure(SECRETS, workloads=workloads(world))
    stack.up()
    made = Deployed(stack, world, folder / "manifests")
    made.apply()
    yield made
    stack.pulumi("destroy", "--yes", "--skip-preview")


@pytest.mark.parametrize("name", ["by-token", "by-operator"])
def test_a_pod_has_the_declared_values_before_and_after_a_change(deployed: Deployed, name: str) -> None:
    assert deployed.obtained(name) == deployed.expected()
    deployed.stack.edit("vendor", TOKEN='filled "by hand"\n')
    deployed.stack.edit("cache", PASSWORD="a b+c/d?e#f@g:h%{{")
    assert deployed.obtained(name) == deployed.expected()


def test_a_workload_that_reads_less_has_no_access_to_the_rest(deployed: Deployed) -> None:
    fewer = workloads(deployed.world)
    fewer["by-token"] = {
        "kubernetes": fewer["by-token"]["kubernetes"],
        "environment": {"KEY_BASE": {"secret": "app"}},
    }
    before = (deployed.folder / "by-token.yaml").read_text()
    deployed.stack.configure(SECRETS, workloads=fewer)
    deployed.stack.up()
    # the manifests of before now ask for more than the role may read
    assert any("AccessDenied" in message for message in deployed.world.cluster.failed("by-token-environment"))
    deployed.apply()
    assert (deployed.folder / "by-token.yaml").read_text() != before
    deployed.world.cluster.synced("by-token-environment")
    found = deployed.world.cluster.data("by-token-environment")
    assert found == {"KEY_BASE": deployed.stack.value("app")["KEY_BASE"].encode()}
