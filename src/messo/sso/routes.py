"""The provider's own routes: what relying parties call, and citizens' applications on the way."""

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.base.http import Route
from messo.login import Web, client_limits, web_limits
from messo.settings import Settings
from messo.sso.decision import Provider
from messo.sso.interaction_routes import InteractionRoutes
from messo.sso.keys import Keys
from messo.sso.provider_routes import ProviderRoutes


def provider_routes(settings: Settings, pool: Pool, secrets: Secrets, keys: Keys) -> list[Route]:
    """All of them. Pages are in the inbox."""
    decides = Provider.of(settings, secrets)
    web = Web(secrets, settings.public_url, web_limits(settings))
    return [
        *ProviderRoutes(pool, secrets, keys, settings).routes(),
        *InteractionRoutes(pool, decides, web, client_limits(settings)).routes(),
    ]
