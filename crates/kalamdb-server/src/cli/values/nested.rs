//! Lists, structs and embeddings from JSON.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, ListArray, StringArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};

use super::from_text::{BadValue, from_text, type_name};
use super::is_json;
use super::json_text::{self, Json};

static NULL: Json<'static> = Json::Null;

/// Values of one column and the rows they belong to: items of a list share theirs.
struct Gathered<'a> {
    values: Vec<&'a Json<'a>>,
    rows: Vec<usize>,
}

/// The nested values `texts` stand for.
pub fn from_json_texts(texts: &StringArray, field: &Field) -> Result<ArrayRef, BadValue> {
    let mut parsed = Vec::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        parsed.push(match text {
            Some(text) => json_text::parse(text).map_err(|error| {
                let bad = BadValue::new(row, text, field);
                let (at, reason) = (error.at + 1, error.reason);
                BadValue { reason: format!("{}: at byte {at} {reason}", bad.reason), ..bad }
            })?,
            None => Json::Null,
        });
    }
    let gathered = Gathered { values: parsed.iter().collect(), rows: (0..texts.len()).collect() };
    from_json(&gathered, field)
}

fn from_json(gathered: &Gathered<'_>, field: &Field) -> Result<ArrayRef, BadValue> {
    match field.data_type() {
        DataType::List(item) => list(gathered, field, item),
        DataType::FixedSizeList(item, size) => fixed_size_list(gathered, field, item, *size),
        DataType::Struct(fields) => structs(gathered, field, fields),
        _ => leaf(gathered, field),
    }
}

fn bad(row: usize, value: &Json<'_>, field: &Field) -> BadValue {
    let mut text = String::new();
    value.push_to(&mut text);
    BadValue::new(row, &text, field)
}

/// An array could not be put together, as where a NULL stands that must not.
fn built<T>(
    result: Result<T, arrow::error::ArrowError>,
    gathered: &Gathered<'_>,
    field: &Field,
) -> Result<T, BadValue> {
    result.map_err(|error| BadValue {
        row: gathered.rows.first().copied().unwrap_or_default(),
        reason: format!("cannot make values of type {}: {error}", type_name(field)),
    })
}

fn items<'a>(
    gathered: &Gathered<'a>,
    field: &Field,
    mut each: impl FnMut(usize, Option<&'a [Json<'a>]>) -> Result<(), BadValue>,
) -> Result<NullBuffer, BadValue> {
    let mut valid = Vec::with_capacity(gathered.values.len());
    for (value, row) in gathered.values.iter().zip(&gathered.rows) {
        let items = match value {
            Json::Null => None,
            Json::Array(items) => Some(items.as_slice()),
            other => return Err(bad(*row, other, field)),
        };
        valid.push(items.is_some());
        each(*row, items)?;
    }
    Ok(NullBuffer::from(valid))
}

fn list(gathered: &Gathered<'_>, field: &Field, item: &FieldRef) -> Result<ArrayRef, BadValue> {
    let mut inner = Gathered { values: Vec::new(), rows: Vec::new() };
    let mut lengths = Vec::with_capacity(gathered.values.len());
    let nulls = items(gathered, field, |row, items| {
        let items = items.unwrap_or_default();
        inner.values.extend(items);
        inner.rows.extend(std::iter::repeat_n(row, items.len()));
        lengths.push(items.len());
        Ok(())
    })?;
    let values = from_json(&inner, item)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let array = ListArray::try_new(Arc::clone(item), offsets, values, Some(nulls));
    Ok(Arc::new(built(array, gathered, field)?))
}

fn fixed_size_list(
    gathered: &Gathered<'_>,
    field: &Field,
    item: &FieldRef,
    size: i32,
) -> Result<ArrayRef, BadValue> {
    let length = usize::try_from(size).unwrap_or_default();
    let mut inner = Gathered { values: Vec::new(), rows: Vec::new() };
    let nulls = items(gathered, field, |row, items| {
        match items {
            Some(items) if items.len() != length => {
                let found = items.len();
                return Err(BadValue {
                    row,
                    reason: format!("it has {found} items, {} takes {length}", type_name(field)),
                });
            }
            Some(items) => inner.values.extend(items),
            None => inner.values.extend(std::iter::repeat_n(&NULL, length)),
        }
        inner.rows.extend(std::iter::repeat_n(row, length));
        Ok(())
    })?;
    let values = from_json(&inner, item)?;
    let array = FixedSizeListArray::try_new(Arc::clone(item), size, values, Some(nulls));
    Ok(Arc::new(built(array, gathered, field)?))
}

fn structs(gathered: &Gathered<'_>, field: &Field, fields: &Fields) -> Result<ArrayRef, BadValue> {
    let mut valid = Vec::with_capacity(gathered.values.len());
    for (value, row) in gathered.values.iter().zip(&gathered.rows) {
        match value {
            Json::Null => valid.push(false),
            Json::Object(entries) => {
                let unknown =
                    entries.iter().find(|(key, _)| fields.iter().all(|f| f.name() != key));
                if let Some((key, _)) = unknown {
                    let reason = format!("{} has no field '{key}'", type_name(field));
                    return Err(BadValue { row: *row, reason });
                }
                valid.push(true);
            }
            other => return Err(bad(*row, other, field)),
        }
    }
    let mut columns = Vec::with_capacity(fields.len());
    for inner in fields {
        let values = gathered.values.iter().map(|value| match value {
            Json::Object(entries) => {
                entries.iter().rev().find(|(key, _)| key == inner.name()).map_or(&NULL, |(_, v)| v)
            }
            _ => &NULL,
        });
        let values = Gathered { values: values.collect(), rows: gathered.rows.clone() };
        columns.push(from_json(&values, inner)?);
    }
    let array = StructArray::try_new(fields.clone(), columns, Some(NullBuffer::from(valid)));
    Ok(Arc::new(built(array, gathered, field)?))
}

fn leaf(gathered: &Gathered<'_>, field: &Field) -> Result<ArrayRef, BadValue> {
    let mut texts: Vec<Option<Cow<'_, str>>> = Vec::with_capacity(gathered.values.len());
    for (value, row) in gathered.values.iter().zip(&gathered.rows) {
        texts.push(match value {
            Json::Null => None,
            Json::Text(text) if is_json(field) => Some(json_document(text)),
            value if is_json(field) => {
                let mut text = String::new();
                value.push_to(&mut text);
                Some(text.into())
            }
            Json::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
            Json::Number(number) => Some((*number).into()),
            Json::Text(text) => Some(text.as_ref().into()),
            value @ (Json::Array(_) | Json::Object(_)) => return Err(bad(*row, value, field)),
        });
    }
    let texts: StringArray = texts.into_iter().collect();
    from_text(&texts, field).map_err(|error| BadValue {
        row: gathered.rows.get(error.row).copied().unwrap_or_default(),
        ..error
    })
}

/// A JSON document from a string: its text, or, when it is none, the string itself.
pub fn json_document(text: &str) -> Cow<'_, str> {
    if json_text::is_valid(text) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    json_text::push_string(text, &mut quoted);
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    fn pair() -> Field {
        let fields = vec![
            Field::new("a", DataType::Int32, true),
            Field::new_list("b", Field::new("item", DataType::Decimal128(5, 1), true), true),
        ];
        Field::new("s", DataType::Struct(fields.into()), true)
    }

    fn read(texts: &[Option<&str>], field: &Field) -> Result<ArrayRef, BadValue> {
        from_json_texts(&StringArray::from(texts.to_vec()), field)
    }

    #[test]
    fn structs_and_lists_nest() {
        let texts = [Some(r#"{"b": [1.5, null, "2"], "a": 7}"#), None, Some("{}")];
        let values = read(&texts, &pair()).unwrap();
        let values = values.as_struct();
        assert_eq!((values.is_null(1), values.is_null(2)), (true, false));
        let lists = values.column(1).as_list::<i32>();
        assert_eq!((lists.value_length(0), lists.is_null(2)), (3, true));
    }

    #[test]
    fn the_row_of_a_bad_item_is_named() {
        for (text, part) in [
            (r#"{"a": "x"}"#, "'x' is not a value of type INT"),
            (r#"{"c": 1}"#, "no field 'c'"),
            ("[1]", "is not a value of type STRUCT"),
            (r#"{"a": [1]}"#, "'[1]'"),
            ("{", "at byte"),
        ] {
            let error = read(&[Some("{}"), Some(text)], &pair()).unwrap_err();
            assert_eq!(error.row, 1);
            assert!(error.reason.contains(part), "{}", error.reason);
        }
    }

    #[test]
    fn embeddings_have_their_length() {
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        let field = Field::new("e", DataType::FixedSizeList(item, 2), true);
        assert_eq!(read(&[Some("[1, 2.5]"), None], &field).unwrap().null_count(), 1);
        assert!(read(&[Some("[1]")], &field).unwrap_err().reason.contains("1 items"));
        assert!(read(&[Some("[1, null]")], &field).is_err());
    }
}
