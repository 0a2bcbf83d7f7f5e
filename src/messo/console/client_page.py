"""The page of one site: its settings in words, and the addresses that its developers need."""

from datetime import datetime

from starlette.responses import Response

from messo.console.client_words import (
    ALGORITHMS,
    CLAIMS,
    ENVIRONMENTS,
    METHODS,
    PROTECTIONS,
    SUBJECTS,
    advice_of,
    label,
)
from messo.console.visit import Visit
from messo.services.listed import find_name
from messo.sso.client_wire import SsoClient
from messo.sso.registration import Asked, environment_of, service_id_of


def asked_for(visit: Visit) -> Asked:
    """The client in the path. `Problem` 400 for what can be none."""
    given = visit.request.path_params
    return Asked(
        visit.access.institution_id,
        service_id_of(given["service"]),
        environment_of(given["environment"]),
    )


async def client_page(
    visit: Visit,
    client: SsoClient,
    *,
    status: int = 200,
    done: str = "",
    error: str = "",
    is_new: bool = False,
) -> Response:
    """With the secret, if one was just made: it is in this answer and in no other."""
    texts = visit.texts
    service = await find_name(visit.conn, visit.access.institution_id, client.service_id)
    issuer = client.issuer
    return visit.page(
        "client_one.html",
        status,
        client=client,
        service_name=service.name if service else client.service_id,
        secret=client.client_secret or "",
        is_new=is_new,
        addresses=[
            (texts.text("Issuer"), issuer),
            (texts.text("Discovery"), f"{issuer}/.well-known/openid-configuration"),
            (texts.text("Client id"), client.client_id),
        ],
        environment=label(texts, ENVIRONMENTS, client.environment),
        settings=[
            (
                texts.text("How it proves who it is"),
                label(texts, METHODS, client.token_endpoint_auth_method),
            ),
            (
                texts.text("What each request carries"),
                label(texts, PROTECTIONS, client.request_protection),
            ),
            (texts.text("How people are named"), label(texts, SUBJECTS, client.subject_type)),
            (
                texts.text("What people may refuse"),
                ", ".join(
                    [label(texts, CLAIMS, one) for one in client.optional_claims]
                    + [texts.text("Email")]
                ),
            ),
            (
                texts.text("Signature of tokens"),
                label(texts, ALGORITHMS, client.id_token_signed_response_alg),
            ),
            (
                texts.text("Level of assurance"),
                client.level or texts.text("Whatever the login had"),
            ),
        ],
        advice=[advice_of(texts, found) for found in client.advice],
        old_until=(
            datetime.fromisoformat(client.old_secret_until) if client.old_secret_until else None
        ),
        has_secret=client.token_endpoint_auth_method != "private_key_jwt",  # noqa: S105  no password
        done=done,
        error=error,
    )
