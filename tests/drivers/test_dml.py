"""INSERT, UPDATE and DELETE touch exactly the rows their WHERE clause names, or none at all."""

import contextlib
import re
from decimal import Decimal

import pytest
from adbc_driver_manager import AdbcStatusCode, Error

ROWS = [(i, i % 3, f"label {i}", None if i % 4 == 0 else float(i)) for i in range(20)]


def load(cursor, table: str, key: str) -> None:
    """Twenty rows under the given key clause."""
    cursor.execute(f"CREATE TABLE {table} (a INT, b INT, label TEXT, score DOUBLE{key})")
    cursor.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", ROWS)


@pytest.fixture(
    params=["", ", PRIMARY KEY (a)", ", PRIMARY KEY (b, a)"], ids=["no_key", "key", "composite"]
)
def table(request, cursor, namespace):
    """The same rows without a key, with one, and with a composite one."""
    load(cursor, f"{namespace}.t", request.param)
    cursor.execute(f"CREATE TABLE {namespace}.other (a INT, n INT)")
    cursor.execute(f"INSERT INTO {namespace}.other VALUES (1, 10), (2, 20), (NULL, 30), (77, 40)")
    return f"{namespace}.t"


def rows_of(cursor, table: str) -> list[tuple]:
    """The table's rows by `a`."""
    cursor.execute(f"SELECT * FROM {table} ORDER BY a")
    return cursor.fetchall()


def _a_in(*wanted):
    return lambda row: row[0] in wanted


# WHERE clauses with the rows they name. {o} is the other table, {t} the table itself.
WHERE = [
    ("1 = 0", lambda row: False),
    ("false", lambda row: False),
    ("NULL", lambda row: False),
    ("a = NULL", lambda row: False),
    ("a = 1 AND a = 2", lambda row: False),
    ("a > 5 AND a < 3", lambda row: False),
    ("a = 1 AND NULL", lambda row: False),
    ("a IN (SELECT a FROM {o} WHERE n > 1000)", lambda row: False),
    ("1 = 1", lambda row: True),
    ("true OR a = 1", lambda row: True),
    ("a = 7", _a_in(7)),
    ("a = 7 OR a = 9 OR b = 77", _a_in(7, 9)),
    ("a BETWEEN 3 AND 5", _a_in(3, 4, 5)),
    ("a IN (1, 2, 99)", _a_in(1, 2)),
    ("b = 1 AND a > 10", lambda row: row[1] == 1 and row[0] > 10),
    ("score IS NULL", lambda row: row[3] is None),
    ("score <> 5.0", lambda row: row[3] is not None and row[3] != 5.0),
    ("NOT (score > 10.0)", lambda row: row[3] is not None and not row[3] > 10.0),
    ("label LIKE 'label 1%'", lambda row: row[2].startswith("label 1")),
    ("a % 5 = 0 AND label <> 'label 10'", _a_in(0, 5, 15)),
    ("a IN (SELECT a FROM {o})", _a_in(1, 2)),
    ("a NOT IN (SELECT a FROM {o})", lambda row: False),
    ("a NOT IN (SELECT a FROM {o} WHERE a IS NOT NULL)", lambda row: row[0] not in (1, 2)),
    ("EXISTS (SELECT 1 FROM {o})", lambda row: True),
    ("EXISTS (SELECT 1 FROM {o} WHERE n > 1000)", lambda row: False),
    ("EXISTS (SELECT 1 FROM {o} o WHERE o.a = t.a AND o.n > 10)", _a_in(2)),
    ("NOT EXISTS (SELECT 1 FROM {o} o WHERE o.a = t.a)", lambda row: row[0] not in (1, 2)),
    ("a = (SELECT max(a) FROM {t})", _a_in(19)),
    ("a > (SELECT avg(a) FROM {t}) + 8", _a_in(18, 19)),
    ("a IN (SELECT max(a) FROM {t} GROUP BY b)", _a_in(17, 18, 19)),
    ("(a < 5 AND a IN (SELECT a FROM {o})) OR a = 0", _a_in(0, 1, 2)),
    ("CASE WHEN a = 4 THEN true ELSE NULL END", _a_in(4)),
]
each_where = pytest.mark.parametrize(("where", "named"), WHERE, ids=[where for where, _ in WHERE])


def filled(where: str, table: str) -> str:
    """The clause with the tables' names in it."""
    return where.format(t=table, o=table.rsplit(".", 1)[0] + ".other")


@each_where
def test_delete_takes_the_rows_named(cursor, table, where, named):
    cursor.execute(f"DELETE FROM {table} WHERE {filled(where, table)}")
    assert cursor.rowcount == sum(map(named, ROWS))
    assert rows_of(cursor, table) == [row for row in ROWS if not named(row)]


@each_where
def test_update_changes_the_rows_named(cursor, table, where, named):
    cursor.execute(
        f"UPDATE {table} SET label = label || '!', score = a * 2 WHERE {filled(where, table)}"
    )
    assert cursor.rowcount == sum(map(named, ROWS))
    assert rows_of(cursor, table) == [
        (row[0], row[1], row[2] + "!", row[0] * 2.0) if named(row) else row for row in ROWS
    ]


def test_without_where_every_row_is_meant(cursor, table):
    cursor.execute(f"UPDATE {table} SET score = 1")
    assert cursor.rowcount == len(ROWS)
    cursor.execute(f"DELETE FROM {table}")
    assert cursor.rowcount == len(ROWS)
    assert rows_of(cursor, table) == []
    cursor.execute(f"DELETE FROM {table}")
    assert cursor.rowcount == 0


def test_limit_and_order_by_are_refused_or_obeyed(cursor, table):
    """Never silently ignored."""
    for sql in (f"DELETE FROM {table} LIMIT 3", f"UPDATE {table} SET score = 0 LIMIT 3"):
        try:
            cursor.execute(sql)
        except Error as error:
            assert error.status_code in (
                AdbcStatusCode.NOT_IMPLEMENTED,
                AdbcStatusCode.INVALID_ARGUMENT,
            )
        else:
            assert cursor.rowcount == 3


def test_update_reads_the_row_as_it_was(cursor, table):
    cursor.execute(
        f"UPDATE {table} SET label = CAST(score AS TEXT), score = length(label) WHERE a = 11"
    )
    assert rows_of(cursor, table)[11] == (11, 2, "11.0", 8.0)
    cursor.execute(f"UPDATE {table} SET score = (SELECT count(*) FROM {table}) WHERE a < 2")
    assert [row[3] for row in rows_of(cursor, table)[:2]] == [20.0, 20.0]


def test_insert_select_from_itself_sees_the_rows_before(cursor, table):
    cursor.execute(f"INSERT INTO {table} SELECT a + 100, b, label, score FROM {table}")
    assert cursor.rowcount == 20
    cursor.execute(f"SELECT count(*), max(a) FROM {table}")
    assert cursor.fetchone() == (40, 119)


def test_insert_names_columns_in_any_order_and_fills_defaults(cursor, namespace):
    cursor.execute(
        f"CREATE TABLE {namespace}.d"
        " (id INT PRIMARY KEY, n INT DEFAULT 7, t TEXT DEFAULT 'x', v DOUBLE)"
    )
    cursor.execute(f"INSERT INTO {namespace}.d (v, id) VALUES (0.5, 1), (NULL, 2)")
    cursor.execute(f"INSERT INTO {namespace}.d (id, n, t) VALUES (3, DEFAULT, NULL)")
    cursor.execute(f"INSERT INTO {namespace}.d (id, n) SELECT 4, NULL")
    cursor.execute(f"SELECT * FROM {namespace}.d ORDER BY id")
    assert cursor.fetchall() == [
        (1, 7, "x", 0.5),
        (2, 7, "x", None),
        (3, 7, None, None),
        (4, None, "x", None),
    ]


# ---- a statement that fails changes nothing and says where


@pytest.fixture
def strict(cursor, namespace):
    """A table that refuses much; one row."""
    cursor.execute(
        f"CREATE TABLE {namespace}.strict (id INT PRIMARY KEY, word TEXT NOT NULL, tiny TINYINT)"
    )
    cursor.execute(f"INSERT INTO {namespace}.strict VALUES (1, 'one', 1)")
    return f"{namespace}.strict"


@pytest.mark.parametrize(
    ("sql", "column", "row"),
    [
        ("INSERT INTO {t} VALUES (2, 'a', 1), (3, 'b', 1), (1, 'c', 1)", "id", 3),
        ("INSERT INTO {t} VALUES (2, 'a', 1), (2, 'b', 1)", "id", 2),
        ("INSERT INTO {t} VALUES (2, 'a', 1), (3, NULL, 1)", "word", 2),
        ("INSERT INTO {t} (id) VALUES (2)", "word", 1),
        ("INSERT INTO {t} VALUES (2, 'a', 1), (NULL, 'b', 1)", "id", 2),
        ("INSERT INTO {t} VALUES (2, 'a', 127), (3, 'b', 128)", "tiny", 2),
        ("INSERT INTO {t} VALUES (2, 'a', 1), (3, 'b', 1), (3000000000, 'c', 1)", "id", 3),
        ("INSERT INTO {t} SELECT id + 1, word, id * 500 FROM {t}", "tiny", 1),
        ("UPDATE {t} SET word = NULL", "word", 1),
        ("UPDATE {t} SET tiny = 300", "tiny", 1),
        ("UPDATE {t} SET tiny = tiny * 1000 WHERE id = 1", "tiny", 1),
    ],
)
def test_a_value_that_breaks_a_rule_leaves_nothing_behind(cursor, strict, sql, column, row):
    with pytest.raises(Error) as raised:
        cursor.execute(sql.format(t=strict))
    text = str(raised.value)
    assert raised.value.status_code == AdbcStatusCode.INVALID_ARGUMENT, text
    for fact in (strict, column):
        assert fact in text, text
    assert re.search(rf"\brows? (\d and )?{row}\b", text), text
    cursor.execute(f"SELECT * FROM {strict}")
    assert cursor.fetchall() == [(1, "one", 1)]


@pytest.mark.parametrize(
    "assignment",
    [
        "b = b + 1",
        "b = b * b",
        "s = s + s",
        "s = -s - s - s",
        "u = u + u",
        "d = d + d",
        "r = r * 10",
    ],
)
def test_arithmetic_that_overflows_is_not_stored(cursor, namespace, assignment):
    name = f"{namespace}.full"
    cursor.execute(
        f"CREATE TABLE {name} (b BIGINT, s SMALLINT, u INT UNSIGNED, d DECIMAL(38, 0), r REAL)"
    )
    largest = (2**63 - 1, 2**15 - 1, 2**32 - 1, Decimal("9" * 38), 3.0000000054977558e38)
    b, s, u, d, _ = largest
    cursor.execute(f"INSERT INTO {name} VALUES ({b}, {s}, {u}, '{d}', 3e38)")
    with pytest.raises(Error) as raised:
        cursor.execute(f"UPDATE {name} SET {assignment}")
    assert raised.value.status_code == AdbcStatusCode.INVALID_ARGUMENT, raised.value
    cursor.execute(f"SELECT * FROM {name}")
    assert cursor.fetchall() == [largest]


def test_a_late_failure_undoes_thousands_of_rows(cursor, strict):
    cursor.execute(f"CREATE TABLE {strict}_source (n INT)")
    cursor.executemany(f"INSERT INTO {strict}_source VALUES (?)", [(n,) for n in range(5000)])
    with pytest.raises(Error):
        cursor.execute(
            f"INSERT INTO {strict} SELECT n + 10, CASE WHEN n = 4999 THEN NULL ELSE 'w' END, 1"
            f" FROM {strict}_source"
        )
    cursor.execute(f"SELECT count(*) FROM {strict}")
    assert cursor.fetchone() == (1,)


def test_key_columns_cannot_be_updated(cursor, strict):
    with pytest.raises(Error, match="id"):
        cursor.execute(f"UPDATE {strict} SET id = id + 1")
    cursor.execute(f"SELECT id FROM {strict}")
    assert cursor.fetchall() == [(1,)]


# ---- system columns and soft delete


def test_system_columns_answer_when_named_and_hide_otherwise(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.s (v TEXT)")
    cursor.execute(f"INSERT INTO {namespace}.s VALUES ('a')")
    cursor.execute(f"INSERT INTO {namespace}.s VALUES ('b'), ('c')")
    cursor.execute(f"SELECT * FROM {namespace}.s")
    assert cursor.fetch_arrow_table().column_names == ["v"]
    cursor.execute(
        f"SELECT v, _row_id, _updated, _deleted, _commit_seq FROM {namespace}.s ORDER BY v"
    )
    rows = cursor.fetch_arrow_table().to_pydict()
    assert len(set(rows["_row_id"])) == 3
    assert rows["_deleted"] == [False, False, False]
    first, second, third = rows["_commit_seq"]
    assert first < second == third
    assert rows["_updated"][0] <= rows["_updated"][1] == rows["_updated"][2]
    cursor.execute(f"UPDATE {namespace}.s SET v = 'z' WHERE _row_id = {rows['_row_id'][1]}")
    assert cursor.rowcount == 1
    cursor.execute(f"SELECT v, _row_id FROM {namespace}.s WHERE _commit_seq > {third}")
    assert cursor.fetchall() == [("z", rows["_row_id"][1])]
    cursor.execute(
        f"DELETE FROM {namespace}.s WHERE _updated = (SELECT min(_updated) FROM {namespace}.s)"
    )
    assert cursor.rowcount == 1


def test_deleted_rows_show_when_deleted_is_named(cursor, namespace):
    name = f"{namespace}.soft"
    cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, v TEXT)")
    cursor.execute(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    cursor.execute(f"DELETE FROM {name} WHERE id = 2")
    for sql in (
        "SELECT id FROM {n} ORDER BY id",
        "SELECT id FROM {n} WHERE id <> 99 ORDER BY id DESC",
    ):
        cursor.execute(sql.format(n=name))
        assert sorted(cursor.fetchall()) == [(1,), (3,)]
    cursor.execute(f"SELECT count(*) FROM {name}")
    assert cursor.fetchone() == (2,)
    cursor.execute(f"SELECT id, v, _deleted FROM {name} ORDER BY id")
    assert cursor.fetchall() == [(1, "a", False), (2, "b", True), (3, "c", False)]
    cursor.execute(f"SELECT id FROM {name} WHERE _deleted")
    assert cursor.fetchall() == [(2,)]
    cursor.execute(f"SELECT id FROM {name} WHERE NOT _deleted AND id = 2")
    assert cursor.fetchall() == []
    cursor.execute(f"DELETE FROM {name} WHERE id = 2")
    assert cursor.rowcount == 0, "a deleted row is not deleted again"
    cursor.execute(f"UPDATE {name} SET v = 'x' WHERE id = 2")
    assert cursor.rowcount == 0
    cursor.execute(f"INSERT INTO {name} VALUES (2, 'again')")
    cursor.execute(f"SELECT v, _deleted FROM {name} WHERE id = 2")
    assert cursor.fetchall() == [("again", False)]


def test_without_retention_a_deleted_row_is_gone(cursor, namespace):
    name = f"{namespace}.gone"
    cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY) WITH (DELETED_RETENTION_HOURS = 0)")
    cursor.execute(f"INSERT INTO {name} VALUES (1), (2)")
    cursor.execute(f"DELETE FROM {name} WHERE id = 1")
    cursor.execute(f"SELECT id, _deleted FROM {name}")
    assert cursor.fetchall() == [(2, False)]


def test_system_columns_cannot_be_written(cursor, namespace):
    cursor.execute(f"CREATE TABLE {namespace}.s (v TEXT)")
    for sql in (
        f"INSERT INTO {namespace}.s (v, _deleted) VALUES ('x', true)",
        f"UPDATE {namespace}.s SET _updated = NULL",
        f"CREATE TABLE {namespace}.bad (_deleted INT)",
    ):
        with pytest.raises(Error):
            cursor.execute(sql)


# ---- USER tables


@pytest.fixture
def two_users(shared_server, cursor, namespace):
    """Connections of two users and a USER table both may use."""
    cursor.execute(f"CREATE USER TABLE {namespace}.notes (id INT PRIMARY KEY, body TEXT)")
    names = [f"ann_{namespace}", f"bob_{namespace}"]
    for name in names:
        cursor.execute(f"CREATE USER {name} WITH PASSWORD 'a long password' ROLE user")
    with contextlib.ExitStack() as opened:
        connections = [
            opened.enter_context(shared_server.adbc(name, "a long password")) for name in names
        ]
        yield [opened.enter_context(connection.cursor()) for connection in connections]


def test_user_tables_never_cross_users(two_users, cursor, namespace):
    ann, bob = two_users
    notes = f"{namespace}.notes"
    ann.execute(f"INSERT INTO {notes} VALUES (1, 'of ann'), (2, 'also of ann')")
    bob.execute(f"INSERT INTO {notes} VALUES (1, 'of bob')")
    ann.execute(f"SELECT * FROM {notes} ORDER BY id")
    assert ann.fetchall() == [(1, "of ann"), (2, "also of ann")]
    bob.execute(f"SELECT * FROM {notes}")
    assert bob.fetchall() == [(1, "of bob")]
    for count in (f"SELECT count(*) FROM {notes}", f"SELECT count(*) FROM {notes} WHERE id >= 0"):
        ann.execute(count)
        assert ann.fetchone() == (2,)
        bob.execute(count)
        assert bob.fetchone() == (1,)
        cursor.execute(count)
        assert cursor.fetchone() == (0,), "not even root sees the users' rows"
    bob.execute(f"SELECT body FROM {notes} WHERE id = 2")
    assert bob.fetchall() == []
    bob.execute(f"UPDATE {notes} SET body = 'changed'")
    assert bob.rowcount == 1
    bob.execute(f"DELETE FROM {notes}")
    assert bob.rowcount == 1
    bob.execute(f"SELECT * FROM {notes}")
    assert bob.fetchall() == []
    bob.execute(f"SELECT id, _deleted FROM {notes}")
    assert bob.fetchall() == [(1, True)]
    ann.execute(f"SELECT id, body, _deleted FROM {notes} ORDER BY id DESC")
    assert ann.fetchall() == [(2, "also of ann", False), (1, "of ann", False)]
    ann.execute(f"SELECT count(*) FROM {notes} a JOIN {notes} b ON a.id <= b.id")
    assert ann.fetchone() == (3,)


def test_user_tables_without_a_key_and_by_ingest(two_users, cursor, namespace):
    import pyarrow as pa

    ann, bob = two_users
    cursor.execute(f"CREATE USER TABLE {namespace}.events (n INT)")
    ann.adbc_ingest(
        "events",
        pa.table({"n": pa.array(range(3000), pa.int32())}),
        "append",
        db_schema_name=namespace,
    )
    bob.adbc_ingest(
        "events", pa.table({"n": pa.array([7], pa.int32())}), "append", db_schema_name=namespace
    )
    ann.execute(f"SELECT count(*), sum(n) FROM {namespace}.events")
    assert ann.fetchone() == (3000, sum(range(3000)))
    bob.execute(f"SELECT n FROM {namespace}.events")
    assert bob.fetchall() == [(7,)]


def test_a_user_cannot_administer_what_it_uses(two_users, namespace):
    ann, _ = two_users
    for sql in (
        f"DROP TABLE {namespace}.notes",
        f"CREATE TABLE {namespace}.mine (id INT)",
        f"ALTER USER bob_{namespace} WITH PASSWORD 'another password'",
    ):
        with pytest.raises(Error) as raised:
            ann.execute(sql)
        assert raised.value.status_code == AdbcStatusCode.UNAUTHORIZED, raised.value
