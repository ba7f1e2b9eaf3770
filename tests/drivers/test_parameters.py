"""A parameter may stand wherever a literal may, or the statement is refused by name."""

import datetime
from decimal import Decimal

import pytest
from adbc_driver_manager import Error

DAY = datetime.timedelta(days=1)


@pytest.fixture
def table(cursor, namespace):
    """Three rows of several types."""
    name = f"{namespace}.t"
    cursor.execute(
        f"CREATE TABLE {name} (id INT PRIMARY KEY, b INT, s TEXT, f DOUBLE, d DATE,"
        " ts TIMESTAMP, j JSON, v EMBEDDING(3), l INT[])"
    )
    cursor.execute(
        f"INSERT INTO {name} VALUES"
        " (1, 10, 'x', 1.5, '2024-01-31', '2024-01-31 10:20:30', '{\"k\": [1, 2]}',"
        " [1, 0, 0], [1, 2]),"
        " (2, 20, 'y', 2.5, '2024-02-29', '2024-02-29 00:00:00', '{\"k\": 5}', [0, 1, 0], [3]),"
        " (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
    )
    return name


# Place, statement ({t} is the table), values, rows.
PLACES = [
    ("days after", "SELECT d + ? FROM {t} WHERE id = 1", (1,), [(datetime.date(2024, 2, 1),)]),
    ("days before", "SELECT d - ? FROM {t} WHERE id = 1", (30,), [(datetime.date(2024, 1, 1),)]),
    ("days in a call", "SELECT extract(day FROM d - ?) FROM {t} WHERE id = 1", (1,), [(30,)]),
    (
        "days compared",
        "SELECT id FROM {t} WHERE d - ? > '2024-02-01' OR ts = current_date - ?",
        (1, 0),
        [(2,)],
    ),
    (
        "interval after",
        "SELECT ts + ?, ts - ? FROM {t} WHERE id = 2",
        (DAY, DAY),
        [(datetime.datetime(2024, 3, 1), datetime.datetime(2024, 2, 28))],
    ),
    (
        "branch of a union",
        "SELECT id FROM {t} UNION ALL SELECT ? ORDER BY id",
        (10,),
        [(1,), (2,), (3,), (10,)],
    ),
    ("limit", "SELECT id FROM {t} ORDER BY id LIMIT $1 OFFSET $2", (1, 1), [(2,)]),
    ("in", "SELECT id FROM {t} WHERE id IN ($1, $2) ORDER BY id", (1, 3), [(1,), (3,)]),
    ("between", "SELECT id FROM {t} WHERE id BETWEEN ? AND ? ORDER BY id", (2, 3), [(2,), (3,)]),
    ("like", "SELECT s FROM {t} WHERE s LIKE $1", ("x%",), [("x",)]),
    ("any", "SELECT id FROM {t} WHERE id = ANY($1) ORDER BY id", ([1, 3],), [(1,), (3,)]),
    ("row", "SELECT id FROM {t} WHERE (id, b) = ($1, $2)", (2, 20), [(2,)]),
    ("condition", "SELECT count(*) FROM {t} WHERE $1", (True,), [(3,)]),
    ("not", "SELECT count(*) FROM {t} WHERE NOT $1", (True,), [(0,)]),
    ("and", "SELECT id FROM {t} WHERE id = 1 AND $1", (True,), [(1,)]),
    ("null or", "SELECT count(*) FROM {t} WHERE $1 IS NULL OR id = $1", (None,), [(3,)]),
    ("select list", "SELECT $1", ("x",), [("x",)]),
    ("sum", "SELECT $1 + 1, $2 + 0.5", (1, 2), [(2, 2.5)]),
    ("negative", "SELECT -$1", (7,), [(-7,)]),
    (
        "cast",
        "SELECT $1::INT, CAST($2 AS DATE)",
        ("5", "2024-01-01"),
        [(5, datetime.date(2024, 1, 1))],
    ),
    ("cast of a fraction", "SELECT CAST($1 * 1.0 AS BIGINT)", (2.7,), [(3,)]),
    ("decimal", "SELECT $1::DECIMAL(10, 2)", ("1.25",), [(Decimal("1.25"),)]),
    ("case", "SELECT CASE WHEN $1 THEN 1 ELSE $2 END", (False, 5), [(5,)]),
    (
        "case of",
        "SELECT CASE id WHEN $1 THEN $2 ELSE 'z' END FROM {t} WHERE id < 3 ORDER BY id",
        (1, "one"),
        [("one",), ("z",)],
    ),
    ("coalesce", "SELECT coalesce(b, $1) FROM {t} WHERE id = 3", (7,), [(7,)]),
    ("greatest", "SELECT greatest(id, $1) FROM {t} WHERE id = 1", (2,), [(2,)]),
    (
        "text function",
        "SELECT substr('abc', $1, $2), lpad($3, $4, $5)",
        (2, 1, "a", 3, "-"),
        [("b", "--a")],
    ),
    ("number function", "SELECT abs($1), round(1.26, $2), mod(7, $3)", (-1, 1, 4), [(1, 1.3, 3)]),
    (
        "time function",
        "SELECT date_trunc($1, ts) FROM {t} WHERE id = 1",
        ("month",),
        [(datetime.datetime(2024, 1, 1),)],
    ),
    (
        "interval",
        "SELECT ts - $1 FROM {t} WHERE id = 2",
        (DAY,),
        [(datetime.datetime(2024, 2, 28),)],
    ),
    (
        "interval text",
        "SELECT ts + $1::INTERVAL FROM {t} WHERE id = 2",
        ("1 day",),
        [(datetime.datetime(2024, 3, 1),)],
    ),
    ("since", "SELECT count(*) FROM {t} WHERE ts > now() - $1", (DAY,), [(0,)]),
    ("subscript", "SELECT l[$1] FROM {t} WHERE id = 1", (2,), [(2,)]),
    ("array", "SELECT [1, $1]", (2,), [([1, 2],)]),
    ("json step", "SELECT j ->> $1 FROM {t} WHERE id = 2", ("k",), [("5",)]),
    ("json index", "SELECT j -> 'k' ->> $1::INT FROM {t} WHERE id = 1", (1,), [("2",)]),
    ("json path", "SELECT j #>> $1 FROM {t} WHERE id = 1", (["k", "0"],), [("1",)]),
    ("json path as text", "SELECT j #>> $1 FROM {t} WHERE id = 1", ("{k,1}",), [("2",)]),
    ("json path as a cast", "SELECT j #>> ?::TEXT FROM {t} WHERE id = 1", ("{k,1}",), [("2",)]),
    ("json at a path", "SELECT j #> $1 FROM {t} WHERE id = 1", (["k"],), [("[1, 2]",)]),
    ("json steps", "SELECT j -> ? ->> ? FROM {t} WHERE id = 1", ("k", 1), [("2",)]),
    (
        "json part",
        "SELECT id FROM {t} WHERE json_contains(j, $1)",
        ('{"k": 5}',),
        [(2,)],
    ),
    (
        "vector",
        "SELECT id FROM {t} ORDER BY l2_distance(v, $1) LIMIT 1",
        ([0.0, 1.0, 0.1],),
        [(2,)],
    ),
    (
        "vector text",
        "SELECT id FROM {t} ORDER BY cosine_distance(v, $1) LIMIT 1",
        ("[0, 1, 0.1]",),
        [(2,)],
    ),
    ("values", "VALUES ($1, $2), ($3, $4)", ("a", "x", "b", "y"), [("a", "x"), ("b", "y")]),
    ("typed values", "SELECT a FROM (VALUES (1), ($1)) AS q(a) ORDER BY a", (2,), [(1,), (2,)]),
    ("series", "SELECT * FROM generate_series(1, $1)", (3,), [(1,), (2,), (3,)]),
    (
        "group",
        "SELECT id % $1, count(*) FROM {t} GROUP BY id % $1 ORDER BY 1",
        (2,),
        [(0, 1), (1, 2)],
    ),
    ("having", "SELECT count(*) FROM {t} HAVING count(*) > $1", (1,), [(3,)]),
    (
        "lag",
        "SELECT lag(id, $1) OVER (ORDER BY id) FROM {t} ORDER BY id",
        (1,),
        [(None,), (1,), (2,)],
    ),
    (
        "frame",
        "SELECT sum(id) OVER (ORDER BY id ROWS $1 PRECEDING) FROM {t} ORDER BY id",
        (1,),
        [(1,), (3,), (5,)],
    ),
    (
        "frame of both sides",
        "SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN ? PRECEDING AND ? FOLLOWING) AS s"
        " FROM {t} WHERE id > ? ORDER BY id",
        (0, 1, 0),
        [(3,), (5,), (3,)],
    ),
    (
        "frame before the row",
        "SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN $1 PRECEDING AND 1 PRECEDING) FROM {t}"
        " ORDER BY id",
        (2,),
        [(None,), (1,), (3,)],
    ),
    (
        "frame after the row",
        "SELECT sum(id) OVER (ORDER BY id GROUPS BETWEEN 1 FOLLOWING AND $1 FOLLOWING) FROM {t}"
        " ORDER BY id",
        (2,),
        [(5,), (3,), (None,)],
    ),
    (
        "named window",
        "SELECT n FROM (SELECT id, sum(id) OVER w AS n FROM {t} WINDOW w AS"
        " (ORDER BY id ROWS $1 PRECEDING)) ORDER BY id",
        (1,),
        [(1,), (3,), (5,)],
    ),
    (
        "frame and value",
        "SELECT $1::INT, sum(id) OVER (ORDER BY id ROWS $1 PRECEDING) FROM {t} ORDER BY id",
        (1,),
        [(1, 1), (1, 3), (1, 5)],
    ),
    ("filter", "SELECT count(*) FILTER (WHERE id > $1) FROM {t}", (1,), [(2,)]),
    (
        "join",
        "SELECT t.id FROM {t} AS t JOIN {t} AS u ON t.id = u.id + $1 ORDER BY 1",
        (1,),
        [(2,), (3,)],
    ),
    ("exists", "SELECT EXISTS (SELECT 1 FROM {t} WHERE id = $1)", (9,), [(False,)]),
    ("in subquery", "SELECT $1 IN (SELECT id FROM {t})", (3,), [(True,)]),
    ("with", "WITH w AS (SELECT id FROM {t} WHERE id > $1) SELECT count(*) FROM w", (1,), [(2,)]),
    (
        "set operation",
        "SELECT id FROM {t} EXCEPT ALL SELECT $1::INT ORDER BY 1",
        (1,),
        [(2,), (3,)],
    ),
]


@pytest.mark.parametrize(
    ("sql", "values", "rows"), [place[1:] for place in PLACES], ids=[place[0] for place in PLACES]
)
def test_a_bound_value_is_as_good_as_a_written_one(cursor, table, sql, values, rows):
    cursor.execute(sql.format(t=table), values)
    assert cursor.fetchall() == rows


# Where none can stand.
REFUSED = [
    ("SELECT sum(id) OVER (ORDER BY id RANGE $1 PRECEDING) FROM {t}", (1,), "RANGE frame"),
    ("SELECT sum(id) OVER (ORDER BY id ROWS $1 PRECEDING) FROM {t}", (-1,), "number of rows"),
    ("SELECT sum(id) OVER (ORDER BY id ROWS $1 PRECEDING) FROM {t}", (None,), "number of rows"),
    ("SELECT sum(id) OVER (ORDER BY id ROWS $1 PRECEDING) FROM {t}", (1.5,), "number of rows"),
    (
        "SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN $1 PRECEDING AND $2 PRECEDING) FROM {t}",
        (1, 2),
        "begins",
    ),
    ("SELECT cosine_distance(v, $1) FROM {t}", ([1.0, 2.0],), "2"),
    ("SELECT j #>> $1 FROM {t}", ("k",), "take a path"),
    ("SELECT id FROM {t} WHERE d = $1", ("no date",), r"\$1|date"),
]


@pytest.mark.parametrize(("sql", "values", "said"), REFUSED)
def test_what_cannot_be_bound_says_so(cursor, table, sql, values, said):
    with pytest.raises(Error, match=said):
        cursor.execute(sql.format(t=table), values)
        cursor.fetchall()


# A column without a name is called as it is written.
NAMES = [
    (
        "SELECT 1+1, COUNT(*), sum(ID), -id AS x FROM {t} GROUP BY id",
        ["1 + 1", "count(*)", "sum(id)", "x"],
    ),
    ("SELECT 'x', b||'y', $1 FROM {t}", ["'x'", "b || 'y'", "$1"]),
    ("SELECT 1, 1 FROM {t}", ["1", "1"]),
    ("SELECT year(d), j ->> 'k' FROM {t}", ["year(d)", "j ->> 'k'"]),
    ("SELECT id, 1 + 1, id FROM {t}", ["id", "1 + 1", "id"]),
    ("SELECT * FROM (SELECT id + 1, 2, 2 FROM {t})", ["id + 1", "2", "2_1"]),
    ("SELECT max(id) FROM {t} UNION ALL SELECT 1", ["max(id)"]),
]


@pytest.mark.parametrize(("sql", "names"), NAMES)
def test_columns_are_called_as_they_are_written(cursor, table, sql, names):
    values = ("v",) if "$1" in sql else None
    cursor.execute(sql.format(t=table), values)
    assert cursor.fetch_arrow_table().column_names == names


def test_a_frame_is_bound_anew_each_time(cursor, table):
    sql = f"SELECT sum(id) OVER (ORDER BY id ROWS ? PRECEDING) FROM {table} ORDER BY id"
    schema = cursor.adbc_prepare(sql)
    assert [str(field.type) for field in schema] == ["int64"]
    for rows, sums in [(0, [1, 2, 3]), (1, [1, 3, 5]), (9, [1, 3, 6])]:
        cursor.execute(sql, (rows,))
        found = cursor.fetch_arrow_table()
        assert found.column_names == ["sum(id) OVER (ORDER BY id ROWS $1 PRECEDING)"]
        assert found.column(0).to_pylist() == sums
    cursor.execute(
        f"INSERT INTO {table} (id, b)"
        f" SELECT id + 10, sum(id) OVER (ORDER BY id ROWS ? PRECEDING) FROM {table}",
        (1,),
    )
    cursor.execute(f"SELECT b FROM {table} WHERE id > 10 ORDER BY id")
    assert cursor.fetchall() == [(1,), (3,), (5,)]


def test_plans_show_what_was_written(cursor, table, shared_server):
    for options in ("", "ANALYZE ", "VERBOSE ", "FORMAT pgjson "):
        cursor.execute(f"EXPLAIN {options}SELECT id + 1 FROM {table} WHERE id * 2 > $1", (3,))
        text = "\n".join(row[1] for row in cursor.fetchall())
        assert "checked_" not in text, text
        assert str(shared_server.data_dir) not in text
    cursor.execute(f"EXPLAIN SELECT id FROM {table} ORDER BY l2_distance(v, [1, 0, 0]) LIMIT 1")
    assert "TopK(fetch=1)" in "\n".join(row[1] for row in cursor.fetchall())
    cursor.execute(f"EXPLAIN ANALYZE UPDATE {table} SET b = b + 1 WHERE id = 1")
    cursor.fetchall()
    cursor.execute(f"SELECT b FROM {table} WHERE id = 1")
    assert cursor.fetchone() == (11,), "it ran, once"


def test_bound_structs_go_by_the_names_of_their_fields(cursor, namespace):
    name = f"{namespace}.structs"
    cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, y STRUCT(a TEXT, b TEXT))")
    insert = f"INSERT INTO {name} (id, y) VALUES (?, ?)"
    cursor.execute(insert, (1, {"b": "B", "a": "A"}))
    cursor.execute(insert, (2, {"b": "B"}))
    with pytest.raises(Error, match="field c"):
        cursor.execute(insert, (3, {"b": "B", "c": "C"}))
    cursor.execute(f"UPDATE {name} SET y = ? WHERE id = 2", ({"b": "new"},))
    cursor.execute(f"SELECT y FROM {name} ORDER BY id")
    assert cursor.fetchall() == [({"a": "A", "b": "B"},), ({"a": None, "b": "new"},)]


def test_finer_moments_bytes_and_uuids_are_compared_as_they_are(cursor, namespace):
    name = f"{namespace}.fine"
    cursor.execute(f"CREATE TABLE {name} (t TIMESTAMP(0) PRIMARY KEY, b BYTES, v UUID)")
    uuid = "6f0a2f4c-7b1e-4d35-9a55-0d8f3d2c1b0a"
    cursor.execute(f"INSERT INTO {name} VALUES ('2025-01-01 10:00:00', X'00ff', '{uuid}')")
    moment = datetime.datetime(2025, 1, 1, 10)
    finer = moment.replace(microsecond=900_000)
    cases = [
        ("t = ?", moment, 1),
        ("t = ?", finer, 0),
        ("t < ?", finer, 1),
        ("t = ?", "2025-01-01 10:00:00", 1),
        ("t = ?", "2025-01-01 10:00:00.9", 0),
        ("t IN (?)", finer, 0),
        ("b = ?", "\\x00ff", 1),
        ("b = ?", b"\x00\xff", 1),
        ("v = ?", bytes.fromhex(uuid.replace("-", "")), 1),
        ("v = ?", uuid, 1),
    ]
    for condition, value, rows in cases:
        cursor.execute(f"SELECT count(*) FROM {name} WHERE {condition}", (value,))
        assert cursor.fetchone() == (rows,), (condition, value)
    cursor.execute(f"DELETE FROM {name} WHERE t = ?", (finer,))
    cursor.execute(f"SELECT count(*) FROM {name}")
    assert cursor.fetchone() == (1,)


def test_a_date_is_no_number_of_days_and_a_number_no_date(cursor, table):
    for value in (datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1)):
        with pytest.raises(Error, match="a number is no date or time"):
            cursor.execute(f"SELECT d - ? FROM {table} WHERE id = 1", (value,))
            cursor.fetchall()
    with pytest.raises(Error):
        cursor.execute(f"SELECT id FROM {table} WHERE d = ?", (19_753,))
        cursor.fetchall()
