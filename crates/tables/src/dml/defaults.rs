//! DEFAULT expressions.

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{Expr, Value};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use kalamdb_commons::ColumnDefinition;

/// The DEFAULT of a column as an expression; NULL where none was declared.
pub(super) fn default_expr(column: &ColumnDefinition) -> Result<Expr> {
    let Some(text) = &column.default else {
        return Ok(Expr::value(Value::Null));
    };
    let expr = parse(text)?;
    match &expr {
        // CURRENT_USER and the like may stand without brackets.
        Expr::Identifier(name) if name.quote_style.is_none() => parse(&format!("{name}()")),
        _ => Ok(expr),
    }
}

fn parse(text: &str) -> Result<Expr> {
    Ok(Parser::new(&GenericDialect {}).try_with_sql(text)?.parse_expr()?)
}
