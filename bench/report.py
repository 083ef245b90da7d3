"""Figures of all cases as rows, medians of rounds, and a table that shows each beside its floors."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles

Figures = dict[str, float]
OURS, DJANGO, LIMIT = "ours", "django", "limit"


@dataclass(frozen=True, slots=True)
class Row:
    """What one target showed in one situation, for instance ours with 8 clients on SQLite."""

    case: str
    database: str
    situation: str
    target: str  # begins with ours, or is another
    figures: Figures


@dataclass(frozen=True, slots=True)
class Table:
    """How a case is shown: its title, the figures by key, and the one that ratios are made of."""

    case: str
    title: str
    columns: Mapping[str, str]
    key: str
    floors: Sequence[str] = (LIMIT, DJANGO)


def medians(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure over the rounds."""
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


def percentiles(seconds: Sequence[float]) -> Figures:
    """p50, p95 and p99 in milliseconds."""
    cuts = quantiles(seconds, n=100) if len(seconds) > 1 else list(seconds) * 99
    return {f"p{n}": cuts[n - 1] * 1000 for n in (50, 95, 99)}


def ratio(rows: Iterable[Row], row: Row, key: str, floor: str) -> float | None:
    """The row's figure by that of the floor in the same situation."""
    for other in rows:
        same = (other.case, other.database, other.situation) == (row.case, row.database, row.situation)
        if same and other.target == floor and other.figures.get(key):
            return row.figures[key] / other.figures[key]
    return None


def text(rows: Sequence[Row], tables: Iterable[Table]) -> str:
    """The tables in Markdown."""
    return "\n\n".join(_table(shown, table, rows) for table in tables if (shown := _of(rows, table.case)))


def dumps(rows: Iterable[Row], machine: Figures) -> str:
    return json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1)


def _of(rows: Iterable[Row], case: str) -> list[Row]:
    return [row for row in rows if row.case == case]


def _table(shown: list[Row], table: Table, rows: Sequence[Row]) -> str:
    heads = ["database", "", "target", *table.columns.values(), *(f"of {floor}" for floor in table.floors)]
    lines = [_line(heads), _line(["---"] * 3 + ["---:"] * (len(heads) - 3))]
    for row in shown:
        ratios = [ratio(rows, row, table.key, floor) for floor in table.floors]
        figures = [_number(row.figures.get(key)) for key in table.columns]
        lines.append(
            _line([row.database, row.situation, row.target, *figures, *(_number(one) for one in ratios)])
        )
    return "\n".join([f"## {table.title}", "", *lines])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
