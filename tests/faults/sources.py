"""What the coordinator's source says of itself."""

import ast
from collections.abc import Iterator

from tests.live import ROOT


def commits() -> list[str]:
    """The name of every commit, as given to `committing`, to an `Outcome` or to a function that hands it on to it."""
    modules = [ast.parse(file.read_text()) for file in (ROOT / "coordinator").rglob("*.py")]
    nodes = [node for module in modules for node in ast.walk(module)]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    handing_on, more = set[str](), {"committing", "Outcome"}
    while more - handing_on:
        handing_on |= more
        more = {each.name for each in functions if any(_names(each, handing_on, ast.Name))}
    return sorted({word for node in nodes for given in _names(node, handing_on) for word in _words(given)})


def _names(within: ast.AST, functions: set[str], kind: type[ast.expr] = ast.expr) -> Iterator[ast.expr]:
    """What calls of these functions are given first, if it is of that kind."""
    calls = ast.walk(within) if isinstance(within, ast.FunctionDef) else [within]
    for call in calls:
        named = isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in functions
        if named and call.args and isinstance(call.args[0], kind):
            yield call.args[0]


def _words(argument: ast.expr) -> Iterator[str]:
    if isinstance(argument, ast.Constant):
        yield str(argument.value)
    elif isinstance(argument, ast.IfExp):
        yield from _words(argument.body)
        yield from _words(argument.orelse)
