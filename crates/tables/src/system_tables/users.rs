//! `system.users`: the users the principal may know of; never a password hash.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;

use super::{text, texts, time, times};
use crate::StatementContext;

pub(super) fn columns() -> Vec<Field> {
    vec![text("user_id"), text("user_name"), text("role"), time("created_at"), time("updated_at")]
}

pub(super) fn rows(context: &StatementContext) -> Vec<ArrayRef> {
    let users = context.catalog.visible_users(&context.principal);
    vec![
        texts(users.iter().map(|user| user.id.as_str())),
        texts(users.iter().map(|user| &*user.name)),
        texts(users.iter().map(|user| user.role.as_str())),
        times(users.iter().map(|user| user.created_at_us)),
        times(users.iter().map(|user| user.updated_at_us)),
    ]
}
