"""What a sandbox serves beside the platform: neighbours that it plays itself."""

from starlette.routing import BaseRoute

from messo.base import log
from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.sandbox import institution
from messo.sandbox.identity import IdentityProvider
from messo.sandbox.mail_page import MailPages
from messo.sandbox.mail_sink import MailSink
from messo.sandbox.notices import lookup, teller
from messo.sandbox.payment_node import PaymentNode
from messo.sandbox.push_sink import PushSink
from messo.sandbox.relying_party import RelyingParty
from messo.settings import Settings

logger = log.get(__name__)


class Sandbox:
    """All of it, in one server process."""

    def __init__(self, settings: Settings, secrets: Secrets, pool: Pool) -> None:
        self._mail = MailSink(settings.sandbox_mail_port)
        self._identity = IdentityProvider(settings)
        self._push = PushSink(secrets)
        self._node = PaymentNode(settings, secrets, lookup(pool), teller(pool, secrets))
        self._site = RelyingParty(settings, secrets, pool)
        self._secrets = secrets

    def routes(self) -> list[BaseRoute]:
        """Pages and endpoints, all under `/sandbox`."""
        return [
            *self._identity.routes(),
            *MailPages(self._mail).routes(),
            *self._push.routes(),
            *self._node.routes(),
            *self._site.routes(),
            institution.route(self._secrets),
        ]

    async def start(self) -> None:
        """Listen for mail, unless another server of the same sandbox does."""
        try:
            await self._mail.start()
        except OSError as error:
            logger.warning("the sandbox's mail server is not here", exc_info=error)

    async def stop(self) -> None:
        """Stop listening."""
        await self._mail.stop()
        await self._site.close()
