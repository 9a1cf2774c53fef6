//! The file as a tree of values that know where they stand, with the `--set` overrides laid over it.

use crate::error::Fault;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

/// Where a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On this 1-based line of the file.
    Line(usize),
    /// On the command line.
    Set,
    /// Nowhere: the documented default.
    Default,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A value as TOML knows it. Dates have no use here and are refused while reading.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
}

/// Keys and their values in the order they were written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Table {
    pub(super) entries: Vec<(String, Node)>,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(k, _)| k == key).map(|(_, node)| node)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(k, _)| k == key).map(|(_, node)| node)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(k, _)| k.as_str())
    }
}

impl Node {
    /// The value as the user would write it, for messages; shortened if long.
    pub(super) fn shown(&self) -> String {
        let mut text = String::new();
        show(&self.value, &mut text);
        if text.chars().count() > 60 {
            text = text.chars().take(57).collect::<String>() + "...";
        }
        text
    }

    /// What kind of value this is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Bool(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) => text.as_str().into(),
            Value::Integer(n) => (*n).into(),
            // JSON has no infinity; the text is read back as the same number.
            Value::Float(x) if x.is_finite() => (*x).into(),
            Value::Float(x) => x.to_string().into(),
            Value::Bool(b) => (*b).into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Table(table) => {
                serde_json::Value::Object(table.entries.iter().map(|(k, node)| (k.clone(), node.json())).collect())
            }
        }
    }
}

fn show(value: &Value, out: &mut String) {
    match value {
        Value::Text(text) => out.push_str(text),
        Value::Integer(n) => write!(out, "{n}").unwrap_or_default(),
        Value::Float(x) => write!(out, "{x}").unwrap_or_default(),
        Value::Bool(b) => write!(out, "{b}").unwrap_or_default(),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                show(&item.value, out);
            }
            out.push(']');
        }
        Value::Table(table) => {
            out.push_str("{ ");
            for (i, (key, node)) in table.entries.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                out.push_str(key);
                out.push_str(" = ");
                show(&node.value, out);
            }
            out.push_str(" }");
        }
    }
}

/// Place of a dotted key, or of the nearest table around it that was written. Names of projections that a matrix makes
/// (`projection.NAME.source.target.weight`) lead to the table that makes them.
pub(super) fn place_of(root: &Table, key: &str) -> Place {
    let mut place = Place::Default;
    let (mut table, mut rest) = (root, key);
    while !rest.is_empty() {
        let step = table
            .entries
            .iter()
            .filter_map(|(name, node)| {
                let after = rest.strip_prefix(name.as_str())?;
                (after.is_empty() || after.starts_with('.')).then(|| (name.len(), node, after.trim_start_matches('.')))
            })
            .max_by_key(|(length, _, _)| *length);
        let last = || rest.rsplit('.').next().and_then(|name| table.get(name)).map(|node| (0, node, ""));
        let Some((_, node, after)) = step.or_else(last) else { return place };
        place = node.place;
        let Value::Table(inner) = &node.value else { return place };
        (table, rest) = (inner, after);
    }
    place
}

/// Reads TOML text. A file that is not TOML gives one fault: where it stops being TOML.
pub(super) fn parse(text: &str, file: &Path, faults: &mut Vec<Fault>) -> Table {
    match toml_edit::Document::parse(text) {
        Ok(document) => {
            let lines = LineIndex::new(text);
            let mut reading = Reading { lines: Some(&lines), place: Place::Line(1), file, faults };
            reading.table(document.as_table(), "")
        }
        Err(error) => {
            let line = error.span().map(|span| LineIndex::new(text).line(&span));
            let message = format!("this is not valid TOML: {}", error.message().replace('\n', "; "));
            faults.push(Fault { file: Some(file.to_owned()), line, key: String::new(), message });
            Table::default()
        }
    }
}

/// Reads the text of a default, as it stands in the key tables.
pub(super) fn parse_default(text: &str) -> Node {
    let parsed: Option<toml_edit::Value> = text.parse().ok();
    let mut faults = Vec::new();
    parsed
        .and_then(|value| {
            Reading { lines: None, place: Place::Default, file: Path::new(""), faults: &mut faults }.value(&value, "")
        })
        .unwrap_or_else(|| Node { value: Value::Text(text.to_owned()), place: Place::Default })
}

/// Lays `a.b.c=value` over the tree. The value is TOML; what is not TOML is taken as a text, so that a bare word or
/// a quantity needs no quotes.
pub(super) fn apply_override(root: &mut Table, text: &str, faults: &mut Vec<Fault>) {
    let mut fault = |key: &str, message: String| {
        faults.push(Fault { file: Some("--set".into()), line: None, key: key.to_owned(), message });
    };
    let Some((key, value)) = text.split_once('=') else {
        fault("", format!("`{text}` has no `=`; expected is `key=value`, for example `run.duration=\"2 s\"`"));
        return;
    };
    let (key, value) = (key.trim(), value.trim());
    let parts: Vec<String> = match toml_edit::Key::parse(key) {
        Ok(parts) => parts.iter().map(|part| part.get().to_owned()).collect(),
        Err(_) => {
            fault(key, format!("`{key}` is not a dotted key such as `run.duration`"));
            return;
        }
    };
    let node = match value.parse::<toml_edit::Value>() {
        Ok(parsed) => {
            let mut reading = Reading { lines: None, place: Place::Set, file: Path::new("--set"), faults };
            match reading.value(&parsed, key) {
                Some(node) => node,
                None => return,
            }
        }
        Err(_) => Node { value: Value::Text(value.to_owned()), place: Place::Set },
    };
    let mut table = root;
    for (depth, part) in parts[..parts.len() - 1].iter().enumerate() {
        if table.get(part).is_none() {
            table.entries.push((part.clone(), Node { value: Value::Table(Table::default()), place: Place::Set }));
        }
        let Some(Node { value: Value::Table(next), .. }) = table.get_mut(part) else {
            let message = format!("`{}` is a value, not a table with keys of its own", parts[..=depth].join("."));
            faults.push(Fault { file: Some("--set".into()), line: None, key: key.to_owned(), message });
            return;
        };
        table = next;
    }
    let last = &parts[parts.len() - 1];
    match table.get_mut(last) {
        Some(old) => *old = node,
        None => table.entries.push((last.clone(), node)),
    }
}

struct Reading<'a> {
    /// Absent for text that is not part of the file; then everything stands at `place`.
    lines: Option<&'a LineIndex>,
    place: Place,
    file: &'a Path,
    faults: &'a mut Vec<Fault>,
}

impl Reading<'_> {
    fn at(&self, span: Option<Range<usize>>, otherwise: Place) -> Place {
        match (self.lines, span) {
            (Some(lines), Some(span)) => Place::Line(lines.line(&span)),
            _ => otherwise,
        }
    }

    fn table(&mut self, table: &toml_edit::Table, path: &str) -> Table {
        let mut entries = Vec::new();
        for (name, item) in table {
            let path = join(path, name);
            let key_span = table.key(name).and_then(toml_edit::Key::span);
            let node = match item {
                toml_edit::Item::None => continue,
                toml_edit::Item::Value(value) => match self.value(value, &path) {
                    // The line of the key, not of the value: a value may reach over several lines.
                    Some(node) => Node { place: self.at(key_span, node.place), ..node },
                    None => continue,
                },
                toml_edit::Item::Table(inner) => {
                    let place = self.at(key_span.or_else(|| inner.span()), self.place);
                    Node { value: Value::Table(self.table(inner, &path)), place }
                }
                toml_edit::Item::ArrayOfTables(array) => {
                    let items = array
                        .iter()
                        .map(|inner| {
                            let place = self.at(inner.span(), self.place);
                            Node { value: Value::Table(self.table(inner, &path)), place }
                        })
                        .collect();
                    Node { value: Value::List(items), place: self.at(key_span, self.place) }
                }
            };
            entries.push((name.to_owned(), node));
        }
        Table { entries }
    }

    fn value(&mut self, value: &toml_edit::Value, path: &str) -> Option<Node> {
        let place = self.at(value.span(), self.place);
        let read = match value {
            toml_edit::Value::String(text) => Value::Text(text.value().clone()),
            toml_edit::Value::Integer(n) => Value::Integer(*n.value()),
            toml_edit::Value::Float(x) => Value::Float(*x.value()),
            toml_edit::Value::Boolean(b) => Value::Bool(*b.value()),
            toml_edit::Value::Datetime(date) => {
                let line = if let Place::Line(line) = place { Some(line) } else { None };
                let message = format!("`{}` is a date, which no key takes", date.value());
                self.faults.push(Fault { file: Some(self.file.to_owned()), line, key: path.to_owned(), message });
                return None;
            }
            toml_edit::Value::Array(array) => {
                Value::List(array.iter().filter_map(|item| self.value(item, path)).collect())
            }
            toml_edit::Value::InlineTable(table) => {
                let mut entries = Vec::new();
                for (name, inner) in table {
                    let key_span = table.key(name).and_then(toml_edit::Key::span);
                    if let Some(node) = self.value(inner, &join(path, name)) {
                        entries.push((name.to_owned(), Node { place: self.at(key_span, node.place), ..node }));
                    }
                }
                Value::Table(Table { entries })
            }
        };
        Some(Node { value: read, place })
    }
}

/// `a.b`, or `b` at the root; a name that is not a bare key is quoted.
pub(super) fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let name = if bare { name.to_owned() } else { format!("\"{name}\"") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// Starts of the lines of a text.
struct LineIndex(Vec<usize>);

impl LineIndex {
    fn new(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    fn line(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|start| *start <= span.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Table {
        let mut faults = Vec::new();
        let table = parse(text, Path::new("a.toml"), &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        table
    }

    fn table<'a>(root: &'a Table, key: &str) -> &'a Table {
        match &root.get(key).unwrap().value {
            Value::Table(table) => table,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_know_their_lines() {
        let root =
            read("[run]\ndt = 0.1\n\nduration = \"1 s\"\n\n[population.a]\nlist = [\n 1,\n 2,\n]\nt = { x = 1 }\n");
        assert_eq!(root.get("run").unwrap().place, Place::Line(1));
        assert_eq!(table(&root, "run").get("dt").unwrap().place, Place::Line(2));
        let a = table(table(&root, "population"), "a");
        let Value::List(items) = &a.get("list").unwrap().value else { panic!() };
        assert_eq!((items[0].place, items[1].place), (Place::Line(8), Place::Line(9)));
        assert_eq!(table(a, "t").get("x").unwrap().place, Place::Line(11));
    }

    #[test]
    fn keys_lead_to_places() {
        let root = read("[run]\ndt = 0.1\n[projection.r]\nweight = 1\ndelay = 2\n");
        assert_eq!(place_of(&root, "run.dt"), Place::Line(2));
        assert_eq!(place_of(&root, "run.seed"), Place::Line(1));
        assert_eq!(place_of(&root, "projection.r.a.b.delay"), Place::Line(5));
        assert_eq!(place_of(&root, "projection.r.a.b"), Place::Line(3));
        assert_eq!(place_of(&root, "nothing"), Place::Default);
    }

    #[test]
    fn text_that_is_not_toml_gives_one_located_fault() {
        let mut faults = Vec::new();
        parse("[run]\ndt = = 3\n", Path::new("a.toml"), &mut faults);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].line, Some(2));
    }

    #[test]
    fn overrides_replace_and_create() {
        let mut root = read("[run]\ndt = 0.1\n");
        let mut faults = Vec::new();
        for text in ["run.dt=0.2", "run.duration=2 s", "a.b.c=[1, 2]", "run.isa = scalar"] {
            apply_override(&mut root, text, &mut faults);
        }
        assert!(faults.is_empty(), "{faults:?}");
        let run = table(&root, "run");
        assert_eq!(run.get("dt").unwrap(), &Node { value: Value::Float(0.2), place: Place::Set });
        assert_eq!(run.get("duration").unwrap().value, Value::Text("2 s".into()));
        assert_eq!(run.get("isa").unwrap().value, Value::Text("scalar".into()));
        assert!(matches!(table(table(&root, "a"), "b").get("c").unwrap().value, Value::List(_)));
        apply_override(&mut root, "run.dt.x=1", &mut faults);
        apply_override(&mut root, "nonsense", &mut faults);
        assert_eq!(faults.len(), 2);
    }
}
