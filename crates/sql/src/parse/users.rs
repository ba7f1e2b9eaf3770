//! CREATE USER, ALTER USER, DROP USER; and the statement timeout's spelling.

use kalamdb_commons::{Role, SqlState};

use crate::error::{ObjectKind, SqlError};
use crate::parse::names::check_new_name;
use crate::parse::reader::Reader;
use crate::parse::statement::{AlterUser, CreateUser, Password, Statement};

/// `CREATE USER [IF NOT EXISTS] name [WITH] PASSWORD 'p' [ROLE r]`, after `CREATE USER`.
pub(crate) fn create_user(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let if_not_exists = reader.if_not_exists();
    let position = reader.position();
    let name = reader.name_or_string("a user name")?;
    check_new_name(ObjectKind::User, &name).map_err(|error| error.at(position))?;
    let (password, role) = password_and_role(reader)?;
    let Some(password) = password else { return Err(reader.expected("PASSWORD '…'")) };
    let role = role.unwrap_or(Role::User);
    Ok(Statement::CreateUser(CreateUser { name, password, role, if_not_exists }))
}

/// `ALTER USER name [SET] [PASSWORD 'p'] [ROLE r]`, after `ALTER USER`.
pub(crate) fn alter_user(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let name = reader.name_or_string("a user name")?;
    let (password, role) = password_and_role(reader)?;
    if password.is_none() && role.is_none() {
        return Err(reader.expected("PASSWORD '…' or ROLE"));
    }
    Ok(Statement::AlterUser(AlterUser { name, password, role }))
}

/// `DROP USER [IF EXISTS] name`, after `DROP USER`.
pub(crate) fn drop_user(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let if_exists = reader.if_exists();
    let name = reader.name_or_string("a user name")?;
    Ok(Statement::DropUser { name, if_exists })
}

/// PASSWORD and ROLE in either order, each at most once, WITH and SET before them.
fn password_and_role(
    reader: &mut Reader<'_>,
) -> Result<(Option<Password>, Option<Role>), SqlError> {
    let (mut password, mut role) = (None, None);
    loop {
        if !reader.eat_word("WITH") {
            reader.eat_word("SET");
        }
        if password.is_none() && reader.eat_word("PASSWORD") {
            password = Some(Password(reader.string("the password as a string literal")?));
        } else if role.is_none() && reader.eat_word("ROLE") {
            let position = reader.position();
            let text = reader.name_or_string("user, service, dba or system")?;
            role = Some(text.parse().map_err(|message: String| SqlError::Coded {
                state: SqlState::InvalidParameterValue,
                message,
                position,
            })?);
        } else {
            return Ok((password, role));
        }
    }
}

/// Milliseconds of a statement timeout: `30000`, `'500ms'`, `'30s'`, `'5min'`, `'1h'`; 0 is none.
pub fn parse_statement_timeout(text: &str) -> Result<u64, SqlError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim() {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "min" | "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let milliseconds = number.parse::<u64>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f));
    milliseconds.ok_or_else(|| {
        let shown: String = text.chars().take(32).collect();
        SqlError::coded(
            SqlState::InvalidParameterValue,
            format!("'{shown}' is no timeout, use milliseconds or a number with ms, s, min or h"),
        )
    })
}
