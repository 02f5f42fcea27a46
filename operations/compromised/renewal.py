"""Rotate a secret until the leaked value is dead, and end the sessions that used it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from components.lambdas.rotation.protocol import ACTION, END_SESSIONS, SECRET_ID, SESSIONS
from operations.compromised.model import SecretOutcome, SecretPlan
from operations.renewal.model import Failure
from operations.renewal.rotations import Rotations, explained


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """The renewal of secrets, one after another or in several threads.

    Attributes:
        rotations: of the incident.
        functions: client of Lambda, from `lambda_client`.
    """

    rotations: Rotations
    functions: Any

    def renew(self, plan: SecretPlan, outcome: SecretOutcome) -> None:
        """Rotate a secret as often as planned, then end its sessions; write down what was done.

        Raises:
            Failure: a rotation did not succeed, or sessions were not ended.
        """
        tell = self.rotations.tell
        for number in range(1, plan.rotations + 1):
            if number < plan.rotations and self.rotations.is_done(plan.name, plan.rotations):
                continue
            version = self.rotations.rotate(plan.secret, plan.function, number, plan.rotations)
            outcome.rotated.append(version)
            outcome.dead_at = datetime.now(UTC)
            tell(f"{plan.name}: rotation {number} of {plan.rotations} is complete (version {version}).")
        if plan.is_login:
            outcome.sessions = self._end_sessions(plan, outcome.arn)
            tell(f"{plan.name}: {outcome.sessions} sessions ended.")

    def _end_sessions(self, plan: SecretPlan, arn: str) -> int:
        event = json.dumps({ACTION: END_SESSIONS, SECRET_ID: arn}).encode()
        try:
            response = self.functions.invoke(FunctionName=plan.function, Payload=event)
            answer = json.loads(response["Payload"].read() or b"null")
        except (ClientError, BotoCoreError, ValueError) as error:
            raise explained(error, "lambda:InvokeFunction") from None
        if not isinstance(answer, dict) or response.get("FunctionError") or SESSIONS not in answer:
            reason = answer.get("errorMessage") if isinstance(answer, dict) else None
            raise Failure(
                "The leaked value is dead, but sessions that were opened with it may continue: the rotation "
                f"function could not end them: {reason or 'no reason given'}"
            )
        return int(answer[SESSIONS])
