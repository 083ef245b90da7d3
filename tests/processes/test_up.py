"""`manage.py up`, for real."""

import urllib.request

from tests.live import Site


def test_it_answers(site: Site) -> None:
    with urllib.request.urlopen(f"{site.url}/admin/login/") as answer:
        assert answer.status == 200
