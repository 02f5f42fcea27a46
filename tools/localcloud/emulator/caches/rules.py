"""Rules that both services have for passwords, users and groups.

Sources: ElastiCache and MemoryDB API Reference; ElastiCache User Guide, "Role-Based Access Control (RBAC)";
messages as recorded from AWS in issues of the Terraform AWS provider. Where AWS's behaviour is not known,
the stricter one is chosen: two equal passwords, and whitespace in a password, are rejected.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from moto.core.exceptions import ServiceException

from tools.localcloud.emulator.caches import access_lists, changes
from tools.localcloud.emulator.caches.model import (
    ACTIVE,
    DEFAULT,
    DELETING,
    IAM,
    MEMORYDB,
    MODIFYING,
    NO_PASSWORD,
    PASSWORD,
    Group,
    Login,
    Place,
    Store,
    User,
    hashed,
)

MOST_PASSWORDS = 2
_PASSWORD = re.compile(r"[!-~]{16,128}")
_NOT_IN_PASSWORDS = re.compile(r'[,"/@]')
_MODES = {"password": PASSWORD, "no-password-required": NO_PASSWORD, "iam": IAM}


class CacheError(ServiceException):
    """An error of AWS; moto finds its form in the model of the service that answers."""


def invalid(place: Place, message: str) -> CacheError:
    """Return the error for an invalid value."""
    code = "InvalidParameterValueException" if place.service == MEMORYDB else "InvalidParameterValue"
    return CacheError(code, message)


def conflicting(place: Place, message: str) -> CacheError:
    """Return the error for parameters that do not go together."""
    code = (
        "InvalidParameterCombinationException" if place.service == MEMORYDB else "InvalidParameterCombination"
    )
    return CacheError(code, message)


def fault(place: Place, name: str, message: str) -> CacheError:
    """Return one of the errors whose code ends with Fault in MemoryDB only."""
    return CacheError(f"{name}Fault" if place.service == MEMORYDB else name, message)


def user_of(place: Place, store: Store, identifier: str) -> User:
    """Return a user.

    Raises:
        CacheError: there is none.
    """
    found = store.users.get(identifier.lower())
    if found is None:
        raise fault(place, "UserNotFound", f"User {identifier} not found.")
    return found


def require_active(place: Place, user: User) -> None:
    """Check that a user can be changed now.

    Raises:
        CacheError: it is being changed or deleted, or is AWS's own.
    """
    if user.identifier == DEFAULT:
        raise invalid(place, "User default can't be modified or deleted.")
    if user.status != ACTIVE:
        message = f"User {user.identifier} has status {user.status}. Only active users can be modified."
        raise fault(place, "InvalidUserState", message)


def checked_passwords(place: Place, passwords: Sequence[str]) -> tuple[str, ...]:
    """Return the hashes of a user's passwords; no message repeats one.

    Raises:
        CacheError: a password is not acceptable, or there are too many.
    """
    if len(passwords) > MOST_PASSWORDS:
        raise invalid(place, f"A user can have at most {MOST_PASSWORDS} passwords.")
    for password in passwords:
        if not 16 <= len(password) <= 128:  # noqa: PLR2004  as in the message
            raise invalid(place, "Passwords length must be between 16-128 characters.")
        if not _PASSWORD.fullmatch(password) or _NOT_IN_PASSWORDS.search(password):
            raise invalid(place, 'Passwords must be printable characters other than , " / and @.')
    if len(set(passwords)) != len(passwords):
        raise invalid(place, "Passwords must be different.")
    return tuple(hashed(password) for password in passwords)


def checked_access(place: Place, access: str) -> str:
    """Return an access string as AWS shows it.

    Raises:
        CacheError: it has a password or a restricted command.
    """
    rule = access_lists.forbidden_rule(access)
    if rule is not None:
        raise invalid(place, f"The access string contains a rule that is not allowed: {rule}")
    return access_lists.normal(access)


def asked_login(place: Place, asked: Mapping[str, Any], before: Login | None) -> Login:
    """Return the login that a request asks for; what it does not mention stays as before.

    Raises:
        CacheError: as AWS rejects it.
    """
    access = checked_access(place, str(asked["AccessString"])) if asked.get("AccessString") else None
    if access is None and before is not None:
        access = before.access
    if asked.get("AppendAccessString") and access is not None:
        access = checked_access(place, f"{access} {asked['AppendAccessString']}")
    if access is None:
        raise invalid(place, "The parameter AccessString must be provided.")
    mode, passwords = _asked_mode(place, asked)
    if mode is None and before is not None:
        return Login(access, before.mode, before.hashes)
    if mode is None:
        raise invalid(
            place,
            "Input Authentication type: null is not in the allowed list: [password,no-password-required,iam]",
        )
    if mode == PASSWORD and not passwords:
        raise conflicting(place, "A user with Authentication Mode: password, must have at least one password")
    if mode != PASSWORD and passwords:
        raise conflicting(place, f"Password field is not allowed with authentication type: {mode}")
    return Login(access, mode, checked_passwords(place, passwords))


def _asked_mode(place: Place, asked: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    given = asked.get("AuthenticationMode") or {}
    first, second = list(asked.get("Passwords") or []), list(given.get("Passwords") or [])
    if first and second:
        raise conflicting(place, "Passwords provided via multiple arguments. Use only one argument")
    passwords = first or second
    modes = {**_MODES}
    if place.service == MEMORYDB:
        del modes["no-password-required"]
    mode = modes.get(str(given.get("Type"))) if given.get("Type") else None
    if given.get("Type") and mode is None:
        raise invalid(
            place,
            f"Input Authentication type: {given['Type']} is not in the allowed list: [{','.join(modes)}]",
        )
    if asked.get("NoPasswordRequired"):
        if mode not in {None, NO_PASSWORD}:
            raise conflicting(
                place, f"No password required flag is true but provided authentication type is {mode}"
            )
        mode = NO_PASSWORD
    return mode or (PASSWORD if passwords else None), passwords


def create_user(  # noqa: PLR0913  a user's properties
    place: Place, store: Store, *, identifier: str, name: str, engine: str, login: Login, tags: dict[str, str]
) -> User:
    """Add a user.

    Raises:
        CacheError: there is one, or IAM could not tell who it is.
    """
    identifier = identifier.lower()
    if identifier in store.users:
        raise fault(place, "UserAlreadyExists", f"User {identifier} already exists.")
    if login.mode == IAM and name != identifier:
        raise conflicting(place, "For IAM authentication, the user ID and the user name must be the same.")
    made = User(
        identifier=identifier,
        name=name,
        engine=engine,
        arn=place.arn("user", identifier),
        login=login,
        wanted=login,
        tags=tags,
    )
    store.users[identifier] = made
    return made


def modify_user(place: Place, user: User, login: Login) -> None:
    """Begin to change a user."""
    user.wanted, user.status = login, MODIFYING
    changes.begin(changes.Target(place, "user", user.identifier))


def delete_user(place: Place, user: User) -> None:
    """Begin to delete a user, which also leaves its groups."""
    user.status = DELETING
    changes.begin(changes.Target(place, "user", user.identifier))


def status_of(store: Store, group: Group) -> str:
    """Return a group's status: it is updated along with each of its users."""
    if group.status == ACTIVE and any(
        store.users[member].status == MODIFYING for member in group.members if member in store.users
    ):
        return MODIFYING
    return group.status


def modify_group(place: Place, store: Store, group: Group, add: Sequence[str], remove: Sequence[str]) -> None:
    """Begin to change a group's users, who are being modified for as long.

    Raises:
        CacheError: as AWS rejects it.
    """
    kind = "ACL" if place.service == MEMORYDB else "User group"
    status = status_of(store, group)
    if status != ACTIVE:
        name = "InvalidACLState" if place.service == MEMORYDB else "InvalidUserGroupState"
        plural = "ACLs" if place.service == MEMORYDB else "user groups"
        raise fault(
            place,
            name,
            f"{kind} {group.identifier} has status {status}. Only active {plural} can be modified.",
        )
    if not add and not remove:
        raise conflicting(place, "No users to add or to remove were given.")
    users = [user_of(place, store, identifier) for identifier in (*add, *remove)]
    added, removed = [name.lower() for name in add], [name.lower() for name in remove]
    for user in users:
        if user.identifier in removed and user.identifier not in group.members:
            raise invalid(place, f"User {user.identifier} is not a member of {group.identifier}.")
        if user.identifier in added and user.identifier in group.members:
            raise invalid(place, f"User {user.identifier} is already a member of {group.identifier}.")
        if user.status != ACTIVE:
            message = f"User {user.identifier} has status {user.status}. Only active users can be modified."
            raise fault(place, "InvalidUserState", message)
    check_members(place, store, group.engine, [name for name in group.members if name not in removed] + added)
    group.add, group.remove, group.status = added, removed, MODIFYING
    for user in users:
        if user.identifier != DEFAULT:
            user.status = MODIFYING
    changes.begin(changes.Target(place, "group", group.identifier))


def check_members(place: Place, store: Store, engine: str, members: Sequence[str]) -> None:
    """Check that users go together in a group.

    Raises:
        CacheError: two have one name, a default user is missing, or one has no password.
    """
    users = [user_of(place, store, member) for member in members]
    names = [user.name for user in users]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise fault(place, "DuplicateUserName", f"More than one user has the name {twice}.")
    if place.service == MEMORYDB:
        return
    if engine == "redis" and DEFAULT not in names:
        raise CacheError("DefaultUserRequired", "A user group needs a user with the name default.")
    open_user = next((user for user in users if user.wanted.mode == NO_PASSWORD), None)
    if engine == "valkey" and open_user is not None:
        raise invalid(
            place, f"User {open_user.identifier} needs a password or IAM authentication for Valkey."
        )
