//! Lists, structs and embeddings as values of a column: items one by one, fields by their names.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListBuilder, Float32Builder, ListArray,
    StructArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options, nullif};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;
use kalamdb_commons::{ColumnType, StructField};

use super::assign::{convert, is_text, no_cast};

/// The values as lists of `item`. What is no list does not become one.
pub(super) fn lists(
    values: &ArrayRef,
    item: &ColumnType,
    target: &ColumnType,
) -> Result<ArrayRef, ArrowError> {
    let lists = match values.data_type() {
        DataType::List(_) => Arc::clone(values),
        DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => cast(values, &DataType::List(Arc::clone(field)))?,
        from => return Err(advised(from, target, "write a list in brackets, as ['a', 'b']")),
    };
    let lists = lists.as_list::<i32>();
    let offsets = lists.value_offsets();
    let start = offsets.first().copied().unwrap_or_default();
    let end = offsets.last().copied().unwrap_or_default();
    let items = lists.values().slice(start as usize, (end - start) as usize);
    let items = convert(&items, item, false)?;
    let offsets = OffsetBuffer::new(offsets.iter().map(|offset| offset - start).collect());
    let field = Arc::new(item.to_field(Field::LIST_FIELD_DEFAULT_NAME, true));
    Ok(Arc::new(ListArray::try_new(field, offsets, items, lists.nulls().cloned())?))
}

/// The values as structs of `fields`, which are found by their names.
pub(super) fn structs(
    values: &ArrayRef,
    fields: &[StructField],
    target: &ColumnType,
) -> Result<ArrayRef, ArrowError> {
    let Some(given) = values.as_struct_opt() else {
        return Err(advised(values.data_type(), target, "write it with its fields, as {a: 1}"));
    };
    let places = places(given.fields(), fields, target)?;
    // What stands under a NULL is no value.
    let absent = given.nulls().map(|nulls| BooleanArray::new(!nulls.inner(), None));
    let mut columns = Vec::with_capacity(fields.len());
    for (field, place) in fields.iter().zip(places) {
        let Some(place) = place else {
            columns.push(new_null_array(&field.field_type.to_arrow(), given.len()));
            continue;
        };
        let items = match &absent {
            Some(absent) => nullif(given.column(place), absent)?,
            None => Arc::clone(given.column(place)),
        };
        let items = convert(&items, &field.field_type, false)
            .map_err(|error| ArrowError::CastError(in_field(&field.name, error)))?;
        if !field.nullable && items.logical_null_count() > given.null_count() {
            return Err(ArrowError::CastError(format!(
                "the field {} is NOT NULL, give it a value",
                field.name
            )));
        }
        columns.push(items);
    }
    let DataType::Struct(arrow_fields) = target.to_arrow() else {
        return Err(no_cast(values.data_type(), target));
    };
    let nulls = given.nulls().cloned();
    Ok(Arc::new(StructArray::try_new_with_length(arrow_fields, columns, nulls, given.len())?))
}

/// Where each of `fields` stands among the given ones; letters may differ in case when that is
/// unambiguous.
fn places(
    given: &Fields,
    fields: &[StructField],
    target: &ColumnType,
) -> Result<Vec<Option<usize>>, ArrowError> {
    let mut places: Vec<Option<usize>> = vec![None; fields.len()];
    for (position, field) in given.iter().enumerate() {
        let name = field.name();
        let Some(place) = place_of(name, fields) else {
            return Err(ArrowError::CastError(format!(
                "a struct with the field {name} cannot become {target}, which has no such field"
            )));
        };
        if places[place].replace(position).is_some() {
            return Err(ArrowError::CastError(format!(
                "a struct with the field {name} twice cannot become {target}"
            )));
        }
    }
    let missing = fields.iter().zip(&places).find(|(field, p)| p.is_none() && !field.nullable);
    match missing {
        Some((field, _)) => Err(ArrowError::CastError(format!(
            "a struct without the field {} cannot become {target}, where it is NOT NULL",
            field.name
        ))),
        None => Ok(places),
    }
}

fn place_of(name: &str, fields: &[StructField]) -> Option<usize> {
    if let Some(place) = fields.iter().position(|field| &*field.name == name) {
        return Some(place);
    }
    let mut alike =
        fields.iter().enumerate().filter(|(_, field)| field.name.eq_ignore_ascii_case(name));
    match (alike.next(), alike.next()) {
        (Some((place, _)), None) => Some(place),
        _ => None,
    }
}

/// The values as embeddings; text is read as `[0.1, 0.2]`.
pub(super) fn embeddings(
    values: &ArrayRef,
    dimensions: u32,
    target: &ColumnType,
    safe: bool,
) -> Result<ArrayRef, ArrowError> {
    let to = target.to_arrow();
    let options = CastOptions { safe, ..CastOptions::default() };
    if !safe && let Some(length) = other_length(values, dimensions) {
        return Err(ArrowError::ParseError(format!("it has {length} numbers, not {dimensions}")));
    }
    match values.data_type() {
        from if *from == to => Ok(Arc::clone(values)),
        from if is_text(from) => read_embeddings(values, dimensions, safe),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => {
            if *field.data_type() == DataType::Float32
                && matches!(values.data_type(), DataType::List(_) | DataType::FixedSizeList(..))
            {
                return cast_with_options(values, &to, &options);
            }
            // REAL has its own bounds, which a cast would pass over.
            let reals = lists(values, &ColumnType::Float32, target)?;
            cast_with_options(&reals, &to, &options)
        }
        from => Err(advised(from, target, "write it as [0.1, 0.2]")),
    }
}

/// The length of the first list that has another than `dimensions`.
fn other_length(values: &ArrayRef, dimensions: u32) -> Option<usize> {
    let wanted = dimensions as usize;
    match values.data_type() {
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            lists.iter().flatten().map(|list| list.len()).find(|length| *length != wanted)
        }
        DataType::LargeList(_) => {
            let lists = values.as_list::<i64>();
            lists.iter().flatten().map(|list| list.len()).find(|length| *length != wanted)
        }
        DataType::FixedSizeList(_, length) => {
            usize::try_from(*length).ok().filter(|length| *length != wanted)
        }
        _ => None,
    }
}

fn read_embeddings(values: &ArrayRef, dimensions: u32, safe: bool) -> Result<ArrayRef, ArrowError> {
    let texts = cast(values, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let length = dimensions as usize;
    let item = Field::new(Field::LIST_FIELD_DEFAULT_NAME, DataType::Float32, false);
    let size = i32::try_from(dimensions).unwrap_or(i32::MAX);
    let items = Float32Builder::with_capacity(texts.len() * length);
    let mut read = FixedSizeListBuilder::new(items, size).with_field(item);
    for text in texts {
        let vector = match text.map(|text| read_vector(text, length)).transpose() {
            Ok(vector) => vector,
            Err(_) if safe => None,
            Err(reason) => return Err(ArrowError::ParseError(reason)),
        };
        match &vector {
            Some(vector) => read.values().append_slice(vector),
            None => read.values().append_value_n(0.0, length),
        }
        read.append(vector.is_some());
    }
    Ok(Arc::new(read.finish()))
}

fn read_vector(text: &str, length: usize) -> Result<Vec<f32>, String> {
    let no_vector = || String::from("the text is no vector, write it as '[0.1, 0.2]'");
    let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let numbers = inner.ok_or_else(no_vector)?.split(',');
    let vector = numbers.map(|number| match number.trim().parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(no_vector()),
    });
    let vector = vector.collect::<Result<Vec<f32>, String>>()?;
    if vector.len() != length {
        return Err(format!("it has {} numbers, not {length}", vector.len()));
    }
    Ok(vector)
}

fn advised(from: &DataType, target: &ColumnType, advice: &str) -> ArrowError {
    ArrowError::CastError(format!("a value of type {from} cannot become {target}, {advice}"))
}

fn in_field(name: &str, error: ArrowError) -> String {
    format!("in its field {name}: {}", super::assign::reason_of(error))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{Float32Type, Int32Type};

    use super::*;

    fn field(name: &str, field_type: ColumnType, nullable: bool) -> StructField {
        StructField { name: name.into(), field_type, nullable }
    }

    fn given(names: [&str; 2]) -> ArrayRef {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        Arc::new(
            StructArray::try_from(names.into_iter().zip([numbers, texts]).collect::<Vec<_>>())
                .unwrap(),
        )
    }

    #[test]
    fn fields_are_found_by_their_names() {
        let fields = vec![
            field("b", ColumnType::Text, false),
            field("a", ColumnType::Int32, true),
            field("c", ColumnType::Bytes, true),
        ];
        let target = ColumnType::Struct(fields.clone());
        let converted = structs(&given(["a", "B"]), &fields, &target).unwrap();
        assert_eq!(converted.data_type(), &target.to_arrow());
        let converted = converted.as_struct();
        assert_eq!(converted.column(0).as_string::<i32>().value(1), "y");
        assert_eq!(converted.column(1).as_primitive::<Int32Type>().value(0), 1);
        assert_eq!(converted.column(2).null_count(), 2);
        for (names, wanted) in [(["b", "x"], "field x"), (["a", "c"], "without the field b")] {
            let error = structs(&given(names), &fields, &target).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn what_stands_under_null_is_no_value() {
        let inner = given(["b", "a"]).as_struct().clone();
        let (names, columns, _) = inner.into_parts();
        let nulls = Some(arrow::buffer::NullBuffer::from(vec![true, false]));
        let values: ArrayRef = Arc::new(StructArray::new(names, columns, nulls));
        // The number under the NULL is missing, the text under it is no number.
        let fields = vec![field("b", ColumnType::Int32, false), field("a", ColumnType::Text, true)];
        let target = ColumnType::Struct(fields.clone());
        let converted = structs(&values, &fields, &target).unwrap();
        assert_eq!(converted.null_count(), 1);
    }

    #[test]
    fn a_list_keeps_all_items_or_is_refused() {
        let item = |rows: Vec<Option<Vec<Option<&str>>>>| -> ArrayRef {
            let mut lists = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
            for row in rows {
                lists.append_option(row);
            }
            Arc::new(lists.finish())
        };
        let target = ColumnType::List(Box::new(ColumnType::Int32));
        let texts = item(vec![Some(vec![Some("9")]), None, Some(vec![Some("1"), None])]);
        let converted = lists(&texts.slice(1, 2), &ColumnType::Int32, &target).unwrap();
        assert_eq!(converted.data_type(), &target.to_arrow());
        assert!(converted.is_null(0));
        assert_eq!(converted.as_list::<i32>().value(1).null_count(), 1);
        let wrong = item(vec![Some(vec![Some("one")])]);
        assert!(lists(&wrong, &ColumnType::Int32, &target).is_err());
        let scalar: ArrayRef = Arc::new(Int64Array::from(vec![5]));
        let error = lists(&scalar, &ColumnType::Int32, &target).unwrap_err().to_string();
        assert!(error.contains("cannot become INT[], write a list"), "{error}");
        let json = ColumnType::List(Box::new(ColumnType::Json));
        let objects = item(vec![Some(vec![Some("{}")])]);
        let converted = lists(&objects, &ColumnType::Json, &json).unwrap();
        assert_eq!(converted.data_type(), &json.to_arrow());
    }

    #[test]
    fn text_is_read_as_an_embedding() {
        let target = ColumnType::Embedding(2);
        let read = |text: &str, safe| {
            let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(text), None]));
            embeddings(&texts, 2, &target, safe)
        };
        let vectors = read(" [1, -2.5] ", false).unwrap();
        assert_eq!(vectors.data_type(), &target.to_arrow());
        let first = vectors.as_fixed_size_list().value(0);
        assert_eq!(first.as_primitive::<Float32Type>().values(), &[1.0, -2.5]);
        assert!(vectors.is_null(1));
        for wrong in ["[1]", "[1, 2, 3]", "1, 2", "[1, 1e300]", "[1, x]", "[]"] {
            assert!(read(wrong, false).is_err(), "{wrong}");
            assert_eq!(read(wrong, true).unwrap().null_count(), 2, "{wrong}");
        }
    }
}
