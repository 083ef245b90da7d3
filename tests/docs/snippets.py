"""The blocks of code in our documents, and how to run them."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NEXT = "----- next -----"


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences, and the language after the first."""

    language: str
    text: str


def blocks(document: str) -> list[Block]:
    return [Block(*match) for match in _FENCE.findall((ROOT / document).read_text())]


def run(commands: list[str], folder: Path, **environment: str) -> list[str]:
    """What each of the commands prints, run one after the other in one shell; the first to fail ends it."""
    script = f"\necho '{_NEXT}'\n".join(commands)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split(f"{_NEXT}\n")


def plain(answer: Block | str, language: str) -> Any:
    """The answer without what differs each time: ids, times, tokens; and without the addresses of what is next."""
    text = _ID.sub("ID", answer.text if isinstance(answer, Block) else answer)
    text = re.sub(r"jobs/[0-9a-f]{5}$", "jobs/I", text, flags=re.MULTILINE)  # cut off on purpose
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "TIME", text)
    text = re.sub(r"tm_[\w-]+|\b\d{13}\b", "SECRET", text)
    text = re.sub(r'(users/|"id": ?"|id=")\d+(?=")', r"\1USER", text)
    if language == "json":
        return _without_links(json.loads(text))
    if language == "xml":
        text = re.sub(r">\s+<", "><", text.strip())
        return re.sub(r"<actions>.*?</actions>|<link [^>]*/>", "", text)
    return text.strip()


def _without_links(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_links(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_links(one) for key, one in value.items() if key not in ("actions", "link")}
