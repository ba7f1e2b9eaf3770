//! The map: what a table must hold, and what was deleted from it.

use std::collections::BTreeMap;

use super::shape::Shape;
use crate::rows::{Row, Value};

/// The rows of one table as one principal sees them.
#[derive(Clone)]
pub struct Table {
    /// The table's shape.
    pub shape: &'static Shape,
    /// Live rows by key, in key order; by insert order where no key is declared.
    pub live: BTreeMap<Row, Row>,
    /// Deleted rows that are still kept, with their last content.
    pub deleted: BTreeMap<Row, Row>,
    inserted: i64,
}

/// Why a row cannot be inserted.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyTaken;

impl Table {
    /// An empty table.
    pub fn new(shape: &'static Shape) -> Self {
        Self { shape, live: BTreeMap::new(), deleted: BTreeMap::new(), inserted: 0 }
    }

    /// Inserts all rows or none.
    pub fn insert(&mut self, rows: &[Row]) -> Result<(), KeyTaken> {
        let mut after = self.live.clone();
        let mut keys = Vec::with_capacity(rows.len());
        for (row, inserted) in rows.iter().zip(self.inserted..) {
            let key = self.key(row, inserted);
            if after.insert(key.clone(), row.clone()).is_some() {
                return Err(KeyTaken);
            }
            keys.push(key);
        }
        for key in &keys {
            self.deleted.remove(key);
        }
        self.live = after;
        self.inserted += rows.len() as i64;
        Ok(())
    }

    /// Puts new content under keys that are live.
    pub fn replace(&mut self, rows: Vec<(Row, Row)>) {
        for (key, row) in rows {
            let before = self.live.insert(key, row);
            assert!(before.is_some(), "only live rows are replaced");
        }
    }

    /// Deletes live rows.
    pub fn delete(&mut self, keys: Vec<Row>) {
        for key in keys {
            let row = self.live.remove(&key).expect("only live rows are deleted");
            if self.shape.keeps_deleted() {
                self.deleted.insert(key, row);
            }
        }
    }

    /// Live rows in key order.
    pub fn rows(&self) -> Vec<Row> {
        self.live.values().cloned().collect()
    }

    fn key(&self, row: &Row, inserted: i64) -> Row {
        if self.shape.has_key() {
            self.shape.key.iter().map(|position| row[*position].clone()).collect()
        } else {
            vec![Value::from(inserted)]
        }
    }
}
