//! Functions that say who asks whom: the product, the user, where unqualified names stand.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use kalamdb_commons::Principal;
use kalamdb_sql::CATALOG_NAME;

/// What `version()` answers.
const VERSION: &str = concat!("KalamDB ", env!("CARGO_PKG_VERSION"));

/// `version()`, in the place of the query engine's own.
pub(super) fn version() -> ScalarUDF {
    constant("version", VERSION)
}

/// The names [`session_value`] knows.
pub(crate) const SESSION_VALUES: [&str; 7] = [
    "current_user",
    "session_user",
    "user",
    "current_role",
    "current_schema",
    "current_database",
    "current_catalog",
];

/// The function called `name` when its value is the session's: the principal's, or the namespace
/// unqualified names stand in. A plan with one belongs to its principal.
pub(crate) fn session_value(
    name: &str,
    principal: &Principal,
    namespace: &str,
) -> Option<Arc<ScalarUDF>> {
    let name = *SESSION_VALUES.iter().find(|known| **known == name)?;
    let value = match name {
        "current_role" => principal.role.as_str(),
        "current_schema" => namespace,
        "current_database" | "current_catalog" => CATALOG_NAME,
        _ => &*principal.user_name,
    };
    Some(Arc::new(constant(name, value)))
}

fn constant(name: &'static str, value: &str) -> ScalarUDF {
    ScalarUDF::new_from_impl(Constant {
        name,
        value: value.to_owned(),
        signature: Signature::nullary(Volatility::Immutable),
    })
}

/// A function without arguments that always gives the same text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    value: String,
    signature: Signature,
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::from(self.value.as_str())))
    }
}
