"""Writing a message: the form or its JSON, with what the citizen will see beside it."""

from collections.abc import Awaitable, Sequence
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.routing import Route

from messo.base.http import Problem
from messo.base.utf16 import utf16_length
from messo.console import write_check, write_words
from messo.console.navigation import of_institution
from messo.console.visit import Afterwards, Visit, institution_page
from messo.console.write_desk import Desk, advanced, desk_of, started
from messo.console.write_draft import Draft, blank, read, to_form, to_json
from messo.console.write_look import look_of
from messo.console.write_words import Wrong
from messo.messages.characters import without_tricks
from messo.pages.languages import LANGUAGES, Texts, keep_language


def routes() -> list[Route]:
    """What is typed travels in forms: addresses carry nothing of a message."""
    return [
        institution_page("/write", "console.write", "send", show),
        institution_page("/write", "console.write_on", "send", go_on, ("POST",)),
        institution_page("/write/preview", "console.write_preview", "send", look, ("POST",)),
        institution_page("/write/check", "console.write_check", "send", check, ("POST",)),
        institution_page("/write/send", "console.write_send", "send", send, ("POST",)),
    ]


async def show(visit: Visit) -> Response | Afterwards:
    """An empty form."""
    write_check.charge(visit, visit.site.previewing)
    desk, draft = await started(visit, blank())
    if visit.query("as") == "json":
        draft = to_json(draft, advanced=advanced(visit))
    return lambda: _form(visit, desk, draft)


async def go_on(visit: Visit) -> Response | Afterwards:
    """The form as it was left: after looking at it, the other way to write it, in another language."""
    write_check.charge(visit, visit.site.previewing)
    _speak(visit)
    desk, draft = await desk_of(visit, read(visit.form))
    wanted, note = visit.form.get("go"), ""
    if wanted == "json":
        draft = to_json(draft, advanced=advanced(visit))
    elif wanted == "form":
        turned = to_form(draft, advanced=advanced(visit))
        if turned is None:
            note = visit.texts.text(
                "The form cannot say all that is in this JSON, or it is not complete. So it "
                "stays JSON: nothing is lost."
            )
        draft = turned or draft
    return lambda: _spoken(visit, _form(visit, desk, draft, note=note))


async def look(visit: Visit) -> Response | Afterwards:
    """The preview and the advice alone, asked for while somebody types."""
    desk, draft = await desk_of(visit, read(visit.form))
    if desk.service is None:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    write_check.charge(visit, visit.site.previewing)

    async def answer() -> Response:
        return visit.page("write_look.html", look=await look_of(visit, desk, draft), draft=draft)

    return answer


async def check(visit: Visit) -> Response | Afterwards:
    """Everything in order, before it is sent; or the form with what is wrong."""
    return await _passed(visit, write_check.show)


async def send(visit: Visit) -> Response | Afterwards:
    """Sent, to the recipient or to oneself, once however often it is asked."""
    return await _passed(visit, write_check.send)


async def _passed(visit: Visit, then: write_check.Step) -> Afterwards:
    """Through what the form itself knows, and then the gates of the API."""
    write_check.charge(visit, visit.site.previewing)
    _speak(visit)
    desk, draft = await desk_of(visit, read(visit.form))
    errors = write_words.own_errors(
        visit.texts, draft, desk.sender, check_digits=visit.site.send.check_digits
    )
    if not desk.is_known:
        errors = {"service": _about_service(visit, desk, draft), **errors}
    if errors:
        return lambda: _spoken(visit, _form(visit, desk, draft, Wrong(errors=errors)))
    assert desk.sender is not None  # noqa: S101  it is known
    assert desk.service is not None  # noqa: S101
    sender, service = desk.sender, desk.service

    async def run() -> Response:
        write_check.charge(visit, visit.site.writing)
        body = write_check.body_of(visit, draft)
        try:
            checked = await visit.site.send.check(sender, body)
        except Problem as problem:
            wrong = write_words.wrong_of(visit.texts, draft, problem, sender)
            return await _form(visit, desk, draft, wrong)
        return await then(visit, write_check.Ready(desk, draft, sender, service, checked))

    return lambda: _spoken(visit, run())


async def _form(
    visit: Visit, desk: Desk, draft: Draft, wrong: Wrong | None = None, note: str = ""
) -> Response:
    found = wrong or Wrong(200)
    return visit.page(
        "write.html",
        found.status,
        desk=desk,
        draft=draft,
        is_begun=visit.request.method == "POST",
        wrong=wrong,
        errors=found.errors,
        note=note,
        look=await look_of(visit, desk, draft),
        lengths={name: utf16_length(draft.get(name)) for name in ("subject", "markdown")},
        options=_options(visit, desk),
        is_advanced=advanced(visit),
    )


def _options(visit: Visit, desk: Desk) -> Sequence[tuple[str, str]]:
    draft = visit.texts.text("draft")
    return [
        (one.id, f"{name} ({draft})" if one.state == "draft" else name)
        for one in desk.services
        for name in (without_tricks(one.name),)
    ]


def _speak(visit: Visit) -> None:
    """In the language that a button of this form asks for: leaving for it would lose the draft."""
    chosen = next((one for one in LANGUAGES if one == visit.form.get("language")), None)
    if chosen is not None:
        visit.texts = Texts(chosen, "messo.console")
        path = visit.request.url.path
        visit.sections = of_institution(visit.texts, visit.here, visit.access, path)


async def _spoken(visit: Visit, answer: Awaitable[Response]) -> Response:
    """The answer, and the browser remembers the language if one was asked for."""
    response = await answer
    if visit.form.get("language") == visit.texts.language:
        secure = urlsplit(visit.site.settings.public_url).scheme == "https"
        keep_language(response, visit.texts.language, secure=secure)
    return response


def _about_service(visit: Visit, desk: Desk, draft: Draft) -> str:
    if desk.many and len(desk.services) > 1 and draft.get("service"):
        return visit.texts.text("Several services are called like this: choose one.")
    if draft.get("service"):
        return visit.texts.text("No service that can write is called like this.")
    return visit.texts.text("Choose the service that writes.")
