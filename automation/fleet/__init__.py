"""One application's secrets in several stacks, from one stack file, driven together.

The engine writes a stack's whole state after each step, so the cost of an update grows with the square of
its secrets. A fleet is a stack file that says how it is divided; each group of it is a stack of its own,
whose file is made from the one. docs/fleet.md is for operators; for other programs:

    fleet = automation.fleet.fleet("prod")
    fleet.prepare()
    with fleet.up() as update:
        outcomes = update.outcomes()
"""

from automation.fleet.division import Division, Group, divide
from automation.fleet.driving import Fleet, fleet
from automation.fleet.errors import FilesDiffer, Move, NotOfTheFleet, SecretsElsewhere, StacksLeft
from automation.fleet.together import Outcome, Together, combined_outputs

__all__ = [
    "Division",
    "FilesDiffer",
    "Fleet",
    "Group",
    "Move",
    "NotOfTheFleet",
    "Outcome",
    "SecretsElsewhere",
    "StacksLeft",
    "Together",
    "combined_outputs",
    "divide",
    "fleet",
]
