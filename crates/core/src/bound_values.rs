//! Bound values: as a statement expects them, without losing any of their digits.
//!
//! A value that is stored becomes one of its column as any other value does. A value that is
//! compared takes the declared type of its parameter if that holds it; if not, the statement is
//! planned again for it, as if the value had been written.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, Float32Array, RecordBatch, StringArray,
    new_null_array,
};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, Float64Type, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{FormatOptions, array_value_to_string};
use datafusion::common::{ParamValues, ScalarValue};
use uuid::Uuid;

use kalamdb_commons::{ColumnType, SqlState};
use kalamdb_tables::{as_stored, in_sql_types, plain_words, reads_text, text_cast};

use crate::EngineError;
use crate::parameters::Destination;

/// The length of a UUID.
const UUID_BYTES: i32 = 16;
/// A value that cannot be converted is an error, not NULL.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: FormatOptions::new() };
/// Characters of a value an error message shows.
const SHOWN_CHARS_MAX: usize = 80;

/// The values of a statement's parameters, row by row.
pub(crate) struct BoundRows {
    /// Of the declared types.
    declared: RecordBatch,
    /// The values as they were bound, where the declared type does not hold all of a column.
    own: Vec<Option<OwnValues>>,
}

struct OwnValues {
    values: ArrayRef,
    /// For each row whether the declared type does not hold its value.
    needed: Vec<bool>,
}

/// The values of one execution.
pub(crate) struct BoundRow {
    pub(crate) values: ParamValues,
    /// Whether some are not of the declared type: the statement's plan is not made for them.
    pub(crate) own_types: bool,
}

/// The bound batch as the statement expects it: right number, right order (by name where every
/// column is named after its parameter), right types.
pub(crate) fn conform(
    bound: &RecordBatch,
    parameters: &SchemaRef,
    destinations: &[Destination],
) -> Result<BoundRows, EngineError> {
    let wanted = parameters.fields().len();
    if bound.num_columns() != wanted {
        return Err(EngineError::invalid(format!(
            "the statement has {wanted} parameters, but {} were bound",
            bound.num_columns()
        ))
        .coded(SqlState::WrongParameters));
    }
    if wanted == 0 {
        return Ok(BoundRows { declared: bound.clone(), own: Vec::new() });
    }
    let mut declared = Vec::with_capacity(wanted);
    let mut own = Vec::with_capacity(wanted);
    let places = parameters.fields().iter().zip(destinations);
    for (position, (field, destination)) in places.enumerate() {
        let column = bound.column_by_name(field.name()).unwrap_or(bound.column(position));
        let (values, lost) = bind(column, field, destination)?;
        declared.push(values);
        own.push(lost);
    }
    let declared = RecordBatch::try_new(Arc::clone(parameters), declared)
        .map_err(|error| EngineError::internal("build the bound parameters", error))?;
    Ok(BoundRows { declared, own })
}

impl BoundRows {
    pub(crate) fn num_rows(&self) -> usize {
        self.declared.num_rows()
    }

    /// All rows as values of the declared types.
    ///
    /// # Errors
    /// `InvalidInput` when these do not hold all values.
    pub(crate) fn all(&self) -> Result<&RecordBatch, EngineError> {
        let needed = |own: &OwnValues| own.needed.iter().position(|needed| *needed);
        let lost =
            self.own.iter().enumerate().find_map(|(position, own)| {
                needed(own.as_ref()?).map(|row| (position + 1, row + 1))
            });
        match lost {
            None => Ok(&self.declared),
            Some((ordinal, row)) => Err(EngineError::invalid(format!(
                "parameter ${ordinal} of row {row} is not of the declared type, bind that row \
                 alone or cast the parameter"
            ))),
        }
    }

    /// The values of one row.
    pub(crate) fn row(&self, row: usize) -> Result<BoundRow, EngineError> {
        let mut own_types = false;
        let mut values = Vec::with_capacity(self.declared.num_columns());
        for (declared, own) in self.declared.columns().iter().zip(&self.own) {
            let column = match own {
                Some(own) if own.needed.get(row) == Some(&true) => {
                    own_types = true;
                    &own.values
                }
                _ => declared,
            };
            values.push(ScalarValue::try_from_array(column, row)?.into());
        }
        Ok(BoundRow { values: ParamValues::List(values), own_types })
    }
}

fn bind(
    column: &ArrayRef,
    field: &Field,
    destination: &Destination,
) -> Result<(ArrayRef, Option<OwnValues>), EngineError> {
    if let Some(stored) = &destination.stored {
        let values = stored.assign(column)?;
        return Ok((cast(&values, field, destination)?, None));
    }
    if is_spelled(column.data_type(), field.data_type()) {
        // The statement reads it when it is planned for it.
        let declared = new_null_array(field.data_type(), column.len());
        let needed = (0..column.len()).map(|row| column.is_valid(row)).collect();
        return Ok((declared, Some(OwnValues { values: Arc::clone(column), needed })));
    }
    let values = cast(column, field, destination)?;
    let lost = lost(column, &values).map_err(|error| {
        EngineError::internal("compare bound values with those of the declared type", error)
    })?;
    Ok((values, lost))
}

/// The values if some have lost a part of themselves on the way to the declared type.
fn lost(bound: &ArrayRef, declared: &ArrayRef) -> Result<Option<OwnValues>, ArrowError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let bound = match bound.data_type() {
        DataType::Dictionary(_, of) => cast_with_options(bound, of, &options)?,
        _ => Arc::clone(bound),
    };
    let (from, to) = (bound.data_type(), declared.data_type());
    let same = match to {
        // The text may spell a moment between two of the unit.
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) if is_text(from) => {
            let fine = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let spelled = converted(&bound, &fine, false)?;
            not_distinct(&spelled, &cast_with_options(declared, &fine, &options)?)?
        }
        to if from == to || !may_lose(from, to) => return Ok(None),
        _ => not_distinct(&bound, &cast_with_options(declared, from, &options)?)?,
    };
    if same.true_count() == same.len() {
        return Ok(None);
    }
    let needed = same.values().iter().map(|same| !same).collect();
    Ok(Some(OwnValues { values: bound, needed }))
}

/// Text in the place of a vector: `'[0.1, 0.2]'`.
fn is_spelled(bound: &DataType, declared: &DataType) -> bool {
    is_text(bound) && matches!(declared, DataType::FixedSizeList(..) | DataType::List(_))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8)
}

/// Text spells values and is read as it is in a statement. A number is rounded to REAL: clients
/// bind what they have of that type as a DOUBLE.
fn may_lose(from: &DataType, to: &DataType) -> bool {
    let value = |of: &DataType| of.is_numeric() || of.is_temporal() || *of == DataType::Boolean;
    value(from) && value(to) && *to != DataType::Float32 && can_cast_types(to, from)
}

fn cast(
    column: &ArrayRef,
    field: &Field,
    destination: &Destination,
) -> Result<ArrayRef, EngineError> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let converted = |column: &ArrayRef| converted(column, field.data_type(), destination.uuid);
    converted(column).map_err(|error| {
        let reason = plain_words(&error.to_string());
        // The first row that is refused alone, too.
        let refused = (0..column.len()).find(|row| converted(&column.slice(*row, 1)).is_err());
        let row = refused.map(|row| format!(" of row {}", row + 1)).unwrap_or_default();
        let value = refused.and_then(|row| shown(column, row)).unwrap_or_default();
        let with = match &destination.compared_with {
            Some(name) => format!(", the type of column {name}"),
            None => String::new(),
        };
        EngineError::invalid(format!(
            "parameter {}{row} is {}{value} and cannot be bound as {}{with}: {}",
            field.name(),
            in_sql_types(&column.data_type().to_string()),
            in_sql_types(&field.data_type().to_string()),
            reason.message
        ))
        .coded(reason.state.unwrap_or(SqlState::WrongParameters))
    })
}

fn shown(column: &ArrayRef, row: usize) -> Option<String> {
    let text = array_value_to_string(column, row).ok()?;
    let shortened: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let rest = if shortened.len() < text.len() { "…" } else { "" };
    Some(format!(" '{shortened}{rest}'"))
}

/// The values as ones of the type. Structs go by the names of their fields and text for BYTES may
/// spell them, as where they are stored; text `for_uuid` takes the 16 bytes of one, too.
fn converted(column: &ArrayRef, wanted: &DataType, for_uuid: bool) -> Result<ArrayRef, ArrowError> {
    let plain = |data_type: &DataType| cast_with_options(column, data_type, &STRICT);
    match (column.data_type(), wanted) {
        (DataType::Utf8, DataType::FixedSizeBinary(UUID_BYTES)) => uuids_of_text(column),
        (DataType::FixedSizeBinary(UUID_BYTES), DataType::Utf8) => Ok(text_of_uuids(column)),
        (from, DataType::Utf8) if for_uuid && from.is_binary() => {
            let uuids = as_stored(column, &ColumnType::Uuid)?;
            Ok(text_of_uuids(&uuids))
        }
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, DataType::Binary) => {
            as_stored(column, &ColumnType::Bytes)
        }
        (from, wanted) if from.is_nested() && wanted.is_nested() => {
            match ColumnType::from_arrow(&Field::new("", wanted.clone(), true)) {
                Ok(column_type) => {
                    cast_with_options(&as_stored(column, &column_type)?, wanted, &STRICT)
                }
                Err(_) => plain(wanted),
            }
        }
        (DataType::Float64, DataType::Float32) => reals_of_doubles(column),
        // Days since 1970 are how a date is kept, not what it means.
        (from, wanted)
            if from.is_temporal() && wanted.is_numeric()
                || from.is_numeric() && wanted.is_temporal() =>
        {
            let reason = "a number is no date or time, cast the parameter to its type";
            Err(ArrowError::CastError(reason.to_owned()))
        }
        (from, wanted) if reads_text(from, wanted) => text_cast(column, wanted, false),
        (_, wanted) => plain(wanted),
    }
}

/// Drivers without a UUID type bind its text.
fn uuids_of_text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let text: &StringArray = column.as_string();
    let bytes = text
        .iter()
        .map(|value| value.map(Uuid::parse_str).transpose())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ArrowError::CastError(error.to_string()))?;
    let bytes = bytes.iter().map(|uuid| uuid.as_ref().map(Uuid::as_bytes));
    Ok(Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, UUID_BYTES)?))
}

fn text_of_uuids(column: &ArrayRef) -> ArrayRef {
    let bytes: &FixedSizeBinaryArray = column.as_fixed_size_binary();
    let text = bytes.iter().map(|value| {
        value.and_then(|bytes| Uuid::from_slice(bytes).ok()).map(|uuid| uuid.to_string())
    });
    Arc::new(StringArray::from_iter(text))
}

/// A number that no REAL holds is refused; infinity is a value like any other.
fn reals_of_doubles(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let doubles = column.as_primitive::<Float64Type>();
    let reals: Float32Array = doubles.try_unary(|double| {
        let real = double as f32;
        if double.is_finite() && real.is_infinite() {
            return Err(ArrowError::CastError(format!("{double} is out of range")));
        }
        Ok(real)
    })?;
    Ok(Arc::new(reals))
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BinaryArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
        StructArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Float32Type, Schema};

    use super::*;

    fn bound(
        values: impl Array + 'static,
        declared: DataType,
    ) -> Result<(ArrayRef, Option<Vec<bool>>), EngineError> {
        let column: ArrayRef = Arc::new(values);
        let compared_with = Some(String::from("id"));
        let destination = Destination { compared_with, ..Destination::default() };
        let (values, own) = bind(&column, &Field::new("$1", declared, true), &destination)?;
        Ok((values, own.map(|own| own.needed)))
    }

    #[test]
    fn numbers_and_dates_are_not_bound_as_each_other() {
        let date = || Date32Array::from(vec![19_723]);
        for wanted in [DataType::Int64, DataType::Int32, DataType::Float64] {
            assert!(bound(date(), wanted).is_err());
        }
        assert!(bound(Int32Array::from(vec![5]), DataType::Date32).is_err());
        let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert!(bound(Int64Array::from(vec![5]), moment.clone()).is_err());
        assert!(bound(date(), moment).is_ok());
    }

    #[test]
    fn bound_values_are_cast_to_the_declared_types() {
        let (values, own) = bound(Int64Array::from(vec![7]), DataType::Int32).unwrap();
        assert_eq!((values.data_type(), own), (&DataType::Int32, None));
        let (values, own) = bound(Int64Array::from(vec![8]), DataType::Utf8).unwrap();
        assert_eq!((values.data_type(), own), (&DataType::Utf8, None));
        let whole = Float64Array::from(vec![Some(4.0), None]);
        assert_eq!(bound(whole, DataType::Int32).unwrap().1, None);
    }

    #[test]
    fn structs_go_by_the_names_of_their_fields() {
        let texts =
            |values: [&str; 1]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
        let of = |names: [&str; 2]| {
            StructArray::try_from(vec![(names[0], texts(["1"])), (names[1], texts(["2"]))]).unwrap()
        };
        let fields = ["a", "b"].map(|name| Field::new(name, DataType::Utf8, true));
        let declared = DataType::Struct(fields.to_vec().into());
        let (values, _) = bound(of(["b", "a"]), declared.clone()).unwrap();
        assert_eq!(values.as_struct().column(0).as_string::<i32>().value(0), "2");
        let error = bound(of(["b", "c"]), declared).unwrap_err().to_string();
        assert!(error.contains("field c"), "{error}");
    }

    #[test]
    fn text_beside_bytes_and_bytes_beside_a_uuid_are_read() {
        let text = StringArray::from(vec![Some("\\x00ff"), Some("ab"), None]);
        let (values, own) = bound(text, DataType::Binary).unwrap();
        let values = values.as_binary::<i32>();
        let bytes: Vec<_> = values.iter().collect();
        assert_eq!((bytes, own), (vec![Some(&[0, 255][..]), Some(b"ab"), None], None));
        let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![&[7; 16]]));
        let destination = Destination { uuid: true, ..Destination::default() };
        let field = Field::new("$1", DataType::Utf8, true);
        let (values, _) = bind(&bytes, &field, &destination).unwrap();
        assert_eq!(values.as_string::<i32>().value(0), "07070707-0707-0707-0707-070707070707");
    }

    #[test]
    fn text_that_spells_a_finer_moment_keeps_its_own_type() {
        let text = StringArray::from(vec!["2025-01-01 10:00:00", "2025-01-01 10:00:00.9"]);
        let needed = bound(text, DataType::Timestamp(TimeUnit::Second, None)).unwrap().1;
        assert_eq!(needed, Some(vec![false, true]));
    }

    #[test]
    fn what_the_declared_type_does_not_hold_keeps_its_own() {
        let doubles = Float64Array::from(vec![Some(2.0), Some(2.7), None]);
        let needed = bound(doubles, DataType::Int32).unwrap().1;
        assert_eq!(needed, Some(vec![false, true, false]));
        let day = 86_400_000_000;
        let moments = TimestampMicrosecondArray::from(vec![day, day + 1]);
        let needed = bound(moments, DataType::Date32).unwrap().1;
        assert_eq!(needed, Some(vec![false, true]));
        let decimals = Decimal128Array::from(vec![10, 12_345_678_901]);
        let decimals = decimals.with_precision_and_scale(20, 11).unwrap();
        let needed = bound(decimals, DataType::Decimal128(38, 10)).unwrap().1;
        assert_eq!(needed, Some(vec![false, true]));
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_parameter_row_and_column() {
        let error = bound(Int64Array::from(vec![1, i64::MAX]), DataType::Int32);
        let error = error.unwrap_err().to_string();
        for part in ["parameter $1", "row 2", "9223372036854775807", "column id"] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn a_double_becomes_a_real_or_is_refused() {
        for value in [0.1, f64::INFINITY, f64::NEG_INFINITY] {
            let doubles = Float64Array::from(vec![Some(value), None]);
            let (real, own) = bound(doubles, DataType::Float32).unwrap();
            let real = real.as_primitive::<Float32Type>();
            assert_eq!((real.value(0), real.is_null(1), own), (value as f32, true, None));
        }
        let error = bound(Float64Array::from(vec![-1e39]), DataType::Float32);
        assert!(error.unwrap_err().to_string().contains("parameter $1"));
    }

    #[test]
    fn each_row_has_its_own_types() {
        let parameters = Arc::new(Schema::new(vec![Field::new("$1", DataType::Int32, true)]));
        let doubles: ArrayRef = Arc::new(Float64Array::from(vec![2.0, 2.7]));
        let batch = RecordBatch::try_from_iter([("0", doubles)]).unwrap();
        let rows = conform(&batch, &parameters, &[Destination::default()]).unwrap();
        assert!(!rows.row(0).unwrap().own_types);
        assert!(rows.row(1).unwrap().own_types);
        assert!(rows.all().unwrap_err().to_string().contains("row 2"));
    }

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        let field = |name| Field::new(name, DataType::Int32, true);
        let parameters = Arc::new(Schema::new(vec![field("$1"), field("$2")]));
        let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("0", one)]).unwrap();
        let error = conform(&batch, &parameters, &[]).err().unwrap().to_string();
        assert!(error.contains("2 parameters, but 1"), "{error}");
    }
}
