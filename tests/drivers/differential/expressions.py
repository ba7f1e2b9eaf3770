"""Random typed expressions that both dialects read the same way.

Left out on purpose, because the dialects differ by decision and not by mistake: `/` between
integers, text forms of doubles and timestamps, and arithmetic that overflows.
"""

import random
from typing import NamedTuple

from .tables import BIG, BOOL, DATE, EXACT, INT, REAL, TEXT, TIME, WORDS, literal, value

KINDS = (INT, BIG, REAL, EXACT, TEXT, BOOL, DATE, TIME)
_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
_DEPTH_MAX = 3


class Item(NamedTuple):
    """Something an expression can name: a column as it is written, and its type."""

    text: str
    kind: str


class Expressions:
    """Makes expressions over the items in scope."""

    def __init__(self, rng: random.Random, scope: list[Item]):
        self.rng = rng
        self.scope = scope

    def of(self, kind: str, depth: int = 0) -> str:
        """An expression of a type."""
        if depth >= _DEPTH_MAX or self.rng.random() < 0.35:
            return self.leaf(kind)
        if self.rng.random() < 0.2:
            return self._any_kind(kind, depth + 1)
        return {
            INT: self._integer,
            BIG: self._big,
            REAL: self._real,
            EXACT: self._exact,
            TEXT: self._text,
            BOOL: self.predicate,
            DATE: self._date,
            TIME: self._time,
        }[kind](depth + 1)

    def leaf(self, kind: str) -> str:
        """A column in scope, or a literal."""
        columns = [item.text for item in self.scope if item.kind == kind]
        if columns and self.rng.random() < 0.75:
            return self.rng.choice(columns)
        return literal(value(self.rng, kind), kind)

    def column(self) -> Item:
        """Any column in scope."""
        return self.rng.choice(self.scope)

    def _any_kind(self, kind: str, depth: int) -> str:
        a, b = self.of(kind, depth), self.of(kind, depth)
        return self.rng.choice(
            (
                f"CASE WHEN {self.predicate(depth)} THEN {a} ELSE {b} END",
                f"CASE WHEN {self.predicate(depth)} THEN {a} END",
                f"COALESCE({a}, {b})",
                f"NULLIF({a}, {b})",
            )
        )

    def _integer(self, depth: int) -> str:
        rng, a = self.rng, self.of(INT, depth)
        return rng.choice(
            (
                f"({self.leaf(INT)} {rng.choice('+-*')} {rng.randint(-9, 9)})",
                f"({self.leaf(INT)} % {rng.randint(2, 9)})",
                f"(- {self.leaf(INT)})",
                f"abs({self.leaf(INT)})",
                f"CAST(length({self.of(TEXT, depth)}) AS INT)",
                f"CAST({self.of(rng.choice((REAL, EXACT)), depth)} AS INT)",
                f"TRY_CAST({self.of(rng.choice((REAL, EXACT)), depth)} AS INT)",
                f"greatest({a}, {self.of(INT, depth)})",
                f"least({a}, {self.of(INT, depth)})",
                f"CAST(extract({rng.choice(('year', 'month', 'day'))} FROM {self.leaf(DATE)}) AS INT)",
            )
        )

    def _big(self, depth: int) -> str:
        return self.rng.choice(
            (
                f"CAST({self.of(INT, depth)} AS BIGINT)",
                f"CAST({self.of(self.rng.choice((REAL, EXACT)), depth)} AS BIGINT)",
                f"({self.leaf(BIG)} {self.rng.choice('+-')} {self.rng.randint(0, 99)})",
                f"({self.leaf(BIG)} % {self.rng.randint(2, 99)})",
                f"CAST(strpos({self.of(TEXT, depth)}, {self.leaf(TEXT)}) AS BIGINT)",
            )
        )

    def _real(self, depth: int) -> str:
        return self.rng.choice(
            (
                f"({self.leaf(REAL)} {self.rng.choice('+-*')} {self.leaf(REAL)})",
                f"abs({self.of(REAL, depth)})",
                f"floor({self.of(REAL, depth)})",
                f"ceil({self.of(REAL, depth)})",
                f"CAST({self.of(INT, depth)} AS DOUBLE)",
                f"({self.leaf(REAL)} / 4.0e0)",
            )
        )

    def _exact(self, depth: int) -> str:
        return self.rng.choice(
            (
                f"CAST({self.leaf(EXACT)} {self.rng.choice('+-')} {self.leaf(EXACT)} AS {EXACT})",
                f"abs({self.of(EXACT, depth)})",
                f"(- {self.leaf(EXACT)})",
                f"CAST({self.leaf(INT)} AS {EXACT})",
            )
        )

    def _text(self, depth: int) -> str:
        rng, a = self.rng, self.of(TEXT, depth)
        return rng.choice(
            (
                f"({a} || {self.leaf(TEXT)})",
                f"upper({a})",
                f"lower({a})",
                f"substr({a}, {rng.randint(1, 3)}, {rng.randint(0, 4)})",
                f"replace({a}, 'a', {literal(rng.choice(WORDS), TEXT)})",
                f"trim({a})",
                f"concat({a}, {self.leaf(TEXT)})",
                f"CAST({self.leaf(INT)} AS TEXT)",
                f"CAST({self.leaf(DATE)} AS TEXT)",
                f"left({a}, {rng.randint(0, 3)})",
                f"reverse({a})",
            )
        )

    def _date(self, depth: int) -> str:
        return self.rng.choice(
            (
                f"CAST({self.leaf(TIME)} AS DATE)",
                f"CAST(date_trunc('month', {self.leaf(DATE)}) AS DATE)",
                f"CAST({self.leaf(DATE)} + INTERVAL '{self.rng.randint(-40, 40)} days' AS DATE)",
            )
        )

    def _time(self, depth: int) -> str:
        unit = self.rng.choice(("hour", "day", "month", "year"))
        return self.rng.choice(
            (
                f"date_trunc('{unit}', {self.leaf(TIME)})",
                f"({self.leaf(TIME)} + INTERVAL '{self.rng.randint(-90, 90)} minutes')",
                f"CAST({self.leaf(DATE)} AS TIMESTAMP)",
            )
        )

    def predicate(self, depth: int = 0) -> str:
        """A truth value, often NULL."""
        rng = self.rng
        if depth >= _DEPTH_MAX:
            return self.leaf(BOOL)
        kind = rng.choice(KINDS)
        a = self.of(kind, depth + 1)
        items = ", ".join(literal(value(rng, kind), kind) for _ in range(rng.randint(1, 4)))
        pattern = literal(rng.choice(("a%", "%b", "%", "_", "%\\%%", "A_", "%é%")), TEXT)
        choices = [
            f"({a} {rng.choice(_COMPARISONS)} {self.of(kind, depth + 1)})",
            f"({a} {rng.choice(_COMPARISONS)} {literal(value(rng, kind, False), kind)})",
            f"({a} IS {rng.choice(('', 'NOT '))}NULL)",
            f"({a} BETWEEN {self.leaf(kind)} AND {self.leaf(kind)})",
            f"({a} {rng.choice(('', 'NOT '))}IN ({items}))",
            f"({a} IS {rng.choice(('', 'NOT '))}DISTINCT FROM {self.leaf(kind)})",
            f"({self.of(TEXT, depth + 1)} {rng.choice(('', 'NOT '))}LIKE {pattern} ESCAPE '\\')",
            f"({self.of(TEXT, depth + 1)} ILIKE 'a%')",
            f"(NOT {self.predicate(depth + 1)})",
            f"({self.predicate(depth + 1)} AND {self.predicate(depth + 1)})",
            f"({self.predicate(depth + 1)} OR {self.predicate(depth + 1)})",
            f"({self.predicate(depth + 1)} IS {rng.choice(('TRUE', 'FALSE', 'NOT TRUE', 'NOT FALSE'))})",
        ]
        return rng.choice(choices)

    def aggregate(self) -> Item:
        """An aggregate over the scope, and its type."""
        rng = self.rng
        filtered = f" FILTER (WHERE {self.predicate(1)})" if rng.random() < 0.2 else ""
        kind = rng.choice((INT, BIG, EXACT, REAL, TEXT, DATE))
        choices = [
            Item(f"count(*){filtered}", BIG),
            Item(f"count({self.of(rng.choice(KINDS), 1)}){filtered}", BIG),
            Item(f"count(DISTINCT {self.leaf(kind)}){filtered}", BIG),
            Item(f"min({self.of(kind, 1)}){filtered}", kind),
            Item(f"max({self.of(kind, 1)}){filtered}", kind),
            Item(f"sum({self.of(INT, 1)}){filtered}", BIG),
            Item(f"sum({self.leaf(EXACT)}){filtered}", EXACT),
            Item(f"sum({self.leaf(REAL)}){filtered}", REAL),
            Item(f"avg({self.of(INT, 1)}){filtered}", REAL),
            Item(f"bool_and({self.predicate(1)}){filtered}", BOOL),
            Item(f"bool_or({self.predicate(1)}){filtered}", BOOL),
        ]
        return rng.choice(choices)
