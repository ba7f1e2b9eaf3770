//! SQL functions of our own.

mod assign_cast;
mod bounded;
mod ids;
mod interval_texts;
mod interval_times;
mod json;
mod one_value;
mod session_values;
mod text_of;
mod text_patterns;
mod time_zones;
mod times;
mod types;
mod uuid_text;
mod vectors;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;
use kalamdb_commons::Clock;

pub(crate) use self::assign_cast::AssignCast;
pub use self::interval_texts::IntervalTexts;
pub use self::interval_times::IntervalOperators;
pub(crate) use self::json::{PATH_STEPS, WRONG_PATH, steps_of_path, to_json};
pub(crate) use self::one_value::one_value;
pub(crate) use self::session_values::{SESSION_VALUES, session_value};
pub(crate) use self::text_of::{is_told, text_of, texts};
pub(crate) use self::text_patterns::Pattern;
pub(crate) use self::time_zones::AT_TIME_ZONE;
pub(crate) use self::uuid_text::{bytes_of_text, json_kept, json_of_text, to_uuid, uuid_text};
use crate::planner::named_cast;

/// KalamDB's own scalar functions: `version()`, `uuid_v7()`, `ulid()`, `snowflake_id()`,
/// `to_uuid(text)`, `uuid_text(uuid)`, those of JSON and of vectors, `typeof`, `len`, those of time
/// that count microseconds, and the bounded ones. Made once per process and registered
/// in the state statements are planned with: the generators are shared.
///
/// `current_user()`, `current_schema()` and their like are not among them: the planner binds those
/// to the session.
pub fn scalar_functions(clock: Arc<dyn Clock>) -> Vec<Arc<ScalarUDF>> {
    let ids = ids::functions(&clock).into_iter();
    let bounded = bounded::functions();
    let others = [session_values::version(), to_uuid(), uuid_text(), named_cast()];
    let all = ids.chain(others).chain(bounded).chain(json::functions()).chain(vectors::functions());
    let all = all.chain(text_patterns::functions()).chain([time_zones::function()]);
    all.chain(types::functions()).chain(times::functions()).map(Arc::new).collect()
}
