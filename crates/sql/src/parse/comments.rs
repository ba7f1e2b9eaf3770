//! COMMENT ON.

use datafusion::sql::sqlparser::tokenizer::Token;
use kalamdb_commons::limits::COMMENT_BYTES_MAX;

use crate::TableName;
use crate::error::SqlError;
use crate::parse::definitions::CommentObject;
use crate::parse::reader::Reader;
use crate::parse::statement::Statement;

/// `COMMENT ON TABLE t | VIEW v | COLUMN t.c | NAMESPACE n IS 'text' | NULL`.
pub(crate) fn comment_on(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect_word("COMMENT")?;
    reader.expect_word("ON")?;
    let object = if reader.eat_word("TABLE") {
        CommentObject::Table(reader.table_name()?)
    } else if reader.eat_word("VIEW") {
        CommentObject::View(reader.table_name()?)
    } else if reader.eat_word("COLUMN") {
        column(reader)?
    } else if ["NAMESPACE", "SCHEMA", "DATABASE"].iter().any(|word| reader.eat_word(word)) {
        CommentObject::Namespace(reader.namespace_name()?)
    } else {
        return match reader.peek_any_word() {
            Some(word) => Err(reader.unsupported(
                &format!("COMMENT ON {word}"),
                "comments are kept of TABLE, VIEW, COLUMN and NAMESPACE",
            )),
            None => Err(reader.expected("TABLE, VIEW, COLUMN or NAMESPACE")),
        };
    };
    reader.expect_word("IS")?;
    Ok(Statement::CommentOn { object, comment: text_or_null(reader)? })
}

/// `[[kalam.]namespace.]table.column`.
fn column(reader: &mut Reader<'_>) -> Result<CommentObject, SqlError> {
    let position = reader.position();
    let mut parts = vec![reader.name("a table name")?];
    while reader.eat(&Token::Period) {
        parts.push(reader.name("a name after '.'")?);
    }
    let column = parts.pop().unwrap_or_default();
    if parts.is_empty() {
        return Err(SqlError::invalid(format!(
            "the column '{column}' is named without its table, write table.{column}"
        ))
        .at(position));
    }
    let table = TableName::from_parts(parts).map_err(|error| error.at(position))?;
    Ok(CommentObject::Column(table, column))
}

/// The text of a comment; NULL takes it away.
pub(crate) fn text_or_null(reader: &mut Reader<'_>) -> Result<Option<String>, SqlError> {
    if reader.eat_word("NULL") {
        return Ok(None);
    }
    let position = reader.position();
    let text = reader.string("the comment as a string literal, or NULL")?;
    if text.len() > COMMENT_BYTES_MAX {
        return Err(SqlError::TooLarge {
            what: "the comment in bytes",
            limit: COMMENT_BYTES_MAX,
            advice: "use a shorter one",
        }
        .at(position));
    }
    Ok(Some(text))
}
