"""MemoryDB: users, ACLs, and the clusters that were registered; everything else is moto's.

Source: MemoryDB API Reference; MemoryDB Developer Guide, "Authenticating users with Access Control Lists".
"""

from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.memorydb import urls
from moto.memorydb.responses import MemoryDBResponse

from tools.localcloud.emulator.caches import changes, rules
from tools.localcloud.emulator.caches.model import (
    ACTIVE,
    AVAILABLE,
    CREATING,
    DELETING,
    MEMORYDB,
    OPEN_ACCESS,
    PASSWORD,
    UPDATING,
    Cache,
    Group,
    Place,
    Store,
    User,
    store_of,
)

# What UpdateCluster may be asked of a registered cluster; nothing else changes a server that runs here.
_CHANGES = {"ClusterName", "Description", "ACLName"}


def take_the_place_of_motos() -> None:
    """Replace moto's MemoryDB; call this before moto's first request."""
    urls.url_paths["{0}/$"] = MemoryDB.dispatch


class MemoryDB(MemoryDBResponse):
    """One request; moto calls the method that is named after its operation."""

    def __init__(self) -> None:
        super().__init__()
        self.automated_parameter_parsing = True

    @property
    def _place(self) -> Place:
        return Place(MEMORYDB, self.current_account, self.region)

    @property
    def _store(self) -> Store:
        return store_of(self._place)

    def create_user(self) -> ActionResult:  # noqa: D102  moto's own form
        asked = self._get_params()
        made = rules.create_user(
            self._place,
            self._store,
            identifier=asked["UserName"],
            name=str(asked["UserName"]).lower(),
            engine="redis",
            login=rules.asked_login(self._place, asked, None),
            tags=_tags(asked),
        )
        return ActionResult({"User": _shown_user(self._store, made)})

    def describe_users(self) -> ActionResult:  # noqa: D102  moto's own form
        name, users = self._get_params().get("UserName"), list(self._store.users.values())
        if self._get_params().get("Filters"):
            raise NotImplementedError
        if name:
            users = [rules.user_of(self._place, self._store, name)]
        return ActionResult({"Users": [_shown_user(self._store, user) for user in users]})

    def update_user(self) -> ActionResult:  # noqa: D102  moto's own form
        asked = self._get_params()
        user = rules.user_of(self._place, self._store, asked["UserName"])
        rules.require_active(self._place, user)
        rules.modify_user(self._place, user, rules.asked_login(self._place, asked, user.wanted))
        return ActionResult({"User": _shown_user(self._store, user)})

    def delete_user(self) -> ActionResult:  # noqa: D102  moto's own form
        user = rules.user_of(self._place, self._store, self._get_params()["UserName"])
        rules.require_active(self._place, user)
        rules.delete_user(self._place, user)
        return ActionResult({"User": _shown_user(self._store, user)})

    def create_acl(self) -> ActionResult:  # noqa: D102  AWS's operation
        asked = self._get_params()
        name = str(asked["ACLName"]).lower()
        if name in self._store.groups:
            raise rules.CacheError("ACLAlreadyExistsFault", f"ACL {name} already exists.")
        members = [str(member).lower() for member in asked.get("UserNames") or []]
        rules.check_members(self._place, self._store, "redis", members)
        made = Group(
            identifier=name,
            engine="redis",
            arn=self._place.arn("acl", name),
            members=members,
            status=CREATING,
            tags=_tags(asked),
        )
        self._store.groups[name] = made
        changes.begin(changes.Target(self._place, "group", name))
        return ActionResult({"ACL": _shown_acl(self._store, made)})

    def describe_ac_ls(self) -> ActionResult:  # noqa: D102  moto's name for DescribeACLs
        name = self._get_params().get("ACLName")
        found = [self._acl(name)] if name else list(self._store.groups.values())
        return ActionResult({"ACLs": [_shown_acl(self._store, acl) for acl in found]})

    def update_acl(self) -> ActionResult:  # noqa: D102  AWS's operation
        asked = self._get_params()
        acl = self._changeable(asked["ACLName"])
        rules.modify_group(
            self._place,
            self._store,
            acl,
            asked.get("UserNamesToAdd") or [],
            asked.get("UserNamesToRemove") or [],
        )
        return ActionResult({"ACL": _shown_acl(self._store, acl)})

    def delete_acl(self) -> ActionResult:  # noqa: D102  AWS's operation
        acl = self._changeable(self._get_params()["ACLName"])
        if rules.status_of(self._store, acl) != ACTIVE or self._store.caches_of(acl.identifier):
            raise rules.CacheError(
                "InvalidACLStateFault", f"ACL {acl.identifier} is in use or is being changed."
            )
        acl.status = DELETING
        changes.begin(changes.Target(self._place, "group", acl.identifier))
        return ActionResult({"ACL": _shown_acl(self._store, acl)})

    def describe_clusters(self) -> ActionResult:  # noqa: D102  moto's own form
        asked = self._get_params()
        name, details = str(asked.get("ClusterName") or "").lower(), bool(asked.get("ShowShardDetails"))
        own = self._store.caches
        if name and name not in own:
            return super().describe_clusters()
        others = []
        if not name:
            kept = self.memorydb_backend.describe_clusters()
            others = [one.to_desc_dict() if details else one.to_dict() for one in kept]
        found = [own[name]] if name else list(own.values())
        shown = [_shown_cluster(self._place, cluster, details=details) for cluster in found]
        return ActionResult({"Clusters": [*shown, *others]})

    def update_cluster(self) -> ActionResult:  # noqa: D102  moto's own form
        asked = self._get_params()
        cluster = self._store.caches.get(str(asked["ClusterName"]).lower())
        if cluster is None:
            return super().update_cluster()
        if asked.keys() - _CHANGES:
            raise NotImplementedError
        if cluster.status != AVAILABLE:
            message = f"Cluster {cluster.identifier} is not in the available state."
            raise rules.CacheError("InvalidClusterStateFault", message)
        cluster.description = asked.get("Description") or cluster.description
        if asked.get("ACLName"):
            wanted = self._acl(asked["ACLName"]).identifier
            if cluster.server is None and wanted != OPEN_ACCESS:
                message = f"Clusters without TLS must use the ACL {OPEN_ACCESS}."
                raise rules.conflicting(self._place, message)
            cluster.wanted_group, cluster.status = wanted, UPDATING
            changes.begin(changes.Target(self._place, "cache", cluster.identifier))
        return ActionResult({"Cluster": _shown_cluster(self._place, cluster, details=False)})

    def list_tags(self) -> ActionResult:  # noqa: D102  moto's own form
        tagged = self._tagged()
        return super().list_tags() if tagged is None else _shown_tags(tagged)

    def tag_resource(self) -> ActionResult:  # noqa: D102  moto's own form
        tagged = self._tagged()
        if tagged is None:
            return super().tag_resource()
        tagged |= _tags(self._get_params())
        return _shown_tags(tagged)

    def untag_resource(self) -> ActionResult:  # noqa: D102  moto's own form
        tagged = self._tagged()
        if tagged is None:
            return super().untag_resource()
        for key in self._get_params().get("TagKeys") or []:
            tagged.pop(key, None)
        return _shown_tags(tagged)

    def _tagged(self) -> dict[str, str] | None:
        """Return the tags of one of our objects; None if it is not ours."""
        arn = self._get_params()["ResourceArn"]
        return next((one.tags for _, one in self._store.everything() if one.arn == arn), None)

    def _acl(self, name: str) -> Group:
        found = self._store.groups.get(name.lower())
        if found is None:
            raise rules.CacheError("ACLNotFoundFault", f"ACL {name} not found.")
        return found

    def _changeable(self, name: str) -> Group:
        found = self._acl(name)
        if found.identifier == OPEN_ACCESS:
            raise rules.invalid(self._place, f"ACL {OPEN_ACCESS} can't be modified or deleted.")
        return found


def _tags(asked: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in asked.get("Tags") or []}


def _shown_tags(tagged: Mapping[str, str]) -> ActionResult:
    return ActionResult({"TagList": [{"Key": key, "Value": value} for key, value in tagged.items()]})


def _shown_user(store: Store, user: User) -> dict[str, Any]:
    authentication: dict[str, Any] = {"Type": user.wanted.mode}
    if user.wanted.mode == PASSWORD:
        authentication["PasswordCount"] = len(user.wanted.hashes)
    return {
        "Name": user.name,
        "Status": user.status,
        "AccessString": user.wanted.access,
        "ACLNames": [acl.identifier for acl in store.groups_of(user.identifier)],
        "MinimumEngineVersion": "6.2",
        "Authentication": authentication,
        "ARN": user.arn,
    }


def _shown_acl(store: Store, acl: Group) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Name": acl.identifier,
        "Status": rules.status_of(store, acl),
        "UserNames": acl.members,
        "MinimumEngineVersion": "6.2",
        "Clusters": [cluster.identifier for cluster in store.caches_of(acl.identifier)],
        "ARN": acl.arn,
    }
    if acl.add or acl.remove:
        shown["PendingChanges"] = {"UserNamesToAdd": acl.add, "UserNamesToRemove": acl.remove}
    return shown


def _shown_cluster(place: Place, cluster: Cache, *, details: bool) -> dict[str, Any]:
    endpoint = {"Address": cluster.primary.host, "Port": cluster.primary.port}
    node = {
        "Name": f"{cluster.identifier}-0001-001",
        "Status": "available",
        "AvailabilityZone": f"{place.region}a",
        "CreateTime": cluster.created,
        "Endpoint": endpoint,
    }
    shard = {"Name": "0001", "Status": "available", "Slots": "0-16383", "Nodes": [node], "NumberOfNodes": 1}
    pending = {"ACLs": {"ACLToApply": cluster.wanted_group}} if cluster.wanted_group != cluster.group else {}
    return {
        "Name": cluster.identifier,
        "Description": cluster.description,
        "Status": cluster.status,
        **({"PendingUpdates": pending} if pending else {}),
        "NumberOfShards": 1,
        **({"Shards": [shard]} if details else {}),
        "AvailabilityMode": "singleaz",
        "ClusterEndpoint": endpoint,
        "NodeType": "db.t4g.small",
        "Engine": cluster.engine,
        "EngineVersion": ".".join(cluster.version.split(".")[:2]),
        "EnginePatchVersion": cluster.version,
        "ParameterGroupName": f"default.memorydb-{cluster.engine}{cluster.version.partition('.')[0]}",
        "ParameterGroupStatus": "in-sync",
        "SecurityGroups": [],
        "SubnetGroupName": "default",
        "TLSEnabled": cluster.server is not None,
        "ARN": cluster.arn,
        "SnapshotRetentionLimit": 0,
        "MaintenanceWindow": "wed:08:00-wed:09:00",
        "SnapshotWindow": "05:00-06:00",
        "ACLName": cluster.group,
        "AutoMinorVersionUpgrade": True,
        "DataTiering": "false",
        "NetworkType": "ipv4",
        "IpDiscovery": "ipv4",
    }
