"""ElastiCache: users, user groups, and the caches that were registered; everything else is moto's.

Sources: ElastiCache API Reference; User Guide, "Authenticating with the Valkey and Redis OSS AUTH command";
acceptance tests of the Terraform AWS provider, which set the first AUTH token with SET.
"""

import re
from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.elasticache import urls
from moto.elasticache.responses import ElastiCacheResponse

from tools.localcloud.emulator.caches import changes, rules
from tools.localcloud.emulator.caches.model import (
    AVAILABLE,
    CREATING,
    DEFAULT,
    DELETING,
    ELASTICACHE,
    MODIFYING,
    NO_PASSWORD,
    PASSWORD,
    Cache,
    Changing,
    Group,
    Place,
    Store,
    Tokens,
    User,
    hashed,
    store_of,
)

_ENGINES = {"redis", "valkey"}
_TOKEN = re.compile(r"[A-Za-z0-9!&#$^<>-]{16,128}")
_ZONE = "a"
# What ModifyReplicationGroup may be asked of a registered cache: nothing else changes its server.
_CHANGES = {
    "ReplicationGroupId",
    "ReplicationGroupDescription",
    "ApplyImmediately",
    "AuthToken",
    "AuthTokenUpdateStrategy",
    "UserGroupIdsToAdd",
    "UserGroupIdsToRemove",
    "RemoveUserGroups",
}


def take_the_place_of_motos() -> None:
    """Replace moto's ElastiCache; call this before moto's first request."""
    urls.url_paths["{0}/$"] = ElastiCache.dispatch


class ElastiCache(ElastiCacheResponse):
    """One request; moto calls the method that is named after its operation."""

    @property
    def _place(self) -> Place:
        return Place(ELASTICACHE, self.current_account, self.region)

    @property
    def _store(self) -> Store:
        return store_of(self._place)

    def create_user(self) -> ActionResult:  # noqa: D102  moto's own form
        asked = self._get_params()
        made = rules.create_user(
            self._place,
            self._store,
            identifier=asked["UserId"],
            name=asked["UserName"],
            engine=self._engine(asked),
            login=rules.asked_login(self._place, asked, None),
            tags=_tags(asked),
        )
        return ActionResult(_shown_user(self._store, made))

    def describe_users(self) -> ActionResult:  # noqa: D102  moto's own form
        asked = self._get_params()
        identifier = asked.get("UserId")
        if asked.get("Filters"):
            raise NotImplementedError
        if identifier:
            users = [rules.user_of(self._place, self._store, identifier)]
        else:
            users = list(self._store.users.values())
        engine = str(asked.get("Engine") or "").lower()
        return ActionResult(
            {
                "Users": [
                    _shown_user(self._store, user) for user in users if not engine or user.engine == engine
                ]
            }
        )

    def modify_user(self) -> ActionResult:  # noqa: D102  moto's own form
        asked = self._get_params()
        user = rules.user_of(self._place, self._store, asked["UserId"])
        rules.require_active(self._place, user)
        login = rules.asked_login(self._place, asked, user.wanted)
        if login.mode == NO_PASSWORD and any(
            group.engine == "valkey" for group in self._store.groups_of(user.identifier)
        ):
            message = f"User {user.identifier} needs a password or IAM authentication for Valkey."
            raise rules.invalid(self._place, message)
        if asked.get("Engine"):
            user.engine = self._engine(asked)
        rules.modify_user(self._place, user, login)
        return ActionResult(_shown_user(self._store, user))

    def delete_user(self) -> ActionResult:  # noqa: D102  moto's own form
        user = rules.user_of(self._place, self._store, self._get_params()["UserId"])
        rules.require_active(self._place, user)
        if user.name == DEFAULT and self._store.groups_of(user.identifier):
            message = f"User {user.identifier} is the default user of a user group."
            raise rules.CacheError("DefaultUserAssociatedToUserGroup", message)
        rules.delete_user(self._place, user)
        return ActionResult(_shown_user(self._store, user))

    def create_user_group(self) -> ActionResult:  # noqa: D102  AWS's operation
        asked = self._get_params()
        identifier = str(asked["UserGroupId"]).lower()
        if identifier in self._store.groups:
            raise rules.CacheError("UserGroupAlreadyExists", f"User group {identifier} already exists.")
        engine = self._engine(asked)
        members = [str(member).lower() for member in asked.get("UserIds") or []]
        rules.check_members(self._place, self._store, engine, members)
        made = Group(
            identifier=identifier,
            engine=engine,
            arn=self._place.arn("usergroup", identifier),
            members=members,
            status=CREATING,
            tags=_tags(asked),
        )
        self._store.groups[identifier] = made
        changes.begin(changes.Target(self._place, "group", identifier))
        return ActionResult(_shown_group(self._store, made))

    def describe_user_groups(self) -> ActionResult:  # noqa: D102  AWS's operation
        identifier = self._get_params().get("UserGroupId")
        groups = [self._group(identifier)] if identifier else list(self._store.groups.values())
        return ActionResult({"UserGroups": [_shown_group(self._store, group) for group in groups]})

    def modify_user_group(self) -> ActionResult:  # noqa: D102  AWS's operation
        asked = self._get_params()
        group = self._group(asked["UserGroupId"])
        rules.modify_group(
            self._place,
            self._store,
            group,
            asked.get("UserIdsToAdd") or [],
            asked.get("UserIdsToRemove") or [],
        )
        return ActionResult(_shown_group(self._store, group))

    def delete_user_group(self) -> ActionResult:  # noqa: D102  AWS's operation
        group = self._group(self._get_params()["UserGroupId"])
        if rules.status_of(self._store, group) != "active" or self._store.caches_of(group.identifier):
            message = f"User group {group.identifier} is in use or is being changed."
            raise rules.CacheError("InvalidUserGroupState", message)
        group.status = DELETING
        changes.begin(changes.Target(self._place, "group", group.identifier))
        return ActionResult(_shown_group(self._store, group))

    def describe_replication_groups(self) -> ActionResult:  # noqa: D102  moto's own form
        identifier = str(self._get_params().get("ReplicationGroupId") or "").lower()
        own = self._caches("replication-group")
        if identifier and identifier not in own:
            return super().describe_replication_groups()
        found = [own[identifier]] if identifier else list(own.values())
        others = [] if identifier else self.elasticache_backend.describe_replication_groups()
        shown = [_shown_replication_group(self._place, cache) for cache in found]
        return ActionResult({"ReplicationGroups": [*shown, *others]})

    def describe_cache_clusters(self) -> ActionResult:  # noqa: D102  moto's own form
        asked = str(self._get_params().get("CacheClusterId") or "").lower()
        own = {f"{cache.identifier}-001": cache for cache in self._caches("replication-group").values()}
        if asked not in own:
            return super().describe_cache_clusters()
        cache = own[asked]
        shown = {
            "CacheClusterId": asked,
            "CacheNodeType": "cache.t4g.micro",
            "CacheClusterStatus": cache.status,
            "Engine": cache.engine,
            "EngineVersion": cache.version,
            "NumCacheNodes": 1,
            "PreferredAvailabilityZone": f"{self._place.region}{_ZONE}",
            "ReplicationGroupId": cache.identifier,
            "SecurityGroups": [],
            "ARN": cache.arn.replace(f":replicationgroup:{cache.identifier}", f":cluster:{asked}"),
            "NetworkType": "ipv4",
            "IpDiscovery": "ipv4",
        }
        return ActionResult({"CacheClusters": [shown]})

    def modify_replication_group(self) -> ActionResult:  # noqa: D102  moto's own form
        asked = self._get_params()
        cache = self._caches("replication-group").get(str(asked["ReplicationGroupId"]).lower())
        if cache is None:
            return super().modify_replication_group()
        if asked.keys() - _CHANGES:
            raise NotImplementedError
        if cache.status != AVAILABLE:
            message = "Replication group must be in available state to modify."
            raise rules.CacheError("InvalidReplicationGroupState", message)
        self._modify_access(cache, asked)
        cache.description = asked.get("ReplicationGroupDescription") or cache.description
        return ActionResult({"ReplicationGroup": _shown_replication_group(self._place, cache)})

    def describe_serverless_caches(self) -> ActionResult:  # noqa: D102  AWS's operation
        name = str(self._get_params().get("ServerlessCacheName") or "").lower()
        own = self._caches("serverless")
        if name and name not in own:
            message = f"Serverless Cache {name} not found."
            raise rules.CacheError("ServerlessCacheNotFoundFault", message)
        found = [own[name]] if name else list(own.values())
        return ActionResult({"ServerlessCaches": [_shown_serverless(cache) for cache in found]})

    def list_tags_for_resource(self) -> ActionResult:  # noqa: D102  moto's own form
        tagged = self._tagged()
        if tagged is None:
            return super().list_tags_for_resource()
        return ActionResult({"TagList": [{"Key": key, "Value": tagged[key]} for key in tagged]})

    def add_tags_to_resource(self) -> ActionResult:  # noqa: D102  moto's own form
        tagged = self._tagged()
        if tagged is None:
            return super().add_tags_to_resource()
        tagged |= _tags(self._get_params())
        return ActionResult({"TagList": [{"Key": key, "Value": tagged[key]} for key in tagged]})

    def remove_tags_from_resource(self) -> ActionResult:  # noqa: D102  moto's own form
        tagged = self._tagged()
        if tagged is None:
            return super().remove_tags_from_resource()
        for key in self._get_params().get("TagKeys") or []:
            tagged.pop(key, None)
        return (
            EmptyResult()
            if not tagged
            else ActionResult({"TagList": [{"Key": key, "Value": tagged[key]} for key in tagged]})
        )

    def _tagged(self) -> dict[str, str] | None:
        """Return the tags of one of our objects; None if it is not ours."""
        arn = self._get_params()["ResourceName"]
        found: Changing | None = next((one for _, one in self._store.everything() if one.arn == arn), None)
        if isinstance(found, User) and found.status == MODIFYING:
            message = f"User {found.identifier} is not available for tagging."
            raise rules.CacheError("UserNotFound", message)
        return None if found is None else found.tags

    def _engine(self, asked: Mapping[str, Any]) -> str:
        engine = str(asked.get("Engine") or "").lower()
        if engine not in _ENGINES:
            listed = ", ".join(sorted(_ENGINES))
            message = f'Unknown parameter for Engine: "{engine}", must be one of: {listed}'
            raise rules.invalid(self._place, message)
        return engine

    def _group(self, identifier: str) -> Group:
        found = self._store.groups.get(identifier.lower())
        if found is None:
            raise rules.CacheError("UserGroupNotFound", f"User group {identifier} not found.")
        return found

    def _caches(self, kind: str) -> dict[str, Cache]:
        return {name: cache for name, cache in self._store.caches.items() if cache.kind == kind}

    def _modify_access(self, cache: Cache, asked: Mapping[str, Any]) -> None:
        """Begin to change who has access."""
        group, tokens = self._wanted_group(cache, asked), cache.tokens
        strategy = asked.get("AuthTokenUpdateStrategy")
        if asked.get("AuthToken") or strategy:
            self._check_token(cache, asked, group)
            tokens = self._wanted_tokens(cache, strategy or "ROTATE", asked.get("AuthToken"))
            if not asked.get("ApplyImmediately"):
                cache.waiting, tokens = tokens, cache.tokens
        elif asked.get("ApplyImmediately") and cache.waiting is not None:
            tokens = cache.waiting
        if group is not None and tokens.hashes:
            message = (
                "User group can't be associated with auth token enabled. Pass AuthStrategy delete to proceed."
            )
            raise rules.conflicting(self._place, message)
        if (group, tokens) == (cache.group, cache.tokens):
            return
        if tokens != cache.tokens:
            cache.waiting = None
        cache.wanted_group, cache.wanted_tokens, cache.status = group, tokens, MODIFYING
        changes.begin(changes.Target(self._place, "cache", cache.identifier))

    def _wanted_group(self, cache: Cache, asked: Mapping[str, Any]) -> str | None:
        wanted = cache.group
        removed = [name.lower() for name in asked.get("UserGroupIdsToRemove") or []]
        if asked.get("RemoveUserGroups") or wanted in removed:
            wanted = None
        for name in asked.get("UserGroupIdsToAdd") or []:
            group = self._group(name)
            if cache.server is None:
                message = (
                    "User group based access control requires encryption-in-transit to be enabled on the "
                    "replication group."
                )
                raise rules.conflicting(self._place, message)
            if wanted is not None:
                message = "Replication group can have only one user group."
                raise rules.conflicting(self._place, message)
            if rules.status_of(self._store, group) != "active":
                message = f"User group {group.identifier} is not active."
                raise rules.CacheError("InvalidUserGroupState", message)
            wanted = group.identifier
        return wanted

    def _check_token(self, cache: Cache, asked: Mapping[str, Any], group: str | None) -> None:
        token, strategy = asked.get("AuthToken"), asked.get("AuthTokenUpdateStrategy")
        if cache.server is None:
            message = "The AUTH token modification is only supported when encryption-in-transit is enabled."
            raise rules.conflicting(self._place, message)
        if strategy == "DELETE":
            if token or group is None or not cache.tokens.hashes:
                message = "Auth token update strategy delete is not supported currently"
                raise rules.invalid(self._place, message)
            return
        if not token:
            message = "The parameter AuthToken must be provided with AuthTokenUpdateStrategy."
            raise rules.conflicting(self._place, message)
        if not _TOKEN.fullmatch(token):
            raise rules.invalid(self._place, "Invalid AuthToken provided.")
        if group is not None:
            message = (
                "Auth tokens can't be enabled with a user group already associated. "
                "Pass RemoveUserGroups to proceed."
            )
            raise rules.conflicting(self._place, message)

    def _wanted_tokens(self, cache: Cache, strategy: str, token: str | None) -> Tokens:
        """Return the tokens after a change.

        Documented: ROTATE adds a token, keeps the last one, and leaves access open where there was none; SET
        leaves one token, which is the last one rotated. What is not documented is answered at its worst: a
        ROTATE that is repeated pushes the other token out, and SET on a single required token is an error.
        """
        before = cache.tokens
        if strategy == "DELETE":
            return Tokens()
        made = hashed(token or "")
        if strategy == "ROTATE":
            return Tokens((made, *before.hashes[:1]), before.optional)
        single = len(before.hashes) == 1 and not before.optional
        if before.hashes and (single or made != before.hashes[0]):
            message = "The SET strategy needs the AUTH token that the last ROTATE added."
            raise rules.invalid(self._place, message)
        return Tokens((made,), optional=False)


def _tags(asked: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in asked.get("Tags") or []}


def _shown_user(store: Store, user: User) -> dict[str, Any]:
    authentication: dict[str, Any] = {"Type": user.wanted.mode}
    if user.wanted.mode == PASSWORD:
        authentication["PasswordCount"] = len(user.wanted.hashes)
    return {
        "UserId": user.identifier,
        "UserName": user.name,
        "Status": user.status,
        "Engine": user.engine,
        "MinimumEngineVersion": "7.2" if user.engine == "valkey" else "6.0",
        "AccessString": user.wanted.access,
        "UserGroupIds": [group.identifier for group in store.groups_of(user.identifier)],
        "Authentication": authentication,
        "ARN": user.arn,
    }


def _shown_group(store: Store, group: Group) -> dict[str, Any]:
    caches = store.caches_of(group.identifier)
    shown: dict[str, Any] = {
        "UserGroupId": group.identifier,
        "Status": rules.status_of(store, group),
        "Engine": group.engine,
        "UserIds": group.members,
        "MinimumEngineVersion": "7.2" if group.engine == "valkey" else "6.0",
        "ReplicationGroups": [cache.identifier for cache in caches if cache.kind != "serverless"],
        "ServerlessCaches": [cache.identifier for cache in caches if cache.kind == "serverless"],
        "ARN": group.arn,
    }
    if group.add or group.remove:
        shown["PendingChanges"] = {"UserIdsToAdd": group.add, "UserIdsToRemove": group.remove}
    return shown


def _endpoint(cache: Cache, *, reader: bool = False) -> dict[str, Any]:
    found = cache.reader if reader else cache.primary
    return {"Address": found.host, "Port": found.port}


def _shown_replication_group(place: Place, cache: Cache) -> dict[str, Any]:
    encrypted = cache.server is not None
    name = f"{cache.identifier}-001"
    member = {
        "CacheClusterId": name,
        "CacheNodeId": "0001",
        "PreferredAvailabilityZone": f"{place.region}{_ZONE}",
    }
    node_group: dict[str, Any] = {"NodeGroupId": "0001", "Status": cache.status}
    if cache.clustered:
        node_group |= {"Slots": "0-16383", "NodeGroupMembers": [member]}
    else:
        node_group |= {
            "PrimaryEndpoint": _endpoint(cache),
            "ReaderEndpoint": _endpoint(cache, reader=True),
            "NodeGroupMembers": [{**member, "ReadEndpoint": _endpoint(cache), "CurrentRole": "primary"}],
        }
    pending: dict[str, Any] = {}
    tokens = cache.waiting or cache.wanted_tokens
    if tokens != cache.tokens:
        pending["AuthTokenStatus"] = "ROTATING" if tokens.hashes[1:] or tokens.optional else "SETTING"
    if cache.wanted_group != cache.group:
        pending["UserGroups"] = {
            "UserGroupIdsToAdd": [cache.wanted_group] if cache.wanted_group else [],
            "UserGroupIdsToRemove": [cache.group] if cache.group else [],
        }
    return {
        "ReplicationGroupId": cache.identifier,
        "Description": cache.description or " ",
        "GlobalReplicationGroupInfo": {},
        "Status": cache.status,
        "PendingModifiedValues": pending,
        "MemberClusters": [name],
        "NodeGroups": [node_group],
        "AutomaticFailover": "disabled",
        "MultiAZ": "disabled",
        **({"ConfigurationEndpoint": _endpoint(cache)} if cache.clustered else {}),
        "SnapshotRetentionLimit": 0,
        "SnapshotWindow": "05:00-06:00",
        "ClusterEnabled": cache.clustered,
        "CacheNodeType": "cache.t4g.micro",
        "AuthTokenEnabled": bool(cache.tokens.hashes),
        "TransitEncryptionEnabled": encrypted,
        **({"TransitEncryptionMode": cache.mode} if encrypted else {}),
        "AtRestEncryptionEnabled": False,
        "ARN": cache.arn,
        "UserGroupIds": [cache.group] if cache.group else [],
        "LogDeliveryConfigurations": [],
        "ReplicationGroupCreateTime": cache.created,
        "DataTiering": "disabled",
        "AutoMinorVersionUpgrade": True,
        "NetworkType": "ipv4",
        "IpDiscovery": "ipv4",
        "ClusterMode": "enabled" if cache.clustered else "disabled",
        "Engine": cache.engine,
    }


def _shown_serverless(cache: Cache) -> dict[str, Any]:
    return {
        "ServerlessCacheName": cache.identifier,
        "Description": cache.description or " ",
        "CreateTime": cache.created,
        "Status": cache.status,
        "Engine": cache.engine,
        "MajorEngineVersion": cache.version.partition(".")[0],
        "FullEngineVersion": cache.version,
        "SecurityGroupIds": [],
        "Endpoint": _endpoint(cache),
        "ReaderEndpoint": _endpoint(cache, reader=True),
        "ARN": cache.arn,
        **({"UserGroupId": cache.group} if cache.group else {}),
        "SubnetIds": [],
        "SnapshotRetentionLimit": 0,
        "DailySnapshotTime": "05:00",
    }
