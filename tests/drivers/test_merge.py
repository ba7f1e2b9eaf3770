"""MERGE does what DuckDB's does, counts exactly, and loses no change of another client."""

import random
import re

import duckdb
import pytest
from adbc_driver_manager import AdbcStatusCode, Error
from flight_sql import RawClient
from test_concurrency import CLIENTS, in_parallel

SEED = 20
STATEMENTS = 150
CONDITIONS = [None, "t.a > 3", "s.x IS NULL", "t.b = s.y", "s.x % 2 = 0", "t.a < s.x", "1 = 0"]
OF_SOURCE = [None, "s.x > 4", "s.y IS NOT NULL", "s.x % 2 = 1"]
OF_TARGET = [None, "t.a > 4", "t.b IS NULL", "t.id % 2 = 0"]
SETS = [
    "a = s.x",
    "a = t.a + 1, b = s.y",
    "b = t.b || s.y",
    "a = NULL, b = 'set'",
    "c = s.x / 2.0",
    "a = (SELECT max(x) FROM {n}s)",
]
SETS_ALONE = ["a = 0", "b = 'left', a = a + 1", "c = t.id * 1.5"]
INSERTS = [
    "(id, a, b) VALUES (s.id, s.x, s.y)",
    "VALUES (s.id, s.x, s.y, 0.5)",
    "(id) VALUES (s.id)",
    "(b, id) VALUES ('new', s.id)",
]


def clause(rng: random.Random, when: str, conditions: list, actions: list[str]) -> str:
    """One WHEN clause."""
    condition = rng.choice(conditions)
    condition = f" AND {condition}" if condition else ""
    return f"WHEN {when}{condition} THEN {rng.choice(actions)}"


def statement(rng: random.Random, prefix: str) -> str:
    """A MERGE over the two tables; clauses without a condition stand last of their kind."""
    matched = ["UPDATE SET " + item for item in SETS] + ["DELETE", "DO NOTHING"]
    alone = ["UPDATE SET " + item for item in SETS_ALONE] + ["DELETE", "DO NOTHING"]
    inserts = ["INSERT " + item for item in INSERTS] + ["DO NOTHING"]
    kinds = [
        ("MATCHED", CONDITIONS, matched),
        ("NOT MATCHED", OF_SOURCE, inserts),
        ("NOT MATCHED BY TARGET", OF_SOURCE, inserts),
        ("NOT MATCHED BY SOURCE", OF_TARGET, alone),
    ]
    clauses, closed = [], set()
    for _ in range(rng.randint(1, 5)):
        when, conditions, actions = rng.choice(kinds)
        kind = when.removesuffix(" BY TARGET")
        if kind in closed:
            continue
        clauses.append(clause(rng, when, conditions, actions))
        if " AND " not in clauses[-1]:
            closed.add(kind)
    on = rng.choice(["t.id = s.id", "s.id = t.id AND s.x > 1", "t.id = s.id AND t.a > 2"])
    source = rng.choice(["{n}s AS s", "(SELECT * FROM {n}s WHERE id < 20) AS s"])
    return f"MERGE INTO {{n}}t AS t USING {source} ON {on} {' '.join(clauses)}".format(n=prefix)


def fill(run, rng: random.Random, prefix: str) -> None:
    """New rows in both tables; ids of the source are unique."""
    run(f"DELETE FROM {prefix}t")
    run(f"DELETE FROM {prefix}s")
    for table in ("t", "s"):
        rows = []
        for key in sorted(rng.sample(range(30), 12)):
            number = rng.choice(["NULL", *map(str, range(9))])
            text = rng.choice(["NULL", "'u'", "'v'"])
            rows.append(f"({key}, {number}, {text}" + (", 1.5)" if table == "t" else ")"))
        run(f"INSERT INTO {prefix}{table} VALUES {', '.join(rows)}")


def outcome(run, sql: str) -> int | str:
    """The count, or that the statement was refused for a key."""
    try:
        return run(sql)
    except (Error, duckdb.Error) as error:
        assert "uplicate key" in str(error), f"{sql}\n{error}"
        return "duplicate key"


def test_generated_merges_do_what_they_do_in_duckdb(cursor, namespace):
    print(f"seed {SEED}")
    duck = duckdb.connect()
    prefix = f"{namespace}."

    def ours(sql: str) -> int:
        cursor.execute(sql)
        return cursor.rowcount

    def theirs(sql: str) -> int:
        return duck.execute(sql).fetchone()[0]

    for run, own in ((cursor.execute, prefix), (duck.execute, "")):
        run(f"CREATE TABLE {own}t (id INT PRIMARY KEY, a INT, b TEXT, c DOUBLE DEFAULT 2.5)")
        run(f"CREATE TABLE {own}s (id INT, x INT, y TEXT)")
    refused = 0
    for number in range(STATEMENTS):
        for run, own in ((cursor.execute, prefix), (duck.execute, "")):
            fill(run, random.Random(SEED * 1000 + number), own)
        sql = statement(random.Random(SEED * 1000 + number), "")
        expected = outcome(theirs, sql)
        got = outcome(ours, statement(random.Random(SEED * 1000 + number), prefix))
        if expected == "duplicate key" != got:
            # A key that the statement itself deletes is free here.
            assert "BY SOURCE" in sql, sql
            continue
        refused += got == "duplicate key"
        assert got == expected, sql
        cursor.execute(f"SELECT * FROM {prefix}t ORDER BY id")
        assert cursor.fetchall() == duck.execute("SELECT * FROM t ORDER BY id").fetchall(), sql
    assert refused < STATEMENTS / 2, "most statements have to do something"


def test_two_clients_that_merge_the_same_keys_lose_nothing(shared_server, cursor, namespace):
    rounds, keys = 10, 5
    cursor.execute(f"CREATE TABLE {namespace}.n (id INT PRIMARY KEY, n INT)")
    source = f"generate_series(1, {keys})"
    sql = (
        f"MERGE INTO {namespace}.n AS t USING (SELECT CAST(value AS INT) AS id FROM {source}) AS s "
        "ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = t.n + 1 "
        "WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1)"
    )

    def work(_number: int, client) -> int:
        done = 0
        while done < rounds:
            try:
                client.execute(sql)
                assert client.rowcount == keys
                done += 1
            except Error as error:
                assert "Aborted" in str(error), error
        return done

    assert in_parallel(shared_server, work) == [rounds] * CLIENTS
    cursor.execute(f"SELECT id, n FROM {namespace}.n ORDER BY id")
    assert cursor.fetchall() == [(key, rounds * CLIENTS) for key in range(1, keys + 1)]


@pytest.fixture
def counted(cursor, namespace):
    """Rows 1 to 5 of t, and a source with two rows for 1 and one for 2 and 9."""
    cursor.execute(f"USE {namespace}")
    cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT)")
    cursor.execute("CREATE TABLE s (id INT, x INT)")
    cursor.execute("INSERT INTO t SELECT value, 0 FROM generate_series(1, 5)")
    assert cursor.rowcount == 5
    cursor.execute("INSERT INTO s VALUES (1, 10), (1, 11), (2, 20), (9, 90)")
    return cursor


COUNTS = [
    ("INSERT INTO t SELECT id + 10, x FROM s WHERE x <> 11", 3),
    ("INSERT INTO t SELECT id, a FROM t WHERE false", 0),
    ("UPDATE t SET a = s.x FROM s WHERE s.id = t.id", 2),
    ("UPDATE t SET a = a", 5),
    ("DELETE FROM t USING s WHERE s.id = t.id", 2),
    ("DELETE FROM t AS x USING t AS y WHERE x.id < y.id", 4),
    ("MERGE INTO t USING s ON t.id = s.id AND s.x <> 11 WHEN MATCHED THEN UPDATE SET a = s.x", 2),
    (
        "MERGE INTO t USING (SELECT DISTINCT id FROM s) AS s ON t.id = s.id "
        "WHEN MATCHED AND s.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET a = 7 "
        "WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id) "
        "WHEN NOT MATCHED BY SOURCE AND t.id > 4 THEN DELETE",
        4,
    ),
    ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DO NOTHING", 0),
]


@pytest.mark.parametrize(("sql", "expected"), COUNTS)
def test_counts_are_exact_for_adbc(counted, sql, expected):
    counted.execute(sql)
    assert counted.rowcount == expected


@pytest.mark.parametrize(("sql", "expected"), COUNTS)
def test_counts_are_exact_for_plain_flight(shared_server, counted, namespace, sql, expected):
    # Every call of this client is a session of its own: names are written out.
    sql = re.sub(r"\b(INTO|FROM|UPDATE|USING) ([ts])\b", rf"\1 {namespace}.\2", sql)
    with RawClient(shared_server) as client:
        assert client.update(sql) == expected


def test_a_row_that_would_be_changed_twice_is_named(counted):
    sql = "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = s.x"
    with pytest.raises(Error, match=r"\(id = 1\).*twice") as raised:
        counted.execute(sql)
    assert raised.value.status_code == AdbcStatusCode.INVALID_ARGUMENT
    counted.execute("SELECT sum(a) FROM t")
    assert counted.fetchone() == (0,)


def test_bound_rows_merge_one_after_the_other(counted):
    sql = (
        "MERGE INTO t USING (VALUES (?, ?)) AS s(id, x) ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET a = t.a + s.x WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.x)"
    )
    counted.executemany(sql, [(1, 5), (20, 1), (20, 2), (1, 6)])
    counted.execute("SELECT id, a FROM t WHERE id IN (1, 20) ORDER BY id")
    assert counted.fetchall() == [(1, 11), (20, 3)]


def test_bound_rows_of_update_from_come_one_after_the_other(counted):
    sql = "UPDATE t SET a = v.x FROM (VALUES (?, ?)) AS v(id, x) WHERE v.id = t.id"
    counted.executemany(sql, [(1, 5), (2, 6), (1, 7)])
    counted.execute("SELECT id, a FROM t WHERE id < 3 ORDER BY id")
    assert counted.fetchall() == [(1, 7), (2, 6)]


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        ("INSERT INTO t VALUES (6, 0)", "Insert Into"),
        ("UPDATE t SET a = 1", "Update"),
        ("DELETE FROM t WHERE id = 1", "Delete"),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "Merge Into"),
    ],
)
def test_explain_names_the_statement_and_runs_nothing(counted, sql, verb):
    counted.execute(f"EXPLAIN {sql}")
    plans = dict(counted.fetchall())
    assert plans["logical_plan"].startswith(f"Dml: op=[{verb}] table=[kalam."), plans
    assert "DataSinkExec" in plans["physical_plan"]
    counted.execute("SELECT count(*), sum(a) FROM t")
    assert counted.fetchone() == (5, 0)


def test_users_merge_into_their_own_rows_only(shared_server, cursor, namespace):
    cursor.execute(f"CREATE USER TABLE {namespace}.mine (id INT PRIMARY KEY, n INT)")
    sql = (
        f"MERGE INTO {namespace}.mine AS t USING (SELECT 1 AS id) AS s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET n = t.n + 1 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1) "
        "WHEN NOT MATCHED BY SOURCE THEN DELETE"
    )
    for name in ("ann", "bob"):
        cursor.execute(f"CREATE USER {name}_{namespace} WITH PASSWORD 'merges her own rows'")
    for name, times in (("ann", 2), ("bob", 1)):
        with (
            shared_server.adbc(f"{name}_{namespace}", "merges her own rows") as connection,
            connection.cursor() as own,
        ):
            own.execute(f"INSERT INTO {namespace}.mine VALUES (7, 7)")
            for _ in range(times):
                own.execute(sql)
            own.execute(f"SELECT * FROM {namespace}.mine")
            assert own.fetchall() == [(1, times)]
