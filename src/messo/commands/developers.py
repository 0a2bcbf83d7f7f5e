"""Commands of developers at institutions: they speak to a running server, as any client does."""

import json
import sys
import urllib.error
import urllib.request
from typing import Annotated, Any

import typer

from messo.commands.database import StoppedError, console, shown
from messo.settings import Settings

commands = typer.Typer()

BaseUrl = Annotated[str, typer.Option("--url", envvar="MESSO_URL", help="Where Messo answers.")]
Key = Annotated[
    str, typer.Option("--key", envvar="MESSO_KEY", help="A service key. Default: the sandbox's.")
]


@commands.command()
def send(
    fiscal_code: str,
    subject: Annotated[str, typer.Option(help="10 to 120 characters.")],
    markdown: Annotated[str, typer.Option(help="80 to 10,000 characters; - reads standard input.")],
    *,
    url: BaseUrl = "http://127.0.0.1:8480",
    key: Key = "",
    reference: Annotated[str | None, typer.Option(help="Your own reference.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Makes a repeat harmless.")] = None,
) -> None:
    """Send a message as a service, and say its id."""
    text = sys.stdin.read() if markdown == "-" else markdown
    headers = {"X-Messo-Reference": reference, "Idempotency-Key": idempotency_key}
    body = {"fiscal_code": fiscal_code, "content": {"subject": subject, "markdown": text}}
    answer = _ask(f"{url}/api/v1/messages", key, body, headers)
    print(answer["id"])  # noqa: T201  for a script


@commands.command()
def status(
    message_id: str,
    *,
    url: BaseUrl = "http://127.0.0.1:8480",
    key: Key = "",
) -> None:
    """The whole life of a message you sent."""
    life = _ask(f"{url}/messo/v1/messages/{message_id}", key)
    reason = f" ({life['rejection_reason']})" if "rejection_reason" in life else ""
    console.print(f"[bold]{shown(life['status'])}[/bold]{shown(reason)}")
    for event in life["events"]:
        console.print(f"  {event['at']}  {event['kind']} {event.get('channel', '')}".rstrip())


@commands.command()
def check(
    fiscal_code: str,
    *,
    url: BaseUrl = "http://127.0.0.1:8480",
    key: Key = "",
) -> None:
    """Whether a service may write to a citizen."""
    found = _ask(f"{url}/api/v1/profiles", key, {"fiscal_code": fiscal_code})
    allowed = "may" if found["sender_allowed"] else "may not"
    languages = ", ".join(found.get("preferred_languages", [])) or "no language chosen"
    console.print(f"Enrolled; this service {allowed} write to them ({languages}).")


def _ask(
    url: str,
    key: str,
    body: dict[str, Any] | None = None,
    headers: dict[str, str | None] | None = None,
) -> dict[str, Any]:
    """One call of the API; a refusal becomes a sentence with its title and detail."""
    given = {name: value for name, value in (headers or {}).items() if value}
    given |= {
        "Ocp-Apim-Subscription-Key": key or _sandbox_key(),
        "Content-Type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, given)  # noqa: S310  the address the person gave
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        try:
            problem = json.load(error)
        except ValueError:
            problem = {}
        title = problem.get("title") or problem.get("message") or error.reason
        detail = problem.get("detail", "")
        raise StoppedError(f"{error.code} {title}. {detail}".strip()) from None
    except urllib.error.URLError as error:
        raise StoppedError(f"{url} does not answer ({error.reason}); is Messo running?") from None


def _sandbox_key() -> str:
    path = Settings.read().data / "sandbox.json"
    if not path.exists():
        raise StoppedError("give a service key with --key or MESSO_KEY")
    key: str = json.loads(path.read_text())["service"]["key"]
    return key
