//! SQL functions of our own.

mod assign_cast;
mod bounded;
mod ids;
mod uuid_text;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use kalamdb_commons::{Clock, Principal};

pub(crate) use self::assign_cast::AssignCast;
pub(crate) use self::uuid_text::{to_uuid, uuid_text};

/// KalamDB's own scalar functions: `uuid_v7()`, `ulid()`, `snowflake_id()`,
/// `to_uuid(text)`, `uuid_text(uuid)`, and the bounded ones. Made
/// once per process and registered in the template every session state is cloned from: the generators are shared.
/// `current_user()` and `current_role()` are not among them: the planner binds those to the
/// principal.
pub fn scalar_functions(clock: Arc<dyn Clock>) -> Vec<Arc<ScalarUDF>> {
    let ids = ids::functions(&clock).into_iter();
    let bounded = bounded::functions();
    ids.chain([to_uuid(), uuid_text()]).chain(bounded).map(Arc::new).collect()
}

/// Functions whose value is who asks. A plan with one belongs to its principal.
pub(crate) struct PrincipalFunctions {
    user: Arc<ScalarUDF>,
    role: Arc<ScalarUDF>,
}

impl PrincipalFunctions {
    pub(crate) fn new(principal: &Principal) -> Self {
        let constant = |name, value: &str| {
            Arc::new(ScalarUDF::new_from_impl(Constant {
                name,
                value: value.to_owned(),
                signature: Signature::nullary(Volatility::Immutable),
            }))
        };
        Self {
            user: constant("current_user", &principal.user_name),
            role: constant("current_role", principal.role.as_str()),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        match name {
            "current_user" | "session_user" | "user" => Some(Arc::clone(&self.user)),
            "current_role" => Some(Arc::clone(&self.role)),
            _ => None,
        }
    }
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
