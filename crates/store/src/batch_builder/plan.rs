//! What to read where: worked out once for a projection and each schema version of its rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use kalamdb_commons::{ColumnId, ColumnType};

use super::columns::{ColumnRef, Columns, Fault, FixedColumn, VarColumn};
use super::nested::NestedColumn;
use super::null_bit::NullBit;
use super::widen::WidenStep;
use crate::key_codec::{KeyOrder, KeyPart};
use crate::row_format::{COMMIT_SEQ_AT, Place, RowLayout, UPDATED_AT, Width, fixed_width};
use crate::{StoreError, TableLayout};

/// The projected columns, each once, and where they come from.
#[derive(Debug)]
pub(super) struct Projection {
    pub(super) columns: Vec<ProjectedColumn>,
    /// For every output column the number of its column in `columns`.
    pub(super) outputs: Vec<usize>,
    /// How to take the key apart as far as it is needed.
    pub(super) key_steps: Vec<KeyStep>,
    /// True when the steps reach the key's end.
    pub(super) whole_key: bool,
    /// `_updated` and `_commit_seq`: header offset and number in the group of 8-byte columns.
    header: Vec<(usize, usize)>,
    /// `_deleted`, its number in the group of 1-byte columns.
    pub(super) deleted: Option<usize>,
    /// True when `_deleted`, `_location` or `_image` is projected.
    pub(super) has_whole: bool,
    /// `_location`, its number in the group of var columns.
    pub(super) location: Option<usize>,
    /// `_image`, its number in the group of var columns.
    pub(super) image: Option<usize>,
}

#[derive(Debug)]
pub(super) struct ProjectedColumn {
    pub(super) target: ColumnRef,
    pub(super) field: FieldRef,
    /// The declared column, when it stands in the row value.
    value: Option<ValueColumn>,
}

/// A declared column outside the key.
#[derive(Debug)]
struct ValueColumn {
    id: ColumnId,
    column_type: ColumnType,
    /// What it is in rows that lack it, as they would hold it; `None`: NULL.
    fill: Option<Arc<[u8]>>,
}

/// One part of the key and what becomes of it.
#[derive(Debug)]
pub(super) struct KeyStep {
    pub(super) part: KeyPart,
    pub(super) target: KeyTarget,
}

/// Where a part of the key goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyTarget {
    Skip,
    /// The number of the column in the group of this width.
    Fixed(KeyOrder, Width, usize),
    /// The number of the column in the group of var columns.
    Escaped(usize),
}

impl Projection {
    /// Adds a column to `columns` for each position of the `wide` schema in `projection`.
    pub(super) fn new(
        layout: &TableLayout,
        wide: &Schema,
        projection: &[usize],
        columns: &mut Columns,
    ) -> Self {
        let mut plan = Self {
            columns: Vec::new(),
            outputs: Vec::with_capacity(projection.len()),
            key_steps: Vec::new(),
            whole_key: false,
            header: Vec::new(),
            deleted: None,
            has_whole: false,
            location: None,
            image: None,
        };
        let mut positions: Vec<usize> = Vec::with_capacity(projection.len());
        let mut key_targets = vec![KeyTarget::Skip; layout.key_codec().parts().len()];
        for position in projection {
            match positions.iter().position(|other| other == position) {
                Some(known) => plan.outputs.push(known),
                None => {
                    plan.outputs.push(positions.len());
                    positions.push(*position);
                    let field = Arc::clone(&wide.fields()[*position]);
                    plan.add(layout, *position, field, &mut key_targets, columns);
                }
            }
        }
        let needed = key_targets
            .iter()
            .rposition(|target| !matches!(target, KeyTarget::Skip))
            .map_or(0, |last| last + 1);
        plan.has_whole = plan.deleted.is_some() || plan.location.is_some() || plan.image.is_some();
        plan.whole_key = needed == key_targets.len();
        plan.key_steps = layout
            .key_codec()
            .parts()
            .iter()
            .zip(key_targets)
            .take(needed)
            .map(|(part, target)| KeyStep { part: *part, target })
            .collect();
        plan
    }

    fn add(
        &mut self,
        layout: &TableLayout,
        position: usize,
        field: FieldRef,
        key_targets: &mut [KeyTarget],
        columns: &mut Columns,
    ) {
        let declared = layout.definition().columns.get(position);
        let key_position = match declared {
            Some(_) => layout.key_position(position),
            None => (layout.row_id_index() == Some(position)).then_some(0),
        };
        let mut value = None;
        let target = if let Some(key_position) = key_position {
            let (part, target) = match layout.key_codec().parts()[key_position] {
                KeyPart::Fixed(order, width) => {
                    let target = add_fixed(columns, width);
                    (KeyTarget::Fixed(order, width, target.number()), target)
                }
                KeyPart::Escaped => {
                    let target = add_var(columns);
                    (KeyTarget::Escaped(target.number()), target)
                }
            };
            key_targets[key_position] = part;
            target
        } else if let Some(column) = declared {
            value = Some(ValueColumn {
                id: column.id,
                column_type: column.column_type.clone(),
                fill: layout.fill(position).cloned(),
            });
            add_column(columns, &column.column_type)
        } else if position == layout.deleted_index() {
            let target = add_fixed(columns, Width::W1);
            self.deleted = Some(target.number());
            target
        } else if position == layout.location_index() {
            let target = add_var(columns);
            self.location = Some(target.number());
            target
        } else if position == layout.image_index() {
            let target = add_var(columns);
            self.image = Some(target.number());
            target
        } else {
            let is_updated = position == layout.updated_index();
            let target = add_fixed(columns, Width::W8);
            let at = if is_updated { UPDATED_AT } else { COMMIT_SEQ_AT };
            self.header.push((at, target.number()));
            target
        };
        self.columns.push(ProjectedColumn { target, field, value });
    }
}

impl ColumnRef {
    fn number(self) -> usize {
        match self {
            Self::W1(i)
            | Self::W2(i)
            | Self::W4(i)
            | Self::W8(i)
            | Self::W16(i)
            | Self::Var(i)
            | Self::Nested(i) => i,
        }
    }
}

fn add_column(columns: &mut Columns, column_type: &ColumnType) -> ColumnRef {
    match (fixed_width(column_type), column_type) {
        (Some(width), _) => add_fixed(columns, width),
        (None, ColumnType::Text | ColumnType::Json | ColumnType::Bytes) => add_var(columns),
        (None, nested) => {
            columns.nested.push(NestedColumn::new(nested));
            ColumnRef::Nested(columns.nested.len() - 1)
        }
    }
}

fn add_fixed(columns: &mut Columns, width: Width) -> ColumnRef {
    fn add<T: Default>(group: &mut Vec<FixedColumn<T>>) -> usize {
        group.push(FixedColumn::default());
        group.len() - 1
    }
    match width {
        Width::W1 => ColumnRef::W1(add(&mut columns.w1)),
        Width::W2 => ColumnRef::W2(add(&mut columns.w2)),
        Width::W4 => ColumnRef::W4(add(&mut columns.w4)),
        Width::W8 => ColumnRef::W8(add(&mut columns.w8)),
        Width::W16 => ColumnRef::W16(add(&mut columns.w16)),
    }
}

fn add_var(columns: &mut Columns) -> ColumnRef {
    columns.var.push(VarColumn::default());
    ColumnRef::Var(columns.var.len() - 1)
}

/// One fixed-width column of a row. Offsets count from the start of the plan's `stage_span`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its number in the group of its width.
    pub(super) column: usize,
    pub(super) at: usize,
    pub(super) null: NullBit,
}

/// One var column of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VarSlot {
    /// Its number in the group of var or nested columns.
    pub(super) column: usize,
    /// The number of its var value.
    pub(super) index: usize,
    pub(super) null: NullBit,
}

/// A column that rows of a version lack.
#[derive(Debug, PartialEq, Eq)]
struct FillStep {
    target: ColumnRef,
    /// The value all of them have; `None`: NULL.
    bytes: Option<Arc<[u8]>>,
}

/// How rows of one schema version fill the columns; versions that differ in nothing projected
/// have equal plans.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowPlan {
    pub(super) ends_at: usize,
    /// Where var values start: no row of the version is shorter.
    pub(super) var_at: usize,
    /// The bytes of a row that hold the slots in `w1` to `w16` and their null bits.
    pub(super) stage_span: Range<usize>,
    pub(super) w1: Vec<Slot>,
    pub(super) w2: Vec<Slot>,
    pub(super) w4: Vec<Slot>,
    pub(super) w8: Vec<Slot>,
    pub(super) w16: Vec<Slot>,
    pub(super) var: Vec<VarSlot>,
    pub(super) nested: Vec<VarSlot>,
    /// Columns whose type was narrower in this version.
    pub(super) widened: Vec<WidenStep>,
    /// Columns this version does not have: filled for many rows at a time.
    missing: Vec<FillStep>,
    /// Bytes of the var values that each row gets for what it lacks.
    pub(super) fill_bytes: usize,
    /// True when there are text or bytes columns.
    pub(super) has_var: bool,
    /// True when there are nested or widened columns.
    pub(super) has_rare: bool,
}

impl RowPlan {
    /// # Errors
    /// [`StoreError::Corrupt`] when a column's old type does not widen to its present one.
    pub(super) fn new(rows: &RowLayout, projection: &Projection) -> Result<Self, StoreError> {
        let mut plan = Self {
            ends_at: rows.tuple.ends_at,
            var_at: rows.tuple.var_at,
            stage_span: 0..0,
            w1: Vec::new(),
            w2: Vec::new(),
            w4: Vec::new(),
            w8: Vec::new(),
            w16: Vec::new(),
            var: Vec::new(),
            nested: Vec::new(),
            widened: Vec::new(),
            missing: Vec::new(),
            fill_bytes: 0,
            has_var: false,
            has_rare: false,
        };
        for (at, column) in &projection.header {
            plan.w8.push(Slot { column: *column, at: *at, null: NullBit::NEVER });
        }
        for column in &projection.columns {
            let Some(value) = &column.value else { continue };
            match rows.position(value.id) {
                None => plan.add_missing(column.target, value.fill.clone()),
                Some(position) => plan.add(rows, position, column.target, &value.column_type)?,
            }
        }
        plan.var.sort_by_key(|slot| slot.index);
        plan.has_var = !plan.var.is_empty();
        plan.has_rare = !(plan.nested.is_empty() && plan.widened.is_empty());
        plan.set_stage_span();
        Ok(plan)
    }

    /// Appends `rows` times what rows of this version lack.
    ///
    /// # Errors
    /// [`Fault::Full`] when a column holds as many bytes as a batch can address.
    pub(super) fn fill_missing(&self, columns: &mut Columns, rows: usize) -> Result<(), Fault> {
        for step in &self.missing {
            columns.push_repeated(step.target, step.bytes.as_deref(), rows)?;
        }
        Ok(())
    }

    fn add_missing(&mut self, target: ColumnRef, bytes: Option<Arc<[u8]>>) {
        if let (Some(bytes), ColumnRef::Var(_) | ColumnRef::Nested(_)) = (&bytes, target) {
            self.fill_bytes += bytes.len();
        }
        self.missing.push(FillStep { target, bytes });
    }

    /// Finds the bytes that hold every slot and lets the slots' offsets count from their start.
    fn set_stage_span(&mut self) {
        let groups = [
            (&mut self.w1, Width::W1),
            (&mut self.w2, Width::W2),
            (&mut self.w4, Width::W4),
            (&mut self.w8, Width::W8),
            (&mut self.w16, Width::W16),
        ];
        let (mut start, mut end) = (usize::MAX, 0);
        for (slots, width) in &groups {
            for slot in slots.iter() {
                end = end.max(slot.at + width.bytes());
                start = start.min(slot.at);
                if slot.null.can_be_set() {
                    start = start.min(slot.null.at);
                }
            }
        }
        for slot in groups.into_iter().flat_map(|(slots, _)| slots) {
            slot.at -= start;
            if slot.null.can_be_set() {
                slot.null.at -= start;
            }
        }
        self.stage_span = start.min(end)..end;
    }

    fn add(
        &mut self,
        rows: &RowLayout,
        position: usize,
        target: ColumnRef,
        column_type: &ColumnType,
    ) -> Result<(), StoreError> {
        let stored = &rows.columns[position];
        let place = rows.tuple.places[position];
        let null = NullBit::of_column(rows.tuple.nulls_at, position);
        if stored.column_type != *column_type {
            let step = WidenStep::new(&stored.column_type, column_type, place, null, target);
            self.widened.push(step.ok_or_else(|| {
                StoreError::corrupt(
                    "row",
                    format!(
                        "column \"{}\" of schema version {} is {}, which does not widen to {}",
                        stored.name, rows.schema_version, stored.column_type, column_type
                    ),
                )
            })?);
            return Ok(());
        }
        match (place, target) {
            (Place::Fixed { at, .. }, ColumnRef::W1(column)) => {
                self.w1.push(Slot { column, at, null });
            }
            (Place::Fixed { at, .. }, ColumnRef::W2(column)) => {
                self.w2.push(Slot { column, at, null });
            }
            (Place::Fixed { at, .. }, ColumnRef::W4(column)) => {
                self.w4.push(Slot { column, at, null });
            }
            (Place::Fixed { at, .. }, ColumnRef::W8(column)) => {
                self.w8.push(Slot { column, at, null });
            }
            (Place::Fixed { at, .. }, ColumnRef::W16(column)) => {
                self.w16.push(Slot { column, at, null });
            }
            (Place::Var { index }, ColumnRef::Nested(column)) => {
                self.nested.push(VarSlot { column, index, null });
            }
            (Place::Var { index }, other) => {
                self.var.push(VarSlot { column: other.number(), index, null });
            }
            // Equal types have equal places.
            (Place::Fixed { .. }, ColumnRef::Var(_) | ColumnRef::Nested(_)) => {
                return Err(StoreError::invalid("a slot was planned into a var column"));
            }
        }
        Ok(())
    }
}
