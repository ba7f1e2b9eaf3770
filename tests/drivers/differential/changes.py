"""Random INSERT, UPDATE, DELETE and MERGE statements."""

import random

from .expressions import Expressions
from .queries import scope_of
from .tables import TABLES, Table, literal, value

_ROWS_MAX = 5


class Change:
    """One statement that writes, and the table it writes to."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.table: Table = rng.choice(TABLES)

    def text(self) -> str:
        """The statement."""
        shapes = [
            self._insert, self._insert, self._insert_select, self._update, self._update,
            self._update_from, self._delete, self._delete_using,
        ]  # fmt: skip
        if self.table.key:
            shapes += [self._upsert, self._upsert, self._merge, self._merge]
        return self.rng.choice(shapes)()

    def _key_value(self, name: str) -> int:
        return self.rng.randint(0, 3 if name == "line" else 330)

    def _cell(self, name: str, kind: str) -> str:
        if name in self.table.key:
            return str(self._key_value(name))
        return literal(value(self.rng, kind), kind)

    def _rows(self, distinct: bool = False) -> list[str]:
        """Bracketed rows of VALUES; with `distinct`, no key stands twice."""
        rows, keys = [], set()
        for _ in range(self.rng.randint(1, _ROWS_MAX)):
            cells = [self._cell(column.name, column.kind) for column in self.table.columns]
            key = tuple(
                cell
                for cell, column in zip(cells, self.table.columns)
                if column.name in self.table.key
            )
            if distinct and key in keys:
                continue
            keys.add(key)
            rows.append(f"({', '.join(cells)})")
        return rows

    @property
    def _names(self) -> str:
        return ", ".join(column.name for column in self.table.columns)

    def _narrow(self, alias: str) -> str:
        """A predicate that some rows meet."""
        rng = self.rng
        predicate = Expressions(rng, scope_of(self.table, alias)).predicate()
        first = self.table.columns[0].name
        low = rng.randint(-20, 300)
        return f"({predicate}) AND {alias}.{first} BETWEEN {low} AND {low + rng.randint(0, 60)}"

    def _assignments(self, scope_aliases: list[tuple[Table, str]]) -> str:
        scope = [item for table, alias in scope_aliases for item in scope_of(table, alias)]
        make = Expressions(self.rng, scope)
        chosen = self.rng.sample(self.table.others, self.rng.randint(1, min(3, len(self.table.others))))
        return ", ".join(f"{column.name} = {make.of(column.kind, 1)}" for column in chosen)

    def _insert(self) -> str:
        return f"INSERT INTO {self.table.qualified} ({self._names}) VALUES {', '.join(self._rows())}"

    def _insert_select(self) -> str:
        make = Expressions(self.rng, scope_of(self.table, "t"))
        items = []
        for column in self.table.columns:
            if column.name in self.table.key:
                items.append(f"t.{column.name} + {self.rng.choice((0, 1000, 2000, 5000))}")
            else:
                items.append(make.of(column.kind, 1))
        return (
            f"INSERT INTO {self.table.qualified} ({self._names}) SELECT {', '.join(items)} "
            f"FROM {self.table.qualified} t WHERE {self._narrow('t')}"
        )

    def _update(self) -> str:
        table = self.table
        return (
            f"UPDATE {table.qualified} AS t SET {self._assignments([(table, 't')])} "
            f"WHERE {self._narrow('t')}"
        )

    def _one_a_key(self) -> tuple[str, Table, str] | None:
        """A subquery with one row for each value it is joined by: which row an UPDATE takes of
        several is nobody's promise."""
        other = self.rng.choice([table for table in TABLES if len(table.key) == 1])
        columns = [column.name for column in self.table.columns]
        joins = {"orders": ("id", "order_id"), "customers": ("customer",)}
        names = [name for name in joins.get(other.name, ()) if name in columns]
        if not names:
            return None
        return f"{other.qualified} u", other, f"t.{names[0]} = u.{other.key[0]}"

    def _update_from(self) -> str:
        if not (found := self._one_a_key()):
            return self._update()
        source, other, join = found
        return (
            f"UPDATE {self.table.qualified} AS t "
            f"SET {self._assignments([(self.table, 't'), (other, 'u')])} "
            f"FROM {source} WHERE {join} AND {self._narrow('t')}"
        )

    def _delete(self) -> str:
        return f"DELETE FROM {self.table.qualified} AS t WHERE {self._narrow('t')}"

    def _delete_using(self) -> str:
        if not (found := self._one_a_key()):
            return self._delete()
        source, _, join = found
        return (
            f"DELETE FROM {self.table.qualified} AS t USING {source} "
            f"WHERE {join} AND {self._narrow('t')}"
        )

    def _upsert(self) -> str:
        rng, table = self.rng, self.table
        insert = (
            f"INSERT INTO {table.qualified} AS t ({self._names}) "
            f"VALUES {', '.join(self._rows(distinct=True))}"
        )
        target = f"({', '.join(table.key)})"
        if rng.random() < 0.4:
            return f"{insert} ON CONFLICT {target} DO NOTHING"
        chosen = rng.sample(table.others, rng.randint(1, min(3, len(table.others))))
        new = ", ".join(f"{column.name} = excluded.{column.name}" for column in chosen)
        condition = ""
        if rng.random() < 0.4:
            column = rng.choice(table.others).name
            condition = f" WHERE t.{column} IS DISTINCT FROM excluded.{column}"
        return f"{insert} ON CONFLICT {target} DO UPDATE SET {new}{condition}"

    def _merge(self) -> str:
        rng, table = self.rng, self.table
        on = " AND ".join(f"t.{name} = s.{name}" for name in table.key)
        clauses = []
        for _ in range(rng.randint(0, 2)):
            condition = f" AND {Expressions(rng, scope_of(table, 's')).predicate(1)}"
            action = rng.choice(("DELETE", f"UPDATE SET {self._assignments([(table, 's')])}"))
            clauses.append(f"WHEN MATCHED{condition} THEN {action}")
        if rng.random() < 0.7:
            clauses.append(f"WHEN MATCHED THEN UPDATE SET {self._assignments([(table, 't'), (table, 's')])}")
        if rng.random() < 0.8 or not clauses:
            values = ", ".join(f"s.{column.name}" for column in table.columns)
            clauses.append(f"WHEN NOT MATCHED THEN INSERT ({self._names}) VALUES ({values})")
        source = f"(VALUES {', '.join(self._rows(distinct=True))}) AS s({self._names})"
        return f"MERGE INTO {table.qualified} AS t USING {source} ON {on} {' '.join(clauses)}"
