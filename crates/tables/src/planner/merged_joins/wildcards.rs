//! `*` over merged columns.

use std::collections::HashMap;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, ExcludeSelectItem, Expr, Ident, Select, SelectItem, WildcardAdditionalOptions,
};
use kalamdb_sql::stored_name;

use super::sides::{Output, Side, column, column_of};

/// Writes out every `*` of the select list.
pub(super) fn expand_wildcards(select: &mut Select, outputs: &[Output]) -> Result<()> {
    let mut projection = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        let SelectItem::Wildcard(options) = &item else {
            projection.push(item);
            continue;
        };
        let Some(wildcard) = Wildcard::of(options) else {
            // The query engine says what it does not do.
            projection.push(item);
            continue;
        };
        for name in &wildcard.excluded {
            let side = Side { outputs: outputs.to_vec(), columns: outputs.len() };
            column(&side, name)?;
        }
        for output in outputs.iter().filter(|output| !wildcard.excluded.contains(&output.name)) {
            projection.push(match wildcard.replaced.get(&output.name) {
                Some(expr) => SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: Ident::with_quote('"', &output.name),
                },
                None => shown_as(&output.expr, &output.name),
            });
        }
    }
    select.projection = projection;
    Ok(())
}

/// What a `*` says of single columns.
struct Wildcard {
    excluded: Vec<String>,
    replaced: HashMap<String, Expr>,
}

impl Wildcard {
    fn of(options: &WildcardAdditionalOptions) -> Option<Self> {
        let WildcardAdditionalOptions {
            wildcard_token: _,
            opt_ilike: None,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename: None,
            opt_alias: None,
        } = options
        else {
            return None;
        };
        let mut excluded = Vec::new();
        match opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => excluded.push(column_of(name).ok()?),
            Some(ExcludeSelectItem::Multiple(names)) => {
                for name in names {
                    excluded.push(column_of(name).ok()?);
                }
            }
            None => {}
        }
        if let Some(ExceptSelectItem { first_element, additional_elements }) = opt_except {
            excluded.push(stored_name(first_element));
            excluded.extend(additional_elements.iter().map(stored_name));
        }
        let replaced = opt_replace.iter().flat_map(|replace| &replace.items);
        let replaced =
            replaced.map(|item| (stored_name(&item.column_name), item.expr.clone())).collect();
        Some(Self { excluded, replaced })
    }
}

/// An item that shows a column under its name.
pub(super) fn shown_as(expr: &Expr, name: &str) -> SelectItem {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(expr.clone()),
        _ => SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) },
    }
}
