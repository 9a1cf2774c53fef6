//! Values of a JSON file that know their file and key, so that what is wrong with them can be located.

use super::findings::Findings;
use crate::error::did_you_mean;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A value of a JSON file.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// The value.
    pub value: &'a Value,
    /// The file it stands in.
    pub file: &'a Path,
    /// Its dotted key, for example `inputs.clamp.amp`.
    pub key: String,
}

impl<'a> Item<'a> {
    /// The value of a key of an object, unless it is absent or null.
    pub fn get(&self, key: &str) -> Option<Item<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Item { value, file: self.file, key: join(&self.key, key) })
    }

    /// The entries of an object, in order; none, with a fault, if it is not one.
    pub fn entries(&self, findings: &mut Findings) -> Vec<(&'a str, Item<'a>)> {
        let Value::Object(map) = self.value else {
            self.wrong(findings, "an object");
            return Vec::new();
        };
        map.iter()
            .map(|(name, value)| (name.as_str(), Item { value, file: self.file, key: join(&self.key, name) }))
            .collect()
    }

    /// The items of a list; none, with a fault, if it is not one.
    pub fn items(&self, findings: &mut Findings) -> Vec<Item<'a>> {
        let Value::Array(items) = self.value else {
            self.wrong(findings, "a list");
            return Vec::new();
        };
        self.numbered(items)
    }

    /// The items of a list, or the value itself as the only one.
    pub fn one_or_more(&self) -> Vec<Item<'a>> {
        match self.value {
            Value::Array(items) => self.numbered(items),
            _ => vec![self.clone()],
        }
    }

    fn numbered(&self, items: &'a [Value]) -> Vec<Item<'a>> {
        let place = |i: usize| format!("{}[{i}]", self.key);
        items.iter().enumerate().map(|(i, value)| Item { value, file: self.file, key: place(i) }).collect()
    }

    /// A text, or nothing and a fault.
    pub fn text(&self, findings: &mut Findings) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong(findings, "a text");
        }
        text
    }

    /// A finite number, or nothing and a fault.
    pub fn number(&self, findings: &mut Findings) -> Option<f64> {
        let number = self.value.as_f64().filter(|x| x.is_finite());
        if number.is_none() {
            self.wrong(findings, "a number");
        }
        number
    }

    /// True or false, or nothing and a fault.
    pub fn boolean(&self, findings: &mut Findings) -> Option<bool> {
        let boolean = self.value.as_bool();
        if boolean.is_none() {
            self.wrong(findings, "true or false");
        }
        boolean
    }

    /// A path, relative to the folder of the file it stands in.
    pub fn path(&self, findings: &mut Findings) -> Option<PathBuf> {
        let text = self.text(findings)?;
        if let Some(start) = text.find('$') {
            let name: String = text[start + 1..]
                .chars()
                .skip_while(|c| *c == '{')
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            self.fault(
                findings,
                format!("`{text}` names the variable `${name}`, which no manifest of this file defines"),
            );
            return None;
        }
        Some(self.file.parent().unwrap_or(Path::new("")).join(text))
    }

    /// A path to a file that exists, or nothing and a fault.
    pub fn existing_file(&self, findings: &mut Findings) -> Option<PathBuf> {
        let path = self.path(findings)?;
        if path.is_file() {
            return Some(path);
        }
        self.fault(findings, format!("there is no file `{}`", path.display()));
        None
    }

    /// Notes a fault at this value.
    pub fn fault(&self, findings: &mut Findings, message: impl Into<String>) {
        findings.fault(self.file, &self.key, message);
    }

    /// Notes a warning at this value.
    pub fn warn(&self, findings: &mut Findings, message: impl Into<String>) {
        findings.warn(self.file, &self.key, message);
    }

    /// Notes that a required key of this object is absent.
    pub fn missing(&self, findings: &mut Findings, key: &str, what: &str) {
        findings.fault(self.file, &join(&self.key, key), format!("`{key}` is missing; it is {what}"));
    }

    /// Notes a value that is not what it should be.
    pub fn wrong(&self, findings: &mut Findings, expected: &str) {
        self.fault(findings, format!("`{}` is {}; {expected} is expected", self.shown(), kind(self.value)));
    }

    /// The value as messages show it: shortened if long.
    pub fn shown(&self) -> String {
        let text = match self.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text.chars().count() > 60 { text.chars().take(57).collect::<String>() + "..." } else { text }
    }

    /// Notes a warning for each key that is not among `known`: files carry keys of many programs.
    pub fn warn_unknown(&self, findings: &mut Findings, known: &[&str]) {
        let Value::Object(map) = self.value else { return };
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            let hint = did_you_mean(name, known.iter().copied())
                .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            findings.warn(
                self.file,
                &join(&self.key, name),
                format!("`{name}` is not a key known here and has no effect{hint}"),
            );
        }
    }
}

/// What kind of value it is, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A dotted key below another.
pub(super) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}
