"""A plug-in that injects work over REST while a page is open."""

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from tests.live import Site


@dataclass
class Plugin:
    """Speaks JSON to the site as one of its users."""

    site: Site
    username: str
    password: str

    def post(self, path: str, collection: str = "jobs", **body: Any) -> dict[str, Any]:
        credentials = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        request = Request(f"{self.site.url}/api/{collection}{path}", json.dumps(body).encode(), headers)
        with urlopen(request) as answer:
            return dict(json.load(answer))

    def command(self, kind: str, **parameters: Any) -> str:
        return str(self.post("", "commands", type=kind, parameters=parameters)["id"])

    def job(self, description: str, **fields: Any) -> str:
        return str(self.post("", description=description, **fields)["id"])

    def step(self, job: str, description: str = "Copy", parent: str = "", **fields: Any) -> str:
        beneath = {"parent_step": {"id": parent}} if parent else {}
        step = self.post(f"/{job}/steps", description=description, type="EXECUTING", **beneath, **fields)
        return str(step["id"])

    def end_step(self, job: str, step: str, *, succeeded: bool = True) -> None:
        self.post(f"/{job}/steps/{step}/end", succeeded=succeeded)

    def end_job(self, job: str, status: str = "FINISHED") -> None:
        self.post(f"/{job}/end", status=status)

    def progress(self, job: str, step: str = "", **fields: Any) -> None:
        self.post(f"/{job}/steps/{step}/progress" if step else f"/{job}/progress", **fields)
