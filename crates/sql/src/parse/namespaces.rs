//! CREATE, ALTER and DROP NAMESPACE, which is also called SCHEMA and DATABASE.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{ObjectKind, SqlError};
use crate::parse::comments::text_or_null;
use crate::parse::definitions::NamespaceChange;
use crate::parse::names::{check_new_name, unknown_word};
use crate::parse::reader::Reader;
use crate::parse::statement::Statement;

/// Takes the word for a namespace, if it comes next.
pub(crate) fn eat_namespace_word(reader: &mut Reader<'_>) -> bool {
    ["NAMESPACE", "SCHEMA", "DATABASE"].iter().any(|word| reader.eat_word(word))
}

/// `[IF NOT EXISTS] n [COMMENT 'x'] [WITH [OPTIONS] (COMMENT = 'x')]`, after `CREATE NAMESPACE`.
pub(crate) fn create_namespace(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let if_not_exists = reader.if_not_exists();
    let name = reader.namespace_name()?;
    if reader.peek_word("AUTHORIZATION") {
        return Err(reader.unsupported("AUTHORIZATION", "namespaces belong to nobody"));
    }
    let mut comment = None;
    loop {
        let position = reader.position();
        let before = comment.is_some();
        if reader.eat_word("COMMENT") {
            reader.eat(&Token::Eq);
            comment = text_or_null(reader)?;
        } else if reader.eat_word("WITH") {
            reader.eat_word("OPTIONS");
            comment = options(reader)?.or(comment);
        } else {
            return Ok(Statement::CreateNamespace { name, if_not_exists, comment });
        }
        if before {
            return Err(SqlError::invalid("the comment is given twice").at(position));
        }
    }
}

/// `(comment = 'x')`: the comment is the only option there is.
fn options(reader: &mut Reader<'_>) -> Result<Option<String>, SqlError> {
    const OPTIONS: [&str; 2] = ["comment", "description"];
    reader.expect(&Token::LParen)?;
    let mut comment = None;
    while !reader.eat(&Token::RParen) {
        let position = reader.position();
        let name = reader.name_or_string("an option")?.to_lowercase();
        if !OPTIONS.contains(&name.as_str()) {
            return Err(unknown_word(ObjectKind::Option, &name, OPTIONS).at(position));
        }
        reader.expect(&Token::Eq)?;
        if comment.is_some() {
            return Err(SqlError::invalid("the comment is given twice").at(position));
        }
        comment = text_or_null(reader)?;
        if !reader.eat(&Token::Comma) {
            reader.expect(&Token::RParen)?;
            break;
        }
    }
    Ok(comment)
}

/// `n RENAME TO m | SET COMMENT | DESCRIPTION 'x'`, after `ALTER NAMESPACE`.
pub(crate) fn alter_namespace(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let name = reader.namespace_name()?;
    if reader.eat_words(&["RENAME", "TO"]) {
        let position = reader.position();
        let new_name = reader.namespace_name()?;
        check_new_name(ObjectKind::Namespace, &new_name).map_err(|error| error.at(position))?;
        return Ok(Statement::AlterNamespace { name, change: NamespaceChange::Rename(new_name) });
    }
    if reader.eat_word("SET") {
        if reader.eat_word("COMMENT") || reader.eat_word("DESCRIPTION") {
            if !reader.eat(&Token::Eq) {
                reader.eat_word("TO");
            }
            let change = NamespaceChange::Comment(text_or_null(reader)?);
            return Ok(Statement::AlterNamespace { name, change });
        }
        return Err(reader.expected("COMMENT or DESCRIPTION"));
    }
    if reader.peek_word("OWNER") {
        return Err(reader.unsupported("ALTER NAMESPACE … OWNER", "namespaces belong to nobody"));
    }
    Err(reader.expected("RENAME TO or SET COMMENT"))
}

/// `[IF EXISTS] n [CASCADE | RESTRICT]`, after `DROP NAMESPACE`.
pub(crate) fn drop_namespace(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let if_exists = reader.if_exists();
    let name = reader.namespace_name()?;
    let cascade = reader.eat_word("CASCADE");
    if !cascade {
        reader.eat_word("RESTRICT");
    }
    Ok(Statement::DropNamespace { name, if_exists, cascade })
}
