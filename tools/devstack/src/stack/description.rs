//! stack.json: what a client of the stack must know.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::error::{Context as _, Error, Result};

/// The stack, for those who use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The gateway.
    pub api_url: String,
    /// The key that goes into `apikey`.
    pub publishable_key: String,
    /// The database, as its superuser.
    pub db_url: String,
    /// Where the functions run.
    pub host: String,
    /// Each function's URL.
    pub functions: BTreeMap<String, String>,
}

impl Description {
    /// Reads stack.json.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .map_err(|_| Error::new(format!("no stack is running ({} is not there)", file.display())))?;
        let value: Value = serde_json::from_str(&text).context(|| format!("{} is not JSON", file.display()))?;
        Self::from_json(&value).ok_or_else(|| Error::new(format!("{} is not a stack.json", file.display())))
    }

    /// Writes it whole: who sees the file sees all of it.
    pub fn write(&self, file: &Path) -> Result<()> {
        let part = file.with_extension("part");
        fs::write(&part, format!("{:#}\n", self.to_json()))
            .and_then(|()| fs::rename(&part, file))
            .context(|| format!("{} cannot be written", file.display()))
    }

    fn to_json(&self) -> Value {
        json!({
            "api_url": self.api_url,
            "publishable_key": self.publishable_key,
            "db_url": self.db_url,
            "host": self.host,
            "functions": self.functions,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let functions = value.get("functions")?.as_object()?.iter();
        Some(Self {
            api_url: text("api_url")?,
            publishable_key: text("publishable_key")?,
            db_url: text("db_url")?,
            host: text("host")?,
            functions: functions.filter_map(|(name, url)| Some((name.clone(), url.as_str()?.to_owned()))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Description;

    #[test]
    fn what_is_written_is_read() {
        let text = |text: &str| text.to_owned();
        let description = Description {
            api_url: text("http://127.0.0.1:1"),
            publishable_key: text("sb_publishable_x"),
            db_url: text("postgres://x"),
            host: text("workers"),
            functions: [(text("f"), text("http://127.0.0.1:1/functions/v1/f"))].into(),
        };
        assert_eq!(Description::from_json(&description.to_json()), Some(description));
    }
}
