"""The sandbox's institution server: remote content as an institution would serve it, and badly.

It is built with the library that institutions get. Whoever asks is the recipient, so that any
message may name these ids; what each is good for stands in `IDS`.
"""

import asyncio
from base64 import urlsafe_b64encode
from pathlib import Path

from starlette.routing import Mount

from messo.base.crypto import Secrets
from messo.settings import Settings
from messo_client.remote import Asked, Attachment, Detail, NotReady, Precondition, RemoteContent

PATH = "/sandbox/institution"
HEADER = "X-API-Key"
IDS = {
    "referto-1": "two attachments, something to accept first",
    "ricevuta-1": "text and one attachment",
    "in-preparazione": "not ready: 503, come again in 30 seconds",
    "lento": "too slow: nothing within the bound",
    "sbagliato": "a text that is too short",
    "programma": "an attachment with JavaScript in it",
}
_FILES = Path(__file__).with_name("static") / "attachments"
_SLOW_S = 30
_ACCESS = Precondition(
    "Prima di aprire il referto",
    "Il referto contiene **dati sulla tua salute**. Assicurati che nessuno guardi il tuo schermo.\n\n"
    "Se vuoi, puoi farti spiegare i risultati dal tuo medico.",
)


def remote_content(secrets: Secrets) -> RemoteContent:
    """What the sandbox's institutions serve."""
    return RemoteContent(
        detail=_detail, attachment=_attachment, keys=[api_key(secrets)], header=HEADER
    )


def route(secrets: Secrets) -> Mount:
    """All of it, under `/sandbox/institution`."""
    return Mount(PATH, app=remote_content(secrets).asgi)


def api_key(secrets: Secrets) -> str:
    """Always the same in one installation, and known to nobody else."""
    digest = secrets.keyed_digest("sandbox.institution")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def base_url(settings: Settings) -> str:
    """Where the server is, as the same machine reaches it."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  compared, not bound
    return f"http://{everywhere.get(settings.host, settings.host)}:{settings.port}{PATH}"


async def _detail(asked: Asked) -> Detail | None:
    if asked.message_id == "in-preparazione":
        raise NotReady(30)
    if asked.message_id == "lento":
        await asyncio.sleep(_SLOW_S)
    if asked.message_id not in IDS:
        return None
    if asked.message_id == "sbagliato":
        return Detail(asked.fiscal_code, "Esami del sangue del 4 novembre", "Troppo corto.")
    if asked.message_id == "referto-1":
        return Detail(
            asked.fiscal_code,
            "Esami del sangue del 4 novembre: il referto",
            "Ciao,\n\ni risultati degli esami del **4 novembre** sono pronti. Tutti i valori sono "
            "nella norma.\n\n## Che cosa trovi qui\n\n* il **referto** firmato dal laboratorio\n"
            "* la **ricevuta** del ticket\n\nPortali con te alla prossima visita.",
            [_listed("referto", "Referto.pdf"), _listed("ricevuta", "Ricevuta ticket.pdf")],
            _ACCESS,
        )
    name = "script" if asked.message_id == "programma" else "ricevuta"
    return Detail(
        asked.fiscal_code,
        "La ricevuta del tuo ticket",
        "Ciao,\n\nabbiamo ricevuto il pagamento del ticket. La ricevuta è qui sotto: conservala "
        "per la dichiarazione dei redditi.",
        [_listed(name, f"{name.title()}.pdf")],
    )


async def _attachment(_: Asked, attachment_id: str) -> Path:
    return _FILES / f"{attachment_id}.pdf"


def _listed(name: str, shown: str) -> Attachment:
    return Attachment(name, name=shown, size=(_FILES / f"{name}.pdf").stat().st_size)
