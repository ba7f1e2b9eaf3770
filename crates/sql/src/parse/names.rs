//! Names: how they are written, stored and checked.

use std::fmt;

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use datafusion::sql::sqlparser::keywords::{
    ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER,
    RESERVED_FOR_TABLE_ALIAS,
};
use kalamdb_commons::SqlState;
use kalamdb_commons::limits::NAME_BYTES_MAX;

use crate::error::{ObjectKind, SqlError};
use crate::suggest::nearest;

/// The name of the only catalog.
pub const CATALOG_NAME: &str = "kalam";

/// A table as a statement names it: one to three parts, unquoted parts lower-cased.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// `kalam`, when written.
    pub catalog: Option<String>,
    /// The namespace, when written.
    pub namespace: Option<String>,
    /// The table.
    pub table: String,
}

impl TableName {
    /// A name without a namespace.
    pub fn bare(table: impl Into<String>) -> Self {
        Self { catalog: None, namespace: None, table: table.into() }
    }

    /// `namespace.table`.
    pub fn qualified(namespace: impl Into<String>, table: impl Into<String>) -> Self {
        Self { catalog: None, namespace: Some(namespace.into()), table: table.into() }
    }

    /// The namespace meant, given the session's.
    pub fn namespace_or<'a>(&'a self, default_namespace: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(default_namespace)
    }

    /// Reads a name out of sqlparser's form. A catalog other than `kalam` is refused.
    pub fn from_ast(name: &ObjectName) -> Result<Self, SqlError> {
        let mut parts = Vec::with_capacity(3);
        for part in &name.0 {
            match part {
                ObjectNamePart::Identifier(ident) => parts.push(stored_name(ident)),
                ObjectNamePart::Function(_) => {
                    return Err(SqlError::invalid(format!("'{name}' is no table name")));
                }
            }
        }
        Self::from_parts(parts)
    }

    /// A name from its one to three parts, each already as stored.
    pub fn from_parts(mut parts: Vec<String>) -> Result<Self, SqlError> {
        let count = parts.len();
        let (Some(table), true) = (parts.pop(), count <= 3) else {
            return Err(SqlError::invalid(format!(
                "a table name has at most three parts (catalog.namespace.table), found {count}"
            )));
        };
        let namespace = parts.pop();
        let catalog = parts.pop();
        if let Some(catalog) = &catalog {
            check_catalog(catalog)?;
        }
        Ok(Self { catalog, namespace, table })
    }
}

/// Quoted where needed, so that the text reads back as the same name.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for qualifier in [&self.catalog, &self.namespace].into_iter().flatten() {
            write!(f, "{}.", quote_name(qualifier))?;
        }
        f.write_str(&quote_name(&self.table))
    }
}

/// Refuses catalogs other than `kalam`.
pub fn check_catalog(name: &str) -> Result<(), SqlError> {
    if name == CATALOG_NAME {
        return Ok(());
    }
    Err(SqlError::NotFound {
        object: ObjectKind::Catalog,
        name: name.to_owned(),
        suggestion: Some(CATALOG_NAME.to_owned()),
    })
}

/// The stored form of an identifier: as written when quoted, lower-cased otherwise.
pub fn stored_name(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The name as SQL text: double-quoted unless it is a plain lower-case word that reads as a name
/// wherever a name may stand.
pub fn quote_name(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Words that begin expressions, clauses or constraints where a name could stand.
const RESERVED_WORDS: [Keyword; 34] = [
    Keyword::ARRAY,
    Keyword::AS,
    Keyword::BETWEEN,
    Keyword::BY,
    Keyword::CASE,
    Keyword::CAST,
    Keyword::CHECK,
    Keyword::CONSTRAINT,
    Keyword::CREATE,
    Keyword::CURRENT_CATALOG,
    Keyword::CURRENT_DATE,
    Keyword::CURRENT_TIME,
    Keyword::CURRENT_TIMESTAMP,
    Keyword::CURRENT_USER,
    Keyword::DELETE,
    Keyword::DISTINCT,
    Keyword::EXISTS,
    Keyword::EXTRACT,
    Keyword::FALSE,
    Keyword::FOREIGN,
    Keyword::IN,
    Keyword::INSERT,
    Keyword::INTERVAL,
    Keyword::IS,
    Keyword::LIKE,
    Keyword::NOT,
    Keyword::NULL,
    Keyword::OR,
    Keyword::PRIMARY,
    Keyword::SESSION_USER,
    Keyword::TABLE,
    Keyword::TRUE,
    Keyword::UNIQUE,
    Keyword::UPDATE,
];

fn is_reserved(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let Ok(index) = ALL_KEYWORDS.binary_search(&upper.as_str()) else { return false };
    let Some(keyword) = ALL_KEYWORDS_INDEX.get(index) else { return false };
    RESERVED_WORDS.contains(keyword)
        || RESERVED_FOR_TABLE_ALIAS.contains(keyword)
        || RESERVED_FOR_COLUMN_ALIAS.contains(keyword)
        || RESERVED_FOR_IDENTIFIER.contains(keyword)
}

/// Checks a name that is to be given to a new object: 1 to [`NAME_BYTES_MAX`] bytes, no control
/// characters. Quotes, spaces and any script are fine.
pub fn check_new_name(object: ObjectKind, name: &str) -> Result<(), SqlError> {
    let problem = if name.is_empty() {
        "is empty".to_owned()
    } else if name.len() > NAME_BYTES_MAX {
        format!("has {} bytes, use at most {NAME_BYTES_MAX}", name.len())
    } else if name.chars().any(char::is_control) {
        "contains a control character, use letters, digits, spaces and punctuation".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(32).flat_map(char::escape_debug).collect();
    Err(SqlError::invalid(format!("the {object} name '{shown}' {problem}")))
}

/// A NotFound error for `name`, with the most similar of `known` as a suggestion.
pub fn not_found<'a>(
    object: ObjectKind,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> SqlError {
    SqlError::NotFound { object, name: name.to_owned(), suggestion: nearest(name, known) }
}

/// An error for a word of our language that does not exist, with the most similar that does.
pub(crate) fn unknown_word<'a>(
    object: ObjectKind,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> SqlError {
    let shown: String = word.chars().take(64).flat_map(char::escape_debug).collect();
    let meant = nearest(word, known).map(|meant| format!(", did you mean '{meant}'?"));
    let message = format!("there is no {object} '{shown}'{}", meant.unwrap_or_default());
    SqlError::coded(SqlState::UndefinedObject, message)
}
