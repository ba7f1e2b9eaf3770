//! Which column of the table each column of a file is.

use arrow::datatypes::{Field, Schema};

use crate::cli::error::ShellError;

/// The table's field for every name of the file: the same name, or one that differs only in the
/// case of its letters.
///
/// # Errors
/// Names the table does not have, or has twice in the file.
pub fn matched(names: &[String], table: &Schema, shown: &str) -> Result<Vec<Field>, ShellError> {
    let mut fields: Vec<Field> = Vec::with_capacity(names.len());
    let mut unknown = Vec::new();
    for name in names {
        match field_called(name, table) {
            Some(field) if fields.iter().any(|found| found.name() == field.name()) => {
                let message = format!("the file has the column '{}' twice", field.name());
                return Err(ShellError::Data(message));
            }
            Some(field) => fields.push(field.clone()),
            None => unknown.push(name.as_str()),
        }
    }
    let Some(first) = unknown.first() else { return Ok(fields) };
    let names: Vec<String> = unknown.iter().map(|name| format!("'{name}'")).collect();
    let (noun, names) = (if unknown.len() == 1 { "column" } else { "columns" }, names.join(", "));
    let advice = match nearest(first, table) {
        Some(near) => format!("did you mean '{near}'?"),
        None => {
            let known: Vec<&str> = table.fields().iter().map(|f| f.name().as_str()).collect();
            format!("its columns are {}", known.join(", "))
        }
    };
    Err(ShellError::Data(format!("table {shown} has no {noun} {names}: {advice}")))
}

fn field_called<'a>(name: &str, table: &'a Schema) -> Option<&'a Field> {
    let fields = table.fields();
    if let Some(field) = fields.iter().find(|field| field.name() == name) {
        return Some(field);
    }
    let mut alike = fields.iter().filter(|field| field.name().eq_ignore_ascii_case(name));
    match (alike.next(), alike.next()) {
        (Some(field), None) => Some(field),
        _ => None,
    }
}

/// The column whose name differs least, if it is no more than a third of its letters.
fn nearest<'a>(name: &str, table: &'a Schema) -> Option<&'a str> {
    let name = name.to_lowercase();
    let distances = table
        .fields()
        .iter()
        .map(|field| (distance(&name, &field.name().to_lowercase()), field.name().as_str()));
    let (least, near) = distances.min()?;
    (least <= name.chars().count().max(3) / 3).then_some(near)
}

/// Letters to change, add or remove (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(&to) {
            let change = diagonal + usize::from(a != *b);
            diagonal = *slot;
            left = change.min(left + 1).min(*slot + 1);
            *slot = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    fn table() -> Schema {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        Schema::new(vec![field("dep_time"), field("Year"), field("a"), field("A")])
    }

    fn names(names: &[&str]) -> Result<Vec<String>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let fields = matched(&names, &table(), "t").map_err(|error| error.to_string())?;
        Ok(fields.iter().map(|field| field.name().clone()).collect())
    }

    #[test]
    fn names_match_whatever_their_case_where_that_is_clear() {
        assert_eq!(names(&["YEAR", "A", "a"]).unwrap(), ["Year", "A", "a"]);
        assert!(names(&["year", "YEAR"]).unwrap_err().contains("twice"));
    }

    #[test]
    fn unknown_names_are_all_named_with_a_near_one() {
        let error = names(&["dep_tme", "x"]).unwrap_err();
        assert_eq!(error, "table t has no columns 'dep_tme', 'x': did you mean 'dep_time'?");
        assert!(names(&["nothing"]).unwrap_err().contains("its columns are dep_time, Year"));
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
