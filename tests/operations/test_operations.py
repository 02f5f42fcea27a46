import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import operations
from operations import SECRET
from tests.support.emulator_process import Emulator
from tests.support.projects import AWS, Project, client, new_name, structure
from tests.support.stacks import new_stack

HIDDEN = """
import pulumi
hidden = pulumi.Output.secret("hidden-value")
pulumi.export("plain", {"a": 1})
pulumi.export("hidden", hidden)
pulumi.export("deep", {"a": [hidden]})
"""


def resources_in_state(environment: Mapping[str, str], stack: str) -> list[dict[str, Any]]:
    """Return the resources of a stack from the backend's state."""
    backend = Path(environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
    [file] = backend.glob(f".pulumi/stacks/*/{stack}.json")
    resources: list[dict[str, Any]] = json.loads(file.read_text())["checkpoint"]["latest"]["resources"]
    return resources


def test_a_stack_is_previewed_updated_refreshed_and_destroyed(
    tenants: operations.Workspace, emulator: Emulator, environment: Mapping[str, str]
) -> None:
    name = new_name()
    stack = tenants.create(name)
    stack.configure(structure(name), aws=AWS)

    with stack.preview() as planning:
        steps = [event for event in planning if isinstance(event, operations.StepDone)]
        preview = planning.result()
    assert preview.counts == {"create": 4}  # the stack, the component, the secret and its initial version
    created = [step.name for step in steps if step.operation == "create"]
    assert len(created) == len(set(created))
    assert [change.operation for change in preview.changes] == ["create"] * 4
    assert stack.outputs() == {}  # it changed nothing
    assert stack.history() == []

    with stack.up() as update:
        progress = list(update)
        result = update.result()
    assert result.counts == preview.counts
    assert {change.urn for change in result.changes} == {change.urn for change in preview.changes}
    assert result.outputs == stack.outputs()
    assert result.outputs["secrets"][name]["keys"] == ["KEY"]
    done = [event.name for event in progress if isinstance(event, operations.StepDone)]
    assert f"{name}-secret" in done
    assert progress[-1] == operations.Ended(counts={"create": 4})
    assert list(update) == progress  # a later consumer sees the same events
    # as short as in a checkout: full stack traces are 40 % of a state
    traces = [
        len(resource.get("stackTrace", ()))
        for resource in resources_in_state(environment, name)
        if resource["type"] != "pulumi:pulumi:Stack"  # created before the program runs
    ]
    assert max(traces) <= 3, traces

    stack.configure(structure(name, f"{name}-more", tags={"team": "a"}), aws=AWS)
    changed = stack.preview().result()
    assert changed.counts == {"create": 3, "same": 3, "update": 1}
    [update_of_tags] = [change for change in changed.changes if change.operation == "update"]
    assert update_of_tags.name == f"{name}-secret"
    assert "tags" in update_of_tags.properties

    client(emulator).update_secret(SecretId=name, Description="by hand")
    refreshed = stack.refresh().result()
    assert refreshed.counts == {"same": 3, "update": 1}
    assert [(change.operation, change.name) for change in refreshed.changes] == [("update", f"{name}-secret")]
    assert [(record.kind, record.result) for record in stack.history()] == [
        ("refresh", "succeeded"),
        ("update", "succeeded"),
    ]
    assert stack.history(limit=1)[0].kind == "refresh"
    assert stack.destroy().result().counts == {"delete": 4}
    tenants.remove(name)
    assert name not in tenants.stacks()


def test_a_checkout_and_a_service_plan_the_same_changes(
    project: Project, emulator: Emulator, tenants: operations.Workspace
) -> None:
    existing = new_stack(project.folder / "checkout", project.environment, emulator.endpoint)
    stack = operations.checkout(existing.folder, environment=project.environment).stack("test")
    stack_file = stack.check()
    from_checkout = stack.preview().result()

    service = tenants.open("test")
    service.configure(
        stack_file.model_dump(by_alias=True, mode="json", exclude_unset=True),
        secrets={"stripeKey": "another-value"},
        aws={**AWS, "allowedAccountIds": ["123456789012"]},
    )
    inline = service.preview().result()
    assert set(inline.changes) == set(from_checkout.changes)
    assert inline.counts == from_checkout.counts


def test_operations_write_no_file_of_a_checkout(project: Project) -> None:
    def content() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in project.folder.iterdir() if path.is_file()}

    stack = project.stack()
    before = content()
    stack.preview().result()
    stack.up().result()
    stack.refresh().result()
    assert content() == before


def test_secret_outputs_are_markers_at_any_depth(project: Project) -> None:
    project.program(HIDDEN)
    stack = project.stack()
    outputs = stack.up().result().outputs
    assert outputs == stack.outputs()
    assert outputs["plain"] == {"a": 1}
    assert outputs["hidden"] is SECRET
    assert "hidden-value" not in repr(outputs)
    assert outputs["deep"]["a"][0] is SECRET
