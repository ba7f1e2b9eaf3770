//! CommandStatementIngest: a stream of batches becomes rows of a table, all or none.

use std::sync::Arc;

use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use kalamdb_commons::ErrorKind;
use kalamdb_core::{IngestIfExists, IngestIfMissing, IngestRequest};
use tonic::Status;

use super::context::RequestContext;
use super::put_stream::Upload;
use super::{CATALOG, Shared, encode, request, statements};
use crate::status;

/// Writes the upload's rows and returns their number.
pub async fn run(
    shared: &Arc<Shared>,
    context: &RequestContext,
    command: CommandStatementIngest,
    upload: Upload,
) -> Result<i64, Status> {
    request::refuse_transaction(command.transaction_id.as_ref())?;
    let (if_missing, if_exists) = modes(command.table_definition_options.as_ref())?;
    check(&command)?;
    let (schema, batches) = encode::guarded_call(upload.batches()).await?;
    let request = IngestRequest {
        namespace: command.schema.filter(|namespace| !namespace.is_empty()),
        table: command.table,
        schema,
        if_missing,
        if_exists,
    };
    let rows = encode::guarded_call(async {
        shared
            .engine
            .ingest(&context.session, request, batches)
            .await
            .map_err(|error| status::from_engine(&error))
    })
    .await?;
    metrics::counter!("kalamdb_ingested_rows_total").increment(rows);
    Ok(statements::count(rows))
}

fn check(command: &CommandStatementIngest) -> Result<(), Status> {
    if command.table.is_empty() {
        return Err(invalid("the ingest names no table"));
    }
    if command.temporary {
        return Err(status::refuse(
            ErrorKind::Unsupported,
            "there are no temporary tables, ingest into an ordinary one",
        ));
    }
    match command.catalog.as_deref() {
        None | Some("" | CATALOG) => {}
        Some(_) => {
            return Err(status::refuse(
                ErrorKind::NotFound,
                format!("the only catalog is '{CATALOG}'"),
            ));
        }
    }
    if let Some(option) = command.options.keys().next() {
        return Err(invalid(&format!("unknown ingest option '{}'", status::one_line(option))));
    }
    Ok(())
}

/// What to do about a missing and about an existing table. Both must be said: a client that
/// says nothing gets an error, not a guess.
fn modes(
    options: Option<&TableDefinitionOptions>,
) -> Result<(IngestIfMissing, IngestIfExists), Status> {
    let options = options
        .ok_or_else(|| invalid("the ingest does not say what to do if the table exists or not"))?;
    let if_missing = match TableNotExistOption::try_from(options.if_not_exist) {
        Ok(TableNotExistOption::Create) => IngestIfMissing::Create,
        Ok(TableNotExistOption::Fail) => IngestIfMissing::Fail,
        Ok(TableNotExistOption::Unspecified) | Err(_) => {
            return Err(invalid("the ingest does not say what to do if the table does not exist"));
        }
    };
    let if_exists = match TableExistsOption::try_from(options.if_exists) {
        Ok(TableExistsOption::Fail) => IngestIfExists::Fail,
        Ok(TableExistsOption::Append) => IngestIfExists::Append,
        Ok(TableExistsOption::Replace) => IngestIfExists::Replace,
        Ok(TableExistsOption::Unspecified) | Err(_) => {
            return Err(invalid("the ingest does not say what to do if the table exists"));
        }
    };
    Ok((if_missing, if_exists))
}

fn invalid(message: &str) -> Status {
    status::refuse(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(if_not_exist: i32, if_exists: i32) -> TableDefinitionOptions {
        TableDefinitionOptions { if_not_exist, if_exists }
    }

    #[test]
    fn the_four_modes_of_the_drivers_are_understood() {
        use {IngestIfExists as Exists, IngestIfMissing as Missing};
        let (create, fail_missing) =
            (TableNotExistOption::Create as i32, TableNotExistOption::Fail as i32);
        let (fail, append, replace) = (
            TableExistsOption::Fail as i32,
            TableExistsOption::Append as i32,
            TableExistsOption::Replace as i32,
        );
        let cases = [
            (create, fail, (Missing::Create, Exists::Fail)),
            (fail_missing, append, (Missing::Fail, Exists::Append)),
            (create, append, (Missing::Create, Exists::Append)),
            (create, replace, (Missing::Create, Exists::Replace)),
        ];
        for (missing, exists, expected) in cases {
            assert_eq!(modes(Some(&options(missing, exists))).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_said_is_an_error() {
        let create = TableNotExistOption::Create as i32;
        let append = TableExistsOption::Append as i32;
        assert!(modes(None).is_err());
        for (missing, exists) in [(0, append), (create, 0), (99, append), (create, -1)] {
            assert!(modes(Some(&options(missing, exists))).is_err());
        }
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        let plain = CommandStatementIngest { table: "t".into(), ..Default::default() };
        assert!(check(&plain).is_ok());
        let catalog = CommandStatementIngest { catalog: Some("x".into()), ..plain.clone() };
        let temporary = CommandStatementIngest { temporary: true, ..plain.clone() };
        let mut option = plain.clone();
        option.options.insert("speed".into(), "high".into());
        let nameless = CommandStatementIngest::default();
        for command in [catalog, temporary, option, nameless] {
            assert!(check(&command).is_err(), "{command:?}");
        }
    }
}
