//! Statements that change what exists (DDL, users) or what the session means.

use kalamdb_commons::Principal;
use kalamdb_sql::Statement;

use crate::session::Session;
use crate::{Engine, EngineError, Prepared, table_as, views};

/// USE and SET.
pub(crate) fn change_session(
    engine: &Engine,
    session: &Session,
    prepared: &Prepared,
) -> Result<u64, EngineError> {
    match &prepared.statement.statement {
        Statement::Use { namespace } => engine.use_namespace(session, namespace)?,
        Statement::Set { setting, value } => session.set(*setting, value.as_deref())?,
        other => return Err(misplaced(other)),
    }
    Ok(0)
}

/// DDL and user administration. Blocking: each statement is one synced commit.
pub(crate) fn run(
    engine: &Engine,
    principal: &Principal,
    prepared: &Prepared,
) -> Result<u64, EngineError> {
    let catalog = &engine.catalog;
    let namespace = &*prepared.namespace;
    match &prepared.statement.statement {
        Statement::CreateNamespace { name, if_not_exists, comment } => {
            let comment = comment.as_deref();
            catalog.create_namespace_with_comment(principal, name, *if_not_exists, comment)?;
        }
        Statement::AlterNamespace { name, change } => {
            catalog.alter_namespace(principal, name, change)?;
        }
        Statement::CommentOn { object, comment } => {
            catalog.comment_on(principal, namespace, object, comment.as_deref())?;
        }
        Statement::DropNamespace { name, if_exists, cascade } => {
            catalog.drop_namespace(principal, name, *if_exists, *cascade)?;
        }
        Statement::CreateTable(table) => {
            let (state, snapshot) = (&engine.planning, catalog.snapshot());
            kalamdb_tables::check_defaults(state, &snapshot, principal, namespace, table)?;
            kalamdb_tables::check_constraints(&engine.checks, table)?;
            catalog.create_table(principal, namespace, table)?;
        }
        Statement::CreateTableLike(like) => {
            table_as::create_like(engine, principal, namespace, like)?
        }
        Statement::DropTable { names, if_exists, cascade } => {
            catalog.drop_tables(principal, namespace, names, *if_exists, *cascade)?;
        }
        Statement::CreateView(view) => views::create(engine, principal, namespace, view)?,
        Statement::DropView { name, if_exists, cascade } => {
            catalog.drop_view(principal, namespace, name, *if_exists, *cascade)?;
        }
        Statement::CreateUser(user) => {
            catalog.create_user(principal, user)?;
        }
        Statement::AlterUser(user) => {
            catalog.alter_user(principal, user)?;
        }
        Statement::DropUser { name, if_exists } => {
            catalog.drop_user(principal, name, *if_exists)?;
        }
        other => return Err(misplaced(other)),
    }
    Ok(0)
}

fn misplaced(statement: &Statement) -> EngineError {
    EngineError::new(
        kalamdb_commons::ErrorKind::Internal,
        format!("{} was taken for a definition", statement.name()),
    )
}
