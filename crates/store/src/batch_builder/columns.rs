//! Columns being filled, grouped by the width of their values.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, BinaryArray, BooleanArray, StringArray, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, Field};
use arrow::error::ArrowError;

use super::nested::NestedColumn;
use crate::StoreError;
use crate::key_codec::KeyOrder;

/// Why a row cannot be appended; small, because every value's way back carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The key's bytes are not what its columns' types encode to.
    Key,
    /// The row's bytes are not what its columns' types encode to.
    Row,
    /// The row has another format, or a schema version that the table never had.
    Version,
    /// A number grew out of its column's range.
    Range,
    /// A column holds as many bytes as a batch can address.
    Full,
}

/// Which column: the group it belongs to and its number in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnRef {
    W1(usize),
    W2(usize),
    W4(usize),
    W8(usize),
    W16(usize),
    Var(usize),
    Nested(usize),
}

/// All columns being filled.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) w1: Vec<FixedColumn<u8>>,
    pub(super) w2: Vec<FixedColumn<u16>>,
    pub(super) w4: Vec<FixedColumn<u32>>,
    pub(super) w8: Vec<FixedColumn<u64>>,
    pub(super) w16: Vec<FixedColumn<i128>>,
    pub(super) var: Vec<VarColumn>,
    pub(super) nested: Vec<NestedColumn>,
}

impl Columns {
    /// Makes room for a batch of `rows` rows.
    pub(super) fn start(&mut self, rows: usize) {
        self.w1.iter_mut().for_each(|column| column.start(rows));
        self.w2.iter_mut().for_each(|column| column.start(rows));
        self.w4.iter_mut().for_each(|column| column.start(rows));
        self.w8.iter_mut().for_each(|column| column.start(rows));
        self.w16.iter_mut().for_each(|column| column.start(rows));
        self.var.iter_mut().for_each(|column| column.start(rows));
    }

    /// Drops what is gathered.
    pub(super) fn clear(&mut self) {
        self.w1.iter_mut().for_each(FixedColumn::clear);
        self.w2.iter_mut().for_each(FixedColumn::clear);
        self.w4.iter_mut().for_each(FixedColumn::clear);
        self.w8.iter_mut().for_each(FixedColumn::clear);
        self.w16.iter_mut().for_each(FixedColumn::clear);
        self.var.iter_mut().for_each(VarColumn::clear);
        self.nested.iter_mut().for_each(NestedColumn::clear);
    }

    pub(super) fn push_null(&mut self, target: ColumnRef) {
        match target {
            ColumnRef::W1(i) => self.w1[i].push_null(),
            ColumnRef::W2(i) => self.w2[i].push_null(),
            ColumnRef::W4(i) => self.w4[i].push_null(),
            ColumnRef::W8(i) => self.w8[i].push_null(),
            ColumnRef::W16(i) => self.w16[i].push_null(),
            ColumnRef::Var(i) => self.var[i].push_null(),
            ColumnRef::Nested(i) => self.nested[i].push_null(),
        }
    }

    /// Appends `rows` times the value with these bytes, a slot or what a var value has; `None`:
    /// NULL.
    pub(super) fn push_repeated(
        &mut self,
        target: ColumnRef,
        bytes: Option<&[u8]>,
        rows: usize,
    ) -> Result<(), Fault> {
        match target {
            ColumnRef::W1(i) => self.w1[i].push_repeated(bytes, rows),
            ColumnRef::W2(i) => self.w2[i].push_repeated(bytes, rows),
            ColumnRef::W4(i) => self.w4[i].push_repeated(bytes, rows),
            ColumnRef::W8(i) => self.w8[i].push_repeated(bytes, rows),
            ColumnRef::W16(i) => self.w16[i].push_repeated(bytes, rows),
            ColumnRef::Var(_) | ColumnRef::Nested(_) => (0..rows).try_for_each(|_| {
                match (target, bytes) {
                    (ColumnRef::Var(i), Some(bytes)) => self.var[i].push(bytes)?,
                    (ColumnRef::Nested(i), Some(bytes)) => self.nested[i].push(bytes)?,
                    _ => self.push_null(target),
                }
                Ok(())
            }),
        }
    }

    /// Takes a column out as an array of the field's type.
    pub(super) fn finish(
        &mut self,
        target: ColumnRef,
        field: &Field,
    ) -> Result<ArrayRef, StoreError> {
        let data_type = field.data_type();
        let array = match target {
            ColumnRef::W1(i) => self.w1[i].finish(data_type),
            ColumnRef::W2(i) => self.w2[i].finish(data_type),
            ColumnRef::W4(i) => self.w4[i].finish(data_type),
            ColumnRef::W8(i) => self.w8[i].finish(data_type),
            ColumnRef::W16(i) => self.w16[i].finish(data_type),
            ColumnRef::Var(i) => self.var[i].finish(data_type),
            ColumnRef::Nested(i) => self.nested[i].finish(data_type),
        }
        // What the columns hold is of the right shape; only the stored bytes can be wrong.
        .map_err(|error| {
            StoreError::corrupt("row", format!("column \"{}\": {error}", field.name()))
        })?;
        if !field.is_nullable() && array.null_count() > 0 {
            return Err(StoreError::corrupt(
                "row",
                format!("column \"{}\" is NOT NULL and has NULL", field.name()),
            ));
        }
        Ok(array)
    }
}

/// A value of `W` bytes, as rows and keys hold it.
pub(super) trait SlotValue<const W: usize>: ArrowNativeType {
    /// Reads the slot of a row.
    fn from_slot(bytes: [u8; W]) -> Self;
    /// Reads the part of a key.
    fn from_key(order: KeyOrder, bytes: [u8; W]) -> Self;
}

macro_rules! slot_value {
    ($($native:ty, $bits:ty;)*) => {
        $(impl SlotValue<{ size_of::<$native>() }> for $native {
            #[inline]
            fn from_slot(bytes: [u8; size_of::<$native>()]) -> Self {
                Self::from_le_bytes(bytes)
            }

            #[inline]
            fn from_key(order: KeyOrder, bytes: [u8; size_of::<$native>()]) -> Self {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                let bits = <$bits>::from_be_bytes(bytes);
                let bits = match order {
                    KeyOrder::Unsigned => bits,
                    KeyOrder::Signed => bits ^ SIGN,
                    KeyOrder::Float if bits & SIGN != 0 => bits ^ SIGN,
                    KeyOrder::Float => !bits,
                    KeyOrder::Raw => <$bits>::from_le_bytes(bytes),
                };
                bits as Self
            }
        })*
    };
}
slot_value! { u8, u8; u16, u16; u32, u32; u64, u64; i128, u128; }

/// A column of values of one width. Which type they have is said when the column is finished.
#[derive(Debug, Default)]
pub(super) struct FixedColumn<T> {
    pub(super) values: Vec<T>,
    /// The rows that are NULL.
    pub(super) nulls: Vec<u32>,
}

impl<T: ArrowNativeType> FixedColumn<T> {
    fn start(&mut self, rows: usize) {
        self.values.reserve_exact(rows);
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.nulls.clear();
    }

    pub(super) fn push_null(&mut self) {
        let row = self.values.len() as u32;
        self.nulls.push(row);
        self.values.push(T::default());
    }

    /// Appends `rows` times the value in this slot; `None`: NULL.
    fn push_repeated<const W: usize>(
        &mut self,
        slot: Option<&[u8]>,
        rows: usize,
    ) -> Result<(), Fault>
    where
        T: SlotValue<W>,
    {
        let length = self.values.len() + rows;
        let value = match slot {
            Some(slot) => T::from_slot(slot.try_into().map_err(|_| Fault::Row)?),
            None => {
                self.nulls.extend(self.values.len() as u32..length as u32);
                T::default()
            }
        };
        self.values.resize(length, value);
        Ok(())
    }

    pub(super) fn push_default(&mut self) {
        self.values.push(T::default());
    }

    pub(super) fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let rows = self.values.len();
        let nulls = null_buffer(&mut self.nulls, rows);
        if data_type == &DataType::Boolean {
            let values = BooleanBuffer::collect_bool(rows, |i| self.values[i] != T::default());
            self.values.clear();
            return Ok(Arc::new(BooleanArray::new(values, nulls)));
        }
        ArrayData::builder(data_type.clone())
            .len(rows)
            .nulls(nulls)
            .add_buffer(Buffer::from_vec(take_exact(&mut self.values)))
            .build()
            .map(make_array)
    }
}

/// Values no longer than this are copied without a call, when as much stands behind their start.
const COPY_BYTES: usize = 32;

/// A column of texts or byte strings.
#[derive(Debug, Default)]
pub(super) struct VarColumn {
    pub(super) bytes: Vec<u8>,
    /// Where each value ends, behind a leading 0 (none before the column was started).
    offsets: Vec<i32>,
    nulls: Vec<u32>,
    /// Bytes of the last batch: room made for the next.
    bytes_expected: usize,
}

impl VarColumn {
    pub(super) fn start(&mut self, rows: usize) {
        self.offsets.reserve_exact(rows + 1);
        self.offsets.push(0);
        // Some more than last time: growing at the end of a batch would copy all of it.
        self.bytes.reserve(self.bytes_expected + self.bytes_expected / 8 + COPY_BYTES);
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.offsets.clear();
        self.nulls.clear();
    }

    #[inline]
    pub(super) fn push(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.bytes.extend_from_slice(value);
        self.finish_value()
    }

    /// Appends `from[start..end]`.
    #[inline]
    pub(super) fn push_part(&mut self, from: &[u8], start: usize, end: usize) -> Result<(), Fault> {
        let value = from.get(start..end).ok_or(Fault::Row)?;
        // Copying a fixed number of bytes and cutting it off is faster than calling for a few.
        match from[start..].first_chunk::<COPY_BYTES>() {
            Some(block) if value.len() <= COPY_BYTES => {
                let length = self.bytes.len() + value.len();
                self.bytes.extend_from_slice(block);
                self.bytes.truncate(length);
            }
            _ => self.bytes.extend_from_slice(value),
        }
        self.finish_value()
    }

    /// Closes the value whose bytes were appended.
    #[inline]
    pub(super) fn finish_value(&mut self) -> Result<(), Fault> {
        self.offsets.push(offset(self.bytes.len())?);
        Ok(())
    }

    pub(super) fn push_default(&mut self) {
        // The bytes end where they did after the value before, which fitted.
        let end = self.bytes.len() as i32;
        self.offsets.push(end);
    }

    pub(super) fn push_null(&mut self) {
        let row = self.len() as u32;
        self.nulls.push(row);
        self.push_default();
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub(super) fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let rows = self.len();
        let nulls = null_buffer(&mut self.nulls, rows);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(take_exact(&mut self.offsets)));
        self.bytes_expected = self.bytes.len();
        let bytes = Buffer::from_vec(take_exact(&mut self.bytes));
        Ok(match data_type {
            DataType::Binary => Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?),
            _ => Arc::new(StringArray::try_new(offsets, bytes, nulls)?),
        })
    }
}

/// A length as an Arrow offset.
#[inline]
pub(super) fn offset(length: usize) -> Result<i32, Fault> {
    i32::try_from(length).map_err(|_| Fault::Full)
}

/// The validity of `rows` rows, of which those in `nulls` are NULL.
pub(super) fn null_buffer(nulls: &mut Vec<u32>, rows: usize) -> Option<NullBuffer> {
    if nulls.is_empty() {
        return None;
    }
    let mut bits = vec![u8::MAX; rows.div_ceil(8)];
    for row in nulls.drain(..) {
        bits[row as usize / 8] &= !(1 << (row % 8));
    }
    Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows)))
}

/// Takes the elements out. Room that stayed empty is given back: the wire sizes its messages by
/// what a batch occupies.
pub(super) fn take_exact<T>(values: &mut Vec<T>) -> Vec<T> {
    let mut taken = std::mem::take(values);
    if taken.len() < taken.capacity() / 4 * 3 {
        taken.shrink_to_fit();
    }
    taken
}
