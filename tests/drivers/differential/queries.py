"""Random SELECTs."""

import random

from .expressions import KINDS, Expressions, Item
from .tables import BIG, DATE, INT, TABLES, TEXT, Table


def scope_of(table: Table, alias: str) -> list[Item]:
    """A table's columns under an alias."""
    return [Item(f"{alias}.{column.name}", column.kind) for column in table.columns]


def _predicate(rng: random.Random, scope: list[Item]) -> str:
    return Expressions(rng, scope).predicate()


def _where(rng: random.Random, scope: list[Item], share: float = 0.7) -> str:
    return f" WHERE {_predicate(rng, scope)}" if rng.random() < share else ""


class Query:
    """One SELECT; all its output columns are named `c1`, `c2`, …, so that both sides agree."""

    def __init__(self, rng: random.Random):
        self.rng = rng

    def text(self) -> str:
        """The statement. Its rows have no order unless ORDER BY names every column."""
        shapes = (
            self._plain, self._plain, self._joined, self._joined, self._grouped, self._grouped,
            self._windowed, self._sets, self._with, self._subqueries, self._derived, self._distinct,
            self._merged,
        )  # fmt: skip
        return self.rng.choice(shapes)()

    def _source(self) -> tuple[str, list[Item]]:
        """One to three joined tables and what they bring into scope."""
        rng = self.rng
        first = rng.choice(TABLES)
        text, scope = f"{first.qualified} t0", scope_of(first, "t0")
        for position in range(1, rng.choice((1, 1, 2, 2, 3))):
            table, alias = rng.choice(TABLES), f"t{position}"
            joined = scope_of(table, alias)
            pairs = [(a, b) for a in scope for b in joined if a.kind == b.kind]
            if not pairs:
                continue
            a, b = rng.choice(pairs)
            kind = rng.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
            more = ""
            if kind != "FULL JOIN" and rng.random() < 0.3:
                more = f" AND {_predicate(rng, joined)}"
            text += f" {kind} {table.qualified} {alias} ON {a.text} = {b.text}{more}"
            scope = scope + joined
        return text, scope

    def _items(self, scope: list[Item], count: int | None = None) -> list[str]:
        make = Expressions(self.rng, scope)
        count = count or self.rng.randint(1, 4)
        return [make.of(self.rng.choice(KINDS)) for _ in range(count)]

    @staticmethod
    def _named(items: list[str]) -> str:
        return ", ".join(f"{item} AS c{n}" for n, item in enumerate(items, 1))

    def _limited(self, body: str, columns: int) -> str:
        """Sometimes ordered by every column, and then sometimes cut."""
        rng = self.rng
        if rng.random() < 0.4:
            return body
        direction = [rng.choice(("", " DESC", " NULLS FIRST", " DESC NULLS LAST")) for _ in range(columns)]
        body += " ORDER BY " + ", ".join(f"{n}{d}" for n, d in enumerate(direction, 1))
        if rng.random() < 0.6:
            body += f" LIMIT {rng.randint(0, 20)}"
            if rng.random() < 0.4:
                body += f" OFFSET {rng.randint(0, 20)}"
        return body

    def _plain(self) -> str:
        table = self.rng.choice(TABLES)
        scope = scope_of(table, "t0")
        items = self._items(scope)
        body = f"SELECT {self._named(items)} FROM {table.qualified} t0{_where(self.rng, scope)}"
        return self._limited(body, len(items))

    def _joined(self) -> str:
        source, scope = self._source()
        items = self._items(scope)
        body = f"SELECT {self._named(items)} FROM {source}{_where(self.rng, scope, 0.5)}"
        return self._limited(body, len(items))

    def _distinct(self) -> str:
        source, scope = self._source()
        items = self._items(scope, self.rng.randint(1, 2))
        body = f"SELECT DISTINCT {self._named(items)} FROM {source}{_where(self.rng, scope)}"
        return self._limited(body, len(items))

    def _grouped(self) -> str:
        rng = self.rng
        source, scope = self._source()
        make = Expressions(rng, scope)
        keys = self._items(scope, rng.randint(0, 2)) if rng.random() < 0.8 else []
        keys = list(dict.fromkeys(keys))
        aggregates = [make.aggregate().text for _ in range(rng.randint(1, 3))]
        items = keys + aggregates
        body = f"SELECT {self._named(items)} FROM {source}{_where(rng, scope, 0.4)}"
        if keys:
            grouping = ", ".join(str(n) for n in range(1, len(keys) + 1))
            form = rng.choice(("{}", "{}", "{}", "ROLLUP ({})", "CUBE ({})"))
            if form != "{}":
                grouping = ", ".join(keys)
            body += " GROUP BY " + form.format(grouping)
        if rng.random() < 0.3:
            body += f" HAVING count(*) {rng.choice('<>')} {rng.randint(0, 9)}"
        return self._limited(body, len(items))

    def _windowed(self) -> str:
        """Window functions whose answer does not depend on the order of equal rows."""
        rng = self.rng
        table = rng.choice(TABLES)
        scope = scope_of(table, "t0")
        make = Expressions(rng, scope)
        order = ", ".join(f"{item.text}{rng.choice(('', ' DESC'))}" for item in scope)
        over = f"PARTITION BY {make.leaf(rng.choice(KINDS))} ORDER BY {order}"
        part = f"PARTITION BY {make.leaf(rng.choice(KINDS))}"
        item = make.column()
        functions = [
            f"row_number() OVER ({over})",
            f"rank() OVER ({over})",
            f"dense_rank() OVER ({over})",
            f"lag({item.text}) OVER ({over})",
            f"lead({item.text}, 2) OVER ({over})",
            f"first_value({item.text}) OVER ({over})",
            f"count({item.text}) OVER ({part})",
            f"max({item.text}) OVER ({part})",
            f"sum({make.leaf(INT)}) OVER ({over} ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
            f"count(*) OVER ({over} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING)",
            f"ntile({rng.randint(1, 5)}) OVER ({over})",
        ]
        items = [item.text for item in scope] + rng.sample(functions, 2)
        return f"SELECT {self._named(items)} FROM {table.qualified} t0{_where(rng, scope)}"

    def _merged(self) -> str:
        """Two or three sides joined by USING or NATURAL: the columns they share are one.

        They stand first in each side, for in `*` DuckDB leaves them where the left side has them.
        """
        rng = self.rng
        shared = [Item("a", INT), Item("b", rng.choice((INT, BIG, TEXT, DATE)))][: rng.choice((1, 1, 2))]
        sides = [t for t in TABLES if all(self._of_kind(t, item.kind) for item in shared)]
        text, scope = "", list(shared)
        for position in range(rng.choice((2, 2, 3))):
            table, alias = rng.choice(sides), f"t{position}"
            own = rng.choice(table.columns)
            items = [f"{rng.choice(self._of_kind(table, item.kind))} AS {item.text}" for item in shared]
            items.append(f"{own.name} AS p{position}")
            inner = f"(SELECT {', '.join(items)} FROM {table.qualified} WHERE {self._few(table)}) {alias}"
            scope += [Item(f"{alias}.{item.text}", item.kind) for item in shared]
            scope.append(Item(rng.choice((f"p{position}", f"{alias}.p{position}")), own.kind))
            kind = rng.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
            using = f" USING ({', '.join(item.text for item in shared)})"
            if rng.random() < 0.3:
                kind, using = f"NATURAL {kind}", ""
            text += inner if position == 0 else f" {kind} {inner}{using}"
        where = _where(rng, scope, 0.3)
        if rng.random() < 0.3:
            return f"SELECT * FROM {text}{where}"
        if rng.random() < 0.3:
            aggregate = Expressions(rng, scope).aggregate().text
            return f"SELECT a AS c1, {aggregate} AS c2 FROM {text}{where} GROUP BY a"
        items = [shared[0].text, *self._items(scope, 2)]
        return self._limited(f"SELECT {self._named(items)} FROM {text}{where}", len(items))

    @staticmethod
    def _of_kind(table: Table, kind: str) -> list[str]:
        return [column.name for column in table.columns if column.kind == kind]

    def _few(self, table: Table) -> str:
        """A predicate that leaves few rows: joins by columns that are no keys multiply."""
        return f"{self._of_kind(table, INT)[0]} BETWEEN {self.rng.randint(-9, 0)} AND {self.rng.randint(1, 9)}"

    def _branch(self, kinds: list[str]) -> str:
        table = self.rng.choice(TABLES)
        scope = scope_of(table, "t0")
        make = Expressions(self.rng, scope)
        items = [make.of(kind, 1) for kind in kinds]
        return f"SELECT {self._named(items)} FROM {table.qualified} t0{_where(self.rng, scope)}"

    def _sets(self) -> str:
        rng = self.rng
        kinds = [rng.choice(KINDS) for _ in range(rng.randint(1, 2))]
        operator = rng.choice(
            ("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL")
        )
        body = f"({self._branch(kinds)}) {operator} ({self._branch(kinds)})"
        return self._limited(body, len(kinds))

    def _with(self) -> str:
        rng = self.rng
        table = rng.choice(TABLES)
        scope = scope_of(table, "t0")
        kinds = [rng.choice(KINDS) for _ in range(3)]
        make = Expressions(rng, scope)
        inner = self._named([make.of(kind) for kind in kinds])
        outer_scope = [Item(f"q.c{n}", kind) for n, kind in enumerate(kinds, 1)]
        items = self._items(outer_scope, 2)
        body = (
            f"WITH q AS (SELECT {inner} FROM {table.qualified} t0{_where(rng, scope)}) "
            f"SELECT {self._named(items)} FROM q{_where(rng, outer_scope)}"
        )
        return self._limited(body, len(items))

    def _derived(self) -> str:
        rng = self.rng
        table = rng.choice(TABLES)
        scope = scope_of(table, "t0")
        key = Expressions(rng, scope).column()
        aggregate = Expressions(rng, scope).aggregate()
        inner = (
            f"SELECT {key.text} AS k, {aggregate.text} AS v FROM {table.qualified} t0 "
            f"GROUP BY {key.text}"
        )
        outer = [Item("d.k", key.kind), Item("d.v", aggregate.kind)]
        items = self._items(outer, 2)
        body = f"SELECT {self._named(items)} FROM ({inner}) d{_where(rng, outer)}"
        return self._limited(body, len(items))

    def _subqueries(self) -> str:
        rng = self.rng
        table, other = rng.choice(TABLES), rng.choice(TABLES)
        scope, inner = scope_of(table, "t0"), scope_of(other, "s")
        pairs = [(a, b) for a in scope for b in inner if a.kind == b.kind] or [
            (Item("1", INT), Item("1", INT))
        ]
        a, b = rng.choice(pairs)
        condition = _predicate(rng, inner)
        aggregate = Expressions(rng, inner).aggregate()
        tests = [
            f"{a.text} IN (SELECT {b.text} FROM {other.qualified} s WHERE {condition})",
            f"{a.text} NOT IN (SELECT {b.text} FROM {other.qualified} s WHERE {condition})",
            f"EXISTS (SELECT 1 FROM {other.qualified} s WHERE {b.text} = {a.text} AND {condition})",
            f"NOT EXISTS (SELECT 1 FROM {other.qualified} s WHERE {b.text} = {a.text})",
            f"(SELECT count(*) FROM {other.qualified} s WHERE {condition}) > {rng.randint(0, 50)}",
        ]
        scalar = f"(SELECT {aggregate.text} FROM {other.qualified} s WHERE {condition})"
        items = [*self._items(scope, 2), rng.choice((scalar, "1", f"({rng.choice(tests)})"))]
        test = rng.choice(tests)
        if rng.random() < 0.3:
            test = f"({test}) {rng.choice(('AND', 'OR'))} {_predicate(rng, scope)}"
        body = f"SELECT {self._named(items)} FROM {table.qualified} t0 WHERE {test}"
        return self._limited(body, len(items))


