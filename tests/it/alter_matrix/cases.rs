//! The operations of ALTER TABLE, each with rows from before and after it.

/// The table each operation finds.
pub(super) const COLUMNS: &str = "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
    d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE";
/// The rows written before.
pub(super) const OLD: [&str; 3] = [
    "(1, -32768, 'one', 1.50, 0.5, 255, '1969-12-31')",
    "(2, NULL, NULL, NULL, NULL, 0, NULL)",
    "(3, 3, '', -9999.99, -2.25, 3, '2024-02-29')",
];

/// One operation. `{t}` stands for the table.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) alter: &'static [&'static str],
    /// The columns the table then has.
    pub(super) altered: &'static str,
    /// What the rows written before are then.
    pub(super) old: &'static [&'static str],
    /// What is written after.
    pub(super) insert: &'static [&'static str],
    pub(super) update: &'static str,
    pub(super) filters: &'static [&'static str],
}

/// What most operations leave as it is.
const SAME: Case = Case {
    name: "",
    alter: &[],
    altered: COLUMNS,
    old: &OLD,
    insert: &[
        "INSERT INTO {t} (id) VALUES (4)",
        "INSERT INTO {t} VALUES (5, 5, 'five', 5.55, 5.5, 5, '2025-05-05'), (6, 6, NULL, 0, 0, 6, NULL)",
    ],
    update: "UPDATE {t} SET a = id, b = 'changed' WHERE id IN (1, 5)",
    filters: &["a = 3 OR a = 5", "b IS NULL", "c < 0", "d > 0 AND e > 6"],
};

pub(super) static CASES: [Case; 26] = [
    Case {
        name: "add",
        alter: &["ALTER TABLE {t} ADD COLUMN n INT"],
        altered: "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE, n INT",
        old: &[
            "(1, -32768, 'one', 1.50, 0.5, 255, '1969-12-31', NULL)",
            "(2, NULL, NULL, NULL, NULL, 0, NULL, NULL)",
            "(3, 3, '', -9999.99, -2.25, 3, '2024-02-29', NULL)",
        ],
        insert: &["INSERT INTO {t} (id) VALUES (4)", "INSERT INTO {t} (n, id) VALUES (50, 5)"],
        update: "UPDATE {t} SET n = id * 2 WHERE id IN (1, 5)",
        filters: &["n IS NULL", "n = 50", "coalesce(n, 1) = 1 AND a = 3"],
    },
    Case {
        name: "add_default",
        alter: &["ALTER TABLE {t} ADD COLUMN n TEXT DEFAULT 'filled'"],
        altered: "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE, n TEXT DEFAULT 'filled'",
        old: &[
            "(1, -32768, 'one', 1.50, 0.5, 255, '1969-12-31', 'filled')",
            "(2, NULL, NULL, NULL, NULL, 0, NULL, 'filled')",
            "(3, 3, '', -9999.99, -2.25, 3, '2024-02-29', 'filled')",
        ],
        insert: &["INSERT INTO {t} (id) VALUES (4)", "INSERT INTO {t} (n, id) VALUES (NULL, 5)"],
        update: "UPDATE {t} SET n = n || '!' WHERE id IN (1, 4)",
        filters: &["n IS NULL", "n = 'filled'", "n LIKE 'fill%' AND a = 3"],
    },
    Case {
        name: "add_not_null",
        alter: &["ALTER TABLE {t} ADD COLUMN n BIGINT NOT NULL DEFAULT 1 + 4"],
        altered: "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE, n BIGINT NOT NULL DEFAULT 1 + 4",
        old: &[
            "(1, -32768, 'one', 1.50, 0.5, 255, '1969-12-31', 5)",
            "(2, NULL, NULL, NULL, NULL, 0, NULL, 5)",
            "(3, 3, '', -9999.99, -2.25, 3, '2024-02-29', 5)",
        ],
        insert: &["INSERT INTO {t} (id) VALUES (4)", "INSERT INTO {t} (n, id) VALUES (50, 5)"],
        update: "UPDATE {t} SET a = a + n WHERE id IN (1, 5)",
        filters: &["n = 5", "n > 5 OR a = 3", "n IS NOT NULL"],
    },
    Case {
        name: "add_then_other_default",
        alter: &[
            "ALTER TABLE {t} ADD COLUMN n INT DEFAULT 1",
            "ALTER TABLE {t} ALTER COLUMN n SET DEFAULT 2",
            "ALTER TABLE {t} ALTER COLUMN n TYPE BIGINT",
        ],
        altered: "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE, n BIGINT DEFAULT 2",
        old: &[
            "(1, -32768, 'one', 1.50, 0.5, 255, '1969-12-31', 1)",
            "(2, NULL, NULL, NULL, NULL, 0, NULL, 1)",
            "(3, 3, '', -9999.99, -2.25, 3, '2024-02-29', 1)",
        ],
        insert: &["INSERT INTO {t} (id) VALUES (4)", "INSERT INTO {t} (n, id) VALUES (50, 5)"],
        update: "UPDATE {t} SET n = DEFAULT WHERE id IN (1, 5)",
        filters: &["n = 1", "n = 2", "n >= 2 OR a = 3"],
    },
    Case {
        name: "drop",
        alter: &["ALTER TABLE {t} DROP COLUMN b"],
        altered: "id INT PRIMARY KEY, a SMALLINT, c DECIMAL(6, 2), d REAL, \
            e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        old: &[
            "(1, -32768, 1.50, 0.5, 255, '1969-12-31')",
            "(2, NULL, NULL, NULL, 0, NULL)",
            "(3, 3, -9999.99, -2.25, 3, '2024-02-29')",
        ],
        insert: &["INSERT INTO {t} (id) VALUES (4)", "INSERT INTO {t} (c, id) VALUES (50, 5)"],
        update: "UPDATE {t} SET a = id WHERE id IN (1, 5)",
        filters: &["a = 3", "c < 0", "d IS NULL"],
    },
    Case {
        name: "drop_not_null",
        alter: &["ALTER TABLE {t} DROP COLUMN e"],
        altered: "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, f DATE",
        old: &[
            "(1, -32768, 'one', 1.50, 0.5, '1969-12-31')",
            "(2, NULL, NULL, NULL, NULL, NULL)",
            "(3, 3, '', -9999.99, -2.25, '2024-02-29')",
        ],
        insert: &["INSERT INTO {t} (id) VALUES (4)", "INSERT INTO {t} (c, id) VALUES (50, 5)"],
        update: "UPDATE {t} SET a = id WHERE id IN (1, 5)",
        filters: &["a = 3", "f < '2000-01-01'", "b = ''"],
    },
    Case {
        name: "rename",
        alter: &["ALTER TABLE {t} RENAME COLUMN b TO title"],
        altered: "id INT PRIMARY KEY, a SMALLINT, title VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        update: "UPDATE {t} SET title = 'changed' WHERE id IN (1, 5)",
        filters: &["title = 'one'", "title IS NULL", "title = 'b'"],
        ..SAME
    },
    Case {
        name: "rename_key",
        alter: &["ALTER TABLE {t} RENAME COLUMN id TO number, RENAME COLUMN a TO id"],
        altered: "number INT PRIMARY KEY, id SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        insert: &[
            "INSERT INTO {t} (number) VALUES (4)",
            "INSERT INTO {t} (id, number) VALUES (9, 5)",
        ],
        update: "UPDATE {t} SET id = number WHERE number IN (1, 5)",
        filters: &["number = 3", "number IN (2, 5)", "id IS NULL"],
        ..SAME
    },
    Case {
        name: "names_change_places",
        alter: &[
            "ALTER TABLE {t} RENAME COLUMN a TO x, RENAME COLUMN e TO a, RENAME COLUMN x TO e",
        ],
        altered: "id INT PRIMARY KEY, e SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, a TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        filters: &["a = 3", "e = 3", "e IS NULL", "a > 6"],
        ..SAME
    },
    Case {
        name: "drop_and_add",
        alter: &["ALTER TABLE {t} DROP COLUMN b, ADD COLUMN b VARCHAR(10)"],
        altered: "id INT PRIMARY KEY, a SMALLINT, c DECIMAL(6, 2), d REAL, \
            e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE, b VARCHAR(10)",
        old: &[
            "(1, -32768, 1.50, 0.5, 255, '1969-12-31', NULL)",
            "(2, NULL, NULL, NULL, 0, NULL, NULL)",
            "(3, 3, -9999.99, -2.25, 3, '2024-02-29', NULL)",
        ],
        insert: &["INSERT INTO {t} (id) VALUES (4)", "INSERT INTO {t} (b, id) VALUES ('five', 5)"],
        filters: &["b IS NULL", "b = 'one'", "b = 'five'"],
        ..SAME
    },
    Case {
        name: "drop_and_add_of_another_type",
        alter: &[
            "ALTER TABLE {t} DROP COLUMN a",
            "ALTER TABLE {t} ADD COLUMN a TEXT DEFAULT 'again'",
        ],
        altered: "id INT PRIMARY KEY, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), d REAL, \
            e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE, a TEXT DEFAULT 'again'",
        old: &[
            "(1, 'one', 1.50, 0.5, 255, '1969-12-31', 'again')",
            "(2, NULL, NULL, NULL, 0, NULL, 'again')",
            "(3, '', -9999.99, -2.25, 3, '2024-02-29', 'again')",
        ],
        insert: &["INSERT INTO {t} (id) VALUES (4)", "INSERT INTO {t} (a, id) VALUES ('five', 5)"],
        update: "UPDATE {t} SET a = a || '!' WHERE id IN (1, 5)",
        filters: &["a = 'again'", "a <> 'again'", "a IS NULL"],
    },
    Case {
        name: "to_int",
        alter: &["ALTER TABLE {t} ALTER COLUMN a TYPE INT"],
        altered: "id INT PRIMARY KEY, a INT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        update: "UPDATE {t} SET a = a * 1000 WHERE id IN (1, 5)",
        filters: &["a = -32768", "a IS NULL", "a > 3"],
        ..SAME
    },
    Case {
        name: "to_real",
        alter: &["ALTER TABLE {t} ALTER COLUMN a TYPE REAL"],
        altered: "id INT PRIMARY KEY, a REAL, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        update: "UPDATE {t} SET a = a / 2 WHERE id IN (1, 5)",
        filters: &["a = -32768", "a IS NULL", "a > 3"],
        ..SAME
    },
    Case {
        name: "to_double",
        alter: &[
            "ALTER TABLE {t} ALTER COLUMN a TYPE DOUBLE, ALTER COLUMN d SET DATA TYPE DOUBLE, \
             ALTER COLUMN e TYPE DOUBLE",
        ],
        altered: "id INT PRIMARY KEY, a DOUBLE, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d DOUBLE, e DOUBLE NOT NULL DEFAULT 7, f DATE",
        update: "UPDATE {t} SET a = a / 3, d = e / 7 WHERE id IN (1, 5)",
        filters: &["a = -32768", "d = -2.25", "e = 255", "d IS NULL"],
        ..SAME
    },
    Case {
        name: "to_decimal",
        alter: &["ALTER TABLE {t} ALTER COLUMN a TYPE DECIMAL(12, 3), ALTER COLUMN c TYPE \
             DECIMAL(10, 4), ALTER COLUMN e TYPE DECIMAL(3, 0)"],
        altered: "id INT PRIMARY KEY, a DECIMAL(12, 3), b VARCHAR(10) DEFAULT 'b', \
            c DECIMAL(10, 4), d REAL, e DECIMAL(3, 0) NOT NULL DEFAULT 7, f DATE",
        update: "UPDATE {t} SET a = a + 0.125, c = 1.2345 WHERE id IN (1, 5)",
        filters: &["a = -32768", "c = -9999.99", "e = 255", "a IS NULL"],
        ..SAME
    },
    Case {
        name: "step_by_step",
        alter: &[
            "ALTER TABLE {t} ALTER COLUMN a TYPE INT",
            "ALTER TABLE {t} ALTER COLUMN a TYPE BIGINT",
            "ALTER TABLE {t} ALTER COLUMN a TYPE DECIMAL(20, 1)",
            "ALTER TABLE {t} ALTER COLUMN a TYPE DECIMAL(38, 10)",
        ],
        altered: "id INT PRIMARY KEY, a DECIMAL(38, 10), b VARCHAR(10) DEFAULT 'b', \
            c DECIMAL(6, 2), d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        update: "UPDATE {t} SET a = a + 0.5 WHERE id IN (1, 5)",
        filters: &["a = -32768", "a IS NULL", "a BETWEEN 3 AND 5"],
        ..SAME
    },
    Case {
        name: "unsigned_to_signed",
        alter: &["ALTER TABLE {t} ALTER COLUMN e TYPE SMALLINT"],
        altered: "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e SMALLINT NOT NULL DEFAULT 7, f DATE",
        update: "UPDATE {t} SET e = -e WHERE id IN (1, 5)",
        filters: &["e = 255", "e = 7", "e < 5"],
        ..SAME
    },
    Case {
        name: "to_more_unsigned",
        alter: &["ALTER TABLE {t} ALTER COLUMN e TYPE BIGINT UNSIGNED"],
        altered: "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e BIGINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        filters: &["e = 255", "e = 7", "e < 5"],
        ..SAME
    },
    Case {
        name: "longer_text",
        alter: &[
            "ALTER TABLE {t} ALTER COLUMN b TYPE VARCHAR(20)",
            "ALTER TABLE {t} ALTER COLUMN b TYPE TEXT",
        ],
        altered: "id INT PRIMARY KEY, a SMALLINT, b TEXT DEFAULT 'b', c DECIMAL(6, 2), d REAL, \
            e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        update: "UPDATE {t} SET b = 'longer than twenty characters' WHERE id IN (1, 5)",
        ..SAME
    },
    Case {
        name: "set_default",
        alter: &["ALTER TABLE {t} ALTER COLUMN b SET DEFAULT 'other', ALTER a SET DEFAULT 8"],
        altered: "id INT PRIMARY KEY, a SMALLINT DEFAULT 8, b VARCHAR(10) DEFAULT 'other', \
            c DECIMAL(6, 2), d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        update: "UPDATE {t} SET a = DEFAULT WHERE id IN (1, 5)",
        ..SAME
    },
    Case {
        name: "drop_default",
        alter: &["ALTER TABLE {t} ALTER COLUMN b DROP DEFAULT"],
        altered: "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10), c DECIMAL(6, 2), d REAL, \
            e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        ..SAME
    },
    Case {
        name: "set_not_null",
        // The row that has NULL was deleted: its last image still has.
        alter: &["DELETE FROM {t} WHERE a IS NULL", "ALTER TABLE {t} ALTER COLUMN a SET NOT NULL"],
        altered: "id INT PRIMARY KEY, a SMALLINT NOT NULL, b VARCHAR(10) DEFAULT 'b', \
            c DECIMAL(6, 2), d REAL, e TINYINT UNSIGNED NOT NULL DEFAULT 7, f DATE",
        old: &[
            "(1, -32768, 'one', 1.50, 0.5, 255, '1969-12-31')",
            "(3, 3, '', -9999.99, -2.25, 3, '2024-02-29')",
        ],
        insert: &[
            "INSERT INTO {t} (id, a) VALUES (4, 4), (5, 5)",
            "INSERT INTO {t} (id, a) VALUES (2, 22)",
        ],
        ..SAME
    },
    Case {
        name: "drop_not_null_of_column",
        alter: &["ALTER TABLE {t} ALTER COLUMN e DROP NOT NULL"],
        altered: "id INT PRIMARY KEY, a SMALLINT, b VARCHAR(10) DEFAULT 'b', c DECIMAL(6, 2), \
            d REAL, e TINYINT UNSIGNED DEFAULT 7, f DATE",
        insert: &["INSERT INTO {t} (id, e) VALUES (4, NULL), (5, 5)"],
        update: "UPDATE {t} SET e = NULL WHERE id IN (1, 5)",
        filters: &["e IS NULL", "e = 255", "e < 6"],
        ..SAME
    },
    Case {
        name: "options",
        alter: &["ALTER TABLE {t} SET TBLPROPERTIES (DELETED_RETENTION_HOURS = 0)"],
        ..SAME
    },
    Case {
        name: "checks",
        alter: &[
            "ALTER TABLE {t} ADD CONSTRAINT small CHECK (id < 1000)",
            "ALTER TABLE {t} ADD CONSTRAINT large CHECK (id > 0), DROP CONSTRAINT small",
        ],
        ..SAME
    },
    Case {
        name: "several",
        alter: &[
            "ALTER TABLE {t} ADD COLUMN n INT DEFAULT 1, DROP COLUMN c, RENAME COLUMN b TO title, \
             ALTER COLUMN a TYPE BIGINT, ALTER COLUMN e DROP NOT NULL, ADD COLUMN m DATE",
            "ALTER TABLE {t} DROP COLUMN d, RENAME COLUMN m TO d, ALTER COLUMN n TYPE DOUBLE",
        ],
        altered: "id INT PRIMARY KEY, a BIGINT, title VARCHAR(10) DEFAULT 'b', \
            e TINYINT UNSIGNED DEFAULT 7, f DATE, n DOUBLE DEFAULT 1, d DATE",
        old: &[
            "(1, -32768, 'one', 255, '1969-12-31', 1, NULL)",
            "(2, NULL, NULL, 0, NULL, 1, NULL)",
            "(3, 3, '', 3, '2024-02-29', 1, NULL)",
        ],
        insert: &[
            "INSERT INTO {t} (id) VALUES (4)",
            "INSERT INTO {t} (id, d, n) VALUES (5, '2025-05-05', NULL)",
        ],
        update: "UPDATE {t} SET d = f, n = a WHERE id IN (1, 4)",
        filters: &["n = 1", "d IS NULL AND a = 3", "title = 'b'"],
    },
];
