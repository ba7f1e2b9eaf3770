//! Arrow arrays laid open for the encoders: the type is looked at once a column, not once a value.

use arrow::array::{Array, AsArray, downcast_primitive_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::Float32Type;
use kalamdb_commons::ColumnType;

use super::{TupleLayout, Width, fixed_width};
use crate::StoreError;

/// The values of one column.
#[derive(Debug)]
pub(crate) struct Source {
    /// Present when some value is NULL.
    pub(crate) nulls: Option<NullBuffer>,
    pub(crate) values: SourceValues,
}

/// The buffers of one column, by the way its values are encoded.
#[derive(Debug)]
pub(crate) enum SourceValues {
    /// BOOLEAN
    Boolean(BooleanBuffer),
    /// Value `i` is the `i`th `width` bytes.
    Fixed { width: Width, bytes: Buffer },
    /// TEXT, JSON, BYTES
    Bytes { offsets: OffsetBuffer<i32>, bytes: Buffer },
    /// EMBEDDING: value `i` is the `i`th `stride` bytes.
    Embedding { stride: usize, bytes: Buffer, item_nulls: Option<NullBuffer> },
    /// A list
    List { offsets: OffsetBuffer<i32>, items: Box<Source> },
    /// STRUCT
    Struct { layout: TupleLayout, fields: Vec<FieldSource> },
}

/// One field of a STRUCT.
#[derive(Debug)]
pub(crate) struct FieldSource {
    pub(super) name: String,
    pub(super) nullable: bool,
    pub(super) source: Source,
}

impl Source {
    /// Lays an array of the Arrow type of `column_type` open. Nested fields may differ in name
    /// and nullability.
    ///
    /// # Errors
    /// [`StoreError::InvalidRequest`] for an array of another type.
    pub(crate) fn new(array: &dyn Array, column_type: &ColumnType) -> Result<Self, StoreError> {
        let values = open_values(array, column_type)?.ok_or_else(|| {
            StoreError::invalid(format!(
                "a {column_type} column was given an array of {}",
                array.data_type()
            ))
        })?;
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        Ok(Self { nulls, values })
    }

    #[inline]
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// The first row that is NULL.
    pub(crate) fn first_null(&self) -> Option<usize> {
        let nulls = self.nulls.as_ref()?;
        (0..nulls.len()).find(|row| nulls.is_null(*row))
    }

    /// The bytes of a TEXT, JSON or BYTES value; nothing for another type.
    #[inline]
    pub(crate) fn bytes_at(&self, row: usize) -> &[u8] {
        match &self.values {
            SourceValues::Bytes { offsets, bytes } => {
                &bytes[offsets[row] as usize..offsets[row + 1] as usize]
            }
            _ => &[],
        }
    }
}

fn open_values(
    array: &dyn Array,
    column_type: &ColumnType,
) -> Result<Option<SourceValues>, StoreError> {
    Ok(match column_type {
        ColumnType::Boolean => {
            array.as_boolean_opt().map(|array| SourceValues::Boolean(array.values().clone()))
        }
        ColumnType::Text | ColumnType::Json => array.as_string_opt::<i32>().map(|array| {
            SourceValues::Bytes { offsets: array.offsets().clone(), bytes: array.values().clone() }
        }),
        ColumnType::Bytes => array.as_binary_opt::<i32>().map(|array| SourceValues::Bytes {
            offsets: array.offsets().clone(),
            bytes: array.values().clone(),
        }),
        ColumnType::Uuid => array
            .as_fixed_size_binary_opt()
            .filter(|array| array.data_type() == &column_type.to_arrow())
            .map(|array| SourceValues::Fixed { width: Width::W16, bytes: array.values().clone() }),
        ColumnType::Embedding(_) => open_embedding(array, column_type),
        ColumnType::List(item) => match array.as_list_opt::<i32>() {
            Some(list) => Some(SourceValues::List {
                offsets: list.offsets().clone(),
                items: Box::new(Source::new(list.values(), item)?),
            }),
            None => None,
        },
        ColumnType::Struct(_) => open_struct(array, column_type)?,
        scalar => match fixed_width(scalar) {
            Some(width) if array.data_type() == &scalar.to_arrow() => {
                value_buffer(array).map(|bytes| SourceValues::Fixed { width, bytes })
            }
            _ => None,
        },
    })
}

/// The value buffer of a primitive array, cut to its rows.
fn value_buffer(array: &dyn Array) -> Option<Buffer> {
    downcast_primitive_array!(
        array => Some(array.values().inner().clone()),
        _ => None
    )
}

fn open_embedding(array: &dyn Array, column_type: &ColumnType) -> Option<SourceValues> {
    let ColumnType::Embedding(dimensions) = column_type else { return None };
    let list = array.as_fixed_size_list_opt()?;
    if u32::try_from(list.value_length()) != Ok(*dimensions) {
        return None;
    }
    let items = list.values().as_primitive_opt::<Float32Type>()?;
    Some(SourceValues::Embedding {
        stride: *dimensions as usize * size_of::<f32>(),
        bytes: items.values().inner().clone(),
        item_nulls: items.nulls().filter(|nulls| nulls.null_count() > 0).cloned(),
    })
}

fn open_struct(
    array: &dyn Array,
    column_type: &ColumnType,
) -> Result<Option<SourceValues>, StoreError> {
    let (ColumnType::Struct(fields), Some(array)) = (column_type, array.as_struct_opt()) else {
        return Ok(None);
    };
    if fields.len() != array.num_columns() {
        return Ok(None);
    }
    let layout = TupleLayout::new(0, fields.iter().map(|field| &field.field_type));
    let fields = fields
        .iter()
        .zip(array.columns())
        .map(|(field, column)| {
            Ok(FieldSource {
                name: field.name.to_string(),
                nullable: field.nullable,
                source: Source::new(column, &field.field_type)?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Some(SourceValues::Struct { layout, fields }))
}
