//! Everything needed to read and write the rows of one table version.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use kalamdb_commons::limits::USER_SHARDS;
use kalamdb_commons::{
    ColumnDefinition, ColumnId, ColumnType, Generation, TableDefinition, TableId, TableType,
    UserId, system_columns,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::key_codec::{append_escaped, append_unescaped, skip_escaped};
use crate::row_format::{RowLayout, Source, encode_rows, fill_bytes};
use crate::{ByteRows, KeyCodec, StoreError, stream};

/// The wide schema's column with a row's complete storage key.
const LOCATION: &str = "_location";
/// The wide schema's column with a row's stored value.
const IMAGE: &str = "_image";
/// Table id and generation, which lead every key.
pub(crate) const GENERATION_PREFIX_BYTES: usize = size_of::<u32>() * 2;
/// The shard of the user behind them in USER tables.
const SHARD_BYTES: usize = size_of::<u16>();

/// How the rows of one table version are laid out in storage, and those of its older versions.
///
/// ```text
/// SHARED key:  table id u32 │ generation u32 │ primary key
/// USER key:    table id u32 │ generation u32 │ shard u16 │ user id, escaped │ primary key
/// STREAM key:  table id u32 │ time bucket u32 │ time u64 │ _row_id
/// wide schema: declared columns │ [_row_id] │ _updated │ _deleted │ _commit_seq │ _location │ _image
/// ```
///
/// Numbers in keys are big-endian. A table without a primary key is keyed by `_row_id`.
///
/// Every row says which version it was written with, and keeps it: ALTER TABLE touches no row.
/// Rows of older versions are shown as rows of this one, column by column, by the columns' ids: what
/// they lack is the column's fill value or NULL, what was dropped is skipped, values of narrower
/// types become wider. Rows of newer versions are never met: a view that has some refuses to be
/// read with this layout, and so does the committer refuse to write with it.
#[derive(Debug)]
pub struct TableLayout {
    definition: Arc<TableDefinition>,
    declared_schema: SchemaRef,
    wide_schema: SchemaRef,
    /// The wide schema for rows that need not be as this version wants them.
    wide_schema_with_deleted: SchemaRef,
    key_codec: KeyCodec,
    /// Declared positions of the key columns, in key order; empty with a hidden key.
    key_positions: Vec<usize>,
    /// Declared positions of the other columns, in the order of the row layout.
    value_positions: Vec<usize>,
    /// The layout of this version first, then those of older ones.
    row_layouts: Vec<RowLayout>,
    /// What each declared column is in rows that lack it, as bytes of a row; `None`: NULL.
    fills: Vec<Option<Arc<[u8]>>>,
}

impl TableLayout {
    /// The layout of a table whose rows were all written with this version.
    ///
    /// # Errors
    /// [`StoreError::NotAKeyType`] for a key of a type without an order.
    pub fn new(definition: Arc<TableDefinition>) -> Result<Self, StoreError> {
        Self::with_versions(definition, &[])
    }

    /// The layout of a table some of whose rows may have been written with `older` versions.
    /// Versions that are not older than `definition` are left out.
    ///
    /// # Errors
    /// [`StoreError::NotAKeyType`] for a key of a type without an order,
    /// [`StoreError::InvalidRequest`] when an older version has another key,
    /// [`StoreError::Corrupt`] for a fill value that is no value of its column.
    pub fn with_versions(
        definition: Arc<TableDefinition>,
        older: &[Arc<TableDefinition>],
    ) -> Result<Self, StoreError> {
        let key_positions = definition.key_positions();
        if key_positions.len() != definition.primary_key.len() {
            return Err(StoreError::invalid(format!(
                "the key of {} names a column that is not there",
                definition.qualified_name()
            )));
        }
        let key_codec = if key_positions.is_empty() {
            KeyCodec::new(&[ColumnType::Int64])?
        } else {
            let types: Vec<ColumnType> = key_positions
                .iter()
                .map(|position| definition.columns[*position].column_type.clone())
                .collect();
            KeyCodec::new(&types)?
        };
        let current = RowLayout::new(&definition);
        let value_positions = current
            .columns
            .iter()
            .filter_map(|value| definition.columns.iter().position(|column| column.id == value.id))
            .collect();
        let older: Vec<_> =
            older.iter().filter(|old| old.schema_version < definition.schema_version).collect();
        if let Some(other) = older.iter().find(|old| key_types(old) != key_types(&definition)) {
            return Err(StoreError::invalid(format!(
                "{} had another key in schema version {}",
                definition.qualified_name(),
                other.schema_version
            )));
        }
        let mut row_layouts = vec![current];
        row_layouts.extend(older.iter().map(|version| RowLayout::new(version)));
        let fills = definition.columns.iter().map(|column| Ok(fill_bytes(column)?.map(Arc::from)));
        let fills = fills.collect::<Result<_, StoreError>>()?;
        let declared_schema = definition.arrow_schema();
        let wide_schema = wide_schema_of(&definition, &declared_schema);
        let wide_schema_with_deleted = match declared_with_deleted(&definition, &older) {
            Some(declared) => wide_schema_of(&definition, &declared),
            None => Arc::clone(&wide_schema),
        };
        Ok(Self {
            definition,
            declared_schema,
            wide_schema,
            wide_schema_with_deleted,
            key_codec,
            key_positions,
            value_positions,
            row_layouts,
            fills,
        })
    }

    /// The table version.
    pub fn definition(&self) -> &Arc<TableDefinition> {
        &self.definition
    }

    /// The codec of the table's keys.
    pub fn key_codec(&self) -> &KeyCodec {
        &self.key_codec
    }

    /// The declared columns, in declared order.
    pub fn declared_schema(&self) -> &SchemaRef {
        &self.declared_schema
    }

    /// The declared columns, then `_row_id` when the key is hidden, then `_updated`, `_deleted`,
    /// `_commit_seq`, then `_location` (Binary: the complete storage key) and `_image` (Binary:
    /// the stored row value).
    pub fn wide_schema(&self) -> &SchemaRef {
        &self.wide_schema
    }

    /// As [`wide_schema`](Self::wide_schema), of deleted rows and of rows as they were before they
    /// changed: nullable are, besides, columns that were not always NOT NULL. ALTER TABLE looks at
    /// live rows only.
    pub fn wide_schema_with_deleted(&self) -> &SchemaRef {
        &self.wide_schema_with_deleted
    }

    /// The number of declared columns: the wide schema's first columns.
    pub fn declared_len(&self) -> usize {
        self.declared_schema.fields().len()
    }

    /// The wide position of `_row_id`, when the key is hidden.
    pub fn row_id_index(&self) -> Option<usize> {
        self.definition.has_hidden_key().then(|| self.declared_len())
    }

    /// The wide position of `_updated`.
    pub fn updated_index(&self) -> usize {
        self.declared_len() + usize::from(self.definition.has_hidden_key())
    }

    /// The wide position of `_deleted`.
    pub fn deleted_index(&self) -> usize {
        self.updated_index() + 1
    }

    /// The wide position of `_commit_seq`.
    pub fn commit_seq_index(&self) -> usize {
        self.updated_index() + 2
    }

    /// The wide position of `_location`.
    pub fn location_index(&self) -> usize {
        self.updated_index() + 3
    }

    /// The wide position of `_image`.
    pub fn image_index(&self) -> usize {
        self.updated_index() + 4
    }

    /// Declared positions of the key columns, in key order; empty when the key is hidden.
    pub fn key_positions(&self) -> &[usize] {
        &self.key_positions
    }

    /// The position of a declared column in the key, when it belongs to it.
    pub(crate) fn key_position(&self, declared: usize) -> Option<usize> {
        self.key_positions.iter().position(|position| *position == declared)
    }

    /// The row layout of this version.
    pub(crate) fn current_row_layout(&self) -> &RowLayout {
        &self.row_layouts[0]
    }

    /// The row layout of a schema version; `None` when the table never had it.
    pub(crate) fn row_layout(&self, schema_version: u32) -> Option<&RowLayout> {
        self.row_layouts.iter().find(|layout| layout.schema_version == schema_version)
    }

    /// What a declared column is in rows that lack it: its slot, or its var value; `None`: NULL.
    pub(crate) fn fill(&self, declared: usize) -> Option<&Arc<[u8]>> {
        self.fills.get(declared)?.as_ref()
    }

    /// What the complete keys of a generation's rows start with. In a USER table `None` stands
    /// for all users: the prefix then ends before the shard. In a STREAM table it is the table.
    pub fn key_prefix(&self, generation: Generation, owner: Option<&UserId>) -> Vec<u8> {
        match (self.definition.table_type, owner) {
            (TableType::User, Some(user)) => owner_prefix(self.definition.id, generation, user),
            (TableType::Stream, _) => self.definition.id.0.to_be_bytes().to_vec(),
            _ => generation_prefix(self.definition.id, generation),
        }
    }

    /// The length of what stands before the key columns in a complete key.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when `key` is cut off.
    pub fn prefix_len(&self, key: &[u8]) -> Result<usize, StoreError> {
        let mut rest = self.after_generation(key)?;
        if self.definition.table_type == TableType::Stream {
            return key.get(..stream::PREFIX_BYTES).map(<[u8]>::len).ok_or_else(no_prefix);
        }
        if self.definition.table_type == TableType::User {
            rest = rest.get(SHARD_BYTES..).ok_or_else(no_prefix)?;
            skip_escaped(&mut rest).ok_or_else(no_prefix)?;
        }
        Ok(key.len() - rest.len())
    }

    /// The user a complete key belongs to; `None` in tables that are not USER tables.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when `key` is cut off.
    pub fn owner(&self, key: &[u8]) -> Result<Option<UserId>, StoreError> {
        if self.definition.table_type != TableType::User {
            return Ok(None);
        }
        let mut rest = self.after_generation(key)?.get(SHARD_BYTES..).ok_or_else(no_prefix)?;
        let mut user = Vec::new();
        append_unescaped(&mut rest, &mut user).ok_or_else(no_prefix)?;
        let user = String::from_utf8(user)
            .map_err(|_| StoreError::corrupt("key", "its user id is not UTF-8"))?;
        Ok(Some(UserId::new(user)))
    }

    fn after_generation<'a>(&self, key: &'a [u8]) -> Result<&'a [u8], StoreError> {
        let (prefix, rest) = key.split_at_checked(GENERATION_PREFIX_BYTES).ok_or_else(no_prefix)?;
        if prefix.starts_with(&self.definition.id.0.to_be_bytes()) {
            return Ok(rest);
        }
        Err(StoreError::invalid(format!("the key is not of table {}", self.definition.id)))
    }

    /// Appends the row value of every row of `batch`, whose columns are the declared ones. Number
    /// and time of the commit are zero until [`patch`](crate::row_format::patch) writes them. On
    /// an error `out` is as before.
    ///
    /// # Errors
    /// [`StoreError::NullInColumn`] and [`StoreError::RowTooLarge`] naming the row,
    /// [`StoreError::InvalidRequest`] for a batch of another shape.
    pub fn encode_rows(
        &self,
        batch: &RecordBatch,
        deleted: bool,
        out: &mut ByteRows,
    ) -> Result<(), StoreError> {
        self.check_columns(batch)?;
        let mut sources = Vec::with_capacity(self.value_positions.len());
        for position in &self.value_positions {
            let column = &self.definition.columns[*position];
            let source = Source::new(batch.column(*position), &column.column_type)?;
            if let (false, Some(row)) = (column.nullable, source.first_null()) {
                return Err(StoreError::NullInColumn { column: column.name.to_string(), row });
            }
            sources.push(source);
        }
        encode_rows(self.current_row_layout(), &sources, batch.num_rows(), deleted, out)
    }

    /// Appends the complete key of every row of `batch`, whose columns are the declared ones.
    /// `owner` is given for USER tables, `row_ids` (one a row) for tables with a hidden key. Keys of
    /// a STREAM table get their time and their row id from the committer. On an error `out` is as
    /// before.
    ///
    /// # Errors
    /// [`StoreError::NullInKey`] and [`StoreError::KeyTooLong`] naming the row,
    /// [`StoreError::InvalidRequest`] when owner, row ids or columns do not fit the table.
    pub fn encode_keys(
        &self,
        batch: &RecordBatch,
        generation: Generation,
        owner: Option<&UserId>,
        row_ids: Option<Range<u64>>,
        out: &mut ByteRows,
    ) -> Result<(), StoreError> {
        self.check_columns(batch)?;
        if (self.definition.table_type == TableType::User) != owner.is_some() {
            return Err(StoreError::invalid(format!(
                "keys of {} need {} owner",
                self.definition.qualified_name(),
                if owner.is_some() { "no" } else { "an" }
            )));
        }
        let prefix = match self.definition.table_type {
            TableType::Stream => stream::placeholder_prefix(self.definition.id),
            _ => self.key_prefix(generation, owner),
        };
        let columns: Vec<ArrayRef> = match row_ids {
            Some(ids) if self.definition.has_hidden_key() => {
                vec![row_id_column(ids, batch.num_rows())?]
            }
            None if !self.definition.has_hidden_key() => self
                .key_positions
                .iter()
                .map(|position| Arc::clone(batch.column(*position)))
                .collect(),
            _ => {
                return Err(StoreError::invalid(format!(
                    "row ids are for tables with a hidden key: {}",
                    self.definition.qualified_name()
                )));
            }
        };
        self.key_codec.encode(&columns, &prefix, out)
    }

    fn check_columns(&self, batch: &RecordBatch) -> Result<(), StoreError> {
        if batch.num_columns() == self.declared_len() {
            return Ok(());
        }
        Err(StoreError::invalid(format!(
            "{} has {} columns, the batch {}",
            self.definition.qualified_name(),
            self.declared_len(),
            batch.num_columns()
        )))
    }
}

pub(crate) fn generation_prefix(table: TableId, generation: Generation) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(GENERATION_PREFIX_BYTES);
    prefix.extend_from_slice(&table.0.to_be_bytes());
    prefix.extend_from_slice(&generation.0.to_be_bytes());
    prefix
}

/// What the complete keys of a user's rows in a USER table start with, and no others.
pub(crate) fn owner_prefix(table: TableId, generation: Generation, user: &UserId) -> Vec<u8> {
    let mut prefix = generation_prefix(table, generation);
    prefix.extend_from_slice(&shard_of(user).to_be_bytes());
    append_escaped(user.as_str().as_bytes(), &mut prefix);
    prefix
}

fn wide_schema_of(definition: &TableDefinition, declared: &Schema) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = declared.fields().iter().cloned().collect();
    if definition.has_hidden_key() {
        fields.push(Arc::new(system_columns::row_id_field()));
    }
    fields.push(Arc::new(system_columns::updated_field()));
    fields.push(Arc::new(system_columns::deleted_field()));
    fields.push(Arc::new(system_columns::commit_seq_field()));
    fields.push(Arc::new(Field::new(LOCATION, DataType::Binary, false)));
    fields.push(Arc::new(Field::new(IMAGE, DataType::Binary, false)));
    Arc::new(Schema::new(fields))
}

/// Ids and types of the key columns, in key order.
fn key_types(definition: &TableDefinition) -> Vec<(ColumnId, &ColumnType)> {
    let positions = definition.key_positions().into_iter();
    let columns = positions.filter_map(|position| definition.columns.get(position));
    columns.map(|column| (column.id, &column.column_type)).collect()
}

/// The declared columns, those nullable that are NULL in some row of an older version, if it was
/// deleted before they became NOT NULL; `None` when there are none of them.
fn declared_with_deleted(
    definition: &TableDefinition,
    older: &[&Arc<TableDefinition>],
) -> Option<Schema> {
    let was_nullable = |column: &ColumnDefinition| {
        older.iter().any(|version| match version.columns.iter().find(|old| old.id == column.id) {
            Some(old) => old.nullable,
            None => column.fill.is_none(),
        })
    };
    let is_new = |column: &ColumnDefinition| {
        !column.nullable && !definition.primary_key.contains(&column.id) && was_nullable(column)
    };
    definition.columns.iter().any(is_new).then(|| {
        let fields = definition.columns.iter().map(|column| {
            let nullable = column.nullable || is_new(column);
            column.to_field().with_nullable(nullable)
        });
        Schema::new(fields.collect::<Vec<_>>())
    })
}

/// The virtual shard of a user; moving a user to another node is a copy of its shard's range.
fn shard_of(user: &UserId) -> u16 {
    let shard = xxh3_64(user.as_str().as_bytes()) % u64::from(USER_SHARDS);
    shard as u16
}

fn row_id_column(ids: Range<u64>, rows: usize) -> Result<ArrayRef, StoreError> {
    let fits = i64::try_from(ids.end).is_ok();
    if !fits || ids.end.checked_sub(ids.start) != Some(rows as u64) {
        return Err(StoreError::invalid(format!(
            "row ids {}..{} do not fit {rows} rows",
            ids.start, ids.end
        )));
    }
    Ok(Arc::new(ids.map(|id| id as i64).collect::<Int64Array>()))
}

fn no_prefix() -> StoreError {
    StoreError::corrupt("key", "it ends before its key columns")
}
