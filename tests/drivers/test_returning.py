"""INSERT … ON CONFLICT and RETURNING through stock clients: what changes rows runs exactly once."""

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from adbc_driver_manager import Error

from flight_sql import RawClient, command, read_schema, statement


@pytest.fixture
def table(cursor, namespace):
    """A table with a key and two rows."""
    name = f"{namespace}.t"
    cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT, label TEXT DEFAULT 'new')")
    cursor.execute(f"INSERT INTO {name} (id, n) VALUES (1, 10), (2, 20)")
    assert cursor.rowcount == 2
    return name


@pytest.fixture
def raw(shared_server):
    """A raw client of root."""
    with RawClient(shared_server) as client:
        yield client


def rows_of(cursor, table: str) -> list[tuple]:
    """The table's rows by key."""
    cursor.execute(f"SELECT * FROM {table} ORDER BY id")
    return cursor.fetchall()


def test_adbc_fetches_what_a_change_returns(cursor, table):
    cursor.execute(f"INSERT INTO {table} (id, n) VALUES (4, 40), (3, 30) RETURNING id, label")
    assert [column[0] for column in cursor.description] == ["id", "label"]
    assert cursor.fetchall() == [(4, "new"), (3, "new")]
    cursor.execute(f"UPDATE {table} SET n = n + 1 WHERE id < ? RETURNING n", (3,))
    assert sorted(cursor.fetchall()) == [(11,), (21,)]
    cursor.execute(f"DELETE FROM {table} WHERE id = 4 RETURNING *")
    assert cursor.fetch_arrow_table().to_pylist() == [{"id": 4, "n": 40, "label": "new"}]
    assert rows_of(cursor, table) == [(1, 11, "new"), (2, 21, "new"), (3, 30, "new")]


def test_adbc_returning_nothing_has_columns_and_no_rows(cursor, table):
    cursor.execute(f"UPDATE {table} SET n = 0 WHERE id = 99 RETURNING id, n")
    assert [column[0] for column in cursor.description] == ["id", "n"]
    assert cursor.fetchall() == []


def test_adbc_upserts_count_inserted_and_updated_rows(cursor, table):
    upsert = f"INSERT INTO {table} VALUES (2, 1, 'b'), (3, 3, 'c')"
    cursor.execute(f"{upsert} ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n")
    assert cursor.rowcount == 2
    cursor.execute(f"{upsert} ON CONFLICT DO NOTHING")
    assert cursor.rowcount == 0
    cursor.execute(f"{upsert} ON CONFLICT DO UPDATE SET n = 0 WHERE t.label = 'c'")
    assert cursor.rowcount == 1
    assert rows_of(cursor, table) == [(1, 10, "new"), (2, 21, "new"), (3, 0, "c")]


def test_adbc_executemany_of_an_upsert(cursor, table):
    upsert = f"INSERT INTO {table} (id, n) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET n = "
    cursor.executemany(upsert + "t.n + excluded.n", [(i, i) for i in range(1, 101)])
    assert cursor.rowcount == 100
    cursor.execute(f"SELECT count(*), sum(n), count(DISTINCT _commit_seq) FROM {table}")
    assert cursor.fetchone() == (100, 5050 + 30, 1)
    # The same key again and again: as if run one after the other.
    cursor.executemany(upsert + "t.n * 10 + excluded.n", [(1, 1), (1, 2), (500, 3), (500, 4)])
    assert cursor.rowcount == 4
    cursor.execute(f"SELECT n FROM {table} WHERE id IN (1, 500) ORDER BY id")
    assert cursor.fetchall() == [(1112,), (34,)]


def test_adbc_executemany_with_returning_counts(cursor, table):
    cursor.executemany(f"UPDATE {table} SET n = ? WHERE id = ? RETURNING n", [(7, 1), (8, 2)])
    assert rows_of(cursor, table) == [(1, 7, "new"), (2, 8, "new")]


def test_adbc_parameters_in_every_place(cursor, table):
    cursor.execute(
        f"INSERT INTO {table} (id, n) VALUES (?, ?) ON CONFLICT DO UPDATE"
        " SET n = t.n + ?, label = ? WHERE t.n < ? RETURNING id + ? AS next, n, label",
        (1, 5, 100, "set", 50, 1),
    )
    assert cursor.fetchall() == [(2, 110, "set")]


def test_adbc_an_error_in_returning_writes_nothing(cursor, table):
    with pytest.raises(Error, match="zero"):
        cursor.execute(f"UPDATE {table} SET n = 0 RETURNING 1 / n")
        cursor.fetchall()
    assert rows_of(cursor, table) == [(1, 10, "new"), (2, 20, "new")]


def test_it_runs_when_its_info_is_asked_for_and_never_again(raw, table):
    sql = f"UPDATE {table} SET n = n + 1 RETURNING id, n"
    assert raw.schema(statement(sql)).names == ["id", "n"]
    info = raw.info(statement(sql))
    assert info.total_records == 2
    assert info.schema.names == ["id", "n"]
    for _ in range(3):
        assert raw.reader(info).read_all().sort_by("id").to_pydict() == {"id": [1, 2], "n": [11, 21]}
    assert raw.query(f"SELECT sum(n) AS s FROM {table}")["s"].to_pylist() == [32]


def test_a_bare_command_is_a_ticket_that_runs_it(raw, table):
    ticket = flight.Ticket(statement(f"UPDATE {table} SET n = n + 1 WHERE id = 1 RETURNING n"))
    for expected in (11, 12):
        rows = raw.client.do_get(ticket, options=raw.options).read_all()
        assert rows["n"].to_pylist() == [expected]


def test_the_update_way_counts(raw, table):
    assert raw.update(f"UPDATE {table} SET n = n + 1 RETURNING id, n") == 2
    assert raw.update(f"DELETE FROM {table} WHERE id = 1 RETURNING id; SELECT 1") == 1
    assert raw.query(f"SELECT n FROM {table}")["n"].to_pylist() == [21]


def test_prepared_it_is_a_query_with_a_schema(raw, table):
    prepared = raw.prepare(f"INSERT INTO {table} (id, n) VALUES (?, ?) RETURNING n, id")
    assert prepared.is_update is False
    assert read_schema(prepared.dataset_schema).names == ["n", "id"]
    assert raw.query(f"SELECT count(*) AS c FROM {table}")["c"].to_pylist() == [2]
    values = pa.record_batch({"0": pa.array([5, 4], pa.int32()), "1": pa.array([50, 40], pa.int32())})
    raw.bind(prepared.handle, values)
    cmd = command("CommandPreparedStatementQuery", (1, prepared.handle))
    assert raw.schema(cmd).names == ["n", "id"]
    info = raw.info(cmd)
    assert info.total_records == 2
    assert raw.reader(info).read_all().to_pydict() == {"n": [50, 40], "id": [5, 4]}
    # Once more, as an update of its own rows.
    more = pa.record_batch({"0": pa.array([7], pa.int32()), "1": pa.array([70], pa.int32())})
    update = command("CommandPreparedStatementUpdate", (1, prepared.handle))
    assert raw.put(update, more.schema, [more]) == 1
    ids = raw.query(f"SELECT id FROM {table} ORDER BY id")["id"].to_pylist()
    assert ids == [1, 2, 4, 5, 7]
    raw.close_prepared(prepared.handle)


def test_unbound_parameters_are_refused_before_anything_runs(raw, table):
    with pytest.raises(pa.ArrowInvalid, match="1 parameters"):
        raw.info(statement(f"DELETE FROM {table} WHERE id < ? RETURNING id"))
    assert raw.query(f"SELECT count(*) AS c FROM {table}")["c"].to_pylist() == [2]
