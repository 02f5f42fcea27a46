"""Networks of the servers that rotation functions reach."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from components.rotation_function import Network
from program.desired import rotation_function


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A server that a rotation function reaches.

    Attributes:
        network: where the rotation function must run; None outside any VPC.
        certificate_authorities: PEM text of authorities to trust besides Amazon's; may be empty.
    """

    network: Network | None
    certificate_authorities: str

    @property
    def function_name(self) -> str:
        """Logical name of the rotation function of its network."""
        return rotation_function(
            [str(subnet) for subnet in self.network.subnet_ids] if self.network else None
        )


def merged(servers: Iterable[Reached]) -> tuple[Network | None, str]:
    """Return the network and the certificate authorities of the function of these servers.

    Args:
        servers: servers with the same subnets.
    """
    networks, authorities = [], []
    for server in servers:
        networks += [server.network] if server.network else []
        authorities += [server.certificate_authorities.strip()] if server.certificate_authorities else []
    text = "".join(f"{authority}\n" for authority in dict.fromkeys(authorities))
    if not networks:
        return None, text
    groups = sorted({str(group) for network in networks for group in network.security_group_ids})
    return replace(networks[0], security_group_ids=groups), text
