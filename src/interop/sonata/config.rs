//! The configuration of a simulation: one JSON file or several that name each other, with their variables filled in.
//!
//! - `simulation_config.json` names its circuit with `network`; BMTK's `config.json` names both parts with `network` and
//!   `simulation`; or everything stands in one file.
//! - `manifest` defines variables: `"$DIR": "./network"` fills in `$DIR` and `${DIR}` in every text of the same file.
//!   `${configdir}` and `${workingdir}` are always there.
//! - Relative paths are relative to the folder of the file they stand in.

use super::findings::Findings;
use super::json::{Item, join};
use crate::error::{Error, Fault, Result, did_you_mean};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Keys at the top of a configuration.
const SECTIONS: [&str; 21] = [
    "manifest",
    "network",
    "simulation",
    "run",
    "conditions",
    "inputs",
    "output",
    "reports",
    "node_sets",
    "node_sets_file",
    "components",
    "networks",
    "target_simulator",
    "version",
    "metadata",
    "connection_overrides",
    "mechanisms",
    "beta_features",
    "gid_mapping_file",
    "checkpoint",
    "inactive",
];
/// Files that name files that name files: more than these are a circle.
const DEEPEST: usize = 8;
/// Longest text of a variable: variables that name each other could else grow without end.
const LONGEST: usize = 4096;

/// A configuration with all its files read and merged.
#[derive(Debug)]
pub struct Config {
    path: PathBuf,
    /// Every file read; the first is `path`.
    files: Vec<PathBuf>,
    /// Top-level keys: name, value, index of the file.
    sections: Vec<(String, Value, usize)>,
}

impl Config {
    /// Reads a configuration with overrides such as `run.tstop=100` laid over it.
    ///
    /// # Errors
    /// A file cannot be read or is not JSON, a variable of a manifest cannot be filled in, or an override is not
    /// `key=value`.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self> {
        let mut config = Self { path: path.to_owned(), files: Vec::new(), sections: Vec::new() };
        let mut faults = Vec::new();
        let parsed: Vec<(Vec<String>, Value)> =
            overrides.iter().filter_map(|text| parse_override(text).map_err(|fault| faults.push(fault)).ok()).collect();
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let (early, late): (Vec<_>, Vec<_>) =
            parsed.into_iter().partition(|(keys, _)| matches!(keys[0].as_str(), "manifest" | "network" | "simulation"));
        config.include(path, &early, 0)?;
        for (keys, value) in late {
            config.lay_over(&keys, value);
        }
        Ok(config)
    }

    /// The file that was read first.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every file read.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// A part of the configuration, such as `run`.
    pub fn section(&self, name: &str) -> Option<Item<'_>> {
        let (key, value, file) = self.sections.iter().find(|(key, value, _)| key == name && !value.is_null())?;
        Some(Item { value, file: &self.files[*file], key: key.clone() })
    }

    /// Warns of top-level keys that are not known.
    pub fn warn_unknown(&self, findings: &mut Findings) {
        for (name, _, file) in self.sections.iter().filter(|(name, ..)| !SECTIONS.contains(&name.as_str())) {
            let hint = did_you_mean(name, SECTIONS).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let message = format!("`{name}` is not a key known here and has no effect{hint}");
            findings.warn(&self.files[*file], name, message);
        }
    }

    /// Reads one file and those it names; its own keys give way to those of the files it names.
    fn include(&mut self, path: &Path, overrides: &[(Vec<String>, Value)], depth: usize) -> Result<()> {
        let mut root = read_object(path)?;
        let index = self.files.len();
        self.files.push(path.to_owned());
        for (keys, value) in overrides {
            put(&mut root, keys, value.clone());
        }
        let variables = manifest(path, root.get("manifest"))?;
        let mut children = Vec::new();
        for (key, mut value) in root {
            if key == "manifest" {
                continue;
            }
            fill_in(&mut value, &variables);
            match (key.as_str(), &value) {
                ("network" | "simulation", Value::String(child)) => {
                    let folder = path.parent().unwrap_or(Path::new(""));
                    children.push((key, folder.join(child)));
                }
                _ => self.sections.push((key, value, index)),
            }
        }
        for (key, child) in children {
            if depth == DEEPEST {
                let message = format!("{DEEPEST} files name each other in turn; `{key}` leads in a circle");
                return Err(located(path, &key, message));
            }
            if !child.is_file() {
                return Err(located(path, &key, format!("there is no file `{}`", child.display())));
            }
            let before = self.sections.len();
            self.include(&child, &[], depth + 1)?;
            let new: Vec<String> = self.sections[before..].iter().map(|(key, ..)| key.clone()).collect();
            let mut at = 0;
            self.sections.retain(|(key, ..)| {
                at += 1;
                at > before || !new.contains(key)
            });
        }
        Ok(())
    }

    fn lay_over(&mut self, keys: &[String], value: Value) {
        let (first, rest) = (&keys[0], &keys[1..]);
        let place = self.sections.iter().position(|(key, ..)| key == first);
        let place = place.unwrap_or_else(|| {
            self.sections.push((first.clone(), Value::Object(Map::new()), 0));
            self.sections.len() - 1
        });
        let target = &mut self.sections[place].1;
        if rest.is_empty() {
            *target = value;
            return;
        }
        if !target.is_object() {
            *target = Value::Object(Map::new());
        }
        if let Value::Object(map) = target {
            put(map, rest, value);
        }
    }
}

/// Reads a file that holds one JSON object.
pub(super) fn read_object(path: &Path) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::format(path, "it holds JSON, but not an object `{ ... }`")),
        Err(error) => {
            let fault = Fault {
                file: Some(path.to_owned()),
                line: Some(error.line()),
                key: String::new(),
                message: format!("this is not valid JSON: {error}"),
            };
            Err(Error::Invalid(vec![fault]))
        }
    }
}

fn located(path: &Path, key: &str, message: String) -> Error {
    let mut fault = Fault::new(key, message);
    fault.file = Some(path.to_owned());
    Error::Invalid(vec![fault])
}

/// `a.b.c=value`: the value is JSON; what is not JSON is a text.
fn parse_override(text: &str) -> Result<(Vec<String>, Value), Fault> {
    let fault =
        |key: &str, message: String| Fault { file: Some("--set".into()), line: None, key: key.to_owned(), message };
    let Some((key, value)) = text.split_once('=') else {
        return Err(fault("", format!("`{text}` has no `=`; expected is `key=value`, for example `run.tstop=100`")));
    };
    let (key, value) = (key.trim(), value.trim());
    let keys: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
    if keys.iter().any(String::is_empty) {
        return Err(fault(key, format!("`{key}` is not a dotted key such as `run.tstop`")));
    }
    if !SECTIONS.contains(&keys[0].as_str()) {
        let hint = did_you_mean(&keys[0], SECTIONS).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let known = SECTIONS.join(", ");
        return Err(fault(
            key,
            format!("`{}` is not a part of a SONATA configuration{hint}; parts are {known}", keys[0]),
        ));
    }
    Ok((keys, serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()))))
}

fn put(map: &mut Map<String, Value>, keys: &[String], value: Value) {
    let Some((first, rest)) = keys.split_first() else { return };
    if rest.is_empty() {
        map.insert(first.clone(), value);
        return;
    }
    let next = map.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if !next.is_object() {
        *next = Value::Object(Map::new());
    }
    if let Value::Object(next) = next {
        put(next, rest, value);
    }
}

/// Variables of a file: name without `$`, and text.
fn manifest(path: &Path, manifest: Option<&Value>) -> Result<Vec<(String, String)>> {
    let display = |path: PathBuf| path.display().to_string();
    let folder = std::path::absolute(path.parent().unwrap_or(Path::new(""))).unwrap_or_default();
    let mut done = vec![("configdir".to_owned(), display(folder))];
    done.push(("workingdir".to_owned(), display(std::env::current_dir().unwrap_or_default())));
    let mut open: Vec<(String, String)> = Vec::new();
    match manifest {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) => {
            for (name, value) in map {
                let Value::String(text) = value else {
                    return Err(located(path, &join("manifest", name), format!("`{value}` is not a text")));
                };
                open.push((name.trim_start_matches('$').to_owned(), text.clone()));
            }
        }
        Some(other) => return Err(located(path, "manifest", format!("`{other}` is not an object of names and texts"))),
    }
    // Variables may name each other in any order; each round fills in at least one.
    while !open.is_empty() {
        let before = open.len();
        let mut waiting = Vec::new();
        for (name, text) in open {
            let filled = substitute(&text, &done);
            if filled.len() > LONGEST {
                let key = join("manifest", &format!("${name}"));
                return Err(located(path, &key, format!("filled in it is longer than {LONGEST} bytes")));
            }
            if filled.contains('$') { waiting.push((name, text)) } else { done.push((name, filled)) }
        }
        open = waiting;
        if open.len() == before {
            let (name, text) = &open[0];
            let key = join("manifest", &format!("${name}"));
            return Err(located(
                path,
                &key,
                format!("`{text}` names a variable that the manifest does not define, or itself"),
            ));
        }
    }
    Ok(done)
}

fn fill_in(value: &mut Value, variables: &[(String, String)]) {
    match value {
        Value::String(text) if text.contains('$') => *text = substitute(text, variables),
        Value::Array(items) => items.iter_mut().for_each(|item| fill_in(item, variables)),
        Value::Object(map) => map.values_mut().for_each(|item| fill_in(item, variables)),
        _ => {}
    }
}

/// Fills in `$NAME` and `${NAME}`; names that are not known stay as they are.
fn substitute(text: &str, variables: &[(String, String)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let (body, braced) = after.strip_prefix('{').map_or((after, false), |body| (body, true));
        let end = body.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(body.len());
        let name = &body[..end];
        let closed = !braced || body[end..].starts_with('}');
        let length = 1 + usize::from(braced) + end + usize::from(braced && closed);
        match variables.iter().find(|(known, _)| known == name) {
            Some((_, value)) if closed => out.push_str(value),
            _ => out.push_str(&rest[start..start + length]),
        }
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn files_name_each_other_and_variables_are_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            "circuit/circuit_config.json",
            r#"{"manifest": {"$NET": "$BASE/net", "$BASE": "."}, "components": {"models_dir": "${NET}/m"},
                "networks": {"nodes": [], "edges": []}, "target_simulator": "NEST"}"#,
        );
        write(dir.path(), "simulation.json", r#"{"run": {"tstop": 10.0, "dt": 0.1}, "target_simulator": "x"}"#);
        let path = write(
            dir.path(),
            "config.json",
            r#"{"network": "circuit/circuit_config.json", "simulation": "simulation.json", "run": {"tstop": 1}}"#,
        );
        let config = Config::read(&path, &["run.dt=0.2 ms".to_owned(), "run.tstop=5".to_owned()]).unwrap();
        assert_eq!(config.files().len(), 3);
        let run = config.section("run").unwrap();
        assert_eq!((run.value["tstop"].as_f64(), run.value["dt"].as_str()), (Some(5.0), Some("0.2 ms")));
        assert!(run.file.ends_with("simulation.json"));
        let mut findings = Findings::default();
        let models = config.section("components").unwrap().get("models_dir").unwrap();
        assert_eq!(models.path(&mut findings).unwrap(), dir.path().join("circuit").join("./net/m"));
        config.warn_unknown(&mut findings);
        assert!(!findings.has_faults());
    }

    #[test]
    fn what_is_wrong_is_located() {
        let dir = tempfile::tempdir().unwrap();
        let text = |name: &str, text: &str, set: &[String]| {
            Config::read(&write(dir.path(), name, text), set).unwrap_err().to_string()
        };
        assert!(text("a.json", "{\n \"run\": ,}", &[]).contains("a.json:2: this is not valid JSON"));
        assert!(text("b.json", "[1]", &[]).contains("not an object"));
        assert!(text("c.json", r#"{"manifest": {"$A": "$B", "$B": "$A"}}"#, &[]).contains("manifest.$A"));
        assert!(text("d.json", r#"{"network": "d.json"}"#, &[]).contains("in a circle"));
        assert!(text("e.json", r#"{"network": "none.json"}"#, &[]).contains("there is no file"));
        let error = text("f.json", "{}", &["runs.dt=1".to_owned(), "x".to_owned()]);
        assert!(error.contains("did you mean `run`") && error.contains("has no `=`"), "{error}");
    }

    #[test]
    fn variables_in_texts() {
        let variables = [("A".to_owned(), "x".to_owned())];
        assert_eq!(substitute("$A/${A}b/$AB/${A/$", &variables), "x/xb/$AB/${A/$");
    }
}
