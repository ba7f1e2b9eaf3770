package kalamdb;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/**
 * Walks through what a JDBC application does against a server that holds {@code flights.flights}
 * and {@code flights.planes_pk}, and prints what it saw as one JSON object on stdout.
 *
 * <p>Arguments: host, port, user, password.
 */
public final class JdbcClient {
  private JdbcClient() {}

  public static void main(String[] arguments) throws SQLException {
    String url =
        "jdbc:arrow-flight-sql://" + arguments[0] + ":" + arguments[1] + "/?useEncryption=false";
    Properties properties = new Properties();
    properties.put("user", arguments[2]);
    properties.put("password", arguments[3]);
    Map<String, Object> seen = new LinkedHashMap<>();
    try (Connection connection = DriverManager.getConnection(url, properties)) {
      metadata(connection, seen);
      preparedQuery(connection, seen);
      inserts(connection, seen);
      types(connection, seen);
      readAllFlights(connection, seen);
      mistakes(connection, seen);
    }
    StringBuilder json = new StringBuilder();
    write(json, seen);
    System.out.println(json);
  }

  private static void metadata(Connection connection, Map<String, Object> seen)
      throws SQLException {
    DatabaseMetaData metadata = connection.getMetaData();
    seen.put("product", metadata.getDatabaseProductName());
    seen.put("product_version", metadata.getDatabaseProductVersion());
    seen.put("quote", metadata.getIdentifierQuoteString());
    seen.put("keywords_known", metadata.getSQLKeywords() != null);
    seen.put("transactions", metadata.supportsTransactions());
    try (ResultSet rows = metadata.getCatalogs()) {
      seen.put("catalogs", column(rows, "TABLE_CAT"));
    }
    try (ResultSet rows = metadata.getSchemas()) {
      seen.put("schemas", column(rows, "TABLE_SCHEM"));
    }
    try (ResultSet rows = metadata.getTableTypes()) {
      seen.put("table_types", column(rows, "TABLE_TYPE"));
    }
    try (ResultSet rows = metadata.getTables(null, "flights", "%", new String[] {"TABLE"})) {
      seen.put("tables", column(rows, "TABLE_NAME"));
    }
    List<Object> columns = new ArrayList<>();
    try (ResultSet rows = metadata.getColumns(null, "flights", "planes\\_pk", "%")) {
      while (rows.next()) {
        columns.add(
            Arrays.asList(
                rows.getString("COLUMN_NAME"),
                rows.getInt("DATA_TYPE"),
                rows.getString("TYPE_NAME"),
                rows.getInt("ORDINAL_POSITION"),
                rows.getString("IS_NULLABLE")));
      }
    }
    seen.put("columns", columns);
    try (ResultSet rows = metadata.getPrimaryKeys(null, "flights", "planes_pk")) {
      seen.put("primary_key", column(rows, "COLUMN_NAME"));
    }
    try (ResultSet rows = metadata.getImportedKeys(null, "flights", "planes_pk")) {
      seen.put("imported_keys", column(rows, "FKCOLUMN_NAME"));
    }
  }

  private static void preparedQuery(Connection connection, Map<String, Object> seen)
      throws SQLException {
    String sql =
        "SELECT tailnum, year, manufacturer, seats FROM flights.planes_pk"
            + " WHERE manufacturer = ? AND year > ? ORDER BY tailnum LIMIT ?";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      seen.put("parameters", statement.getParameterMetaData().getParameterCount());
      List<Object> answers = new ArrayList<>();
      for (String manufacturer : new String[] {"EMBRAER", "BOEING", "nobody"}) {
        statement.setString(1, manufacturer);
        statement.setLong(2, 2005);
        statement.setLong(3, 3);
        try (ResultSet rows = statement.executeQuery()) {
          answers.add(rows(rows));
        }
      }
      seen.put("prepared", answers);
    }
  }

  private static void inserts(Connection connection, Map<String, Object> seen)
      throws SQLException {
    try (Statement statement = connection.createStatement()) {
      seen.put(
          "create",
          statement.executeUpdate(
              "CREATE TABLE flights.jdbc (id INT PRIMARY KEY, word TEXT, price DECIMAL(10, 2))"));
      seen.put(
          "insert",
          statement.executeUpdate("INSERT INTO flights.jdbc VALUES (1, 'one', 1.50), (2, NULL, 2)"));
      seen.put("is_query", statement.execute("SELECT count(*) FROM flights.jdbc"));
      seen.put(
          "is_update", !statement.execute("UPDATE flights.jdbc SET word = 'two' WHERE id = 2"));
      seen.put("update_count", statement.getUpdateCount());
      String returning = "UPDATE flights.jdbc SET word = word WHERE id = 2 RETURNING id, word";
      boolean gives = statement.execute(returning);
      seen.put("returning_is_query", gives);
      if (gives) {
        try (ResultSet returned = statement.getResultSet()) {
          returned.next();
          seen.put("returned", returned.getInt(1) + " " + returned.getString("word"));
        }
      }
      String upsert = "INSERT INTO flights.jdbc VALUES (1, 'one', 1.50), (2, 'two', 2)";
      upsert += " ON CONFLICT (id) DO UPDATE SET word = excluded.word WHERE jdbc.id = 2";
      seen.put("upsert", statement.executeUpdate(upsert));
      seen.put("counts", counts(statement));
      seen.put("show_is_query", statement.execute("SHOW TABLES"));
      seen.put("describe_is_query", statement.execute("DESCRIBE flights.jdbc"));
    }
    String insert = "INSERT INTO flights.jdbc VALUES (?, ?, ?)";
    try (PreparedStatement statement = connection.prepareStatement(insert)) {
      statement.setInt(1, 3);
      statement.setString(2, "three – ñ漢");
      statement.setBigDecimal(3, new BigDecimal("3.25"));
      seen.put("prepared_insert", statement.executeUpdate());
      for (int id = 10; id < 110; id++) {
        statement.setInt(1, id);
        if (id % 10 == 0) {
          statement.setNull(2, Types.VARCHAR);
        } else {
          statement.setString(2, "word " + id);
        }
        statement.setBigDecimal(3, BigDecimal.valueOf(id, 2));
        statement.addBatch();
      }
      int total = 0;
      for (int count : statement.executeBatch()) {
        total += count;
      }
      seen.put("batch_insert", total);
    }
    try (Statement statement = connection.createStatement();
        ResultSet rows =
            statement.executeQuery("SELECT * FROM flights.jdbc WHERE id < 13 ORDER BY id")) {
      ResultSetMetaData metadata = rows.getMetaData();
      List<Object> labels = new ArrayList<>();
      for (int i = 1; i <= metadata.getColumnCount(); i++) {
        labels.add(Arrays.asList(metadata.getColumnLabel(i), metadata.getColumnTypeName(i)));
      }
      seen.put("inserted_columns", labels);
      seen.put("inserted", rows(rows));
    }
  }

  /** What changes of several rows answer. */
  private static List<Object> counts(Statement statement) throws SQLException {
    List<Object> counts = new ArrayList<>();
    for (String sql :
        new String[] {
          "CREATE TABLE flights.counted (id INT PRIMARY KEY, n INT)",
          "INSERT INTO flights.counted SELECT value, 0 FROM generate_series(1, 5)",
          "UPDATE flights.counted SET n = v.n FROM (VALUES (1, 1), (1, 2), (3, 3)) AS v(id, n)"
              + " WHERE v.id = counted.id",
          "DELETE FROM flights.counted AS a USING flights.counted AS b WHERE a.id < b.id - 2",
          "MERGE INTO flights.counted AS t USING (VALUES (3), (4), (9)) AS s(id) ON t.id = s.id"
              + " WHEN MATCHED AND s.id = 3 THEN DELETE WHEN MATCHED THEN UPDATE SET n = 4"
              + " WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
          "DROP TABLE flights.counted"
        }) {
      counts.add(statement.executeUpdate(sql));
    }
    return counts;
  }

  private static void types(Connection connection, Map<String, Object> seen) throws SQLException {
    String sql =
        "SELECT true AS b, CAST(-5 AS TINYINT) AS i8, CAST(7 AS BIGINT) AS i64,"
            + " CAST(1.5 AS REAL) AS f32, CAST(0.1 AS DOUBLE) AS f64,"
            + " CAST('12.34' AS DECIMAL(10, 2)) AS d, 'text' AS t, X'00ff' AS raw,"
            + " CAST('2024-02-29' AS DATE) AS day,"
            + " CAST('2024-02-29 12:30:00.123456' AS TIMESTAMP) AS moment,"
            + " CAST('1970-01-01 00:00:01Z' AS TIMESTAMPTZ) AS instant, NULL AS nothing";
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(sql)) {
      rows.next();
      List<Object> values = new ArrayList<>();
      values.add(rows.getBoolean("b"));
      values.add(rows.getInt("i8"));
      values.add(rows.getLong("i64"));
      values.add((double) rows.getFloat("f32"));
      values.add(rows.getDouble("f64"));
      values.add(rows.getBigDecimal("d").toPlainString());
      values.add(rows.getString("t"));
      values.add(Arrays.toString(rows.getBytes("raw")));
      values.add(rows.getDate("day").toString());
      values.add(rows.getTimestamp("moment").toString());
      values.add(rows.getTimestamp("instant").toInstant().toString());
      values.add(rows.getObject("nothing"));
      values.add(rows.wasNull());
      seen.put("types", values);
    }
  }

  private static void readAllFlights(Connection connection, Map<String, Object> seen)
      throws SQLException {
    long count = 0;
    long distance = 0;
    long delays = 0;
    long nullDelays = 0;
    long letters = 0;
    long seconds = 0;
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SELECT * FROM flights.flights")) {
      int delayColumn = rows.findColumn("arr_delay");
      int distanceColumn = rows.findColumn("distance");
      int tailColumn = rows.findColumn("tailnum");
      int hourColumn = rows.findColumn("time_hour");
      while (rows.next()) {
        count++;
        distance += rows.getLong(distanceColumn);
        delays += rows.getLong(delayColumn);
        if (rows.wasNull()) {
          nullDelays++;
        }
        String tail = rows.getString(tailColumn);
        letters += tail == null ? 0 : tail.getBytes(StandardCharsets.UTF_8).length;
        seconds += rows.getTimestamp(hourColumn).toInstant().getEpochSecond() % 1_000_000;
      }
      seen.put("flight_columns", rows.getMetaData().getColumnCount());
    }
    seen.put("flights", Arrays.asList(count, distance, delays, nullDelays, letters, seconds));
  }

  private static void mistakes(Connection connection, Map<String, Object> seen) {
    List<Object> messages = new ArrayList<>();
    for (String sql : new String[] {"SELEC 1", "SELECT * FROM flights.nosuch"}) {
      try (Statement statement = connection.createStatement()) {
        statement.executeQuery(sql);
        messages.add("no error");
      } catch (SQLException error) {
        messages.add(String.valueOf(error.getMessage()));
      }
    }
    seen.put("errors", messages);
  }

  private static List<Object> column(ResultSet rows, String name) throws SQLException {
    List<Object> values = new ArrayList<>();
    while (rows.next()) {
      values.add(rows.getString(name));
    }
    return values;
  }

  private static List<Object> rows(ResultSet rows) throws SQLException {
    int columns = rows.getMetaData().getColumnCount();
    List<Object> all = new ArrayList<>();
    while (rows.next()) {
      List<Object> row = new ArrayList<>();
      for (int i = 1; i <= columns; i++) {
        row.add(rows.getObject(i));
      }
      all.add(row);
    }
    return all;
  }

  private static void write(StringBuilder json, Object value) {
    if (value == null || value instanceof Boolean || value instanceof Number) {
      json.append(value instanceof BigDecimal d ? '"' + d.toPlainString() + '"' : value);
    } else if (value instanceof Map<?, ?> map) {
      json.append('{');
      for (Iterator<? extends Map.Entry<?, ?>> i = map.entrySet().iterator(); i.hasNext(); ) {
        Map.Entry<?, ?> entry = i.next();
        quote(json, entry.getKey().toString());
        json.append(": ");
        write(json, entry.getValue());
        json.append(i.hasNext() ? ", " : "");
      }
      json.append('}');
    } else if (value instanceof List<?> list) {
      json.append('[');
      for (int i = 0; i < list.size(); i++) {
        json.append(i > 0 ? ", " : "");
        write(json, list.get(i));
      }
      json.append(']');
    } else {
      quote(json, value.toString());
    }
  }

  private static void quote(StringBuilder json, String text) {
    json.append('"');
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        json.append('\\').append(c);
      } else if (c < ' ' || c > '~') {
        json.append(String.format("\\u%04x", (int) c));
      } else {
        json.append(c);
      }
    }
    json.append('"');
  }
}
