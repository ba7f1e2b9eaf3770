//! The sides of a join, and what becomes of their columns.

use std::collections::{HashMap, HashSet};

use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, JoinConstraint, JoinOperator, ObjectName, Value,
};
use kalamdb_sql::stored_name;

use super::super::function_forms::call;
use crate::TablesError;

/// A column of a scope's FROM: how it is called without a table, and what it is.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) expr: Expr,
    pub(super) merged: bool,
}

/// One side of a join.
pub(super) struct Side {
    /// What `*` stands for.
    pub(super) outputs: Vec<Output>,
    /// How many columns the relations of the side have, the merged ones of each included.
    pub(super) columns: usize,
}

/// The merged columns of a scope, by name.
pub(super) type Merged = HashMap<String, Expr>;

/// Joins two sides: the constraint is ON afterwards.
pub(super) fn joined(left: Side, right: Side, operator: &mut JoinOperator) -> Result<Side> {
    let kept = Kept::of(operator);
    let mut merged = Vec::new();
    if let Some(constraint) = constraint(operator) {
        let names = match constraint {
            JoinConstraint::Using(names) => names.iter().map(column_of).collect::<Result<_>>()?,
            JoinConstraint::Natural => common_names(&left, &right),
            _ => Vec::new(),
        };
        let natural = matches!(constraint, JoinConstraint::Natural);
        let mut condition: Option<Expr> = None;
        for name in names {
            let (ours, theirs) = (column(&left, &name)?, column(&right, &name)?);
            let equal = equals(ours.expr.clone(), theirs.expr.clone());
            condition = Some(match condition {
                Some(before) => and(before, equal),
                None => equal,
            });
            let expr = match kept {
                Kept::Right => theirs.expr.clone(),
                Kept::Either => call("coalesce", vec![ours.expr.clone(), theirs.expr.clone()]),
                Kept::Left | Kept::OnlyLeft | Kept::OnlyRight => ours.expr.clone(),
            };
            merged.push(Output { name, expr, merged: true });
        }
        match condition {
            Some(condition) => *constraint = JoinConstraint::On(condition),
            None if natural => {
                *constraint = JoinConstraint::On(Expr::value(Value::Boolean(true)));
            }
            None => {}
        }
    }
    Ok(match kept {
        Kept::OnlyLeft => left,
        Kept::OnlyRight => right,
        Kept::Left | Kept::Right | Kept::Either => {
            let columns = left.columns + right.columns;
            let names: HashSet<String> = merged.iter().map(|column| column.name.clone()).collect();
            let rest = left.outputs.into_iter().chain(right.outputs);
            let rest = rest.filter(|column| !names.contains(&column.name));
            Side { outputs: merged.into_iter().chain(rest).collect(), columns }
        }
    })
}

/// Which side's rows a join keeps whole.
#[derive(Clone, Copy)]
enum Kept {
    /// Both, or the left one's.
    Left,
    Right,
    Either,
    OnlyLeft,
    OnlyRight,
}

impl Kept {
    fn of(operator: &JoinOperator) -> Self {
        match operator {
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Self::Right,
            JoinOperator::FullOuter(_) => Self::Either,
            JoinOperator::Semi(_)
            | JoinOperator::LeftSemi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::LeftAnti(_) => Self::OnlyLeft,
            JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => Self::OnlyRight,
            _ => Self::Left,
        }
    }
}

/// The one column of `side` called `name`.
pub(super) fn column<'s>(side: &'s Side, name: &str) -> Result<&'s Output> {
    let mut found = side.outputs.iter().filter(|output| output.name == name);
    match (found.next(), found.next()) {
        (Some(output), None) => Ok(output),
        (Some(_), Some(_)) => Err(schema_error(SchemaError::AmbiguousReference {
            field: Box::new(Column::new_unqualified(name)),
        })),
        (None, _) => Err(schema_error(SchemaError::FieldNotFound {
            field: Box::new(Column::new_unqualified(name)),
            valid_fields: side
                .outputs
                .iter()
                .map(|output| Column::new_unqualified(&output.name))
                .collect(),
        })),
    }
}

fn schema_error(error: SchemaError) -> DataFusionError {
    DataFusionError::SchemaError(Box::new(error), Box::new(None))
}

/// The names both sides have, as they come in the left one.
fn common_names(left: &Side, right: &Side) -> Vec<String> {
    let theirs: HashSet<&str> = right.outputs.iter().map(|column| column.name.as_str()).collect();
    let mut seen = HashSet::new();
    let ours = left.outputs.iter().map(|column| column.name.as_str());
    ours.filter(|name| theirs.contains(name) && seen.insert(*name)).map(str::to_owned).collect()
}

/// The merged columns whose names are no other column's.
pub(super) fn merged_names(outputs: &[Output]) -> Merged {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for output in outputs {
        *uses.entry(&output.name).or_default() += 1;
    }
    let merged = outputs.iter().filter(|output| output.merged);
    let merged = merged.filter(|output| uses.get(output.name.as_str()) == Some(&1));
    merged.map(|output| (output.name.clone(), output.expr.clone())).collect()
}

pub(super) fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}

/// The name of a column that stands alone.
pub(super) fn column_of(name: &ObjectName) -> Result<String> {
    let column = match name.0.as_slice() {
        [part] => part.as_ident().map(stored_name),
        _ => None,
    };
    column.ok_or_else(|| {
        TablesError::invalid(format!(
            "{name} is no plain name of a column, write it without a table"
        ))
        .into()
    })
}

fn equals(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Eq, right: Box::new(right) }
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}
