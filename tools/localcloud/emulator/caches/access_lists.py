"""Access control lists of a server: what it is to have for a cache's users, groups and tokens.

Sources: ElastiCache User Guide, "Role-Based Access Control (RBAC)", "Authenticating with the Valkey and Redis
OSS AUTH command", "Supported and restricted Valkey and Redis OSS commands".
"""

from collections.abc import Mapping

from tools.localcloud.emulator.caches.model import (
    DEFAULT,
    EVERYTHING,
    NO_PASSWORD,
    PASSWORD,
    Cache,
    Login,
    Store,
)

# AWS's ACL LIST omits password hashes; here nobody but the administrator may run it, nor ACL GETUSER.
RESTRICTED = (
    "acl|deluser",
    "acl|dryrun",
    "acl|genpass",
    "acl|getuser",
    "acl|list",
    "acl|load",
    "acl|log",
    "acl|save",
    "acl|setuser",
    "bgrewriteaof",
    "bgsave",
    "cluster|addslots",
    "cluster|addslotsrange",
    "cluster|bumpepoch",
    "cluster|delslots",
    "cluster|delslotsrange",
    "cluster|failover",
    "cluster|flushslots",
    "cluster|forget",
    "cluster|links",
    "cluster|meet",
    "cluster|setslot",
    "config",
    "debug",
    "migrate",
    "psync",
    "replicaof",
    "save",
    "shutdown",
    "slaveof",
    "sync",
)
_PASSWORD_RULES = ("reset", "nopass", "resetpass")


def forbidden_rule(access: str) -> str | None:
    """Return the first rule of an access string that AWS does not take: passwords and restricted commands."""
    for rule in access.split():
        name = rule[1:].lower()
        if rule.lower() in _PASSWORD_RULES or rule.startswith((">", "<", "#", "!")):
            return rule[:1] if rule.startswith((">", "<", "#", "!")) else rule
        if rule.startswith("+") and name in RESTRICTED:
            return rule
    return None


def normal(access: str) -> str:
    """Return an access string as AWS shows it: with `off` unless it says `on`, and always with commands."""
    rules = access.split()
    state = next((rule for rule in reversed(rules) if rule in {"on", "off"}), "off")
    others = [rule for rule in rules if rule not in {"on", "off"}]
    if not any(rule.startswith(("+", "-")) or rule.endswith("commands") for rule in others):
        others.append("-@all")
    return " ".join([state, *others])


def wanted(store: Store, cache: Cache) -> Mapping[str, tuple[str, ...]]:
    """Return the rules of every user that a cache's server is to have, by name."""
    if cache.group is not None:
        group = store.groups[cache.group]
        members = [store.users[member] for member in group.members if member in store.users]
        return {user.name: _rules(user.login) for user in members}
    mode = NO_PASSWORD if cache.tokens.optional else PASSWORD
    return {DEFAULT: _rules(Login(EVERYTHING, mode, cache.tokens.hashes))}


def _rules(login: Login) -> tuple[str, ...]:
    denied = [f"-{command}" for command in RESTRICTED]
    secrets = ["nopass"] if login.mode == NO_PASSWORD else [f"#{known}" for known in login.hashes]
    return ("reset", *login.access.split(), *denied, *secrets)
