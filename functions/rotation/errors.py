"""What goes wrong, in words for the operator. No message holds a value of a secret."""


class OperatorError(Exception):
    """Something an operator can put right: what is wrong, where, and what to do; on one line.

    Names of roles and keys are an application's to choose: none breaks the line or hides in it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(
            "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        )


class LoginRefusedError(OperatorError):
    """The database knows no such user and password; whether the user exists it does not tell."""


class LoginBusyError(OperatorError):
    """The password is right, and the application uses all connections that the user may have."""


class PendingOutdatedError(OperatorError):
    """The pending version no longer fits the current one; it can only be given up."""
