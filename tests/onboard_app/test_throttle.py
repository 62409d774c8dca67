"""What nginx holds back in front of the application: trying passwords, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "templates" / "nginx" / "aircraft.conf.j2"
TAKE_PASSWORDS = ("portal.joined", "users.add", "users.erase", "users.log_in")

pytestmark = pytest.mark.postgres


def test_whoever_tries_passwords_is_counted_by_address_and_nobody_else_is(client):
    site = SITE.read_text()
    (body,) = re.findall(r'map "\$request_method \$uri" \$tries_password \{(.*?)\}', site, re.S)
    kinds = dict(re.findall(r"^\s+(.+) (\S+);$", body, re.M))
    routes = client.application.url_map.iter_rules()
    taken = {f'"POST {route.rule}"' for route in routes if route.endpoint in TAKE_PASSWORDS}
    assert len(taken) == len(TAKE_PASSWORDS)
    assert kinds == {"default": '""', **dict.fromkeys(taken, "$binary_remote_addr")}


def test_they_are_held_back_with_an_answer_of_our_own():
    site = SITE.read_text()
    assert re.search(r"^limit_req_zone \$tries_password zone=passwords:", site, re.M)
    assert re.search(r"^    limit_req zone=passwords burst=\d+ nodelay;$", site, re.M)
    answers = re.findall(r"error_page 429 (@\w+);", site)
    assert len(answers) == 2, "one for people, one for programs"
    for place in answers:
        assert re.search(rf"location {place} {{[^}}]*?return 429 ", site)
