"""A status as tables on a terminal."""

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from automation.status import texts
from automation.status.model import Kind, Secret, Status

_STYLES: dict[Kind, str] = {
    "unavailable": "bold red",
    "rotation": "red",
    "drift": "yellow",
    "waiting": "cyan",
    "unknown": "magenta",
}


def show(status: Status, console: Console) -> None:
    """Secrets, readers, and last what wants attention: it is what a person sees first."""
    console.print(Text(texts.clean(texts.place(status)), style="dim"))
    console.print(_secrets(status), "")
    if status.workloads:
        console.print(_workloads(status), "")
    for group in texts.groups(status):
        kinds = Text(" ").join(Text(kind, style=_STYLES[kind]) for kind in group.kinds)
        body = Group(
            *(Text(f"{texts.clean(text)}.") for text in group.texts),
            *(Text(texts.clean(remedy), style="dim") for remedy in group.remedies),
        )
        console.print(Text.assemble((texts.clean(group.whose), "bold"), "  ", kinds))
        console.print(Padding(body, (0, 0, 1, 2)))
    style = "green" if not status.problems else "bold"
    console.print(Text(texts.clean(texts.headline(status)), style=style))


def _secrets(status: Status) -> Table:
    table = _table("Secret", "State", "Changed", "Rotated", "Read by")
    for secret in status.secrets:
        table.add_row(
            Text(texts.clean(secret.name), style="bold", overflow="fold"),
            Text(texts.clean(texts.state(secret)), style=_style(secret)),
            Text(texts.ago(secret.last_changed, status.asked_at)),
            Text(texts.rotation(secret, status.asked_at)),
            Text(_readers(secret), overflow="fold"),
        )
    return table


def _readers(secret: Secret) -> str:
    return texts.clean(", ".join(reader.workload for reader in secret.readers) or "-")


def _style(secret: Secret) -> str:
    found = {problem.kind for problem in secret.problems}
    return next((_STYLES[kind] for kind in texts.KINDS if kind in found), "green")


def _workloads(status: Status) -> Table:
    table = _table("Workload", "Runs as", "Role", "Reads")
    for workload in status.workloads:
        reads = [
            texts.clean(texts.reads(secret, reader, ": "))
            for secret in status.secrets
            for reader in secret.readers
            if reader.workload == workload.name
        ]
        table.add_row(
            Text(texts.clean(workload.name), style="bold", overflow="fold"),
            Text(texts.clean(workload.runs_as)),
            Text(texts.clean(texts.role_of(workload)), overflow="fold"),
            Text("\n".join(reads), overflow="fold"),
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
