//! Arrow columns to row values, column by column: first every row's length, then the bytes.

use kalamdb_commons::limits::ROW_BYTES_MAX;

use super::{
    END_BYTES, FLAG_DELETED, FLAG_NULLS, FLAGS_AT, Place, ROW_FORMAT_VERSION, RowLayout,
    SCHEMA_VERSION_AT, Source, SourceValues, Width,
};
use crate::{ByteRows, StoreError};

/// Rows encoded at a time: their bytes stay in the processor's cache from column to column.
const ENCODE_CHUNK_ROWS: usize = 1024;

/// Appends one row value for each of the `rows` rows of `sources`, which are the columns of
/// `layout` in its order. On an error `out` is as before.
pub(crate) fn encode_rows(
    layout: &RowLayout,
    sources: &[Source],
    rows: usize,
    deleted: bool,
    out: &mut ByteRows,
) -> Result<(), StoreError> {
    let before = out.len();
    let mut chunk = Chunk::default();
    let mut from = 0;
    while from < rows {
        let to = rows.min(from + ENCODE_CHUNK_ROWS);
        if let Err(error) = chunk.encode(layout, sources, from..to, deleted, out) {
            out.truncate(before);
            return Err(error);
        }
        from = to;
    }
    Ok(())
}

type Rows = std::ops::Range<usize>;

/// What one chunk needs, kept to be used again by the next.
#[derive(Default)]
struct Chunk {
    lengths: Vec<usize>,
    /// Where each row starts in the output.
    starts: Vec<usize>,
    /// Where each row's next var value goes.
    cursors: Vec<usize>,
    /// The values of each nested column, encoded.
    nested: Vec<ByteRows>,
}

impl Chunk {
    fn encode(
        &mut self,
        layout: &RowLayout,
        sources: &[Source],
        rows: Rows,
        deleted: bool,
        out: &mut ByteRows,
    ) -> Result<(), StoreError> {
        self.measure(layout, sources, &rows)?;
        let mut start = out.byte_len();
        out.extend_zeroed(&self.lengths);
        let bytes = out.buffer_mut();
        let mut head = [0; SCHEMA_VERSION_AT + 4];
        head[0] = ROW_FORMAT_VERSION;
        head[FLAGS_AT] = if deleted { FLAG_DELETED } else { 0 };
        head[SCHEMA_VERSION_AT..].copy_from_slice(&layout.schema_version.to_le_bytes());
        self.starts.clear();
        self.cursors.clear();
        for length in &self.lengths {
            self.starts.push(start);
            self.cursors.push(start + layout.tuple.var_at);
            bytes[start..start + head.len()].copy_from_slice(&head);
            start += length;
        }
        for (bit, (place, source)) in layout.tuple.places.iter().zip(sources).enumerate() {
            match *place {
                Place::Fixed { at, .. } => self.write_slots(at, source, rows.clone(), bytes),
                Place::Var { index } => {
                    let end_at = layout.tuple.ends_at + index * END_BYTES;
                    self.write_vars(index, end_at, layout.tuple.var_at, source, &rows, bytes);
                }
            }
            if let Some(nulls) = &source.nulls {
                let null_at = layout.tuple.nulls_at + bit / 8;
                for (row, start) in rows.clone().zip(&self.starts) {
                    if nulls.is_null(row) {
                        bytes[start + FLAGS_AT] |= FLAG_NULLS;
                        bytes[start + null_at] |= 1 << (bit % 8);
                    }
                }
            }
        }
        Ok(())
    }

    /// Sets every row's length and encodes the nested columns.
    fn measure(
        &mut self,
        layout: &RowLayout,
        sources: &[Source],
        rows: &Rows,
    ) -> Result<(), StoreError> {
        self.lengths.clear();
        self.lengths.resize(rows.len(), layout.tuple.var_at);
        self.nested.iter_mut().for_each(ByteRows::clear);
        for ((place, source), column) in
            layout.tuple.places.iter().zip(sources).zip(&layout.columns)
        {
            let Place::Var { index } = *place else { continue };
            if self.nested.len() <= index {
                self.nested.resize_with(index + 1, ByteRows::new);
            }
            if let SourceValues::Bytes { offsets, .. } = &source.values {
                let ends = &offsets[rows.start..=rows.end];
                for (length, pair) in self.lengths.iter_mut().zip(ends.windows(2)) {
                    *length += (pair[1] - pair[0]) as usize;
                }
                if source.nulls.is_some() {
                    for (row, length) in rows.clone().zip(&mut self.lengths) {
                        if source.is_null(row) {
                            *length -= source.bytes_at(row).len();
                        }
                    }
                }
                continue;
            }
            let values = &mut self.nested[index];
            for (row, length) in rows.clone().zip(&mut self.lengths) {
                if !source.is_null(row) {
                    source.append_var(row, values.buffer_mut()).map_err(|null| {
                        StoreError::NullInColumn {
                            column: format!("{}.{}", column.name, null.field),
                            row,
                        }
                    })?;
                }
                values.finish_row();
                *length += values.get(values.len() - 1).len();
            }
        }
        match self.lengths.iter().position(|length| *length > ROW_BYTES_MAX) {
            None => Ok(()),
            Some(i) => Err(StoreError::RowTooLarge {
                row: rows.start + i,
                bytes: self.lengths[i],
                bytes_max: ROW_BYTES_MAX,
            }),
        }
    }

    fn write_slots(&self, at: usize, source: &Source, rows: Rows, out: &mut [u8]) {
        match &source.values {
            SourceValues::Boolean(values) => {
                for (row, start) in rows.zip(&self.starts) {
                    out[start + at] = u8::from(values.value(row) && !source.is_null(row));
                }
            }
            SourceValues::Fixed { width, bytes } => match width {
                Width::W1 => self.copy_slots::<1>(at, bytes, source, rows, out),
                Width::W2 => self.copy_slots::<2>(at, bytes, source, rows, out),
                Width::W4 => self.copy_slots::<4>(at, bytes, source, rows, out),
                Width::W8 => self.copy_slots::<8>(at, bytes, source, rows, out),
                Width::W16 => self.copy_slots::<16>(at, bytes, source, rows, out),
            },
            _ => {}
        }
    }

    fn copy_slots<const W: usize>(
        &self,
        at: usize,
        values: &[u8],
        source: &Source,
        rows: Rows,
        out: &mut [u8],
    ) {
        let (values, _) = values[rows.start * W..rows.end * W].as_chunks::<W>();
        match &source.nulls {
            None => {
                for (value, start) in values.iter().zip(&self.starts) {
                    out[start + at..start + at + W].copy_from_slice(value);
                }
            }
            Some(nulls) => {
                for ((row, value), start) in rows.zip(values).zip(&self.starts) {
                    if nulls.is_valid(row) {
                        out[start + at..start + at + W].copy_from_slice(value);
                    }
                }
            }
        }
    }

    fn write_vars(
        &mut self,
        index: usize,
        end_at: usize,
        var_at: usize,
        source: &Source,
        rows: &Rows,
        out: &mut [u8],
    ) {
        let nested = &self.nested[index];
        for (i, row) in rows.clone().enumerate() {
            let (start, cursor) = (self.starts[i], &mut self.cursors[i]);
            let value = match &source.values {
                SourceValues::Bytes { .. } if source.is_null(row) => &[],
                SourceValues::Bytes { .. } => source.bytes_at(row),
                _ => nested.get(i),
            };
            out[*cursor..*cursor + value.len()].copy_from_slice(value);
            *cursor += value.len();
            // The row's length was checked: it fits 32 bits.
            let end = (*cursor - start - var_at) as u32;
            out[start + end_at..start + end_at + END_BYTES].copy_from_slice(&end.to_le_bytes());
        }
    }
}
