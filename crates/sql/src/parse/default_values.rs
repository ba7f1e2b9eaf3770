//! DEFAULT expressions: constants and a few functions, kept as SQL text.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, Ident, ObjectName, ObjectNamePart, Value, visit_expressions,
    visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::SqlError;
use crate::parse::complexity::check_complexity;
use crate::parse::dialect::KalamDialect;
use crate::parse::reader::{Reader, is_word, word_of};
use crate::parse::split::split;
use crate::suggest::nearest;

/// Functions a DEFAULT may call, upper-cased. UUID, UUID_V7, SNOWFLAKE_ID and ULID give every row
/// a value of its own, the others are the same for all rows of a statement.
pub const DEFAULT_FUNCTIONS: [&str; 14] = [
    "NOW",
    "CURRENT_TIMESTAMP",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_USER",
    "CURRENT_ROLE",
    "MAKE_ARRAY",
    "NAMED_STRUCT",
    "STRUCT",
    "ARROW_CAST",
    "UUID",
    "UUID_V7",
    "SNOWFLAKE_ID",
    "ULID",
];

/// Functions that make of the same arguments always the same value, upper-cased. Of constants they
/// are constants.
#[rustfmt::skip]
const OF_CONSTANTS: [&str; 85] = [
    "ABS", "ARRAY_APPEND", "ARRAY_CONCAT", "ARRAY_LENGTH", "ARRAY_PREPEND", "ASCII", "BIT_LENGTH",
    "BTRIM", "CARDINALITY", "CBRT", "CEIL", "CEILING", "CHARACTER_LENGTH", "CHAR_LENGTH", "CHR",
    "COALESCE", "CONCAT", "CONCAT_WS", "COS", "DATE", "DATE_BIN", "DATE_PART", "DATE_TRUNC",
    "DECODE", "DEGREES", "ENCODE", "EXP", "FACTORIAL", "FLOOR", "FROM_UNIXTIME", "GREATEST",
    "IFNULL", "INITCAP", "JSON_ARRAY", "JSON_OBJECT", "LEAST", "LEFT", "LENGTH", "LN", "LOG",
    "LOG10", "LOG2", "LOWER", "LPAD", "LTRIM", "MAKE_DATE", "MAKE_TIME", "MD5", "MOD", "NULLIF",
    "NVL", "OCTET_LENGTH", "OVERLAY", "PI", "POSITION", "POW", "POWER", "RADIANS", "REGEXP_REPLACE",
    "REPEAT", "REPLACE", "REVERSE", "RIGHT", "ROUND", "RPAD", "RTRIM", "SHA224", "SHA256",
    "SHA384", "SHA512", "SIGN", "SIN", "SPLIT_PART", "SQRT", "STRPOS", "SUBSTR", "SUBSTRING",
    "TAN", "TO_DATE", "TO_JSON", "TO_TIMESTAMP", "TRANSLATE", "TRIM", "TRUNC", "UPPER",
];

/// Bytes of a DEFAULT's text.
const DEFAULT_BYTES_MAX: usize = 16 << 10;

/// True for the bare word DEFAULT in VALUES: "this column's default", no column name.
pub fn is_default_keyword(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if is_bare(ident, "DEFAULT"))
}

/// Checks a DEFAULT's text and returns it in the form in which it is stored.
pub fn parse_default(text: &str) -> Result<String, SqlError> {
    let mut parts = split(text)?;
    let (Some(part), true) = (parts.pop(), parts.is_empty()) else {
        return Err(SqlError::invalid("one default expression is expected"));
    };
    check_complexity(&part.tokens)?;
    read(part.tokens)
}

/// The expression after the word DEFAULT in a column's definition. Its end is found first, so
/// that `DEFAULT 5 NOT NULL` does not read as the predicate `5 IS NOT NULL`.
pub(crate) fn default_clause(reader: &mut Reader<'_>) -> Result<String, SqlError> {
    let position = reader.position();
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    loop {
        let ends = match reader.peek() {
            Token::EOF => true,
            Token::Comma | Token::RParen => depth == 0,
            word => depth == 0 && !tokens.is_empty() && starts_column_option(reader, word),
        };
        if ends {
            break;
        }
        match reader.peek() {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens.push(reader.next());
    }
    if tokens.is_empty() {
        return Err(reader.expected("a default expression"));
    }
    read(tokens).map_err(|error| error.at(position))
}

fn starts_column_option(reader: &Reader<'_>, token: &Token) -> bool {
    const OPTIONS: [&str; 14] = [
        "NULL",
        "PRIMARY",
        "DEFAULT",
        "COMMENT",
        "UNIQUE",
        "CHECK",
        "REFERENCES",
        "COLLATE",
        "CONSTRAINT",
        "GENERATED",
        "AUTO_INCREMENT",
        "AUTOINCREMENT",
        "IDENTITY",
        "EXCLUDE",
    ];
    if is_word(token, "NOT") {
        return is_word(reader.peek_nth(1), "NULL");
    }
    word_of(token)
        .is_some_and(|word| OPTIONS.iter().any(|option| word.eq_ignore_ascii_case(option)))
}

fn read(tokens: Vec<TokenWithSpan>) -> Result<String, SqlError> {
    let dialect = KalamDialect::for_tokens(tokens.len());
    let mut reader = Reader::new(&dialect, tokens);
    let mut expr = reader.parse_with(|parser| parser.parse_expr())?;
    reader.expect_end()?;
    name_alike(&mut expr);
    check(&expr)?;
    let text = expr.to_string();
    if text.len() > DEFAULT_BYTES_MAX {
        return Err(SqlError::TooLarge {
            what: "the default expression in bytes",
            limit: DEFAULT_BYTES_MAX,
            advice: "use a shorter one",
        });
    }
    Ok(text)
}

/// Functions that other systems know by another name.
fn name_alike(expr: &mut Expr) {
    const ALIKE: [(&str, &str); 5] = [
        ("GEN_RANDOM_UUID", "UUID"),
        ("SESSION_USER", "CURRENT_USER"),
        ("USER", "CURRENT_USER"),
        ("UUID_GENERATE_V4", "UUID"),
        ("UUIDV7", "UUID_V7"),
    ];
    let walked = visit_expressions_mut(expr, |part| {
        if let Expr::Identifier(name) = part
            && is_bare(name, "USER")
        {
            *part = current_user();
        }
        if let Expr::Function(function) = part {
            let name = function.name.to_string().to_uppercase();
            if let Some((_, ours)) = ALIKE.iter().find(|(alike, _)| *alike == name) {
                let ours = ObjectNamePart::Identifier(Ident::new(*ours));
                function.name = ObjectName(vec![ours]);
            }
        }
        ControlFlow::<()>::Continue(())
    });
    debug_assert!(walked.is_continue());
}

/// The word CURRENT_USER, a call without brackets.
fn current_user() -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("CURRENT_USER")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::None,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Refuses everything whose value depends on a row, a table or a parameter.
fn check(expr: &Expr) -> Result<(), SqlError> {
    let walked = visit_expressions(expr, |part| match check_part(part) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    match walked {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn check_part(part: &Expr) -> Result<(), SqlError> {
    match part {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(_) => Err(SqlError::invalid(
                "a default takes no parameters, write the value into the text",
            )),
            _ => Ok(()),
        },
        Expr::TypedString(_)
        | Expr::UnaryOp { .. }
        | Expr::BinaryOp { .. }
        | Expr::Cast { .. }
        | Expr::Nested(_)
        | Expr::Array(_)
        | Expr::Interval(_)
        | Expr::Dictionary(_)
        | Expr::Struct { .. }
        | Expr::Named { .. }
        | Expr::AtTimeZone { .. }
        | Expr::Case { .. }
        | Expr::Ceil { .. }
        | Expr::Extract { .. }
        | Expr::Floor { .. }
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::Overlay { .. }
        | Expr::Position { .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. } => Ok(()),
        Expr::Identifier(ident) => Err(SqlError::invalid(format!(
            "a default cannot use the column '{}', use a constant (text stands in single quotes)",
            ident.value
        ))),
        Expr::Function(function) => {
            let name = function.name.to_string().to_uppercase();
            let known = || DEFAULT_FUNCTIONS.into_iter().chain(OF_CONSTANTS);
            if !known().any(|known| known == name) {
                let advice = match nearest(&name, known()) {
                    Some(meant) => format!("did you mean {meant}()?"),
                    None => format!("use one of {}", DEFAULT_FUNCTIONS.join(", ")),
                };
                let what = format!("the function {name} in a default");
                return Err(SqlError::unsupported(what, advice));
            }
            if matches!(function.args, FunctionArguments::Subquery(_)) {
                return Err(SqlError::unsupported("a query in a default", "use a constant"));
            }
            Ok(())
        }
        _ => Err(SqlError::unsupported(
            format!("the expression {} in a default", shown(part)),
            "use a constant or one of the generating functions",
        )),
    }
}

fn shown(expr: &Expr) -> String {
    expr.to_string().chars().take(60).collect()
}

fn is_bare(ident: &Ident, word: &str) -> bool {
    ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case(word)
}
