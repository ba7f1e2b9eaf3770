//! GetSqlInfo: every code the protocol knows, each with the type the protocol gives it. A code
//! left out, or one of another type, stops some driver.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow_flight::error::Result;
use arrow_flight::sql::SqlInfo as Code;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlNullOrdering, SqlSupportedCaseSensitivity, SqlSupportedTransaction, SqlSupportsConvert,
};
use kalamdb_commons::limits;

use super::super::statements::PREPARED_IDLE;

/// Bit sets below name their members by position, as the protocol's enumerations number them.
const fn bits<const N: usize>(positions: [u8; N]) -> i32 {
    let mut set = 0;
    let mut i = 0;
    while i < N {
        set |= 1 << positions[i];
        i += 1;
    }
    set
}

/// No member of a bit set.
const NONE: i32 = 0;
/// A limit that does not exist, or is not known.
const NO_LIMIT: usize = 0;

const KEYWORDS: &[&str] = &[
    "ACCESS_LEVEL",
    "ANALYZE",
    "DESCRIBE",
    "EXCLUDE",
    "EXPLAIN",
    "ILIKE",
    "LIMIT",
    "NAMESPACE",
    "NAMESPACES",
    "OFFSET",
    "QUALIFY",
    "RETURNING",
    "SHARED",
    "SHOW",
    "USE",
    "USERS",
    "VERBOSE",
];

const NUMERIC_FUNCTIONS: &[&str] = &[
    "ABS", "ACOS", "ASIN", "ATAN", "ATAN2", "CEIL", "COS", "COT", "DEGREES", "EXP", "FLOOR", "LN",
    "LOG", "LOG10", "LOG2", "PI", "POWER", "RADIANS", "RANDOM", "ROUND", "SIGNUM", "SIN", "SQRT",
    "TAN", "TRUNC",
];

const STRING_FUNCTIONS: &[&str] = &[
    "ASCII",
    "BIT_LENGTH",
    "BTRIM",
    "CHARACTER_LENGTH",
    "CHR",
    "CONCAT",
    "CONCAT_WS",
    "INITCAP",
    "LEFT",
    "LOWER",
    "LPAD",
    "LTRIM",
    "OCTET_LENGTH",
    "REPEAT",
    "REPLACE",
    "REVERSE",
    "RIGHT",
    "RPAD",
    "RTRIM",
    "SPLIT_PART",
    "STARTS_WITH",
    "STRPOS",
    "SUBSTR",
    "TRANSLATE",
    "TRIM",
    "UPPER",
];

const SYSTEM_FUNCTIONS: &[&str] = &["COALESCE", "NULLIF", "NVL", "UUID", "VERSION"];

const DATETIME_FUNCTIONS: &[&str] = &[
    "CURRENT_DATE",
    "CURRENT_TIME",
    "DATE_BIN",
    "DATE_PART",
    "DATE_TRUNC",
    "FROM_UNIXTIME",
    "MAKE_DATE",
    "NOW",
    "TO_CHAR",
    "TO_DATE",
    "TO_TIMESTAMP",
    "TO_UNIXTIME",
];

/// All codes with their values. `statement_timeout` is how long a statement may run.
pub(super) fn build(statement_timeout: Option<Duration>) -> Result<SqlInfoData> {
    let mut builder = SqlInfoDataBuilder::new();
    for (code, value) in server(statement_timeout)
        .into_iter()
        .chain(names())
        .chain(syntax())
        .chain(statements())
        .chain(limits())
        .chain(transactions_and_results())
    {
        match value {
            Value::Text(value) => builder.append(code, value),
            Value::Flag(value) => builder.append(code, value),
            Value::Number(value) => builder.append(code, value),
            Value::Bits(value) => builder.append(code, value),
            Value::List(value) => builder.append(code, value),
            Value::Map(value) => builder.append(code, value),
        }
    }
    builder.build()
}

/// A value with the type the protocol gives its code.
enum Value {
    Text(&'static str),
    Flag(bool),
    Number(i64),
    Bits(i32),
    List(&'static [&'static str]),
    Map(BTreeMap<i32, Vec<i32>>),
}

type Entry = (Code, Value);

fn limit(value: usize) -> Value {
    Value::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

fn milliseconds(duration: Option<Duration>) -> Value {
    let millis = duration.map_or(0, |duration| duration.as_millis());
    Value::Bits(i32::try_from(millis).unwrap_or(i32::MAX))
}

fn server(statement_timeout: Option<Duration>) -> Vec<Entry> {
    // The protocol's statement timeout is that of a prepared statement's handle.
    let handle_timeout = statement_timeout.map_or(PREPARED_IDLE, |own| own.max(PREPARED_IDLE));
    vec![
        (Code::FlightSqlServerName, Value::Text("KalamDB")),
        (Code::FlightSqlServerVersion, Value::Text(env!("CARGO_PKG_VERSION"))),
        (Code::FlightSqlServerArrowVersion, Value::Text(arrow::ARROW_VERSION)),
        (Code::FlightSqlServerReadOnly, Value::Flag(false)),
        (Code::FlightSqlServerSql, Value::Flag(true)),
        (Code::FlightSqlServerSubstrait, Value::Flag(false)),
        (Code::FlightSqlServerSubstraitMinVersion, Value::Text("")),
        (Code::FlightSqlServerSubstraitMaxVersion, Value::Text("")),
        (Code::FlightSqlServerTransaction, Value::Bits(SqlSupportedTransaction::None as i32)),
        (Code::FlightSqlServerCancel, Value::Flag(true)),
        (Code::FlightSqlServerBulkIngestion, Value::Flag(true)),
        (Code::FlightSqlServerIngestTransactionsSupported, Value::Flag(false)),
        (Code::FlightSqlServerStatementTimeout, milliseconds(Some(handle_timeout))),
        (Code::FlightSqlServerTransactionTimeout, milliseconds(None)),
    ]
}

fn names() -> Vec<Entry> {
    let lower = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32;
    // Quoted names keep their case, which the protocol has no value for.
    let kept = SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32;
    vec![
        (Code::SqlDdlCatalog, Value::Flag(false)),
        (Code::SqlDdlSchema, Value::Flag(true)),
        (Code::SqlDdlTable, Value::Flag(true)),
        (Code::SqlIdentifierCase, Value::Bits(lower)),
        (Code::SqlIdentifierQuoteChar, Value::Text("\"")),
        (Code::SqlQuotedIdentifierCase, Value::Bits(kept)),
        (Code::SqlAllTablesAreSelectable, Value::Flag(true)),
        (Code::SqlNullOrdering, Value::Bits(SqlNullOrdering::SqlNullsSortedHigh as i32)),
        (Code::SqlKeywords, Value::List(KEYWORDS)),
        (Code::SqlNumericFunctions, Value::List(NUMERIC_FUNCTIONS)),
        (Code::SqlStringFunctions, Value::List(STRING_FUNCTIONS)),
        (Code::SqlSystemFunctions, Value::List(SYSTEM_FUNCTIONS)),
        (Code::SqlDatetimeFunctions, Value::List(DATETIME_FUNCTIONS)),
        (Code::SqlSearchStringEscape, Value::Text("\\")),
        (Code::SqlExtraNameCharacters, Value::Text("")),
    ]
}

fn syntax() -> Vec<Entry> {
    vec![
        (Code::SqlSupportsColumnAliasing, Value::Flag(true)),
        (Code::SqlNullPlusNullIsNull, Value::Flag(true)),
        (Code::SqlSupportsConvert, Value::Map(conversions())),
        (Code::SqlSupportsTableCorrelationNames, Value::Flag(true)),
        (Code::SqlSupportsDifferentTableCorrelationNames, Value::Flag(false)),
        (Code::SqlSupportsExpressionsInOrderBy, Value::Flag(true)),
        (Code::SqlSupportsOrderByUnrelated, Value::Flag(true)),
        // Unrelated columns, columns beyond the SELECT list.
        (Code::SqlSupportedGroupBy, Value::Bits(bits([0, 1]))),
        (Code::SqlSupportsLikeEscapeClause, Value::Flag(true)),
        (Code::SqlSupportsNonNullableColumns, Value::Flag(true)),
        // Minimum and core grammar of ODBC.
        (Code::SqlSupportedGrammar, Value::Bits(bits([0, 1]))),
        // Entry level.
        (Code::SqlAnsi92SupportedLevel, Value::Bits(bits([0]))),
        (Code::SqlSupportsIntegrityEnhancementFacility, Value::Flag(false)),
        // Limited and full.
        (Code::SqlOuterJoinsSupportLevel, Value::Bits(bits([1, 2]))),
        (Code::SqlSchemaTerm, Value::Text("namespace")),
        (Code::SqlProcedureTerm, Value::Text("")),
        (Code::SqlCatalogTerm, Value::Text("catalog")),
        (Code::SqlCatalogAtStart, Value::Flag(true)),
    ]
}

fn statements() -> Vec<Entry> {
    vec![
        (Code::SqlSchemasSupportedActions, Value::Bits(NONE)),
        (Code::SqlCatalogsSupportedActions, Value::Bits(NONE)),
        (Code::SqlSupportedPositionedCommands, Value::Bits(NONE)),
        (Code::SqlSelectForUpdateSupported, Value::Flag(false)),
        (Code::SqlStoredProceduresSupported, Value::Flag(false)),
        // In comparisons, in EXISTS, in IN.
        (Code::SqlSupportedSubqueries, Value::Bits(bits([0, 1, 2]))),
        (Code::SqlCorrelatedSubqueriesSupported, Value::Flag(true)),
        // UNION and UNION ALL.
        (Code::SqlSupportedUnions, Value::Bits(bits([0, 1]))),
    ]
}

fn limits() -> Vec<Entry> {
    let name = limits::NAME_BYTES_MAX;
    vec![
        (Code::SqlMaxBinaryLiteralLength, limit(limits::SQL_BYTES_MAX)),
        (Code::SqlMaxCharLiteralLength, limit(limits::SQL_BYTES_MAX)),
        (Code::SqlMaxColumnNameLength, limit(name)),
        (Code::SqlMaxColumnsInGroupBy, limit(NO_LIMIT)),
        (Code::SqlMaxColumnsInIndex, limit(NO_LIMIT)),
        (Code::SqlMaxColumnsInOrderBy, limit(NO_LIMIT)),
        (Code::SqlMaxColumnsInSelect, limit(NO_LIMIT)),
        (Code::SqlMaxColumnsInTable, limit(limits::TABLE_COLUMNS_MAX)),
        (Code::SqlMaxConnections, limit(NO_LIMIT)),
        (Code::SqlMaxCursorNameLength, limit(NO_LIMIT)),
        (Code::SqlMaxIndexLength, limit(limits::KEY_BYTES_MAX)),
        (Code::SqlDbSchemaNameLength, limit(name)),
        (Code::SqlMaxProcedureNameLength, limit(NO_LIMIT)),
        (Code::SqlMaxCatalogNameLength, limit(name)),
        (Code::SqlMaxRowSize, limit(limits::ROW_BYTES_MAX)),
        (Code::SqlMaxRowSizeIncludesBlobs, Value::Flag(true)),
        (Code::SqlMaxStatementLength, limit(limits::SQL_BYTES_MAX)),
        (Code::SqlMaxStatements, limit(NO_LIMIT)),
        (Code::SqlMaxTableNameLength, limit(name)),
        (Code::SqlMaxTablesInSelect, limit(NO_LIMIT)),
        (Code::SqlMaxUsernameLength, limit(name)),
    ]
}

fn transactions_and_results() -> Vec<Entry> {
    vec![
        // No transactions. The protocol says int32, but drivers read an int64.
        (Code::SqlDefaultTransactionIsolation, Value::Number(0)),
        (Code::SqlTransactionsSupported, Value::Flag(false)),
        // The level "none".
        (Code::SqlSupportedTransactionsIsolationLevels, Value::Bits(bits([0]))),
        (Code::SqlDataDefinitionCausesTransactionCommit, Value::Flag(false)),
        (Code::SqlDataDefinitionsInTransactionsIgnored, Value::Flag(false)),
        // Forward only, and of those read only.
        (Code::SqlSupportedResultSetTypes, Value::Bits(bits([1]))),
        (Code::SqlSupportedConcurrenciesForResultSetUnspecified, Value::Bits(NONE)),
        (Code::SqlSupportedConcurrenciesForResultSetForwardOnly, Value::Bits(bits([1]))),
        (Code::SqlSupportedConcurrenciesForResultSetScrollSensitive, Value::Bits(NONE)),
        (Code::SqlSupportedConcurrenciesForResultSetScrollInsensitive, Value::Bits(NONE)),
        (Code::SqlBatchUpdatesSupported, Value::Flag(true)),
        (Code::SqlSavepointsSupported, Value::Flag(false)),
        (Code::SqlNamedParametersSupported, Value::Flag(false)),
        (Code::SqlLocatorsUpdateCopy, Value::Flag(false)),
        (Code::SqlStoredFunctionsUsingCallSyntaxSupported, Value::Flag(false)),
    ]
}

/// What CAST can turn into what.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert as C;
    let numbers = [
        C::SqlConvertBigint,
        C::SqlConvertBit,
        C::SqlConvertDecimal,
        C::SqlConvertFloat,
        C::SqlConvertInteger,
        C::SqlConvertNumeric,
        C::SqlConvertReal,
        C::SqlConvertSmallint,
        C::SqlConvertTinyint,
    ];
    let texts = [C::SqlConvertChar, C::SqlConvertVarchar, C::SqlConvertLongvarchar];
    let times = [C::SqlConvertDate, C::SqlConvertTimestamp];
    let bytes = [C::SqlConvertBinary, C::SqlConvertVarbinary, C::SqlConvertLongvarbinary];
    let codes = |groups: &[&[C]]| -> Vec<i32> {
        groups.iter().flat_map(|group| group.iter().map(|code| *code as i32)).collect()
    };
    let mut map = BTreeMap::new();
    for code in numbers {
        map.insert(code as i32, codes(&[&numbers, &texts]));
    }
    for code in texts {
        map.insert(code as i32, codes(&[&numbers, &texts, &times, &bytes, &[C::SqlConvertTime]]));
    }
    for code in times {
        map.insert(code as i32, codes(&[&texts, &times]));
    }
    map.insert(C::SqlConvertTime as i32, codes(&[&texts, &[C::SqlConvertTime]]));
    for code in bytes {
        map.insert(code as i32, codes(&[&bytes]));
    }
    map
}
