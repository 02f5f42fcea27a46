"""Fleets: one stack file partitioned into several stacks that are operated together.

The engine writes the whole state of a stack after each step, so the cost of an update grows with the square
of its secrets. In a fleet, each group of secrets is a stack with its own generated stack file. Operators see
docs/fleet.md; programs use:

    fleet = operations.fleet.fleet("prod")
    fleet.prepare()
    with fleet.up() as update:
        outcomes = update.outcomes()
"""

from operations.fleet.errors import (
    ForeignStackFileError,
    Move,
    OrphanedStacksError,
    OutdatedStackFilesError,
    SecretsWouldMoveError,
)
from operations.fleet.parallel import FleetOperation, Outcome, combined_outputs
from operations.fleet.partition import Group, Partition, split
from operations.fleet.stacks import Fleet, fleet

__all__ = [
    "Fleet",
    "FleetOperation",
    "ForeignStackFileError",
    "Group",
    "Move",
    "OrphanedStacksError",
    "Outcome",
    "OutdatedStackFilesError",
    "Partition",
    "SecretsWouldMoveError",
    "combined_outputs",
    "fleet",
    "split",
]
