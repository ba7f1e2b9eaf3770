//! Encoding one var value: text and bytes, embeddings, lists and structs, down to any depth.

use super::source::FieldSource;
use super::{END_BYTES, Place, Source, SourceValues, TupleLayout};

/// A NULL where the type says NOT NULL.
#[derive(Debug)]
pub(super) struct ForbiddenNull {
    /// The field it stands in.
    pub(super) field: String,
}

impl Source {
    /// Appends the var value of a row that is not NULL. Fixed-width values have no such bytes.
    pub(super) fn append_var(&self, row: usize, out: &mut Vec<u8>) -> Result<(), ForbiddenNull> {
        match &self.values {
            SourceValues::Boolean(_) | SourceValues::Fixed { .. } => {}
            SourceValues::Bytes { .. } => out.extend_from_slice(self.bytes_at(row)),
            SourceValues::Embedding { stride, bytes, item_nulls } => {
                let dimensions = stride / size_of::<f32>();
                let mut items = row * dimensions..(row + 1) * dimensions;
                if let Some(nulls) = item_nulls
                    && items.any(|item| nulls.is_null(item))
                {
                    return Err(ForbiddenNull { field: "item".to_owned() });
                }
                out.extend_from_slice(&bytes[row * stride..(row + 1) * stride]);
            }
            SourceValues::List { offsets, items } => {
                items.append_items(offsets[row] as usize, offsets[row + 1] as usize, out)?;
            }
            SourceValues::Struct { layout, fields } => append_tuple(layout, fields, row, out)?,
        }
        Ok(())
    }

    /// Writes the slot of a fixed-width value.
    fn write_slot(&self, row: usize, slot: &mut [u8]) {
        match &self.values {
            SourceValues::Boolean(values) => slot[0] = u8::from(values.value(row)),
            SourceValues::Fixed { width, bytes } => {
                let width = width.bytes();
                slot.copy_from_slice(&bytes[row * width..(row + 1) * width]);
            }
            _ => {}
        }
    }

    /// Appends the values `from..to` of this column as the items of one list.
    fn append_items(&self, from: usize, to: usize, out: &mut Vec<u8>) -> Result<(), ForbiddenNull> {
        let count = to - from;
        // Lengths that do not fit their 32 bits belong to a row that is refused for its size.
        out.extend_from_slice(&(count as u32).to_le_bytes());
        let nulls_at = out.len();
        out.resize(nulls_at + count.div_ceil(8), 0);
        for i in (0..count).filter(|i| self.is_null(from + i)) {
            out[nulls_at + i / 8] |= 1 << (i % 8);
        }
        let width = match &self.values {
            SourceValues::Boolean(_) => 1,
            SourceValues::Fixed { width, .. } => width.bytes(),
            _ => return self.append_var_items(from, to, out),
        };
        let slots_at = out.len();
        out.resize(slots_at + count * width, 0);
        for (i, slot) in out[slots_at..].chunks_exact_mut(width).enumerate() {
            if !self.is_null(from + i) {
                self.write_slot(from + i, slot);
            }
        }
        Ok(())
    }

    fn append_var_items(
        &self,
        from: usize,
        to: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ForbiddenNull> {
        let ends_at = out.len();
        let values_at = ends_at + (to - from) * END_BYTES;
        out.resize(values_at, 0);
        for item in from..to {
            if !self.is_null(item) {
                self.append_var(item, out)?;
            }
            let end = out.len() - values_at;
            write_end(out, ends_at + (item - from) * END_BYTES, end);
        }
        Ok(())
    }
}

fn append_tuple(
    layout: &TupleLayout,
    fields: &[FieldSource],
    row: usize,
    out: &mut Vec<u8>,
) -> Result<(), ForbiddenNull> {
    let start = out.len();
    out.resize(start + layout.var_at, 0);
    for (i, (place, field)) in layout.places.iter().zip(fields).enumerate() {
        let null = field.source.is_null(row);
        if null {
            if !field.nullable {
                return Err(ForbiddenNull { field: field.name.clone() });
            }
            out[start + layout.nulls_at + i / 8] |= 1 << (i % 8);
        }
        match *place {
            Place::Fixed { at, width } if !null => {
                let slot = &mut out[start + at..start + at + width.bytes()];
                field.source.write_slot(row, slot);
            }
            Place::Fixed { .. } => {}
            Place::Var { index } => {
                if !null {
                    field.source.append_var(row, out)?;
                }
                let end = out.len() - start - layout.var_at;
                write_end(out, start + layout.ends_at + index * END_BYTES, end);
            }
        }
    }
    Ok(())
}

/// Writes where a var value ends; an end beyond 32 bits belongs to a row refused for its size.
fn write_end(out: &mut [u8], at: usize, end: usize) {
    out[at..at + END_BYTES].copy_from_slice(&(end as u32).to_le_bytes());
}
