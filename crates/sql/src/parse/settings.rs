//! USE, SET and RESET: what a session remembers.

use datafusion::sql::sqlparser::tokenizer::Token;

use kalamdb_commons::SqlState;

use crate::error::{ObjectKind, SqlError};
use crate::parse::names::unknown_word;
use crate::parse::reader::Reader;
use crate::parse::statement::{SessionSetting, Statement};
use crate::parse::users::parse_statement_timeout;

/// Bytes of a setting's value.
const SETTING_BYTES_MAX: usize = 256;

/// `USE [NAMESPACE] n`.
pub(crate) fn use_namespace(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect_word("USE")?;
    let named = !matches!(reader.peek_nth(1), Token::EOF | Token::Period);
    if named && !reader.eat_word("NAMESPACE") && !reader.eat_word("SCHEMA") {
        reader.eat_word("DATABASE");
    }
    Ok(Statement::Use { namespace: reader.namespace_name()? })
}

/// `SET [SESSION] name = value`, `SET NAMESPACE n`, `SET TIME ZONE 'UTC'`.
pub(crate) fn set(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect_word("SET")?;
    if reader.peek_word("LOCAL") || reader.peek_word("GLOBAL") {
        return Err(reader.unsupported("SET LOCAL and SET GLOBAL", "use SET, for this session"));
    }
    reader.eat_word("SESSION");
    for word in ["NAMESPACE", "SCHEMA", "SEARCH_PATH"] {
        if reader.eat_word(word) {
            if !reader.eat(&Token::Eq) {
                reader.eat_word("TO");
            }
            if matches!(reader.peek(), Token::SingleQuotedString(_)) {
                return Ok(Statement::Use { namespace: reader.string("a namespace name")? });
            }
            return Ok(Statement::Use { namespace: reader.namespace_name()? });
        }
    }
    let by_words = reader.peek_word("TIME");
    let setting = setting(reader)?;
    if by_words {
        let value = checked_value(reader, setting)?;
        return Ok(Statement::Set { setting, value });
    }
    if !reader.eat(&Token::Eq) && !reader.eat_word("TO") {
        return Err(reader.expected("= or TO"));
    }
    let value = checked_value(reader, setting)?;
    Ok(Statement::Set { setting, value })
}

/// `RESET name`.
pub(crate) fn reset(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect_word("RESET")?;
    Ok(Statement::Set { setting: setting(reader)?, value: None })
}

/// The name of a setting.
pub(crate) fn setting(reader: &mut Reader<'_>) -> Result<SessionSetting, SqlError> {
    if reader.eat_words(&["TIME", "ZONE"]) {
        return Ok(SessionSetting::TimeZone);
    }
    let position = reader.position();
    let name = reader.name("the name of a setting")?;
    let name = if name == "timezone" { SessionSetting::TimeZone.as_str().to_owned() } else { name };
    SessionSetting::ALL.into_iter().find(|setting| setting.as_str() == name).ok_or_else(|| {
        unknown_word(ObjectKind::Setting, &name, SessionSetting::ALL.map(SessionSetting::as_str))
            .at(position)
    })
}

/// The value of a setting, checked; `None` for DEFAULT.
fn checked_value(
    reader: &mut Reader<'_>,
    setting: SessionSetting,
) -> Result<Option<String>, SqlError> {
    if reader.eat_word("DEFAULT") {
        return Ok(None);
    }
    let position = reader.position();
    let text = match reader.peek() {
        Token::Number(digits, _) => {
            let digits = digits.clone();
            reader.next();
            digits
        }
        Token::Minus if setting == SessionSetting::StatementTimeout => {
            let message = "a timeout is not negative, use milliseconds or a number with ms, s, \
                           min or h";
            return Err(SqlError::coded(SqlState::InvalidParameterValue, message).at(position));
        }
        _ => reader.name_or_string("a value")?,
    };
    let checked = match setting {
        SessionSetting::StatementTimeout => {
            parse_statement_timeout(&text).map(|milliseconds| milliseconds.to_string())
        }
        SessionSetting::TimeZone if is_utc(&text) => Ok("UTC".to_owned()),
        SessionSetting::TimeZone => {
            Err(SqlError::unsupported(format!("the time zone '{text}'"), "use 'UTC'"))
        }
        SessionSetting::SearchPath => Ok(text),
        SessionSetting::ApplicationName if text.len() <= SETTING_BYTES_MAX => Ok(text),
        SessionSetting::ApplicationName => Err(SqlError::TooLarge {
            what: "the application name in bytes",
            limit: SETTING_BYTES_MAX,
            advice: "use a shorter one",
        }),
    };
    checked.map(Some).map_err(|error| error.at(position))
}

fn is_utc(text: &str) -> bool {
    ["utc", "etc/utc", "gmt", "z", "+00:00", "+00"].contains(&text.to_ascii_lowercase().as_str())
}
