//! A session: who speaks, which namespace unqualified names mean, and its settings.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kalamdb_commons::Principal;
use kalamdb_sql::SessionSetting;
use parking_lot::RwLock;

use crate::EngineError;

/// The namespace of a new session.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";
/// Characters of a setting's value.
const SETTING_CHARS_MAX: usize = 256;

static NEXT_SESSION_ID: AtomicU64 = AtomicU64::new(1);

/// One client's session. Cheap to make; shared by the client's concurrent statements.
#[derive(Debug)]
pub struct Session {
    id: u64,
    principal: Principal,
    namespace: RwLock<Arc<str>>,
    settings: RwLock<HashMap<SessionSetting, String>>,
    /// The timeout of statements where the session has set none.
    default_timeout: Option<Duration>,
}

impl Session {
    pub(crate) fn new(principal: Principal, default_timeout: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_SESSION_ID.fetch_add(1, Ordering::Relaxed),
            principal,
            namespace: RwLock::new(kalamdb_commons::intern(DEFAULT_NAMESPACE)),
            settings: RwLock::default(),
            default_timeout,
        })
    }

    /// A number no other session of this process has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Who speaks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The namespace that unqualified table names mean.
    pub fn namespace(&self) -> Arc<str> {
        Arc::clone(&self.namespace.read())
    }

    /// Changes what unqualified names mean; the engine has checked that the namespace exists.
    pub(crate) fn set_namespace(&self, namespace: &str) {
        *self.namespace.write() = kalamdb_commons::intern(namespace);
    }

    /// The value of a setting as SHOW prints it: the one in force.
    pub(crate) fn setting(&self, setting: SessionSetting) -> String {
        match (self.settings.read().get(&setting), setting) {
            (_, SessionSetting::SearchPath) => self.namespace().to_string(),
            (Some(value), _) => value.clone(),
            (None, SessionSetting::TimeZone) => String::from("UTC"),
            (None, SessionSetting::StatementTimeout) => {
                self.default_timeout.map_or(0, |timeout| timeout.as_millis()).to_string()
            }
            (None, SessionSetting::ApplicationName) => String::new(),
        }
    }

    /// Changes a setting; `None` goes back to the server's default.
    ///
    /// # Errors
    /// `InvalidInput` when the setting cannot have the value.
    pub(crate) fn set(
        &self,
        setting: SessionSetting,
        value: Option<&str>,
    ) -> Result<(), EngineError> {
        if setting == SessionSetting::SearchPath {
            if value.is_some() {
                return Err(EngineError::invalid("the search path is set by USE and a namespace"));
            }
            self.set_namespace(DEFAULT_NAMESPACE);
            return Ok(());
        }
        let Some(value) = value else {
            self.settings.write().remove(&setting);
            return Ok(());
        };
        if value.chars().count() > SETTING_CHARS_MAX {
            return Err(EngineError::invalid(format!(
                "the value of {} is longer than {SETTING_CHARS_MAX} characters",
                setting.as_str()
            )));
        }
        match setting {
            SessionSetting::StatementTimeout => {
                parse_duration(value)?;
            }
            SessionSetting::TimeZone if !is_utc(value) => {
                return Err(EngineError::invalid(format!(
                    "time_zone '{value}' is not offered: instants are shown in UTC, convert \
                     them with AT TIME ZONE"
                )));
            }
            SessionSetting::TimeZone
            | SessionSetting::ApplicationName
            | SessionSetting::SearchPath => {}
        }
        self.settings.write().insert(setting, value.to_owned());
        Ok(())
    }

    /// How long a statement of the session may compute: what the session has set, where 0 is
    /// without end, or else the server's default.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        match self.settings.read().get(&SessionSetting::StatementTimeout) {
            Some(value) => parse_duration(value).ok().filter(|timeout| !timeout.is_zero()),
            None => self.default_timeout,
        }
    }
}

fn is_utc(zone: &str) -> bool {
    ["utc", "z", "+00:00", "etc/utc", "gmt"].contains(&zone.to_ascii_lowercase().as_str())
}

/// Reads `1500`, `1500ms`, `30s`, `5min` or `1h`; a bare number is milliseconds.
fn parse_duration(text: &str) -> Result<Duration, EngineError> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms)) {
        Some(ms) if unit_ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err(EngineError::invalid(format!(
            "'{text}' is not a duration, write for example '1500ms', '30s', '5min' or '1h'"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, ms) in [("0", 0), ("250", 250), ("250ms", 250), ("2 s", 2000), ("5min", 300_000)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for text in ["", "s", "5 days", "-1s", "99999999999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
