//! SQLSTATEs: five characters that tell a program what is wrong with a statement.

use crate::ErrorKind;

macro_rules! sql_states {
    ($($name:ident $code:literal $meaning:literal,)*) => {
        /// A code of the SQL standard, or of PostgreSQL where that has a finer one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum SqlState {
            $(
                #[doc = $meaning]
                $name,
            )*
        }

        impl SqlState {
            /// All of them, by code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The five characters.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// What it says, in a few words.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }
        }
    };
}

sql_states! {
    WrongParameters "07001" "parameters that are missing, too many or of the wrong type",
    FeatureNotSupported "0A000" "what is asked for is not offered",
    Cardinality "21000" "a subquery or a row has more or fewer values than its place takes",
    DataException "22000" "a value is wrong in another way",
    StringTooLong "22001" "a text or an array that is too long",
    NumericOutOfRange "22003" "a number that its type or the computation cannot hold",
    InvalidDatetime "22007" "a text that is no date, time, timestamp or interval",
    DatetimeOverflow "22008" "a date or time out of range",
    DivisionByZero "22012" "division by zero",
    InvalidRegularExpression "2201B" "a regular expression that cannot be read",
    InvalidLimit "2201W" "a LIMIT or OFFSET that is negative or no number",
    InvalidParameterValue "22023" "an argument, option or setting with a value it does not take",
    InvalidEscape "22025" "an escape that is not one character",
    InvalidText "22P02" "a text that is no value of the type",
    Constraint "23000" "another constraint is violated",
    NotNull "23502" "NULL in a column that is NOT NULL",
    Unique "23505" "a key that exists already",
    Check "23514" "a row that a CHECK refuses",
    UnknownPreparedStatement "26000" "a prepared statement that is not known here",
    NotSignedIn "28000" "no sign-in, or one that does not hold any more",
    WrongPassword "28P01" "the user name or the password is wrong",
    UndefinedCatalog "3D000" "a catalog that does not exist",
    UndefinedNamespace "3F000" "a namespace that does not exist",
    Conflict "40001" "concurrent statements got in the way, run it again",
    SyntaxOrAccess "42000" "a statement that cannot be, for another reason",
    Privilege "42501" "the right to do this is missing",
    Syntax "42601" "the text is no statement",
    DuplicateColumn "42701" "a column named twice",
    AmbiguousColumn "42702" "a column name that more than one table has",
    UndefinedColumn "42703" "a column that does not exist",
    UndefinedObject "42704" "a type, user, option, setting or window that does not exist",
    DuplicateObject "42710" "an object, such as a user, that exists already",
    DuplicateAlias "42712" "two tables of one name in a FROM",
    Grouping "42803" "a column neither grouped nor aggregated, or a misplaced aggregate",
    DatatypeMismatch "42804" "an expression of the wrong type",
    CannotCoerce "42846" "a type that cannot become the other",
    UndefinedFunction "42883" "a function or operator that does not exist for these types",
    UndefinedTable "42P01" "a table that does not exist",
    UndefinedParameter "42P02" "a parameter that cannot be",
    DuplicateNamespace "42P06" "a namespace that exists already",
    DuplicateTable "42P07" "a table that exists already",
    InvalidColumnReference "42P10" "a position or expression that is not in the select list",
    InvalidTableDefinition "42P16" "a table definition that cannot be",
    WindowError "42P20" "a window function in the wrong place or with a wrong frame",
    ReservedName "42939" "a name that is the system's own",
    Resources "53000" "a bound of the server is reached",
    DiskFull "53100" "the disk is full",
    OutOfMemory "53200" "the statement needs more memory than it may use",
    TooLarge "54000" "the statement or what it makes is too large",
    TooComplex "54001" "the statement is too complex",
    NotInThisState "55000" "the state of the object forbids it",
    DependentObjects "2BP01" "other objects depend on it",
    Cancelled "57014" "the statement was cancelled or took too long",
    Unavailable "57P03" "the server cannot serve this now",
    Protocol "08P01" "a request that breaks the protocol",
    Internal "XX000" "a defect in the server",
    DataLoss "XX001" "stored data is damaged",
}

impl SqlState {
    /// What is said of a kind of error when nothing finer is known.
    pub fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::SyntaxOrAccess,
            ErrorKind::ConstraintViolation => Self::Constraint,
            ErrorKind::NotFound => Self::UndefinedObject,
            ErrorKind::AlreadyExists => Self::DuplicateObject,
            ErrorKind::Unauthenticated => Self::NotSignedIn,
            ErrorKind::PermissionDenied => Self::Privilege,
            ErrorKind::Unsupported => Self::FeatureNotSupported,
            ErrorKind::FailedPrecondition => Self::NotInThisState,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::ResourceExhausted => Self::Resources,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::DeadlineExceeded | ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::DataLoss => Self::DataLoss,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_five_characters_and_differ() {
        let mut codes: Vec<&str> = SqlState::ALL.iter().map(|state| state.code()).collect();
        for code in &codes {
            let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
            assert!(code.len() == 5 && code.chars().all(plain), "{code}");
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), SqlState::ALL.len());
    }
}
