//! INSERT, UPDATE and DELETE: sqlparser reads them, we keep what we execute and refuse the rest
//! by name.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    self, AssignmentTarget, Expr, FromTable, Ident, ObjectName, Query, SetExpr, Spanned,
    Statement as AstStatement, TableFactor, TableObject, TableWithJoins, UpdateTableFromKind, With,
};
use datafusion::sql::sqlparser::parser::Parser;
use kalamdb_commons::SqlState;

use crate::TableName;
use crate::error::SqlError;
use crate::parse::names::{quote_name, stored_name};
use crate::parse::on_conflict::on_conflict;
use crate::parse::query_guard::{check_dml, check_dml_with_queries};
use crate::parse::reader::{Reader, position_of};
use crate::parse::row_subquery;
use crate::parse::statement::{
    Assignment, DeleteStatement, InsertSource, InsertStatement, Statement, UpdateStatement,
};

/// `INSERT INTO t [(columns)] VALUES … | SELECT … | DEFAULT VALUES`.
pub(crate) fn insert(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let position = reader.position();
    let token = reader.next();
    let mut parsed = reader.parse_with(|parser| parser.parse_insert(token))?;
    check_dml(&mut parsed).map_err(|error| error.at(position))?;
    let AstStatement::Insert(insert) = parsed else {
        return Err(reader.unsupported("this form of INSERT", "use INSERT INTO … VALUES or SELECT"));
    };
    insert_statement(insert).map_err(|error| error.at(position))
}

/// The other systems' ways of saying ON CONFLICT.
fn refuse_other_upserts(insert: &ast::Insert) -> Result<(), SqlError> {
    use ast::SqliteOnConflict::{Ignore, Replace};
    let nothing = "use INSERT … ON CONFLICT DO NOTHING";
    let update = "use INSERT … ON CONFLICT DO UPDATE SET …";
    let (what, advice) = match (&insert.or, insert.ignore) {
        (Some(Ignore), _) => ("INSERT OR IGNORE", nothing),
        (Some(Replace), _) => ("INSERT OR REPLACE", update),
        (Some(_), _) => ("INSERT OR …", "use INSERT … ON CONFLICT"),
        (None, true) => ("INSERT IGNORE", nothing),
        (None, false) => return Ok(()),
    };
    Err(SqlError::unsupported(what, advice))
}

fn insert_statement(insert: ast::Insert) -> Result<Statement, SqlError> {
    refuse_other_upserts(&insert)?;
    let refused = [
        (insert.overwrite, "INSERT OVERWRITE"),
        (insert.replace_into, "REPLACE INTO"),
        (insert.priority.is_some(), "INSERT with a priority"),
        (insert.partitioned.is_some() || !insert.after_columns.is_empty(), "INSERT … PARTITION"),
        (insert.output.is_some(), "INSERT … OUTPUT"),
        (!insert.assignments.is_empty(), "INSERT … SET"),
        (insert.insert_alias.is_some() || insert.table_alias.is_some(), "an alias after VALUES"),
        (insert.settings.is_some() || insert.format_clause.is_some(), "INSERT … FORMAT"),
        (insert.multi_table_insert_type.is_some(), "INSERT into several tables"),
    ];
    refuse_first(&refused, "use INSERT INTO … VALUES or SELECT")?;
    let TableObject::TableName(table) = &insert.table else {
        return Err(SqlError::unsupported("INSERT into a function or query", "name a table"));
    };
    let columns =
        insert.columns.iter().map(|name| column_name(name, None)).collect::<Result<Vec<_>, _>>()?;
    refuse_repeated(&columns)?;
    let source = match insert.source {
        Some(query) => InsertSource::Query(query),
        None if columns.is_empty() => InsertSource::DefaultValues,
        None => return Err(SqlError::invalid("INSERT lacks VALUES or a query")),
    };
    let table = TableName::from_ast(table)?;
    Ok(Statement::Insert(Box::new(InsertStatement {
        on_conflict: insert.on.map(|on| on_conflict(on, &table)).transpose()?,
        table,
        alias: None,
        columns,
        source,
        returning: insert.returning.unwrap_or_default(),
    })))
}

/// `UPDATE t [AS a] SET c = e, … [FROM …] [WHERE …] [ORDER BY …] [LIMIT n]`.
pub(crate) fn update(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let position = reader.position();
    let token = reader.next();
    let mut parsed = reader.parse_with(|parser| parser.parse_update(token))?;
    if let AstStatement::Update(update) = &mut parsed {
        returning_at_the_end(reader, &mut update.returning)?;
    }
    check_dml(&mut parsed).map_err(|error| error.at(position))?;
    let AstStatement::Update(update) = parsed else {
        return Err(reader.unsupported("this form of UPDATE", "use UPDATE … SET … WHERE"));
    };
    update_statement(update).map_err(|error| error.at(position))
}

fn update_statement(update: ast::Update) -> Result<Statement, SqlError> {
    let before_set = matches!(update.from, Some(UpdateTableFromKind::BeforeSet(_)));
    let refused = [
        (update.output.is_some(), "UPDATE … OUTPUT"),
        (update.or.is_some(), "UPDATE OR …"),
        (before_set, "UPDATE … FROM before SET"),
    ];
    refuse_first(&refused, "use UPDATE … SET … [FROM …] WHERE")?;
    let (table, alias) = target(update.table, "UPDATE")?;
    let mut assignments = Vec::with_capacity(update.assignments.len());
    for assignment in update.assignments {
        assign(assignment, &table, alias.as_ref(), &mut assignments)?;
    }
    let columns: Vec<String> = assignments.iter().map(|set| set.column.clone()).collect();
    refuse_repeated(&columns)?;
    let from = match update.from {
        Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => from,
        None => Vec::new(),
    };
    Ok(Statement::Update(Box::new(UpdateStatement {
        table,
        alias,
        assignments,
        from,
        predicate: update.selection,
        order_by: update.order_by,
        limit: update.limit,
        with: None,
        returning: update.returning.unwrap_or_default(),
    })))
}

/// RETURNING after ORDER BY and LIMIT; sqlparser looks for it before them only.
fn returning_at_the_end(
    reader: &mut Reader<'_>,
    returning: &mut Option<Vec<ast::SelectItem>>,
) -> Result<(), SqlError> {
    if returning.is_none() && reader.eat_word("RETURNING") {
        let items = |parser: &mut Parser<'_>| {
            parser.parse_comma_separated(|parser| parser.parse_select_item())
        };
        *returning = Some(reader.parse_with(items)?);
    }
    Ok(())
}

/// `c = e`, `(c, d) = (e, f)` and `(c, d) = (SELECT …)`.
pub(crate) fn assign(
    assignment: ast::Assignment,
    table: &TableName,
    alias: Option<&Ident>,
    out: &mut Vec<Assignment>,
) -> Result<(), SqlError> {
    match assignment.target {
        AssignmentTarget::ColumnName(name) => {
            let column = column_name(&name, Some((table, alias)))?;
            out.push(Assignment { column, value: assignment.value });
        }
        AssignmentTarget::Tuple(names) => match assignment.value {
            Expr::Tuple(values) if values.len() == names.len() => {
                for (name, value) in names.iter().zip(values) {
                    let column = column_name(name, Some((table, alias)))?;
                    out.push(Assignment { column, value });
                }
            }
            Expr::Subquery(query) => {
                let queries = row_subquery::by_column(&query, names.len())?;
                for (name, query) in names.iter().zip(queries) {
                    let column = column_name(name, Some((table, alias)))?;
                    out.push(Assignment { column, value: Expr::Subquery(Box::new(query)) });
                }
            }
            // (c) = (e) reads as a bracketed expression.
            Expr::Nested(value) if names.len() == 1 => {
                for name in &names {
                    let column = column_name(name, Some((table, alias)))?;
                    out.push(Assignment { column, value: (*value).clone() });
                }
            }
            _ => {
                return Err(SqlError::invalid(format!(
                    "{} columns are set from something else than a list of {} values",
                    names.len(),
                    names.len()
                )));
            }
        },
    }
    Ok(())
}

/// `DELETE FROM t [AS a] [USING …] [WHERE …] [ORDER BY …] [LIMIT n]`.
pub(crate) fn delete(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let position = reader.position();
    let token = reader.next();
    let mut parsed = reader.parse_with(|parser| parser.parse_delete(token))?;
    if let AstStatement::Delete(delete) = &mut parsed {
        returning_at_the_end(reader, &mut delete.returning)?;
    }
    check_dml(&mut parsed).map_err(|error| error.at(position))?;
    let AstStatement::Delete(delete) = parsed else {
        return Err(reader.unsupported("this form of DELETE", "use DELETE FROM … WHERE"));
    };
    delete_statement(delete).map_err(|error| error.at(position))
}

fn delete_statement(delete: ast::Delete) -> Result<Statement, SqlError> {
    let refused = [
        (delete.output.is_some(), "DELETE … OUTPUT"),
        (!delete.tables.is_empty(), "DELETE from several tables"),
    ];
    refuse_first(&refused, "use DELETE FROM … [USING …] WHERE")?;
    let mut from = match delete.from {
        FromTable::WithFromKeyword(from) => from,
        FromTable::WithoutKeyword(from) => {
            let position = from.first().and_then(|table| position_of(table.span()));
            let found = from.first().map(|table| table.to_string()).unwrap_or_default();
            let message = format!("expected FROM after DELETE, found '{found}'");
            return Err(SqlError::Syntax { message, position });
        }
    };
    let (Some(only), true) = (from.pop(), from.is_empty()) else {
        return Err(SqlError::unsupported("DELETE from several tables", "name one table"));
    };
    let (table, alias) = target(only, "DELETE")?;
    Ok(Statement::Delete(Box::new(DeleteStatement {
        table,
        alias,
        using: delete.using.unwrap_or_default(),
        predicate: delete.selection,
        order_by: delete.order_by,
        limit: delete.limit,
        with: None,
        returning: delete.returning.unwrap_or_default(),
    })))
}

/// True for a WITH clause that INSERT, UPDATE or DELETE comes after.
pub(crate) fn follows_queries(query: &Query) -> bool {
    matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_))
}

/// `WITH … INSERT | UPDATE | DELETE`: the queries become the statement's own.
pub(crate) fn with_queries(mut query: Query) -> Result<Statement, SqlError> {
    check_dml_with_queries(&mut query)?;
    let (SetExpr::Insert(parsed) | SetExpr::Update(parsed) | SetExpr::Delete(parsed)) = *query.body
    else {
        return Err(SqlError::invalid("INSERT, UPDATE or DELETE is expected after WITH"));
    };
    let mut statement = match parsed {
        AstStatement::Insert(insert) => insert_statement(insert)?,
        AstStatement::Update(update) => update_statement(update)?,
        AstStatement::Delete(delete) => delete_statement(delete)?,
        _ => return Err(SqlError::unsupported("this statement after WITH", "")),
    };
    let Some(with) = query.with else { return Ok(statement) };
    match &mut statement {
        Statement::Insert(insert) => match &mut insert.source {
            InsertSource::Query(source) => put_before(source, with),
            InsertSource::DefaultValues => {
                return Err(SqlError::invalid(
                    "INSERT … DEFAULT VALUES reads none of the queries in WITH, leave them out",
                ));
            }
        },
        Statement::Update(update) => update.with = Some(with),
        Statement::Delete(delete) => delete.with = Some(with),
        _ => {}
    }
    Ok(statement)
}

/// Puts the queries of a statement before those its source has itself.
fn put_before(source: &mut Query, with: With) {
    if source.with.is_none() {
        source.with = Some(with);
        return;
    }
    let mut outer = Query { with: Some(with), ..source.clone() };
    outer.body = Box::new(SetExpr::Query(Box::new(source.clone())));
    (outer.order_by, outer.limit_clause) = (None, None);
    outer.pipe_operators.clear();
    *source = outer;
}

/// The one plain table a statement changes, and its alias.
fn target(
    table: TableWithJoins,
    verb: &'static str,
) -> Result<(TableName, Option<Ident>), SqlError> {
    if !table.joins.is_empty() {
        let advice = "name one table, join others with FROM or USING";
        return Err(SqlError::unsupported(format!("{verb} of a join"), advice));
    }
    match table.relation {
        TableFactor::Table { name, alias, args: None, with_ordinality: false, .. } => {
            let alias = match alias {
                Some(alias) if alias.columns.is_empty() => Some(alias.name),
                Some(_) => {
                    let what = format!("column aliases in {verb}");
                    return Err(SqlError::unsupported(what, "use the columns' own names"));
                }
                None => None,
            };
            Ok((TableName::from_ast(&name)?, alias))
        }
        _ => Err(SqlError::unsupported(format!("{verb} of something else than a table"), "")),
    }
}

/// The column a target names. UPDATE may put the table or its alias before it.
fn column_name(
    name: &ObjectName,
    target: Option<(&TableName, Option<&Ident>)>,
) -> Result<String, SqlError> {
    let parts: Vec<String> =
        name.0.iter().filter_map(|part| part.as_ident()).map(stored_name).collect();
    let qualifier_fits = |qualifier: &[String]| match (target, qualifier) {
        (_, []) => true,
        (Some((_, Some(alias))), [one]) => *one == stored_name(alias),
        (Some((table, None)), [one]) => *one == table.table,
        (Some((table, None)), [namespace, one]) => {
            *one == table.table && table.namespace.as_ref() == Some(namespace)
        }
        _ => false,
    };
    match parts.split_last() {
        Some((column, qualifier)) if parts.len() == name.0.len() && qualifier_fits(qualifier) => {
            Ok(column.clone())
        }
        _ => Err(SqlError::invalid(format!(
            "'{name}' is no column of the table that is written, name the column alone"
        ))),
    }
}

pub(crate) fn refuse_repeated(columns: &[String]) -> Result<(), SqlError> {
    let mut seen = HashSet::with_capacity(columns.len());
    match columns.iter().find(|column| !seen.insert(column.as_str())) {
        Some(column) => Err(SqlError::coded(
            SqlState::DuplicateColumn,
            format!("column {} is named twice, name each column once", quote_name(column)),
        )),
        None => Ok(()),
    }
}

fn refuse_first(refused: &[(bool, &str)], advice: &str) -> Result<(), SqlError> {
    match refused.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(SqlError::unsupported(*what, advice)),
        None => Ok(()),
    }
}
