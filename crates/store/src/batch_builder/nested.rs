//! Columns of nested values: lists, structs, embeddings, down to any depth.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, Float32Array, ListArray, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use kalamdb_commons::ColumnType;

use super::columns::{Fault, FixedColumn, SlotValue, VarColumn, null_buffer, offset, take_exact};
use crate::row_format::{END_BYTES, Place, TupleLayout, Width, fixed_width, var_value};

/// A column of values of any type, each appended from its bytes.
#[derive(Debug)]
pub(super) enum NestedColumn {
    W1(FixedColumn<u8>),
    W2(FixedColumn<u16>),
    W4(FixedColumn<u32>),
    W8(FixedColumn<u64>),
    W16(FixedColumn<i128>),
    Var(VarColumn),
    Embedding(EmbeddingColumn),
    List(Box<ListColumn>),
    Struct(StructColumn),
}

#[derive(Debug)]
pub(super) struct EmbeddingColumn {
    dimensions: usize,
    rows: usize,
    values: Vec<f32>,
    nulls: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct ListColumn {
    /// The slot width of the items; `None` when they vary in length.
    width: Option<Width>,
    /// Where each list ends among the items.
    ends: Vec<i32>,
    nulls: Vec<u32>,
    items: NestedColumn,
    /// Items appended so far.
    item_count: usize,
}

#[derive(Debug)]
pub(super) struct StructColumn {
    layout: TupleLayout,
    rows: usize,
    nulls: Vec<u32>,
    fields: Vec<NestedColumn>,
    /// Which fields may be NULL, and are in a NULL struct: who reads a field of a struct does
    /// not always look at the struct's own validity.
    nullable: Vec<bool>,
}

impl NestedColumn {
    pub(super) fn new(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::Embedding(dimensions) => Self::Embedding(EmbeddingColumn {
                dimensions: *dimensions as usize,
                rows: 0,
                values: Vec::new(),
                nulls: Vec::new(),
            }),
            ColumnType::List(item) => Self::List(Box::new(ListColumn {
                width: fixed_width(item),
                ends: Vec::new(),
                nulls: Vec::new(),
                items: Self::new(item),
                item_count: 0,
            })),
            ColumnType::Struct(fields) => Self::Struct(StructColumn {
                layout: TupleLayout::new(0, fields.iter().map(|field| &field.field_type)),
                rows: 0,
                nulls: Vec::new(),
                fields: fields.iter().map(|field| Self::new(&field.field_type)).collect(),
                nullable: fields.iter().map(|field| field.nullable).collect(),
            }),
            scalar => match fixed_width(scalar) {
                Some(Width::W1) => Self::W1(FixedColumn::default()),
                Some(Width::W2) => Self::W2(FixedColumn::default()),
                Some(Width::W4) => Self::W4(FixedColumn::default()),
                Some(Width::W8) => Self::W8(FixedColumn::default()),
                Some(Width::W16) => Self::W16(FixedColumn::default()),
                None => {
                    let mut column = VarColumn::default();
                    column.start(0);
                    Self::Var(column)
                }
            },
        }
    }

    /// Appends the value with these bytes: a slot, or what a var value has.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match self {
            Self::W1(column) => push_slot(column, bytes),
            Self::W2(column) => push_slot(column, bytes),
            Self::W4(column) => push_slot(column, bytes),
            Self::W8(column) => push_slot(column, bytes),
            Self::W16(column) => push_slot(column, bytes),
            Self::Var(column) => column.push(bytes),
            Self::Embedding(column) => column.push(bytes),
            Self::List(column) => column.push(bytes),
            Self::Struct(column) => column.push(bytes),
        }
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::W1(column) => column.push_null(),
            Self::W2(column) => column.push_null(),
            Self::W4(column) => column.push_null(),
            Self::W8(column) => column.push_null(),
            Self::W16(column) => column.push_null(),
            Self::Var(column) => column.push_null(),
            Self::Embedding(EmbeddingColumn { nulls, rows, .. })
            | Self::Struct(StructColumn { nulls, rows, .. }) => {
                nulls.push(*rows as u32);
                self.push_default();
            }
            Self::List(column) => {
                column.nulls.push(column.ends.len() as u32);
                self.push_default();
            }
        }
    }

    /// Appends some value that is not NULL: what stands in a NULL struct's fields that cannot be.
    fn push_default(&mut self) {
        match self {
            Self::W1(column) => column.push_default(),
            Self::W2(column) => column.push_default(),
            Self::W4(column) => column.push_default(),
            Self::W8(column) => column.push_default(),
            Self::W16(column) => column.push_default(),
            Self::Var(column) => column.push_default(),
            Self::Embedding(column) => {
                column.rows += 1;
                column.values.resize(column.rows * column.dimensions, 0.0);
            }
            // The items end where they did after the list before, whose end fitted.
            Self::List(column) => column.ends.push(column.item_count as i32),
            Self::Struct(column) => {
                column.rows += 1;
                for (field, nullable) in column.fields.iter_mut().zip(&column.nullable) {
                    if *nullable { field.push_null() } else { field.push_default() }
                }
            }
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::W1(column) => column.clear(),
            Self::W2(column) => column.clear(),
            Self::W4(column) => column.clear(),
            Self::W8(column) => column.clear(),
            Self::W16(column) => column.clear(),
            Self::Var(column) => {
                column.clear();
                column.start(0);
            }
            Self::Embedding(column) => {
                column.rows = 0;
                column.values.clear();
                column.nulls.clear();
            }
            Self::List(column) => {
                column.ends.clear();
                column.nulls.clear();
                column.item_count = 0;
                column.items.clear();
            }
            Self::Struct(column) => {
                column.rows = 0;
                column.nulls.clear();
                column.fields.iter_mut().for_each(Self::clear);
            }
        }
    }

    /// Takes the column out as an array of this type. It must be cleared before it is used again.
    pub(super) fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::W1(column) => column.finish(data_type),
            Self::W2(column) => column.finish(data_type),
            Self::W4(column) => column.finish(data_type),
            Self::W8(column) => column.finish(data_type),
            Self::W16(column) => column.finish(data_type),
            Self::Var(column) => column.finish(data_type),
            Self::Embedding(column) => column.finish(data_type),
            Self::List(column) => column.finish(data_type),
            Self::Struct(column) => column.finish(data_type),
        }
    }
}

fn push_slot<T: SlotValue<W>, const W: usize>(
    column: &mut FixedColumn<T>,
    bytes: &[u8],
) -> Result<(), Fault> {
    let slot = <[u8; W]>::try_from(bytes).map_err(|_| Fault::Row)?;
    column.values.push(T::from_slot(slot));
    Ok(())
}

impl EmbeddingColumn {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let (items, rest) = bytes.as_chunks::<{ size_of::<f32>() }>();
        if items.len() != self.dimensions || !rest.is_empty() {
            return Err(Fault::Row);
        }
        self.values.extend(items.iter().map(|item| f32::from_le_bytes(*item)));
        self.rows += 1;
        Ok(())
    }

    fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let DataType::FixedSizeList(item, size) = data_type else {
            return Err(unexpected(data_type));
        };
        let nulls = null_buffer(&mut self.nulls, self.rows);
        let items = Float32Array::from(take_exact(&mut self.values));
        let array = FixedSizeListArray::try_new(Arc::clone(item), *size, Arc::new(items), nulls)?;
        Ok(Arc::new(array))
    }
}

impl ListColumn {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let (count, rest) = bytes.split_first_chunk::<4>().ok_or(Fault::Row)?;
        let count = u32::from_le_bytes(*count) as usize;
        let (nulls, values) = rest.split_at_checked(count.div_ceil(8)).ok_or(Fault::Row)?;
        let slots_len = count * self.width.map_or(END_BYTES, Width::bytes);
        let fits = match self.width {
            Some(_) => values.len() == slots_len,
            None => values.len() >= slots_len,
        };
        if !fits {
            return Err(Fault::Row);
        }
        for i in 0..count {
            if nulls[i / 8] & (1 << (i % 8)) != 0 {
                self.items.push_null();
                continue;
            }
            let value = match self.width {
                Some(width) => values.get(i * width.bytes()..(i + 1) * width.bytes()),
                None => var_value(values, 0, slots_len, i),
            };
            self.items.push(value.ok_or(Fault::Row)?)?;
        }
        self.item_count += count;
        self.ends.push(offset(self.item_count)?);
        Ok(())
    }

    fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let DataType::List(item) = data_type else {
            return Err(unexpected(data_type));
        };
        let nulls = null_buffer(&mut self.nulls, self.ends.len());
        let mut offsets = Vec::with_capacity(self.ends.len() + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let items = self.items.finish(item.data_type())?;
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?))
    }
}

impl StructColumn {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let layout = &self.layout;
        if bytes.len() < layout.var_at {
            return Err(Fault::Row);
        }
        for (i, (place, field)) in layout.places.iter().zip(&mut self.fields).enumerate() {
            if bytes[layout.nulls_at + i / 8] & (1 << (i % 8)) != 0 {
                field.push_null();
                continue;
            }
            let value = match *place {
                Place::Fixed { at, width } => bytes.get(at..at + width.bytes()),
                Place::Var { index } => var_value(bytes, layout.ends_at, layout.var_at, index),
            };
            field.push(value.ok_or(Fault::Row)?)?;
        }
        self.rows += 1;
        Ok(())
    }

    fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let DataType::Struct(fields) = data_type else {
            return Err(unexpected(data_type));
        };
        let nulls = null_buffer(&mut self.nulls, self.rows);
        let columns = self
            .fields
            .iter_mut()
            .zip(fields)
            .map(|(column, field)| column.finish(field.data_type()))
            .collect::<Result<Vec<_>, _>>()?;
        let array = StructArray::try_new_with_length(fields.clone(), columns, nulls, self.rows)?;
        debug_assert_eq!(array.len(), self.rows);
        Ok(Arc::new(array))
    }
}

fn unexpected(data_type: &DataType) -> ArrowError {
    ArrowError::InvalidArgumentError(format!("the values are not of the type {data_type}"))
}
