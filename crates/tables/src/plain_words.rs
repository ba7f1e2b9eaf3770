//! Messages of the libraries below, said in the words of SQL: their type names become SQL's, their
//! prefixes go, and what they say often is said so that it helps.

use kalamdb_commons::SqlState;

/// What a message is about, to be found in the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Nothing with a place.
    Nothing,
    /// The column in the hole of this number.
    Column(usize),
    /// The function in that hole.
    Function(usize),
    /// The operator in that hole.
    Operator(usize),
    /// The name in that hole.
    Name(usize),
    /// This word of the statement.
    Word(&'static str),
}

/// A message in our words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// What a program is told, where the message says it.
    pub state: Option<SqlState>,
    /// One line, lower-case, without a final dot.
    pub message: String,
    /// What it is about, and the text of that.
    pub about: Option<(About, String)>,
}

/// Prefixes that say which library or which part of one speaks.
const PREFIXES: [&str; 16] = [
    "Error during planning: ",
    "Execution error: ",
    "Invalid argument error: ",
    "Arrow error: ",
    "Cast error: ",
    "Parser error: ",
    "Compute error: ",
    "Arithmetic overflow: ",
    "Optimizer rule ",
    "External error: ",
    "This feature is not implemented: ",
    "Resources exhausted: ",
    "Internal error: ",
    "Schema error: ",
    "SQL error: ",
    "type_coercion caused by ",
];

/// The message of a library, said plainly.
pub fn plain_words(message: &str) -> Plain {
    let mut message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| message.strip_prefix(prefix)) {
        message = rest.to_owned();
    }
    for prefix in PREFIXES.iter().filter(|prefix| prefix.ends_with(": ")) {
        message = message.replace(&format!(": {prefix}"), ": ");
    }
    message.truncate(message.trim_end_matches(['.', ' ']).len());
    for (says, state, words, about) in super::known_messages::KNOWN {
        if let Some(holes) = fill(says, &message) {
            let shown: Vec<String> = holes.iter().map(|hole| in_sql_types(hole)).collect();
            let mut text = (*words).to_owned();
            for (number, hole) in shown.iter().enumerate() {
                text = text.replace(&format!("{{{number}}}"), hole);
            }
            let subject = match about {
                About::Nothing => None,
                About::Word(word) => Some((*word).to_owned()),
                About::Column(hole)
                | About::Function(hole)
                | About::Operator(hole)
                | About::Name(hole) => holes.get(*hole).map(|hole| (*hole).to_owned()),
            };
            let about = subject.map(|subject| (*about, subject));
            return Plain { state: Some(*state), message: text, about };
        }
    }
    Plain { state: None, message: in_house_style(&in_sql_types(&message)), about: None }
}

/// The parts of `text` that stand where `pattern` has `{}`; the last hole takes all that is left
/// when the pattern ends with it.
fn fill<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut holes = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            holes.push(rest.strip_suffix(part)?);
            return Some(holes);
        }
        // A type's arguments have spaces and commas themselves.
        let (at, _) = rest
            .match_indices(part)
            .find(|(at, _)| is_balanced(&rest[..*at]))
            .or_else(|| rest.match_indices(part).next())?;
        holes.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(holes)
}

/// Whether every bracket is closed.
fn is_balanced(text: &str) -> bool {
    text.matches('(').count() == text.matches(')').count()
}

/// Lower-case at the beginning and without a dot at the end.
fn in_house_style(message: &str) -> String {
    let message = message.trim_end_matches(['.', '!', ' ']);
    let first_word = message.split([' ', ',', ':', '(']).next().unwrap_or_default();
    let shouted = first_word.chars().skip(1).any(|c| c.is_uppercase() || c == '_');
    let mut chars = message.chars();
    match chars.next() {
        Some(first) if !shouted => first.to_lowercase().chain(chars).collect(),
        _ => message.to_owned(),
    }
}

/// SQL's names of types for those of Arrow, outside of quotes.
pub fn in_sql_types(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        let before = out.chars().last();
        let starts_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        if !quoted
            && starts_word
            && let Some((name, after)) = type_at(rest)
        {
            out.push_str(&name);
            rest = after;
            continue;
        }
        // An apostrophe within a word begins no quotation.
        if c == '\'' && (quoted || starts_word) {
            quoted = !quoted;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Types without arguments.
const SIMPLE: [(&str, &str); 24] = [
    ("Null", "NULL"),
    ("Boolean", "BOOLEAN"),
    ("Int8", "TINYINT"),
    ("Int16", "SMALLINT"),
    ("Int32", "INT"),
    ("Int64", "BIGINT"),
    ("UInt8", "TINYINT UNSIGNED"),
    ("UInt16", "SMALLINT UNSIGNED"),
    ("UInt32", "INT UNSIGNED"),
    ("UInt64", "BIGINT UNSIGNED"),
    ("Float16", "REAL"),
    ("Float32", "REAL"),
    ("Float64", "DOUBLE"),
    ("Utf8", "TEXT"),
    ("LargeUtf8", "TEXT"),
    ("Utf8View", "TEXT"),
    ("Binary", "BYTES"),
    ("LargeBinary", "BYTES"),
    ("BinaryView", "BYTES"),
    ("Date32", "DATE"),
    ("Date64", "TIMESTAMP"),
    ("IntervalMonthDayNano", "INTERVAL"),
    ("List", "ARRAY"),
    ("Decimal128", "DECIMAL"),
];

/// The type `text` begins with, and what follows it.
fn type_at(text: &str) -> Option<(String, &str)> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    let (argument, past) = bracketed(after).unwrap_or(("", after));
    let name = match word {
        "Timestamp" if !argument.is_empty() => {
            if argument.contains(", ") { "TIMESTAMPTZ" } else { "TIMESTAMP" }.to_owned()
        }
        "Time32" | "Time64" if !argument.is_empty() => "TIME".to_owned(),
        "Interval" | "Duration" if !argument.is_empty() => "INTERVAL".to_owned(),
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" if !argument.is_empty() => {
            format!("DECIMAL({argument})")
        }
        "FixedSizeBinary" if argument == "16" => "UUID".to_owned(),
        "FixedSizeBinary" if !argument.is_empty() => "BYTES".to_owned(),
        "List" | "LargeList" | "ListView" if !argument.is_empty() => {
            let element = argument.trim_start_matches("non-null ");
            let element = element.split_once(", ").map_or(element, |(element, _)| element);
            format!("{}[]", in_sql_types(element))
        }
        "FixedSizeList" if !argument.is_empty() => "EMBEDDING".to_owned(),
        "Struct" if !argument.is_empty() => "STRUCT".to_owned(),
        "Map" if !argument.is_empty() => "MAP".to_owned(),
        "Dictionary" if !argument.is_empty() => {
            in_sql_types(argument.split_once(", ").map_or(argument, |(_, value)| value))
        }
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64"
        | "Float32" | "Float64" | "Boolean" | "Utf8"
            if !argument.is_empty() =>
        {
            // A literal as the planner shows it: Int64(1).
            argument.trim_matches('"').to_owned()
        }
        _ => {
            let (_, name) = SIMPLE.iter().find(|(arrow, _)| *arrow == word)?;
            return Some(((*name).to_owned(), after));
        }
    };
    Some((name, past))
}

/// What stands in the brackets `text` begins with, and what follows them.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('(') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return Some((&text[1..at], &text[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_of_sql() {
        for (arrow, sql) in [
            ("Int64 + Utf8", "BIGINT + TEXT"),
            ("Timestamp(µs), Timestamp(µs, \"UTC\")", "TIMESTAMP, TIMESTAMPTZ"),
            ("List(Utf8)", "TEXT[]"),
            ("a Decimal128(38, 10) type", "a DECIMAL(38, 10) type"),
            ("'Int64' isn't Int64", "'Int64' isn't BIGINT"),
            ("sum(Int64(1))", "sum(1)"),
            ("MyInt64 Time", "MyInt64 Time"),
        ] {
            assert_eq!(in_sql_types(arrow), sql);
        }
    }

    #[test]
    fn known_messages_are_said_in_our_words() {
        for (library, state, ours) in [
            (
                "Cast error: Cannot cast string 'x' to value of Int32 type",
                Some(SqlState::InvalidText),
                "'x' is no value of type INT",
            ),
            ("Divide by zero error", Some(SqlState::DivisionByZero), "division by zero"),
            ("Something New happened.", None, "something New happened"),
            (
                "Cannot infer common argument type for comparison operation \
                 Struct(\"c0\": non-null Int64, \"c1\": Int64) = Struct(\"c0\": Int64)",
                Some(SqlState::UndefinedFunction),
                "two rows or STRUCTs are compared with = only when they have the same fields",
            ),
            (
                "Cannot infer common argument type for comparison operation \
                 Decimal128(3, 1) IS NOT DISTINCT FROM List(Utf8)",
                Some(SqlState::UndefinedFunction),
                "DECIMAL(3, 1) and TEXT[] cannot be compared with IS NOT DISTINCT FROM, cast one \
                 side",
            ),
            (
                "Cannot infer common argument type for comparison operation \
                 Int64 IS NOT DISTINCT FROM Boolean",
                Some(SqlState::DatatypeMismatch),
                "IS TRUE and IS FALSE ask of a BOOLEAN value, not of BIGINT",
            ),
            (
                "Cannot infer common argument type for logical boolean operation Null AND Int64",
                Some(SqlState::DatatypeMismatch),
                "AND takes two BOOLEAN values, not NULL and BIGINT",
            ),
            (
                "Regular expression did not compile: Syntax(\n~~~~\nregex parse error:\n    (\n    \
                 ^\nerror: unclosed group\n~~~~\n)",
                Some(SqlState::InvalidRegularExpression),
                "the regular expression ( cannot be read: unclosed group",
            ),
            (
                "cannot read it: External error: Invalid argument error: too short.",
                None,
                "cannot read it: too short",
            ),
        ] {
            let said = plain_words(library);
            assert_eq!((said.state, said.message.as_str()), (state, ours));
        }
    }

    /// Neither an earlier entry nor a prefix that is taken off stands before one.
    #[test]
    fn every_known_message_is_met_by_its_own_entry() {
        for (says, state, words, _) in crate::known_messages::KNOWN {
            let holes = says.matches("{}").count();
            let library = says.replace("{}", "7");
            let said = plain_words(&library);
            let mut ours = (*words).to_owned();
            for hole in 0..holes {
                ours = ours.replace(&format!("{{{hole}}}"), "7");
            }
            assert_eq!((said.state, said.message), (Some(*state), ours), "{library}");
            assert!(!words.ends_with('.'), "{words}");
        }
    }
}
