//! Runs one statement and writes what comes of it: rows, or how many were changed.

use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use tokio::time::timeout;

use super::connection::{Connection, Prepared, Rows};
use super::error::ShellError;
use super::output::Format;

/// How long rows are held back for their widths when the next ones do not come.
const HELD_ROWS_PATIENCE: Duration = Duration::from_millis(200);

/// How results are shown; backslash commands change it.
#[derive(Debug, Clone, Copy)]
pub struct Display {
    /// The format of rows.
    pub format: Format,
    /// Rows of one result shown at most.
    pub row_limit: Option<usize>,
    /// Whether durations are shown.
    pub timing: bool,
}

/// Rows written, and whether there were more.
struct Written {
    rows: usize,
    has_more: bool,
}

/// Runs `sql`, one statement. Ctrl-C stops it, here and on the server.
pub async fn run_statement(
    connection: &mut Connection,
    sql: &str,
    display: Display,
    out: &mut (dyn Write + Send),
) -> Result<(), ShellError> {
    let started = Instant::now();
    let mut prepared = cancellable(connection.prepare(sql)).await?;
    let result = cancellable(run_prepared(connection, &mut prepared, sql, display, started, out));
    let result = result.await;
    connection.close(prepared).await;
    result
}

async fn run_prepared(
    connection: &Connection,
    prepared: &mut Prepared,
    sql: &str,
    display: Display,
    started: Instant,
    out: &mut (dyn Write + Send),
) -> Result<(), ShellError> {
    let schema = prepared
        .dataset_schema()
        .map_err(|error| ShellError::from_flight(&error, connection.uri()))?;
    // Flight SQL's sign for a statement without rows.
    if schema.fields().is_empty() {
        let count = connection.execute(prepared).await?;
        return summarize(&changed(sql, count), "", display, started, out);
    }
    let schema: SchemaRef = Arc::new(schema.clone());
    let rows = connection.query(prepared).await?;
    let written = write_rows(rows, &schema, display, out).await?;
    let rows = counted(written.rows, "row");
    if written.has_more {
        let note = "; there are more, \\limit 0 shows all";
        return summarize(&format!("first {rows}"), note, display, started, out);
    }
    summarize(&rows, "", display, started, out)
}

async fn write_rows(
    mut rows: Rows,
    schema: &SchemaRef,
    display: Display,
    out: &mut (dyn Write + Send),
) -> Result<Written, ShellError> {
    let mut writer = display.format.writer(schema);
    let mut written = Written { rows: 0, has_more: false };
    loop {
        let batch = {
            let mut next = pin!(rows.next());
            match timeout(HELD_ROWS_PATIENCE, &mut next).await {
                Ok(batch) => batch?,
                Err(_elapsed) => {
                    writer.flush(out)?;
                    next.await?
                }
            }
        };
        let Some(batch) = batch else { break };
        let room = display.row_limit.map_or(usize::MAX, |limit| limit - written.rows);
        let taken = batch.num_rows().min(room);
        writer.write(&batch.slice(0, taken), out)?;
        written.rows += taken;
        if taken < batch.num_rows() {
            written.has_more = true;
            break;
        }
    }
    writer.finish(out)?;
    Ok(written)
}

/// Says how it went. What other programs read stays free of it.
fn summarize(
    summary: &str,
    note: &str,
    display: Display,
    started: Instant,
    out: &mut (dyn Write + Send),
) -> Result<(), ShellError> {
    let line = match display.timing {
        true => format!("({summary}, {}{note})", duration(started.elapsed())),
        false => format!("({summary}{note})"),
    };
    match display.format {
        Format::Table => writeln!(out, "{line}")?,
        Format::Csv | Format::Json => writeln!(io::stderr(), "{line}")?,
    }
    Ok(out.flush()?)
}

/// Ctrl-C ends `work` early; dropping it tells the server.
pub async fn cancellable<T>(
    work: impl Future<Output = Result<T, ShellError>>,
) -> Result<T, ShellError> {
    tokio::select! {
        result = work => result,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            Err(ShellError::Cancelled)
        }
    }
}

/// "3 rows changed", or "done" for statements that are not about rows.
fn changed(sql: &str, count: Option<u64>) -> String {
    let verb = first_word(sql);
    let is_about_rows = ["insert", "update", "delete", "merge", "replace"].contains(&verb.as_str());
    match count {
        Some(count) if is_about_rows || count > 0 => {
            format!("{} changed", counted(usize::try_from(count).unwrap_or(usize::MAX), "row"))
        }
        _ => "done".to_string(),
    }
}

/// The first keyword in lower case, comments skipped.
pub fn first_word(sql: &str) -> String {
    let mut rest = sql.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            break;
        };
        rest = after.trim_start();
    }
    rest.chars().take_while(|c| c.is_ascii_alphabetic()).collect::<String>().to_ascii_lowercase()
}

/// "1 row", "1,234 rows".
fn counted(count: usize, noun: &str) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {noun}{}", if count == 1 { "" } else { "s" })
}

fn duration(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else if seconds < 60.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{} min {:.0} s", elapsed.as_secs() / 60, seconds % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_count_in_words() {
        assert_eq!(counted(0, "row"), "0 rows");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(336_776, "row"), "336,776 rows");
        assert_eq!(counted(1_000, "row"), "1,000 rows");
        assert_eq!(changed("INSERT INTO t VALUES (1)", Some(1)), "1 row changed");
        assert_eq!(changed("-- x\n /* y */ delete from t", Some(0)), "0 rows changed");
        assert_eq!(changed("CREATE TABLE t (a INT)", Some(0)), "done");
        assert_eq!(changed("UPDATE t SET a = 1", None), "done");
    }

    #[test]
    fn durations_have_the_unit_people_read() {
        assert_eq!(duration(Duration::from_micros(1_240)), "1.2 ms");
        assert_eq!(duration(Duration::from_millis(2_340)), "2.34 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
    }

    #[test]
    fn the_first_word_is_found_behind_comments() {
        assert_eq!(first_word("  -- a\n/* b */ Select 1"), "select");
        assert_eq!(first_word("/* open"), "");
    }

    #[tokio::test]
    async fn finished_work_is_not_cancelled() {
        assert_eq!(cancellable(async { Ok(7) }).await.unwrap(), 7);
    }
}
