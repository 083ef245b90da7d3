"""What ovirt-shell 3.6.9.2 sends, recorded from it under Python 2.7, in the order in which it sends it."""

from tests.clients.raw import DECLARATION, Answer, Line, basic, line

LAST = {
    "Authorization": basic("plugin@internal"),
    "User-Agent": "PycURL/7.43.0.5 libcurl/7.88.1 OpenSSL/3.0.19 zlib/1.2.13 brotli/1.0.9",
    "Version": "3",
    "Content-Type": "application/xml",
    "Accept": "application/xml",
    "Filter": "False",
}
HEADERS = {**LAST, "Prefer": "persistent-auth"}
JOB = "<job>\n    <description>Nightly backup</description>\n    <auto_cleared>true</auto_cleared>\n</job>\n"
STEP = "<step>\n    <description>Copy disks</description>\n    <type>executing</type>\n</step>\n"
SUB_STEP = """<step>
    <description>Disk 1</description>
    <parent_step id="{}"/>
    <type>executing</type>
</step>
"""
END_STEP = "<action>\n    <succeeded>true</succeeded>\n</action>\n"
END_JOB = """<action>
    <force>true</force>
    <status>
        <state>FINISHED</state>
    </status>
</action>
"""


class Shell:
    """One session; every answer must be one that the shell's SDK can read."""

    def __init__(self, open_line: Line) -> None:
        self.line = open_line

    def get(self, path: str = "", headers: dict[str, str] = HEADERS) -> Answer:
        return self.known(self.line.send("GET", f"/ovirt-engine/api{path}", headers), 200)

    def post(self, path: str, body: str, status: int) -> Answer:
        return self.known(self.line.send("POST", f"/ovirt-engine/api{path}", HEADERS, body.encode()), status)

    def known(self, answer: Answer, status: int) -> Answer:
        assert (answer.status, answer.kind.partition(";")[0]) == (status, "application/xml"), answer.body
        assert answer.body.startswith(DECLARATION)
        return answer


def test_a_session_from_connecting_to_disconnecting(origin: str) -> None:
    with line(origin) as open_line:
        shell = Shell(open_line)
        for _ in range(2):  # as it connects
            assert shell.get().xml.find("product_info/version").get("major") == "4"  # type: ignore[union-attr]
        added = shell.post("/jobs", JOB, 201).xml
        job = f"/jobs/{added.get('id')}"
        assert (added.findtext("status/state"), added.findtext("auto_cleared")) == ("STARTED", "true")
        shell.get("/jobs")

        shell.get(job)
        step = shell.post(f"{job}/steps", STEP, 201).xml
        shell.get(job)
        inner = shell.post(f"{job}/steps", SUB_STEP.format(step.get("id")), 201).xml
        assert inner.find("parent_step").get("id") == step.get("id")  # type: ignore[union-attr]
        shell.get(job)
        assert len(shell.get(f"{job}/steps").xml) == 2

        shell.get(job)
        shell.get(f"{job}/steps/{step.get('id')}")
        for path, sent in (
            (f"{job}/steps/{step.get('id')}/end", END_STEP),
            (f"{job}/end", END_JOB),
            (f"{job}/clear", "<action/>\n"),
        ):
            done = shell.post(path, sent, 200).xml
            assert (done.tag, done.findtext("status/state")) == ("action", "complete")
            assert shell.get(job).xml.tag == "job"
        assert shell.get(job).xml.findtext("status/state") == "FINISHED"
        assert shell.get("", LAST).xml.tag == "api"  # as it disconnects


def test_what_is_refused_can_be_printed(origin: str) -> None:
    with line(origin) as open_line:
        shell = Shell(open_line)
        refused = shell.post("/jobs", "<job>\n    <description></description>\n</job>\n", 400)
        assert refused.fault == {
            "reason": "Operation Failed",
            "detail": "[Cannot add External Job. Description can not be empty.]",
        }
