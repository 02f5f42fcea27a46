"""The order in which workloads are restarted, and the mistakes of `restart`."""

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter

from stack_file.mistakes import Mistake, nearest, path_of
from stack_file.top_level import StackFile
from stack_file.workloads import Workload


def restart_order(workloads: Mapping[str, Workload]) -> tuple[str, ...]:
    """Return the names of checked workloads, each after those of its `restart.after`.

    The order of the stack file decides between workloads that do not wait for each other.
    """
    sorter = TopologicalSorter({name: workload.after for name, workload in workloads.items()})
    sorter.prepare()
    places = {name: place for place, name in enumerate(workloads)}
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=places.__getitem__)
        order += ready
        sorter.done(*ready)
    return tuple(order)


def predecessors(workloads: Mapping[str, Workload], name: str) -> set[str]:
    """Return the workloads that must be restarted before this one, directly or not."""
    found: set[str] = set()
    ahead = [*workloads[name].after]
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += workloads[one].after
    return found


def wrong_restarts(namespace: str, stack_file: StackFile) -> Iterator[Mistake]:
    """Yield the mistakes of `restart` in all workloads."""
    workloads = stack_file.workloads
    for name, workload in workloads.items():
        here = ("workloads", name, "restart", "after")
        for index, other in enumerate(workload.after):
            path = path_of(namespace, (*here, index))
            if other == name:
                yield Mistake(
                    path,
                    "a workload cannot be restarted after itself",
                    "It would never be restarted",
                    "Remove it from the list",
                )
            elif other not in workloads:
                yield Mistake(
                    path,
                    f'unknown workload "{other}"{nearest(other, workloads)}',
                    "",
                    f"The stack's workloads are: {', '.join(workloads)}",
                )
            elif other in workload.after[:index]:
                yield Mistake(path, f'"{other}" is already in the list', "", "Remove one of them")
        if workload.after and workload.automatic_redeploy:
            yield Mistake(
                path_of(namespace, here),
                "the stack redeploys this workload as soon as a value changes, in no order",
                "It would be restarted before the others are healthy",
                "Write automatic: false to its ecs.redeploy; the command rotate --restart then restarts it",
            )
    yield from _cycles(namespace, workloads)


def _cycles(namespace: str, workloads: Mapping[str, Workload]) -> Iterator[Mistake]:
    """Yield each cycle that a walk along `after` finds; a workload is in one of them at most."""
    walked: set[str] = set()
    for start in workloads:
        path: dict[str, None] = {}
        # each stack entry: a workload, and those that it waits for and that were not followed yet
        steps: list[tuple[str, Iterator[str]]] = []
        ahead: str | None = start
        while ahead is not None or steps:
            if ahead is not None and ahead not in walked:
                walked.add(ahead)
                path[ahead] = None
                others = (one for one in workloads[ahead].after if one in workloads and one != ahead)
                steps.append((ahead, iter(tuple(others))))
            ahead = next(steps[-1][1], None) if steps else None
            if ahead in path:
                cycle = [*path][[*path].index(str(ahead)) :]
                first = next(name for name in workloads if name in cycle)
                turned = [*cycle[cycle.index(first) :], *cycle[: cycle.index(first)], first]
                yield Mistake(
                    path_of(namespace, ("workloads", first, "restart", "after")),
                    f"the workloads wait for each other: {' after '.join(turned)}",
                    "None of them could be restarted first",
                    "Remove one of these entries",
                )
                ahead = None
            elif ahead is None and steps:
                path.pop(steps.pop()[0])
