//! ROLLUP and CUBE whose members are several columns at once, or one column twice, as the GROUPING
//! SETS they stand for: the query engine takes single columns that differ.
//!
//! ```text
//!  ROLLUP ((a, b), c)              ──►  GROUPING SETS ((a, b, c), (a, b), ())
//!  ROLLUP (a, a)                   ──►  GROUPING SETS ((a), (a), ())
//!  GROUPING SETS (ROLLUP (a), b)   ──►  GROUPING SETS ((a), (), (b))
//! ```

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, TableFactor,
    TableWithJoins, visit_expressions_mut,
};
use kalamdb_sql::{SqlError, stored_name};

use crate::TablesError;

/// Members that a CUBE has at most when its sets are spelled out.
const CUBE_MEMBERS_MAX: usize = 12;

/// Members of a set: one that is a row `(a, b)` is several columns.
type Members = Vec<Vec<Expr>>;

/// Takes the brackets from rows in GROUP BY: `GROUP BY (a, b)` groups by the columns, and
/// `GROUP BY ()` by none.
pub(super) fn flatten(groups: &mut Vec<Expr>) {
    if !groups.iter().any(|group| matches!(group, Expr::Tuple(_))) {
        return;
    }
    let flat = std::mem::take(groups).into_iter().flat_map(|group| match group {
        Expr::Tuple(members) => members,
        other => vec![other],
    });
    groups.extend(flat);
    if groups.is_empty() {
        groups.push(Expr::GroupingSets(vec![Vec::new()]));
    }
}

/// Spells out the nested sets of GROUPING SETS, before its members are looked at.
pub(super) fn spell_out_nested(group: &mut Expr) -> Result<()> {
    let Expr::GroupingSets(sets) = group else { return Ok(()) };
    let mut spelled = Vec::with_capacity(sets.len());
    for set in std::mem::take(sets) {
        match set.as_slice() {
            [Expr::Function(function)] => match nested(function) {
                Some((Nested::Rollup, members)) => spelled.extend(rolled_up(&members)),
                Some((Nested::Cube, members)) => spelled.extend(cubed(&members)?),
                None => spelled.push(set),
            },
            _ => spelled.push(set),
        }
    }
    *sets = spelled;
    Ok(())
}

/// Spells out a ROLLUP or CUBE that the query engine does not take as it is.
///
/// # Errors
/// A CUBE of too many members.
pub(super) fn spell_out(group: &mut Expr, from: &[TableWithJoins]) -> Result<()> {
    let (Expr::Rollup(members) | Expr::Cube(members)) = &*group else { return Ok(()) };
    let mut seen = HashSet::new();
    let one_table = matches!(from, [TableWithJoins { relation: TableFactor::Table { .. }, joins }]
        if joins.is_empty());
    let plain = members.iter().all(|member| match member.as_slice() {
        [column] => seen.insert(written(column, one_table)),
        _ => false,
    });
    if plain {
        return Ok(());
    }
    let mut sets = match group {
        Expr::Cube(_) => cubed(members)?,
        _ => rolled_up(members),
    };
    for set in &mut sets {
        let mut seen = HashSet::new();
        set.retain(|column| seen.insert(written(column, one_table)));
    }
    *group = Expr::GroupingSets(sets);
    Ok(())
}

/// All members, then one less at a time.
fn rolled_up(members: &[Vec<Expr>]) -> Members {
    (0..=members.len()).rev().map(|taken| members[..taken].concat()).collect()
}

/// Every choice of members.
fn cubed(members: &[Vec<Expr>]) -> Result<Members> {
    if members.len() > CUBE_MEMBERS_MAX {
        return Err(TablesError::from(SqlError::TooLarge {
            what: "the number of members of CUBE",
            limit: CUBE_MEMBERS_MAX,
            advice: "name the sets you need in GROUPING SETS",
        })
        .into());
    }
    let chosen = |choice: usize| {
        let is_chosen = |place: usize| choice & (1 << (members.len() - 1 - place)) != 0;
        let taken = members.iter().enumerate().filter(|(place, _)| is_chosen(*place));
        taken.flat_map(|(_, member)| member.clone()).collect()
    };
    Ok((0..1_usize << members.len()).rev().map(chosen).collect())
}

enum Nested {
    Rollup,
    Cube,
}

/// A ROLLUP or CUBE within GROUPING SETS, which is read as the call of a function.
fn nested(function: &Function) -> Option<(Nested, Members)> {
    let kind = match function.name.to_string().to_lowercase().as_str() {
        "rollup" => Nested::Rollup,
        "cube" => Nested::Cube,
        _ => return None,
    };
    let FunctionArguments::List(list) = &function.args else { return None };
    let member = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Tuple(columns))) => Some(columns.clone()),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(column)) => Some(vec![column.clone()]),
        _ => None,
    };
    Some((kind, list.args.iter().map(member).collect::<Option<_>>()?))
}

/// How a column is written, but for brackets, case, and the name of the only table.
fn written(column: &Expr, one_table: bool) -> String {
    let mut column = column.clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut column, |expr| {
        while let Expr::Nested(inner) = expr {
            *expr = inner.as_ref().clone();
        }
        let stored = |name: &Ident| Ident::with_quote('"', stored_name(name));
        match expr {
            Expr::Identifier(name) => *name = stored(name),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [_, name] if one_table => *expr = Expr::Identifier(stored(name)),
                _ => parts.iter_mut().for_each(|part| *part = stored(part)),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    });
    column.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(sql: &str) -> String {
        let sql = format!("SELECT 1 FROM t GROUP BY {sql}");
        let kalamdb_sql::Statement::Query(query) =
            kalamdb_sql::parse(&sql).unwrap().remove(0).statement
        else {
            panic!("{sql} is no query");
        };
        let datafusion::sql::sqlparser::ast::SetExpr::Select(mut select) = *query.body else {
            panic!("{sql} is no SELECT");
        };
        let datafusion::sql::sqlparser::ast::GroupByExpr::Expressions(groups, _) =
            &mut select.group_by
        else {
            panic!("{sql} has no groups");
        };
        flatten(groups);
        for group in groups.iter_mut() {
            spell_out_nested(group).unwrap();
            spell_out(group, &select.from).unwrap();
        }
        select.group_by.to_string().replacen("GROUP BY ", "", 1)
    }

    #[test]
    fn members_of_several_columns_are_spelled_out() {
        for (sql, wanted) in [
            ("ROLLUP ((a, b), c)", "GROUPING SETS ((a, b, c), (a, b), ())"),
            ("CUBE ((a, b), c)", "GROUPING SETS ((a, b, c), (a, b), (c), ())"),
            ("ROLLUP (a, A, (t.a))", "GROUPING SETS ((a), (a), (a), ())"),
            ("GROUPING SETS (ROLLUP (a, (b, c)), b)", "GROUPING SETS ((a, b, c), (a), (), (b))"),
            ("a, (b, c)", "a, b, c"),
            ("()", "GROUPING SETS (())"),
        ] {
            assert_eq!(spelled(sql), wanted, "{sql}");
        }
        for plain in ["ROLLUP (a, b)", "CUBE (a, \"A\")", "ROLLUP ('a', 'A')"] {
            assert_eq!(spelled(plain), plain);
        }
    }
}
