"""A message or a service as its citizens will see it, for whoever is writing it.

The page is the inbox's own, from the same templates; nothing in it leads anywhere.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment
from msgspec import UNSET

from messo.base import clock
from messo.inbox import calendar
from messo.inbox.launch_page import Shown
from messo.inbox.payment_shown import PaymentShown, shown
from messo.inbox.rendering import environment
from messo.inbox.services_pages import CONTACTS, letters_of, name_of
from messo.messages import buttons, checks, markdown
from messo.messages.citizen_view import Line, Payment
from messo.messages.mailbox_wire import Category
from messo.messages.wire import Content, PaymentData, ThirdPartyData
from messo.pages.languages import Language, Texts
from messo.payments import Notice
from messo.recipients import ServiceChoice
from messo.services.catalog import Service
from messo.services.topics import OTHER

# Within what our templates and nh3 write, a quote in an attribute is always escaped.
_TAG = re.compile(r"<(a|form|button|input)\b((?:[^>\"]|\"[^\"]*\")*)>")
_LEADS = re.compile(r"\s(?:href|action|method|target|name|value)=\"[^\"]*\"")


@dataclass(frozen=True)
class Preview:
    """Makes whole pages as text. `on_loopback`: as for the buttons that citizens are shown.

    `can_pay`: whether this installation knows where notices are paid.
    """

    on_loopback: bool
    can_pay: bool = True

    def message(
        self, service: Service, content: Content, language: Language, sent_at: datetime | None
    ) -> str:
        """The page of a message with this content from this service, however little is there.

        `sent_at`: None while it is being written.
        """
        line = _line(service, content, sent_at or clock.now())
        third = _third(content)
        is_remote = bool(third.has_remote_content)
        return _page(
            "preview_message.html",
            language,
            line=line,
            subject=line.subject,
            body=markdown.render(content.markdown),
            shown=self._buttons(content.markdown, language),
            service=service,
            payment=_payment(line) if line.payment else None,
            can_pay=self.can_pay,
            calendars=calendar.calendar_links(line.organization_name, line.due_date, language)
            if line.due_date
            else [],
            is_remote=is_remote,
            attachments=None if third.has_attachments else [],
            failure=None,
        )

    def service(self, service: Service, language: Language, logos: tuple[str, str]) -> str:
        """The page of a service, as somebody sees it who lets it write.

        `logos`: the addresses of its own and of its institution's, "" where there is none.
        """
        return _page(
            "preview_service.html",
            language,
            service=service,
            logo=logos[0],
            institution_logo=logos[1],
            letters=letters_of(service.institution_name),
            topic_name="" if service.topic == OTHER else name_of(language, service.topic),
            description=markdown.render(service.description) if service.description else "",
            shown=self._buttons(service.metadata["cta"], language),
            can_be_reached=any(service.metadata[name] for name in CONTACTS),
            choice=ServiceChoice(True, True, True, True, 0),
            inbox_open=True,
        )

    def _buttons(self, text: str, language: Language) -> Shown:
        found = buttons.of_message(text, language, sso_on_loopback=self.on_loopback)
        return Shown(found, "", lambda _: "")


def _page(template: str, language: Language, **values: Any) -> str:  # noqa: ANN401
    context = Texts(language, "messo.inbox").context()
    page = _templates().get_template(template).render(csrf="", **context, **values)
    return leading_nowhere(page)


@cache
def _templates() -> Environment:
    return environment()


def leading_nowhere(page: str) -> str:
    """A page of ours with its links and forms dead, and their looks kept."""

    def dead(found: re.Match[str]) -> str:
        tag, attributes = found[1], _LEADS.sub("", found[2])
        if tag == "a":
            return f'<a role="link" aria-disabled="true"{attributes}>'
        if tag == "button":
            return f'<button type="button"{attributes}>'
        if tag == "input" and 'type="hidden"' in attributes:
            return ""
        return f"<{tag}{attributes}>"

    return _TAG.sub(dead, page)


def _third(content: Content) -> ThirdPartyData:
    third = content.third_party_data
    return ThirdPartyData("") if third is UNSET else third


def _line(service: Service, content: Content, sent_at: datetime) -> Line:
    third, due, payment = _third(content), content.due_date, content.payment_data
    return Line(
        id="",
        fiscal_code="",
        service_id=service.id,
        service_name=service.name,
        organization_name=service.institution_name,
        organization_fiscal_code=service.fiscal_code,
        department_name=service.department,
        subject=content.subject,
        created_at=sent_at,
        time_to_live=0,
        is_read=False,
        is_archived=False,
        due_date=None if due is UNSET else checks.moment(due),
        payment=None if payment is UNSET else _notice(payment, service.fiscal_code),
        has_attachments=bool(third.has_attachments),
        has_remote_content=bool(third.has_remote_content),
        has_precondition=third.has_precondition in {"ALWAYS", "ONCE"},
        category=Category("GENERIC"),
    )


def _notice(payment: PaymentData, sender: str) -> Payment:
    return Payment(
        payment.amount,
        payment.notice_number,
        sender if payment.payee is UNSET else payment.payee.fiscal_code,
        bool(payment.invalid_after_due_date),
    )


def _payment(line: Line) -> PaymentShown:
    """The notice as it stands on the day it is sent: the node knows it, and nobody has paid."""
    assert line.payment is not None, "this message has no notice"  # noqa: S101
    notice = Notice(line.payment.payee_fiscal_code, line.payment.notice_number)
    found = shown(line, notice, None)
    state = "unpaid" if found.state == "unknown" else found.state
    return replace(found, state=state, seen_at=clock.now(), is_fresh=True)
