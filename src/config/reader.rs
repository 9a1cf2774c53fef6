//! Reading tables against the key tables: every fault is noted with its place, and reading goes on.

use super::keys::{Key, Kind, Range};
use super::quantity;
use super::tree::{Node, Place, Table, Value, join, parse_default};
use crate::error::{Fault, did_you_mean};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What all parts of the reading share: where the file is, its named folders, what was found wrong.
pub(super) struct Context {
    /// The configuration file.
    pub(super) file: PathBuf,
    /// Folders by name, from `[paths]`.
    pub(super) paths: Vec<(String, String)>,
    /// Time step, ms, once it is known.
    pub(super) dt: f64,
    /// Seed of the run, once it is known.
    pub(super) seed: u64,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
}

impl Context {
    pub(super) fn new(file: &Path, faults: Vec<Fault>) -> Self {
        Self {
            file: file.to_owned(),
            paths: Vec::new(),
            dt: 0.1,
            seed: 1,
            faults: RefCell::new(faults),
            warnings: RefCell::default(),
        }
    }

    /// Notes a fault.
    pub(super) fn fault(&self, key: &str, place: Place, message: impl Into<String>) {
        push(&self.faults, self.located(key, place, message.into()));
    }

    /// Notes something that is allowed but probably not meant.
    pub(super) fn warn(&self, key: &str, place: Place, message: impl Into<String>) {
        push(&self.warnings, self.located(key, place, message.into()));
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.borrow().is_empty()
    }

    /// All faults and all warnings, in the order of the file.
    pub(super) fn into_findings(self) -> (Vec<Fault>, Vec<Fault>) {
        let sorted = |cell: RefCell<Vec<Fault>>| {
            let mut list = cell.into_inner();
            list.sort_by_key(|fault| (fault.line.is_none(), fault.line));
            list
        };
        (sorted(self.faults), sorted(self.warnings))
    }

    fn located(&self, key: &str, place: Place, message: String) -> Fault {
        let (file, line) = match place {
            Place::Line(line) => (self.file.clone(), Some(line)),
            Place::Set => (PathBuf::from("--set"), None),
            Place::Default => (self.file.clone(), None),
        };
        Fault { file: Some(file), line, key: key.to_owned(), message }
    }

    /// A number with or without a unit, in `unit`.
    pub(super) fn number(&self, node: &Node, key: &str, unit: &str, range: Range) -> Option<f64> {
        let value = match &node.value {
            Value::Integer(n) => Ok(*n as f64),
            Value::Float(x) => Ok(*x),
            Value::Text(text) => quantity::parse_text(text, unit),
            _ => {
                let what = quantity::Unit::parse(unit).map_or_else(|| "a number".to_owned(), quantity::Unit::measures);
                Err(format!("`{}` is {}; {what} is expected", node.shown(), node.kind()))
            }
        };
        match value {
            Ok(x) if range.contains(x) => Some(x),
            Ok(_) => {
                let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
                let message = format!("`{}` is out of range; allowed is {}{unit}", node.shown(), range.describe());
                self.fault(key, node.place, message);
                None
            }
            Err(message) => {
                self.fault(key, node.place, message);
                None
            }
        }
    }

    pub(super) fn integer(&self, node: &Node, key: &str, low: i64, high: i64) -> Option<i64> {
        let value = match node.value {
            Value::Integer(n) => Some(n),
            // Numbers of synapses are often written as 1e6.
            Value::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(x as i64),
            _ => None,
        };
        let top = if high == i64::MAX { "or above".to_owned() } else { format!("to {high}") };
        match value {
            Some(n) if (low..=high).contains(&n) => return Some(n),
            Some(n) => self.fault(key, node.place, format!("`{n}` is out of range; allowed is {low} {top}")),
            None => {
                let message =
                    format!("`{}` is {}; a whole number, {low} {top}, is expected", node.shown(), node.kind());
                self.fault(key, node.place, message);
            }
        }
        None
    }

    pub(super) fn boolean(&self, node: &Node, key: &str) -> Option<bool> {
        if let Value::Bool(b) = node.value {
            return Some(b);
        }
        self.fault(key, node.place, format!("`{}` is {}; true or false is expected", node.shown(), node.kind()));
        None
    }

    pub(super) fn text<'n>(&self, node: &'n Node, key: &str, what: &str) -> Option<&'n str> {
        if let Value::Text(text) = &node.value {
            return Some(text);
        }
        self.fault(key, node.place, format!("`{}` is {}; {what} is expected", node.shown(), node.kind()));
        None
    }

    pub(super) fn table<'n>(&self, node: &'n Node, key: &str) -> Option<&'n Table> {
        if let Value::Table(table) = &node.value {
            return Some(table);
        }
        self.fault(key, node.place, format!("`{}` is {}; a table is expected", node.shown(), node.kind()));
        None
    }

    /// One of several words; numbers count as words, so that `weight_bits = 16` needs no quotes.
    pub(super) fn choice(&self, node: &Node, key: &str, words: &'static [&'static str]) -> Option<&'static str> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Integer(n) => n.to_string(),
            _ => String::new(),
        };
        let found = words.iter().find(|word| **word == text);
        if found.is_none() {
            let near = did_you_mean(&text, words.iter().copied())
                .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            self.fault(
                key,
                node.place,
                format!("`{}` is not allowed; allowed are {}{near}", node.shown(), words.join(", ")),
            );
        }
        found.copied()
    }

    /// A text or a list of texts, each with its place.
    pub(super) fn names(&self, node: &Node, key: &str, what: &str) -> Option<Vec<(String, Place)>> {
        match &node.value {
            Value::Text(text) => Some(vec![(text.clone(), node.place)]),
            Value::List(items) => {
                if items.is_empty() {
                    self.fault(key, node.place, format!("the list is empty; at least one {what} is expected"));
                    return None;
                }
                items
                    .iter()
                    .map(|item| {
                        self.text(item, key, &format!("the name of a {what}")).map(|t| (t.to_owned(), item.place))
                    })
                    .collect()
            }
            _ => {
                let message = format!(
                    "`{}` is {}; the name of a {what} or a list of names is expected",
                    node.shown(),
                    node.kind()
                );
                self.fault(key, node.place, message);
                None
            }
        }
    }

    /// An existing file: `${NAME}` filled in, relative to the folder of the configuration file.
    pub(super) fn existing_file(&self, node: &Node, key: &str) -> Option<PathBuf> {
        let text = self.text(node, key, "the name of a file")?;
        let path = match self.expand(text) {
            Ok(path) => path,
            Err(message) => {
                self.fault(key, node.place, message);
                return None;
            }
        };
        if path.is_file() {
            return Some(path);
        }
        let message = format!("there is no file `{}` (`{text}`, relative to the folder of this file)", path.display());
        self.fault(key, node.place, message);
        None
    }

    /// Fills in `${NAME}` and makes the path relative to the folder of the configuration file.
    fn expand(&self, text: &str) -> Result<PathBuf, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            out.push_str(&rest[..start]);
            let Some(end) = rest[start..].find('}') else { return Err(format!("`{text}` has a `${{` without a `}}`")) };
            let name = &rest[start + 2..start + end];
            match self.paths.iter().find(|(n, _)| n == name) {
                Some((_, folder)) => out.push_str(folder),
                None => match std::env::var(name) {
                    Ok(folder) => out.push_str(&folder),
                    Err(_) => {
                        return Err(format!(
                            "`{text}` names the folder `{name}`, which is neither a key of [paths] nor an environment \
                             variable"
                        ));
                    }
                },
            }
            rest = &rest[start + end + 1..];
        }
        out.push_str(rest);
        let base = self.file.parent().unwrap_or(Path::new(""));
        Ok(base.join(out))
    }
}

fn push(list: &RefCell<Vec<Fault>>, fault: Fault) {
    // One wrong value of a table of many pairs is one fault.
    let mut list = list.borrow_mut();
    if !list.contains(&fault) {
        list.push(fault);
    }
}

/// "`x` is not a known thing; did you mean `y`? Known are a, b, c".
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let hint =
        did_you_mean(name, known.iter().copied()).map_or(String::new(), |near| format!("did you mean `{near}`? "));
    if known.is_empty() {
        return format!("`{name}` is not a known {what}; there is none in this file");
    }
    let article = if matches!(what.as_bytes().first(), Some(b'a' | b'e' | b'i' | b'o' | b'u')) { "an" } else { "a" };
    format!("`{name}` is not {article} {what} known here; {hint}known are {}", known.join(", "))
}

/// One table of the file while it is read.
pub(super) struct Section<'a> {
    pub(super) ctx: &'a Context,
    pub(super) path: String,
    pub(super) place: Place,
    table: &'a Table,
    keys: &'static [Key],
    used: RefCell<BTreeSet<String>>,
    defaults: RefCell<Vec<(String, serde_json::Value)>>,
}

static EMPTY: Table = Table { entries: Vec::new() };

impl<'a> Section<'a> {
    pub(super) fn new(ctx: &'a Context, path: &str, place: Place, table: &'a Table, keys: &'static [Key]) -> Self {
        Self { ctx, path: path.to_owned(), place, table, keys, used: RefCell::default(), defaults: RefCell::default() }
    }

    /// The table `[name]` of the file; an empty one if the file has none.
    pub(super) fn top(ctx: &'a Context, root: &'a Table, name: &str, keys: &'static [Key]) -> Self {
        let (table, place) = match root.get(name) {
            Some(node) => (ctx.table(node, name).unwrap_or(&EMPTY), node.place),
            None => (&EMPTY, Place::Default),
        };
        Self::new(ctx, name, place, table, keys)
    }

    /// The tables `[name.X]` of the file, in order.
    pub(super) fn all(ctx: &'a Context, root: &'a Table, name: &str, keys: &'static [Key]) -> Vec<(String, Self)> {
        let Some(node) = root.get(name) else { return Vec::new() };
        let Some(table) = ctx.table(node, name) else { return Vec::new() };
        let mut sections = Vec::new();
        for (child, node) in &table.entries {
            let path = join(name, child);
            if let Some(table) = ctx.table(node, &path) {
                sections.push((child.clone(), Self::new(ctx, &path, node.place, table, keys)));
            }
        }
        sections
    }

    fn key(&self, name: &str) -> &'static Key {
        self.keys.iter().find(|key| key.name == name).unwrap_or_else(|| panic!("no key `{name}` in `{}`", self.path))
    }

    /// The dotted path of one of the keys.
    pub(super) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Whether the key was written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// The table itself, for keys that the key table does not list.
    pub(super) fn table(&self) -> &'a Table {
        self.table
    }

    /// Where the key was written, or the table if it was not.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.table.get(key).map_or(self.place, |node| node.place)
    }

    /// Notes a fault at a key.
    pub(super) fn fault(&self, key: &str, message: impl Into<String>) {
        self.ctx.fault(&self.path_of(key), self.place_of(key), message);
    }

    /// Notes a warning at a key.
    pub(super) fn warn(&self, key: &str, message: impl Into<String>) {
        self.ctx.warn(&self.path_of(key), self.place_of(key), message);
    }

    /// Counts a key as read.
    pub(super) fn mark(&self, key: &str) {
        self.used.borrow_mut().insert(key.to_owned());
    }

    /// Records what an absent key was taken to be, for the resolved configuration.
    pub(super) fn resolve(&self, key: &str, value: impl Into<serde_json::Value>) {
        if !self.has(key) {
            self.defaults.borrow_mut().push((key.to_owned(), value.into()));
        }
    }

    /// The value of a key, or its default; a fault if it is required and absent.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'a, Node>> {
        let key = self.key(name);
        self.mark(name);
        if let Some(node) = self.table.get(name) {
            return Some(Cow::Borrowed(node));
        }
        if let Some(text) = key.default {
            let node = parse_default(text);
            self.resolve(name, node.json());
            return Some(Cow::Owned(node));
        }
        if key.required {
            self.missing(name);
        }
        None
    }

    /// Notes that a key should be there.
    pub(super) fn missing(&self, name: &str) {
        let message = format!("`{name}` is missing; {}", lower_first(self.key(name).doc));
        self.ctx.fault(&self.path_of(name), self.place, message);
    }

    /// A quantity, in the unit of its key.
    pub(super) fn quantity(&self, name: &str) -> Option<f64> {
        let Kind::Quantity(unit, range) = self.key(name).kind else { panic!("`{name}` is no quantity") };
        self.ctx.number(&*self.get(name)?, &self.path_of(name), unit, range)
    }

    /// A quantity, in a unit that the key table does not know.
    pub(super) fn quantity_in(&self, name: &str, unit: &str, range: Range) -> Option<f64> {
        self.ctx.number(&*self.get(name)?, &self.path_of(name), unit, range)
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        let Kind::Integer(low, high) = self.key(name).kind else { panic!("`{name}` is no whole number") };
        self.ctx.integer(&*self.get(name)?, &self.path_of(name), low, high)
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.ctx.boolean(&*self.get(name)?, &self.path_of(name))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(self.ctx.text(&*self.get(name)?, &self.path_of(name), "a text")?.to_owned())
    }

    pub(super) fn choice(&self, name: &str) -> Option<&'static str> {
        let Kind::Choice(words) = self.key(name).kind else { panic!("`{name}` is no choice") };
        self.ctx.choice(&*self.get(name)?, &self.path_of(name), words)
    }

    pub(super) fn names(&self, name: &str, what: &str) -> Option<Vec<(String, Place)>> {
        self.ctx.names(&*self.get(name)?, &self.path_of(name), what)
    }

    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        self.ctx.existing_file(&*self.get(name)?, &self.path_of(name))
    }

    /// A list of quantities, its length checked.
    pub(super) fn quantities(&self, name: &str) -> Option<Vec<f64>> {
        let Kind::List(Kind::Quantity(unit, range), low, high) = self.key(name).kind else {
            panic!("`{name}` is no list of quantities")
        };
        let node = self.get(name)?;
        let items = self.list(&node, name, low, high)?;
        items.iter().map(|item| self.ctx.number(item, &self.path_of(name), unit, *range)).collect()
    }

    /// A list of whole numbers, its length checked.
    pub(super) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let Kind::List(Kind::Integer(least, most), low, high) = self.key(name).kind else {
            panic!("`{name}` is no list of whole numbers")
        };
        let node = self.get(name)?;
        let items = self.list(&node, name, low, high)?;
        items.iter().map(|item| self.ctx.integer(item, &self.path_of(name), *least, *most)).collect()
    }

    pub(super) fn list<'n>(&self, node: &'n Node, name: &str, low: usize, high: usize) -> Option<&'n [Node]> {
        let Value::List(items) = &node.value else {
            self.fault(name, format!("`{}` is {}; a list is expected", node.shown(), node.kind()));
            return None;
        };
        if (low..=high).contains(&items.len()) {
            return Some(items);
        }
        let wanted = match (low, high) {
            (a, b) if a == b => format!("{a}"),
            (a, usize::MAX) => format!("at least {a}"),
            (a, b) => format!("{a} to {b}"),
        };
        self.fault(name, format!("the list has {} values; {wanted} are expected", items.len()));
        None
    }

    /// One quantity for all of `count` things, or a list with one for each.
    pub(super) fn one_or_each(&self, name: &str, count: usize, things: &str) -> Option<Vec<f64>> {
        let Kind::OneOrList(Kind::Quantity(unit, range), _) = self.key(name).kind else {
            panic!("`{name}` is not one quantity or a list")
        };
        let node = self.get(name)?;
        let path = self.path_of(name);
        if !matches!(node.value, Value::List(_)) {
            return self.ctx.number(&node, &path, unit, *range).map(|x| vec![x; count]);
        }
        let items = self.each(&node, name, count, things)?;
        items.iter().map(|item| self.ctx.number(item, &path, unit, *range)).collect()
    }

    /// One truth value for all of `count` things, or a list with one for each.
    pub(super) fn one_or_each_bool(&self, name: &str, count: usize, things: &str) -> Option<Vec<bool>> {
        let node = self.get(name)?;
        let path = self.path_of(name);
        if !matches!(node.value, Value::List(_)) {
            return self.ctx.boolean(&node, &path).map(|b| vec![b; count]);
        }
        self.each(&node, name, count, things)?.iter().map(|item| self.ctx.boolean(item, &path)).collect()
    }

    fn each<'n>(&self, node: &'n Node, name: &str, count: usize, things: &str) -> Option<&'n [Node]> {
        let Value::List(items) = &node.value else { return None };
        if items.len() == count {
            return Some(items);
        }
        let message =
            format!("the list has {} values, but there are {count} {things}; give one value or {count}", items.len());
        self.fault(name, message);
        None
    }

    /// Notes keys that are not known, and known keys that nothing asked for: `because` says in one phrase what
    /// decided that they have no effect. Returns the table with its defaults filled in.
    pub(super) fn finish(self, because: Option<&str>) -> serde_json::Map<String, serde_json::Value> {
        self.finish_with(because, &[])
    }

    /// The same for a table in which keys of another table are allowed too.
    pub(super) fn finish_with(
        self,
        because: Option<&str>,
        more: &[&str],
    ) -> serde_json::Map<String, serde_json::Value> {
        let used = self.used.borrow();
        for (name, node) in &self.table.entries {
            if used.contains(name) {
                continue;
            }
            let known = self.keys.iter().map(|key| key.name).chain(more.iter().copied());
            if !known.clone().any(|k| k == name) {
                let path = join(&self.path, name);
                self.ctx.fault(&path, node.place, unknown("key", name, known));
            } else if let Some(because) = because {
                self.ctx.fault(
                    &join(&self.path, name),
                    node.place,
                    format!("`{name}` has no effect {because}; remove it"),
                );
            }
        }
        let mut map: serde_json::Map<_, _> =
            self.table.entries.iter().map(|(name, node)| (name.clone(), node.json())).collect();
        for (name, value) in self.defaults.borrow_mut().drain(..) {
            map.entry(name).or_insert(value);
        }
        map
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or(String::new(), |c| c.to_lowercase().collect::<String>() + chars.as_str())
        .trim_end_matches('.')
        .to_owned()
}
