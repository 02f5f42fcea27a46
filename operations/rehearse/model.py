"""The outcome of a rehearsal."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that would break the next rotation, or hide that it broke.

    Attributes:
        step: the step of the rotation, or `attachment`, `permission`, `key`, `alarm` or `function`.
        problem: what is wrong, where, and what to do, in sentences.
        consequence: what would happen at the next rotation.
    """

    step: str
    problem: str
    consequence: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of rehearsing one secret.

    Attributes:
        steps: what was tried and works.
        findings: what would break.
        gaps: sentences about what could not be tried.
        outlook: sentences about what the next rotation does to clients that use an old value.
        denied: whether a permission of the caller is missing, so that a check was left out.
    """

    steps: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    gaps: tuple[str, ...] = ()
    outlook: tuple[str, ...] = ()
    denied: bool = False

    def __add__(self, other: "Outcome") -> "Outcome":
        """Return both outcomes as one."""
        return Outcome(
            steps=tuple(dict.fromkeys(self.steps + other.steps)),
            findings=self.findings + other.findings,
            gaps=self.gaps + other.gaps,
            outlook=self.outlook + other.outlook,
            denied=self.denied or other.denied,
        )


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """The rehearsal of one secret.

    Attributes:
        secret: its name in AWS.
        function: ARN of the function that the deployment declares for it; empty if there is none.
        outcome: what was found.
    """

    secret: str
    function: str
    outcome: Outcome
