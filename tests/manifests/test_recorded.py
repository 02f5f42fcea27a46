"""The External Secrets Operator of the tests answers as the real one did (`make test-operators`)."""

import json
from pathlib import Path

import pytest
import yaml

from program.manifests.kubernetes import manifests
from program.manifests.pod import pod_part
from program.manifests.yaml_files import render
from tests.support import operators
from tests.support.operator_cases import ARN, CASES, RECORDED, StoredSecrets, shortened

ROOT = Path(__file__).parents[2]
ANSWERS = json.loads(RECORDED.read_text())["answers"]


@pytest.mark.parametrize("name", CASES)
def test_what_the_real_operator_answered(name: str) -> None:
    case = CASES[name]
    arns = {secret: f"{ARN}{secret}-AbCdEf" for secret in case.secrets}
    workload = case.workload(name, arns)
    stored = StoredSecrets({arns[secret]: value for secret, value in case.secrets.items()})
    rendered = list(yaml.safe_load_all(render(manifests(workload))))
    if case.error:
        with pytest.raises(operators.OperatorError) as raised:
            operators.external_secrets(stored, rendered)
        message = str(raised.value)
        for secret, arn in arns.items():
            message = message.replace(arn, f"ARN({secret})")
        assert any(message in recorded for recorded in ANSWERS[name])
        return
    made = operators.external_secrets(stored, rendered)
    assert {secret.removeprefix(name): shortened(data) for secret, data in made.items()} == ANSWERS[name]
    variables, files = operators.container(yaml.safe_load(render([pod_part(workload)])), made, {})
    expected = {f"{workload.mount_path}/{path}": text for path, text in case.texts.items()}
    assert (variables, files) == (case.variables, expected)


def test_every_answer_belongs_to_a_case() -> None:
    assert ANSWERS.keys() == CASES.keys()


def test_the_answers_are_of_the_pinned_versions() -> None:
    modules = {
        "kubernetes": "k8s.io/kubernetes",
        "external-secrets": "github.com/external-secrets/external-secrets",
    }
    pinned = (ROOT / "tests" / "operators").glob("*/go.mod")
    texts = "\n".join(file.read_text() for file in pinned)
    for name, version in json.loads(RECORDED.read_text())["versions"].items():
        assert f"{modules[name]} {version}\n" in texts
