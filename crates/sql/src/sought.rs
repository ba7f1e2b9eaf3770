//! What an error is about, to be found in the text of the statement.

/// What is looked for, names as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// A column: `name`, or `qualifier.name` when it was written so.
    Column(String),
    /// A table, by its namespace, if it was written, and its name.
    Table(Option<String>, String),
    /// A function that is called.
    Function(String),
    /// An operator as it is written.
    Operator(String),
    /// Any name, or a string with this content.
    Name(String),
    /// A string or number as messages show it: strings in quotes.
    Value(String),
    /// Words that follow one another.
    Words(Vec<String>),
}

impl Sought {
    /// A table, from `namespace.table`.
    pub fn table(name: &str) -> Self {
        match name.split_once('.') {
            Some((namespace, table)) => Self::Table(Some(namespace.to_owned()), table.to_owned()),
            None => Self::Table(None, name.to_owned()),
        }
    }
}
