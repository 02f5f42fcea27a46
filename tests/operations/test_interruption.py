"""Interrupted updates lose nothing, and the next update succeeds."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import operations
from operations.operation import _signal_that_ended
from tests.support.emulator_process import Emulator
from tests.support.gate_proxy import gate
from tests.support.projects import (
    ROOT,
    WAITING,
    Project,
    client,
    new_name,
    tenant,
    wait_for_end,
)


def behind(address: str, tenants: operations.Workspace) -> operations.Workspace:
    """Return the same workspace, with AWS behind a proxy."""
    return operations.inline(
        tenants.cli.folder, environment={**tenants.cli.environment, "AWS_ENDPOINT_URL": address}
    )


def test_a_disconnect_cancels_and_records_steps_in_progress(
    tenants: operations.Workspace, emulator: Emulator
) -> None:
    name = new_name()
    stack = tenant(tenants, name, name)
    with gate(emulator.endpoint, "CreateSecret") as held:
        disconnected = ConnectionError("the client disconnected")
        with pytest.raises(ConnectionError), behind(held.address, tenants).stack(name).up() as update:  # noqa: PT012
            for event in update:
                if isinstance(event, operations.StepStarted) and event.name == f"{name}-secret":
                    assert held.reached.wait(timeout=60)
                    threading.Timer(0, lambda: when_cancelling(update, held.opened)).start()
                    raise disconnected
        with pytest.raises(operations.OperationCancelledError) as cancelled:
            update.result()
    assert not cancelled.value.at_once
    assert cancelled.value.done
    assert f"{name}-secret" in [change.name for change in cancelled.value.done.changes]
    assert stack.up().result().counts == {
        "same": 3,
        "create": 1,
    }  # only the initial version was missing
    assert len(client(emulator).list_secret_version_ids(SecretId=name)["Versions"]) == 1


def when_cancelling(update: operations.Operation, opened: threading.Event) -> None:
    """Let AWS respond once the engine has reported the cancellation."""
    for event in update:
        if isinstance(event, operations.Message) and "cancelling" in event.text:
            break
    opened.set()


def test_a_queued_operation_can_be_cancelled(project: Project) -> None:
    project.program(WAITING)
    workspace = operations.checkout(project.folder, environment=project.environment, limit=1)
    first = workspace.open("one").up()
    second = workspace.open("two").up()
    project.waits()
    second.cancel()
    project.goes_on()
    assert first.result().counts == {"create": 1}
    with pytest.raises(operations.OperationCancelledError) as cancelled:
        second.result()
    assert cancelled.value.done is None
    assert workspace.stack("two").history() == []


def test_a_killed_update_can_be_recovered_as_its_error_says(
    tenants: operations.Workspace, emulator: Emulator
) -> None:
    name = new_name()
    stack = tenant(tenants, name, name)
    with gate(emulator.endpoint, "CreateSecret") as held:
        update = behind(held.address, tenants).stack(name).up()
        assert held.reached.wait(timeout=60)
        with pytest.raises(operations.ConcurrentUpdateError) as conflict:
            stack.up().result()
        [holder] = conflict.value.holders
        os.kill(holder.process, signal.SIGKILL)
        with pytest.raises(operations.EngineKilledError, match=r"SIGKILL.*docs/recovery\.md") as killed:
            update.result()
        held.loses = True
    assert killed.value.done
    with pytest.raises(operations.ConcurrentUpdateError):  # the lock of the killed update
        stack.up().result()
    stack.cancel()
    assert stack.refresh(clear_pending_creates=True).result().counts == {"same": 2}
    assert stack.up().result().counts == {"create": 2, "same": 2}


SERVICE = """
import os, sys
from pathlib import Path
import operations
stack = operations.inline(Path(sys.argv[1])).stack(sys.argv[2])
stack.up().result()
"""


def test_an_update_survives_the_service_that_started_it(
    tenants: operations.Workspace, emulator: Emulator
) -> None:
    name = new_name()
    stack = tenant(tenants, name, name)
    with gate(emulator.endpoint, "CreateSecret") as held:
        environment = {**tenants.cli.environment, "AWS_ENDPOINT_URL": held.address}
        service = subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(tenants.cli.folder), name], cwd=ROOT, env=environment
        )
        assert held.reached.wait(timeout=60)
        with pytest.raises(operations.ConcurrentUpdateError) as conflict:
            stack.up().result()
        service.kill()
        service.wait()
        held.opened.set()
        wait_for_end(conflict.value.holders[0].process)
    assert stack.history()[0].result == "succeeded"
    assert stack.up().result().counts == {"same": 4}


@pytest.mark.parametrize("loses", [Path.unlink, lambda log: os.truncate(log, log.stat().st_size - 9)])
def test_a_truncated_log_is_an_error_but_the_state_is_complete(
    project: Project, loses: Callable[[Path], None]
) -> None:
    project.program(WAITING)
    stack = project.stack()
    update = stack.up()
    project.waits()
    loses(update._log.file)
    project.goes_on()
    with pytest.raises(operations.EventLogTruncatedError, match="event log is cut off"):
        update.result()
    assert stack.history()[0].result == "succeeded"
    assert stack.up().result().counts == {"same": 1}


def test_a_failure_is_reported_without_an_event_log(project: Project) -> None:
    project.program(f"{WAITING}\nif not pulumi.runtime.is_dry_run():\n    raise ValueError('too late')")
    update = project.stack().up()
    project.waits()
    update._log.file.unlink()
    project.goes_on()
    with pytest.raises(operations.EngineError, match="ValueError: too late") as failed:
        update.result()
    assert "Traceback" not in str(failed.value)


@pytest.mark.parametrize(
    ("exit_code", "inline", "name"),
    [
        (0, False, None),
        (1, True, None),
        (255, False, None),
        (255, True, None),
        (-9, False, "SIGKILL"),
        (137, True, "SIGKILL"),
        (137, False, None),
    ],
)
def test_signals_are_distinguished_from_exit_codes(exit_code: int, inline: bool, name: str | None) -> None:
    assert _signal_that_ended(exit_code, inline=inline) == name
