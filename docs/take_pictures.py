"""Takes docs/pictures: the pages as a citizen of the sandbox sees them, on a desktop and a phone.

`bin/pictures` starts a sandbox of its own, so that the pictures are always of the same world.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from messo.base.ports import free_port

FOLDER = Path(__file__).parent / "pictures"
WIDTHS = {"desktop": 1200, "phone": 390}


def take(page: Page, base: str, name: str, size: str, path: str, *, whole: bool = True) -> None:
    if path:
        page.goto(f"{base}{path}")
    page.wait_for_load_state()
    page.evaluate("document.fonts.ready")
    page.screenshot(path=FOLDER / f"{name}-{size}.png", full_page=whole)
    print(f"{name}-{size}.png")


def world(data: Path, base: str) -> dict[str, str]:
    """The sandbox's first message of each kind, by what the pictures need."""
    described = json.loads((data / "sandbox.json").read_text())
    return {"service": described["service"]["id"], "base": base}


def open_window(browser: Browser, width: int) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        device_scale_factor=1.5,
        locale="it-IT",
        timezone_id="Europe/Rome",
    )
    return context.new_page()


def log_in(page: Page, base: str, name: str) -> None:
    page.goto(f"{base}/login")
    page.get_by_role("button", name=name).click()
    page.wait_for_url(f"{base}/")


def write_unready(playwright: Playwright, data: Path, base: str) -> None:
    """A message to Giulia whose institution is not ready to serve it."""
    described = json.loads((data / "sandbox.json").read_text())
    sender = next(one for one in described["services"] if one["name"] == "Referti")
    citizens = {one["name"]: one["fiscal_code"] for one in described["citizens"]}
    message = {
        "fiscal_code": citizens["Giulia Ferretti"],
        "feature_level_type": "ADVANCED",
        "content": {
            "subject": "La lettera di dimissione del tuo ricovero",
            "markdown": "Ciao Giulia,\n\nqui trovi la lettera di dimissione del tuo ricovero. La "
            "custodisce l'ospedale: la vedi quando apri il messaggio.",
            "third_party_data": {
                "id": "in-preparazione",
                "configuration_id": sender["configuration_id"],
                "has_remote_content": True,
                "has_attachments": True,
                "has_precondition": "NEVER",
            },
        },
    }
    playwright.request.new_context().post(
        f"{base}/api/v1/messages",
        headers={"Ocp-Apim-Subscription-Key": sender["key"]},
        data=message,
        fail_on_status_code=True,
    )


def take_pages(page: Page, base: str, service: str, size: str) -> None:
    take(page, base, "front", size, "/")
    log_in(page, base, "Giulia")
    take(page, base, "inbox", size, "")
    page.get_by_text("Tassa rifiuti").click()
    page.wait_for_url("**/messages/*")
    take(page, base, "message", size, "")
    here = page.url.removeprefix(base)
    take(page, base, "notice", size, f"{here}/notice")
    take(page, base, "reminders", size, f"{here}/reminders")
    take(page, base, "services", size, "/services")
    take(page, base, "service", size, f"/services/{service}")
    take(page, base, "preferences", size, "/preferences")
    take(page, base, "data", size, "/data")
    page.goto(f"{base}/sandbox/mail")
    page.get_by_role("link", name="Tassa rifiuti").first.click()
    page.wait_for_url("**/sandbox/mail/*")
    # What was never in view is not painted.
    page.locator("iframe").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    take(page, base, "mail", size, "")
    take(page, base, "notices", size, "/sandbox/push")
    page.goto(f"{base}/")
    page.get_by_text("Il referto dei tuoi esami").click()
    page.wait_for_url("**/messages/*")
    take(page, base, "precondition", size, "")
    page.get_by_role("button", name="Continua").click()
    page.locator(".attachments").wait_for()
    take(page, base, "remote", size, "")


def take_signing_on(page: Page, base: str, size: str) -> None:
    """From the button of a message to the institution's site, and what is left of it here."""
    log_in(page, base, "Giulia")
    page.get_by_text("Il tuo cambio di residenza").click()
    page.wait_for_url("**/messages/*")
    take(page, base, "button", size, "")
    page.locator("form[action$='/open'] button").click()
    page.wait_for_url("**/sso/consent/*")
    take(page, base, "consent", size, "")
    page.locator("button[value=agree]").click()
    page.wait_for_url("**/sandbox/sportello/**")
    take(page, base, "signed-on", size, "")
    take(page, base, "access", size, "/data/access")


def enter_console(page: Page, base: str, name: str) -> str:
    """Log somebody in; the address of their institution's pages, "" for an operator."""
    page.goto(f"{base}/console/login")
    page.get_by_role("button", name=name).click()
    page.wait_for_url(f"{base}/console")
    town = page.locator("a[href^='/console/institutions/']")
    return str(town.first.get_attribute("href")) if town.count() else ""


def take_console(page: Page, base: str, size: str) -> None:
    """What an institution's admin sees, a message from its first word to its life, an invitation."""
    town = enter_console(page, base, "Teresa Bellini")
    take(page, base, "console", size, town)
    take(page, base, "console-services", size, f"{town}/services")
    take(page, base, "figures", size, f"{town}/figures")
    page.goto(f"{base}{town}/services")
    page.get_by_role("link", name="Centri estivi").click()
    page.wait_for_load_state()
    page.goto(f"{page.url}/edit")
    take(page, base, "service-form", size, "")
    write(page, base, town)
    take(page, base, "write", size, "")
    page.get_by_role("button", name="Controlla e invia").click()
    page.locator("#reach").wait_for()
    take(page, base, "check", size, "")
    page.get_by_role("button", name="Invia", exact=True).click()
    page.locator(".timeline .at-good").nth(2).wait_for()  # the copy by e-mail
    take(page, base, "timeline", size, "")
    invite(page, base, town.rpartition("/")[2], size)


def write(page: Page, base: str, town: str) -> None:
    """A message to Giulia, up to the point where it could be sent."""
    page.goto(f"{base}{town}/write")
    page.locator("select[name=service]").select_option(label="Anagrafe e tributi")
    page.locator("input[name=fiscal_code]").fill("FRRGLI85E50Y101P")
    page.locator("input[name=subject]").fill("Il tuo appuntamento in biblioteca")
    page.locator("textarea[name=markdown]").fill(
        "Ciao Giulia,\n\nla stanza per il tuo gruppo di lettura è prenotata: **giovedì alle 17.30**, "
        "al secondo piano della biblioteca.\n\nSe non puoi venire faccelo sapere entro mercoledì, "
        "così la diamo a un altro gruppo."
    )
    page.frame_locator("#preview iframe >> nth=0").get_by_text("secondo piano").wait_for()
    page.wait_for_timeout(800)


def invite(page: Page, base: str, institution_id: str, size: str) -> None:
    """An invitation as it is opened from its mail."""
    invitations = f"{base}/messo/v1/institutions/{institution_id}/invitations"
    name = {"desktop": "nora", "phone": "sara"}[size]  # a while between two to one address
    invited = {"email": f"{name}@example.org", "role": "editor"}
    made = page.request.post(invitations, data=invited)
    if not made.ok:
        raise RuntimeError(made.text())
    page.goto(f"{base}/sandbox/mail")
    while not page.get_by_role("link", name="Il tuo invito").count():
        page.wait_for_timeout(500)
        page.reload()
    page.get_by_role("link", name="Il tuo invito").first.click()
    page.wait_for_url("**/sandbox/mail/*")
    link = page.frame_locator("iframe").locator("a[href*='/console/invitation']").first
    page.goto(str(link.get_attribute("href")))
    take(page, base, "invitation", size, "")


def take_operating(page: Page, base: str, size: str) -> None:
    """What an operator sees."""
    enter_console(page, base, "Olga Operti")
    take(page, base, "operate", size, "/console/operate")
    take(page, base, "queues", size, "/console/operate/queues")
    page.goto(f"{base}/console/operate/reviews")
    page.get_by_role("link", name="Mensa scolastica").click()
    page.wait_for_load_state()
    take(page, base, "review", size, "")


def take_paid(page: Page, base: str, size: str) -> None:
    """At the sandbox's checkout, and what is left of the notice after it."""
    log_in(page, base, "Giulia")
    page.get_by_text("Il ticket della tua visita").click()
    page.wait_for_url("**/messages/*")
    pay = page.get_by_role("link", name="Paga", exact=True)
    if pay.count():  # on the first of the two sizes
        pay.click()
        take(page, base, "checkout", size, "")
        page.locator("button[value=pay]").click()
        page.wait_for_url("**/messages/*")
    take(page, base, "paid", size, "")


def take_unready(page: Page, base: str, size: str) -> None:
    log_in(page, base, "Giulia")
    page.get_by_text("La lettera di dimissione").click()
    page.wait_for_url("**/messages/*")
    take(page, base, "remote-down", size, "")


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        operations = free_port()
        base = f"http://127.0.0.1:{port}"
        environment = {
            **os.environ,
            "MESSO_DATA": folder,
            "MESSO_PORT": str(port),
            "MESSO_OPS_PORT": str(operations),
            "MESSO_DATABASE_PORT": str(free_port()),
            "MESSO_SANDBOX_MAIL_PORT": str(free_port()),
        }
        up = subprocess.Popen(
            [sys.executable, "-m", "messo", "up"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            for line in up.stdout or ():
                if line.startswith("Ctrl-C"):
                    break
            here = world(Path(folder), base)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
                )
                for size, width in WIDTHS.items():
                    page = open_window(browser, width)
                    take_pages(page, base, here["service"], size)
                    page.context.close()
                write_unready(playwright, Path(folder), base)  # so that no inbox above has it
                for size, width in WIDTHS.items():
                    page = open_window(browser, width)
                    take_signing_on(page, base, size)
                    page.context.clear_cookies()
                    take_paid(page, base, size)
                    take_unready(page, base, size)
                    page.context.close()
                    page = open_window(browser, width)
                    take_console(page, base, size)
                    page.context.clear_cookies()
                    take_operating(page, base, size)
                    page.context.close()
                browser.close()
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)


if __name__ == "__main__":
    main()
