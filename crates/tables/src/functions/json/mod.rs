//! Functions of JSON values, which are text that was checked when it was stored.
//!
//! Reading takes a value and a path, step by step (`json_get(j, 'a', 0)`), as a list of steps, or
//! in one text that begins with `$` (`'$.a[0]'`). What is not there is NULL, and so is a value of another type than
//! the function gives. Text that is no JSON is an error.

mod build;
mod contains;
mod path;
mod read;
mod scan;

use datafusion::logical_expr::ScalarUDF;

pub(crate) use self::build::to_json;
pub(crate) use self::path::{PATH_STEPS, WRONG_PATH, steps_of_path};

/// All of them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let mut all = read::functions();
    all.extend(build::functions());
    all.extend(contains::functions());
    all.extend(path::functions());
    all
}
