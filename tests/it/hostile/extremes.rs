//! SQL that is too long or too deep, and SQL that is merely long.

use tonic::Code;

use super::{INVALID, INVALID_OR_UNSUPPORTED, NOT_FOUND, OK, OK_OR_INVALID};

/// A name, a statement, what may be answered.
pub type Extreme = (&'static str, String, &'static [Code]);

/// The limit on SQL text, which a text one byte longer exceeds.
const SQL_BYTES_MAX: usize = 1 << 20;

pub fn all() -> Vec<Extreme> {
    [nested(), chained(), definitions(), long()].concat()
}

fn nested() -> Vec<Extreme> {
    let derived = format!(
        "SELECT * FROM {}system.users{}",
        "(SELECT * FROM ".repeat(1_000),
        ") t".repeat(1_000)
    );
    vec![
        ("10,000 brackets", nest("(", ")", 10_000), INVALID),
        ("10,000 open brackets", nest("(", "", 10_000), INVALID),
        ("10,000 NOTs", nest("NOT ", "", 10_000), INVALID),
        ("10,000 signs", nest("- ", "", 10_000), INVALID),
        ("10,000 tildes", nest("~", "", 10_000), INVALID),
        ("5,000 function calls", nest("abs(", ")", 5_000), INVALID),
        ("5,000 arrays", nest("[", "]", 5_000), INVALID),
        ("5,000 structs", nest("{'a': ", "}", 5_000), INVALID),
        ("5,000 casts", format!("SELECT 1{}", "::INT".repeat(5_000)), INVALID),
        ("5,000 CASEs", nest("CASE WHEN true THEN ", " END", 5_000), INVALID),
        ("2,000 subqueries", nest("(SELECT ", ")", 2_000), INVALID),
        ("1,000 derived tables", derived, INVALID),
        ("1,000 EXPLAINs", format!("{}SELECT 1", "EXPLAIN ".repeat(1_000)), INVALID),
        ("10,000 nested comments", format!("SELECT 1 {}", "/*".repeat(10_000)), INVALID),
        ("50 brackets", nest("(", ")", 50), OK),
    ]
}

fn chained() -> Vec<Extreme> {
    let chain = |operator: &str| format!("SELECT {}", vec!["1"; 10_000].join(operator));
    let condition = |operator: &str, terms: usize| {
        let terms: Vec<String> = (0..terms).map(|term| format!("id <> {term}")).collect();
        format!("SELECT * FROM default.victim WHERE {}", terms.join(operator))
    };
    let doubled: Vec<String> = (1..40)
        .map(|level| format!("t{level} AS (SELECT 1 AS x FROM t{0} a, t{0} b)", level - 1))
        .collect();
    let doubled =
        format!("WITH t0 AS (SELECT 1 AS x), {} SELECT count(*) FROM t39", doubled.join(", "));
    let joins = format!("SELECT 1 FROM system.users{}", " JOIN system.users".repeat(500));
    vec![
        ("10,000 additions", chain(" + "), INVALID),
        ("10,000 concatenations", chain(" || "), INVALID),
        ("10,000 ANDs", condition(" AND ", 10_000), INVALID),
        ("10,000 ORs", condition(" OR ", 10_000), INVALID),
        ("5,000 UNIONs", vec!["SELECT 1"; 5_000].join(" UNION ALL "), INVALID),
        ("500 joins", joins, INVALID),
        ("a plan doubled 40 times", doubled, INVALID),
        ("400 ANDs", condition(" AND ", 400), OK),
    ]
}

fn definitions() -> Vec<Extreme> {
    let of_type = |name: &str| format!("CREATE TABLE default.deep (a {name})");
    let lists = of_type(&format!("INT{}", "[]".repeat(1_000)));
    let arrays = format!("{}INT{}", "ARRAY<".repeat(1_000), ">".repeat(1_000));
    let structs = format!("{}INT{}", "STRUCT(b ".repeat(1_000), ")".repeat(1_000));
    let columns: Vec<String> = (0..1_001).map(|column| format!("c{column} INT")).collect();
    vec![
        ("a type of 1,000 lists", lists, INVALID_OR_UNSUPPORTED),
        ("a type of 1,000 ARRAYs", of_type(&arrays), INVALID),
        ("a type of 1,000 STRUCTs", of_type(&structs), INVALID),
        ("1,001 columns", format!("CREATE TABLE default.wide ({})", columns.join(", ")), INVALID),
    ]
}

fn long() -> Vec<Extreme> {
    let list = |items: usize| {
        let items: Vec<String> = (0..items).map(|item| item.to_string()).collect();
        format!("SELECT count(*) FROM default.victim WHERE id IN ({})", items.join(","))
    };
    let columns: Vec<String> = (0..5_000).map(|column| format!("1 AS c{column}")).collect();
    let values = format!("VALUES {}", vec!["(1)"; 50_000].join(","));
    let name = "n".repeat(900_000);
    vec![
        ("SQL over the limit", format!("SELECT 1{}", " ".repeat(SQL_BYTES_MAX)), INVALID),
        ("a name of 900,000 bytes", format!("SELECT \"{name}\""), INVALID),
        ("a table name of 900,000 bytes", format!("SELECT * FROM {name}"), NOT_FOUND),
        ("a number of 100,000 digits", format!("SELECT {}", "9".repeat(100_000)), OK_OR_INVALID),
        ("a text of 900,000 bytes", format!("SELECT '{}'", "t".repeat(900_000)), OK),
        ("a list of 9,000", list(9_000), OK),
        ("a list of 120,000", list(120_000), OK_OR_INVALID),
        ("50,000 rows of VALUES", values, OK_OR_INVALID),
        ("5,000 result columns", format!("SELECT {}", columns.join(", ")), OK_OR_INVALID),
    ]
}

fn nest(open: &str, close: &str, depth: usize) -> String {
    format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth))
}
