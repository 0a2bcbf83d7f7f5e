"""The server is killed while services are made, reviewed and released: is any of them half done?"""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.acceptance.installed import Site
from tests.services.managing import PATH, payload

pytestmark = pytest.mark.acceptance

SERVICES = 60
KILLS = 2
COLLEAGUES = 6  # who work at once
WHOLE = """
SELECT count(*) FROM services.service AS s
WHERE EXISTS (SELECT FROM services.lifecycle AS l WHERE l.service_id = s.id)
  AND (SELECT count(*) FROM services.key AS k WHERE k.service_id = s.id) = 2
  AND (SELECT count(*) FROM operations.audit AS a
       WHERE a.subject = s.id AND a.action = 'service.create') = 1
"""
# The last that history knows is what the rows say.
UNTRUE = """
SELECT s.id FROM services.service AS s JOIN services.lifecycle AS l ON l.service_id = s.id
WHERE l.status <> (SELECT h.value FROM services.history AS h
                   WHERE h.service_id = s.id AND h.kind = 'lifecycle'
                   ORDER BY h.number DESC LIMIT 1)
   OR s.state <> coalesce((SELECT CASE h.value WHEN 'published' THEN 'published' ELSE 'approved' END
                           FROM services.history AS h
                           WHERE h.service_id = s.id AND h.kind = 'publication'
                           ORDER BY h.number DESC LIMIT 1), 'draft')
"""


def test_every_service_is_whole_however_the_server_dies(site: Site) -> None:
    server = site.serve("serve-services")
    before = site.value("SELECT count(*) FROM services.service")
    answered = threading.Semaphore(0)
    made: list[str] = []

    def ask(http: httpx.Client, method: str, path: str, body: object, key: str) -> httpx.Response:
        """Again and again until there is an answer, under one Idempotency-Key."""
        for _ in range(200):
            try:
                answer = http.request(
                    method,
                    f"{server.url}{PATH}{path}",
                    json=body,
                    headers={
                        "Ocp-Apim-Subscription-Key": site.world.manage_key,
                        "Idempotency-Key": key,
                    },
                )
            except httpx.HTTPError:
                threading.Event().wait(0.05)
                continue
            finally:
                answered.release()
            if answer.status_code not in {500, 503}:
                return answer
        raise AssertionError("no answer")

    def work(number: int) -> None:
        body = payload(name=f"Servizio {number}")
        with httpx.Client(timeout=10) as http:
            answer = ask(http, "POST", "", body, f"make-{number}")
            assert answer.status_code == 201, answer.text
            service = answer.json()["id"]
            made.append(service)
            # Asked again after a kill it may have been done: then it is no draft any more.
            asked = ask(http, "PUT", f"/{service}/review", {"auto_publish": True}, "review")
            assert asked.status_code in {204, 409}, asked.text

    for kill in range(KILLS):
        each = SERVICES // KILLS
        with ThreadPoolExecutor(COLLEAGUES) as threads:
            running = [threads.submit(work, kill * each + number) for number in range(each)]
            for _ in range(each):  # in the middle of their work
                answered.acquire()
            server.kill()
            server.start()
            server.wait_ready()
            for one in running:
                one.result()
    assert len(set(made)) == SERVICES
    assert site.value("SELECT count(*) FROM services.service") == before + SERVICES
    assert site.value(WHOLE) == before + SERVICES
    assert site.rows(UNTRUE) == []
    states = "SELECT count(*) FROM services.lifecycle WHERE status = 'submitted'"
    assert site.value(states) == SERVICES
    gaps = """SELECT count(*) FROM services.lifecycle AS l GROUP BY l.institution_id
              HAVING max(l.position) + 1 <> count(*)"""
    assert site.rows(gaps) == []
