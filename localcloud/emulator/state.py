"""The emulator's data on disk: all of it survives a restart, and a kill loses half a second at the most."""

import fcntl
import io
import os
import pickle
import sys
import threading
import uuid
import weakref
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from moto import backends
from moto.core.base_backend import BaseBackend

from localcloud.emulator import secrets_service

# Services of moto whose objects are kept. A service that was never called holds nothing and costs nothing.
SERVICES = (
    "kms",
    "iam",
    "sts",
    "awslambda",
    "logs",
    "events",
    "sns",
    "sqs",
    "cloudwatch",
    "ec2",
    "ecs",
    "rds",
    "eks",
)
_SAVE_SECONDS = 0.3
_LOCKS = (type(threading.Lock()), type(threading.RLock()))


@dataclass(frozen=True)
class Restored:
    """`instance` names this data: it is new whenever the emulator begins with none."""

    instance: str
    restored: bool


def _private_key(saved: bytes) -> object:
    return load_der_private_key(saved, None)


class _Pickler(pickle.Pickler):
    """Leaves out locks, which only the process that made them can use, and names moto's services."""

    def persistent_id(self, item: object) -> Any:  # noqa: ANN401  pickle's own form
        if isinstance(item, _LOCKS):
            return "RLock" if isinstance(item, _LOCKS[1]) else "Lock"
        if isinstance(item, BaseBackend):
            module = next(
                kind.__module__ for kind in type(item).__mro__ if kind.__module__.startswith("moto.")
            )
            return module.split(".")[1], item.account_id, item.region_name
        return None

    def reducer_override(self, item: object) -> Any:  # noqa: ANN401  pickle's own form
        if isinstance(item, (RSAPrivateKey, EllipticCurvePrivateKey)):  # every key of KMS has one
            saved = item.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            return _private_key, (saved,)
        if isinstance(item, weakref.WeakValueDictionary):  # Lambda's; whoever else has them keeps them
            return weakref.WeakValueDictionary, (dict(item),)
        if isinstance(item, defaultdict) and getattr(item.default_factory, "__name__", "") == "<lambda>":
            return defaultdict, (type(item.default_factory()), dict(item))  # type: ignore[misc]  # it has a name
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, kind: Any) -> object:  # noqa: ANN401  pickle's own form
        if isinstance(kind, tuple):
            service, account, region = kind
            return backends.get_backend(service)[account][region]
        return threading.RLock() if kind == "RLock" else threading.Lock()


def _contents() -> dict[str, Any]:
    """Service to account to region to the attributes of moto's object for it."""
    return {
        service: {
            account: {region: vars(backend) for region, backend in regions.items()}
            for account, regions in backends.get_backend(service).items()  # type: ignore[call-overload]  # moto wants a literal
        }
        for service in SERVICES
        if f"moto.{service}.models" in sys.modules
    }


def _adopt(contents: Mapping[str, Any]) -> None:
    for service, accounts in contents.items():
        backend_dict = backends.get_backend(service)  # type: ignore[call-overload]  # moto wants a literal
        for account, regions in accounts.items():
            for region, attributes in regions.items():
                vars(backend_dict[account][region]).update(attributes)


def load(path: Path) -> Restored:
    """Takes over what was saved; a file that cannot be read is moved aside and said so."""
    if not path.exists():
        return Restored(str(uuid.uuid4()), restored=False)
    try:
        with path.open("rb") as file:
            saved = _Unpickler(file).load()
        instance, contents, stores = saved["instance"], saved["moto"], saved["secrets"]
        _adopt(contents)
        secrets_service.STORES.update(stores)
        return Restored(instance, restored=True)
    except Exception as error:  # noqa: BLE001  whatever a damaged pickle does
        aside = path.with_name(f"{path.name}.unreadable")
        path.rename(aside)
        print(
            f"The data of the local cloud cannot be read ({type(error).__name__}); it was moved to "
            f"{aside.name}. The local cloud begins empty.",
            file=sys.stderr,
            flush=True,
        )
        return Restored(str(uuid.uuid4()), restored=False)


def claim(path: Path) -> None:
    """Keeps the data to this process until it ends.

    Raises:
        SystemExit: another emulator has it, or the folder cannot be written.
    """
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(
            f"Another local cloud is running on {path}: both would overwrite each other's data. Stop it."
        )
    except OSError as error:
        sys.exit(f"The local cloud cannot keep its data in {path.parent} ({error.strerror}).")


def save(path: Path, instance: str, quiet: AbstractContextManager[Any]) -> None:
    """Writes everything; `quiet` keeps requests out while it is put into bytes."""
    buffer = io.BytesIO()
    with quiet:
        _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(
            {"instance": instance, "moto": _contents(), "secrets": secrets_service.STORES}
        )
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class Saver:
    """Saves soon after something has changed, in a thread of its own, and at the end."""

    def __init__(self, path: Path, instance: str, quiet: AbstractContextManager[Any]) -> None:
        self._path, self._instance, self._quiet = path, instance, quiet
        self._changed, self._end = threading.Event(), threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """A request may have changed something."""
        self._changed.set()

    def finish(self) -> None:
        """Saves what is not saved yet, and keeps requests out for good: no answer may outlive its effect."""
        self._end.set()
        self._changed.set()
        self._thread.join()
        ExitStack().enter_context(self._quiet)
        self._save()

    def _run(self) -> None:
        self._save()
        while not self._end.is_set():
            self._changed.wait()
            if self._end.wait(_SAVE_SECONDS):
                return
            self._changed.clear()
            self._save()

    def _save(self) -> None:
        """Saves, or says once that it cannot, and tries again."""
        try:
            save(self._path, self._instance, self._quiet)
        except Exception as error:  # noqa: BLE001  whatever it is, the next save may succeed
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            if not self._failed:
                print(
                    f"The local cloud cannot save its data to {self._path} ({reason}). It tries again while "
                    "it runs; what has changed since is lost if it is stopped before that succeeds.",
                    file=sys.stderr,
                    flush=True,
                )
            self._failed = True
            self._changed.set()
        else:
            self._failed = False
