"""Views and tables made from queries, as the drivers see them."""

import pyarrow as pa


def test_adbc_lists_views_and_reads_them(connection, namespace):
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {namespace}.t (id BIGINT PRIMARY KEY, name TEXT)")
        cursor.execute(f"INSERT INTO {namespace}.t VALUES (1, 'one'), (2, 'two')")
        query = f"SELECT id, upper(name) FROM {namespace}.t"
        cursor.execute(f"CREATE VIEW {namespace}.v (n, label) AS {query}")
        cursor.execute(f"SELECT label FROM {namespace}.v WHERE n = 2")
        assert cursor.fetchall() == [("TWO",)]
        schema = connection.adbc_get_table_schema("v", db_schema_filter=namespace)
        assert schema.names == ["n", "label"]
        assert schema.types == [pa.int64(), pa.string()]


def test_rowcount_of_a_table_made_from_a_query(connection, namespace):
    with connection.cursor() as cursor:
        query = "SELECT value AS n FROM generate_series(1, 12)"
        cursor.execute(f"CREATE TABLE {namespace}.made AS {query}")
        assert cursor.rowcount == 12
        cursor.execute(f"TRUNCATE TABLE {namespace}.made")
        cursor.execute(f"SELECT count(*) FROM {namespace}.made")
        assert cursor.fetchall() == [(0,)]
