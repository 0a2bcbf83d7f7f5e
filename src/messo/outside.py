"""What a process speaks to the outside with: the guarded client, the mailer, and the channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from messo.base.crypto import Secrets
from messo.base.mailer import Mailer, parse_server
from messo.base.outbound import Outbound
from messo.notifications import Channel, Letters, make_channels
from messo.payments import Node
from messo.payments import make_outbound as to_node
from messo.sandbox import payment_node
from messo.settings import Network, SettingError, Settings

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True)
class Outside:
    """Made once per process, before anything is sent; `close` at the end.

    `institutions` is a client of its own: servers of institutions that hang take no places of the
    push services.
    """

    outbound: Outbound
    institutions: Outbound
    mailer: Mailer | None
    channels: Sequence[Channel]
    letters: Letters
    node: Node | None

    @classmethod
    def of(cls, settings: Settings, secrets: Secrets) -> "Outside":
        """From the settings; nothing is connected yet. `SettingError` for a mail server that is none."""
        outbound = Outbound(networks(settings))
        mailer = _mailer(settings)
        try:
            channels = make_channels(settings, secrets, outbound, mailer)
        except ValueError as error:
            raise SettingError(
                f"MESSO_MAIL_FROM or MESSO_MAIL_RETURN_PATH is not usable: {error}"
            ) from None
        letters = Letters(secrets, configured=mailer is not None)
        node = _node(settings, secrets)
        return cls(outbound, Outbound(networks(settings)), mailer, channels, letters, node)

    async def close(self) -> None:
        """Close what is open."""
        await self.outbound.close()
        await self.institutions.close()
        if self.mailer is not None:
            await self.mailer.close()
        if self.node is not None:
            await self.node.close()


def networks(settings: Settings) -> tuple[Network, ...]:
    """What may be called although it is not public; a sandbox plays its neighbours itself."""
    return settings.outbound_networks + (_LOOPBACK if settings.sandbox else ())


def _node(settings: Settings, secrets: Secrets) -> Node | None:
    url, key = settings.payment_node_url, settings.payment_node_key
    if settings.sandbox and not url:
        url, key = payment_node.base_url(settings), payment_node.api_key(secrets)
    return Node(url, key, to_node(networks(settings))) if url else None


def _mailer(settings: Settings) -> Mailer | None:
    address = settings.mail_server
    if settings.sandbox and not address:
        address = f"smtp+plain://127.0.0.1:{settings.sandbox_mail_port}"
    if not address:
        return None
    try:
        server = parse_server(address)
    except ValueError as error:
        raise SettingError(f"MESSO_MAIL_SERVER is not usable: {error}") from None
    return Mailer(
        server,
        connections=settings.mail_connections,
        per_domain=settings.mail_connections * 4,  # most of them wait for a connection
        per_domain_minute=settings.mail_domain_minute,
    )
