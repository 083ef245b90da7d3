"""Things and collections as texts, in the format of a wire."""

from api import json, xml
from api.wire import Members, Wire


def one(wire: Wire, name: str, members: Members) -> str:
    """The text of a thing; in JSON it has no name."""
    return json.dumps(members, wire.dialect) if wire.json else xml.element(name, members)


def several(wire: Wire, root: str, name: str, texts: list[str], **others: object) -> str:
    """The text of a collection of things that are written already, with `others` of its members behind them."""
    if wire.json:
        behind = "," + json.dumps(others, wire.dialect)[1:-1] if others else ""
        return f'{{"{name}":[{",".join(texts)}]{behind}}}'
    inner = "".join([*texts, *(xml.element(*other) for other in others.items())])
    return f"<{root}>{inner}</{root}>" if inner else f"<{root}/>"
