//! MERGE: read by our own grammar, its queries and expressions by sqlparser.

use std::fmt;

use datafusion::sql::sqlparser::ast::{Expr, Ident, TableFactor, With};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::TableName;
use crate::error::SqlError;
use crate::parse::dml::{assign, refuse_repeated};
use crate::parse::names::stored_name;
use crate::parse::query_guard::check_merge;
use crate::parse::reader::{Reader, is_word};
use crate::parse::statement::{Assignment, Statement};

/// WHEN clauses in one MERGE.
const CLAUSES_MAX: usize = 64;

/// [WITH …] MERGE INTO table USING source ON condition WHEN …
#[derive(Debug, Clone)]
pub struct MergeStatement {
    /// The target.
    pub table: TableName,
    /// The name the target goes by in the expressions, when given one.
    pub alias: Option<Ident>,
    /// The rows the target is compared with.
    pub source: TableFactor,
    /// When a row of the source and one of the target belong together.
    pub on: Expr,
    /// What is done with which rows; the first that fits is taken.
    pub clauses: Vec<MergeClause>,
    /// The queries in front of the statement.
    pub with: Option<With>,
}

/// `WHEN … [AND condition] THEN action`.
#[derive(Debug, Clone)]
pub struct MergeClause {
    /// Which rows it is for.
    pub matching: MergeMatching,
    /// What they must satisfy besides.
    pub condition: Option<Expr>,
    /// What happens to them.
    pub action: MergeAction,
}

/// Which pairs of rows a clause of MERGE is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MergeMatching {
    /// A row of the target with one of the source.
    Matched,
    /// A row of the source that no row of the target belongs to.
    NotMatched,
    /// A row of the target that no row of the source belongs to.
    NotMatchedBySource,
}

impl fmt::Display for MergeMatching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Matched => "WHEN MATCHED",
            Self::NotMatched => "WHEN NOT MATCHED",
            Self::NotMatchedBySource => "WHEN NOT MATCHED BY SOURCE",
        })
    }
}

/// What a clause of MERGE does.
#[derive(Debug, Clone)]
pub enum MergeAction {
    /// UPDATE SET; each column at most once.
    Update(Vec<Assignment>),
    /// DELETE.
    Delete,
    /// `INSERT [(columns)] VALUES (…)`.
    Insert {
        /// Target columns in the order of the values; empty: all declared columns.
        columns: Vec<String>,
        /// The values; `None` is DEFAULT VALUES.
        values: Option<Vec<Expr>>,
    },
    /// DO NOTHING.
    Nothing,
}

/// True when MERGE comes after the WITH clause that comes next.
pub(crate) fn follows_with(reader: &Reader<'_>) -> bool {
    if !reader.peek_word("WITH") {
        return false;
    }
    let (mut depth, mut closed) = (0_usize, false);
    for token in reader.rest() {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth = depth.saturating_sub(1);
                closed = depth == 0;
                continue;
            }
            // After a query in brackets stands another, or the statement.
            word if closed && !is_word(word, "AS") && !matches!(word, Token::Comma) => {
                return is_word(word, "MERGE");
            }
            _ => {}
        }
        closed = false;
    }
    false
}

/// `[WITH …] MERGE INTO t [AS x] USING source ON condition WHEN … THEN …`.
pub(crate) fn merge(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let position = reader.position();
    let with = with_queries(reader)?;
    reader.expect_word("MERGE")?;
    reader.expect_word("INTO")?;
    let table = reader.table_name()?;
    let named = reader.eat_word("AS") || !reader.peek_word("USING");
    let alias = if named { Some(reader.identifier("an alias or USING")?) } else { None };
    reader.expect_word("USING")?;
    let source = reader.parse_with(|parser| parser.parse_table_factor())?;
    if matches!(
        source,
        TableFactor::Derived { lateral: true, .. } | TableFactor::Function { lateral: true, .. }
    ) {
        return Err(SqlError::unsupported("LATERAL in MERGE", "use a subquery").at(position));
    }
    if reader.peek_word("USING") {
        return Err(reader.unsupported("USING (columns) in MERGE", "write ON t.column = s.column"));
    }
    reader.expect_word("ON")?;
    let on = reader.parse_with(|parser| parser.parse_expr())?;
    let mut clauses = Vec::new();
    while clauses.is_empty() || reader.peek_word("WHEN") {
        let clause = clause(reader, &table, alias.as_ref(), &clauses)?;
        clauses.push(clause);
    }
    if reader.peek_word("RETURNING") || reader.peek_word("OUTPUT") {
        return Err(reader.unsupported("MERGE … RETURNING", "query the table afterwards"));
    }
    let mut merge = MergeStatement { table, alias, source, on, clauses, with };
    check_merge(&mut merge).map_err(|error| error.at(position))?;
    Ok(Statement::Merge(Box::new(merge)))
}

fn with_queries(reader: &mut Reader<'_>) -> Result<Option<With>, SqlError> {
    if !reader.peek_word("WITH") {
        return Ok(None);
    }
    let with_token = reader.next().into();
    let recursive = reader.eat_word("RECURSIVE");
    let cte_tables = reader.parse_with(|parser| parser.parse_comma_separated(Parser::parse_cte))?;
    Ok(Some(With { with_token, recursive, cte_tables }))
}

fn clause(
    reader: &mut Reader<'_>,
    table: &TableName,
    alias: Option<&Ident>,
    before: &[MergeClause],
) -> Result<MergeClause, SqlError> {
    let position = reader.position();
    reader.expect_word("WHEN")?;
    let matching = matching(reader)?;
    if before.len() == CLAUSES_MAX {
        return Err(SqlError::TooLarge {
            what: "the number of WHEN clauses in MERGE",
            limit: CLAUSES_MAX,
            advice: "use CASE in the values",
        });
    }
    if before.iter().any(|clause| clause.matching == matching && clause.condition.is_none()) {
        return Err(SqlError::invalid(format!(
            "a second {matching} comes after one without a condition and can never be taken, \
             give the first one a condition"
        ))
        .at(position));
    }
    let condition = match reader.eat_word("AND") {
        true => Some(reader.parse_with(|parser| parser.parse_expr())?),
        false => None,
    };
    reader.expect_word("THEN")?;
    let action = action(reader, matching, table, alias)?;
    Ok(MergeClause { matching, condition, action })
}

fn matching(reader: &mut Reader<'_>) -> Result<MergeMatching, SqlError> {
    if reader.eat_word("MATCHED") {
        return Ok(MergeMatching::Matched);
    }
    if !reader.eat_word("NOT") {
        return Err(reader.expected("MATCHED or NOT MATCHED"));
    }
    reader.expect_word("MATCHED")?;
    if !reader.eat_word("BY") {
        return Ok(MergeMatching::NotMatched);
    }
    if reader.eat_word("TARGET") {
        return Ok(MergeMatching::NotMatched);
    }
    if reader.eat_word("SOURCE") {
        return Ok(MergeMatching::NotMatchedBySource);
    }
    Err(reader.expected("TARGET or SOURCE after BY"))
}

fn action(
    reader: &mut Reader<'_>,
    matching: MergeMatching,
    table: &TableName,
    alias: Option<&Ident>,
) -> Result<MergeAction, SqlError> {
    let inserts = matching == MergeMatching::NotMatched;
    let position = reader.position();
    let wrong = |verb: &str| {
        let reason = match inserts {
            true => "there is no row yet, use INSERT or DO NOTHING",
            false => "there is a row already, use UPDATE, DELETE or DO NOTHING",
        };
        Err(SqlError::invalid(format!("{verb} cannot stand in {matching}: {reason}")).at(position))
    };
    if reader.eat_words(&["DO", "NOTHING"]) {
        return Ok(MergeAction::Nothing);
    }
    if reader.eat_word("DELETE") {
        return if inserts { wrong("DELETE") } else { Ok(MergeAction::Delete) };
    }
    if reader.eat_word("UPDATE") {
        return if inserts { wrong("UPDATE") } else { update(reader, table, alias) };
    }
    if reader.eat_word("INSERT") {
        return if inserts { insert(reader) } else { wrong("INSERT") };
    }
    Err(reader.expected("UPDATE, DELETE, INSERT or DO NOTHING"))
}

fn update(
    reader: &mut Reader<'_>,
    table: &TableName,
    alias: Option<&Ident>,
) -> Result<MergeAction, SqlError> {
    reader.expect_word("SET")?;
    if matches!(reader.peek(), Token::Mul) {
        return Err(reader.unsupported("UPDATE SET * in MERGE", "name the columns"));
    }
    let position = reader.position();
    let parsed =
        reader.parse_with(|parser| parser.parse_comma_separated(Parser::parse_assignment))?;
    let mut assignments = Vec::with_capacity(parsed.len());
    for assignment in parsed {
        assign(assignment, table, alias, &mut assignments).map_err(|error| error.at(position))?;
    }
    let columns: Vec<String> = assignments.iter().map(|set| set.column.clone()).collect();
    refuse_repeated(&columns).map_err(|error| error.at(position))?;
    if reader.peek_word("WHERE") || reader.peek_word("DELETE") {
        return Err(reader.unsupported("WHERE in a clause of MERGE", "use WHEN … AND condition"));
    }
    Ok(MergeAction::Update(assignments))
}

fn insert(reader: &mut Reader<'_>) -> Result<MergeAction, SqlError> {
    if matches!(reader.peek(), Token::Mul) || reader.peek_word("ROW") {
        return Err(reader.unsupported("INSERT * in MERGE", "write INSERT (columns) VALUES (…)"));
    }
    if reader.eat_words(&["DEFAULT", "VALUES"]) {
        return Ok(MergeAction::Insert { columns: Vec::new(), values: None });
    }
    let position = reader.position();
    let mut columns = Vec::new();
    if reader.eat(&Token::LParen) {
        loop {
            columns.push(stored_name(&reader.identifier("a column name")?));
            if matches!(reader.peek(), Token::Period) {
                return Err(reader.expected("the column's name alone"));
            }
            if !reader.eat(&Token::Comma) {
                break;
            }
        }
        reader.expect(&Token::RParen)?;
        refuse_repeated(&columns).map_err(|error| error.at(position))?;
    }
    reader.expect_word("VALUES")?;
    reader.expect(&Token::LParen)?;
    let values = reader.parse_with(|parser| parser.parse_comma_separated(Parser::parse_expr))?;
    reader.expect(&Token::RParen)?;
    if matches!(reader.peek(), Token::Comma) {
        let what = "more than one row in INSERT of MERGE";
        return Err(reader.unsupported(what, "give the rows in the source"));
    }
    if reader.peek_word("WHERE") {
        return Err(reader.unsupported("WHERE in a clause of MERGE", "use WHEN … AND condition"));
    }
    Ok(MergeAction::Insert { columns, values: Some(values) })
}
