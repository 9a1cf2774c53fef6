//! [`Profile`]: what a profiler measured, as a table.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Sums of a profiler, in the order in which spans were first begun, parents before their parts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Seconds from the making of the profiler to the report.
    pub wall_s: f64,
    /// One row for each path.
    pub rows: Vec<ProfileRow>,
}

/// All spans of one path.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProfileRow {
    /// Names from the outermost span to this one, joined by `/`.
    pub path: String,
    /// Number of spans around it.
    pub depth: usize,
    /// Spans that ended.
    pub calls: u64,
    /// Seconds in them, summed over threads.
    pub total_s: f64,
    /// Part of `total_s` that no span within them accounts for.
    pub self_s: f64,
    /// `total_s` over `calls`.
    pub mean_s: f64,
    /// The shortest, s.
    pub least_s: f64,
    /// The longest, s.
    pub most_s: f64,
    /// `total_s` over the profile's `wall_s`; above 1 where several threads worked at the same time.
    pub share: f64,
    /// Threads that had such spans.
    pub threads: u64,
    /// Items that the spans said they worked through.
    pub items: u64,
    /// Nanoseconds an item, where there were items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ns_an_item: Option<f64>,
}

impl Profile {
    pub(super) fn of(root: &Node, wall: Duration) -> Self {
        let wall_s = wall.as_secs_f64();
        let mut rows = Vec::new();
        root.children.iter().for_each(|child| child.rows("", 0, wall_s, &mut rows));
        Self { wall_s, rows }
    }

    /// The row of a path such as `"build/lay out"`.
    pub fn row(&self, path: &str) -> Option<&ProfileRow> {
        self.rows.iter().find(|row| row.path == path)
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<28} {:>9} {:>11} {:>11} {:>11} {:>7}", "span", "calls", "total", "mean", "longest", "share")?;
        for row in &self.rows {
            let name = row.path.rsplit('/').next().unwrap_or_default();
            let name = format!("{}{name}", "  ".repeat(row.depth));
            let [total, mean, most] = [row.total_s, row.mean_s, row.most_s].map(seconds);
            write!(f, "\n{name:<28} {:>9} {total:>11} {mean:>11} {most:>11} {:>6.1}%", row.calls, row.share * 100.0)?;
            if let Some(ns) = row.ns_an_item {
                write!(f, "  {ns:.2} ns an item")?;
            }
        }
        Ok(())
    }
}

/// A time for people, with three or four digits.
pub fn seconds(s: f64) -> String {
    match s.abs() {
        x if x >= 100.0 => format!("{s:.0} s"),
        x if x >= 1.0 => format!("{s:.2} s"),
        x if x >= 1e-3 => format!("{:.2} ms", s * 1e3),
        x if x >= 1e-6 => format!("{:.2} us", s * 1e6),
        _ => format!("{:.1} ns", s * 1e9),
    }
}

/// Spans of one name below one parent.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub name: std::sync::Arc<str>,
    pub children: Vec<Node>,
    calls: u64,
    total_ns: u64,
    least_ns: u64,
    most_ns: u64,
    threads: u64,
    items: u64,
}

impl Node {
    /// Place of the child of that name, made where there is none.
    pub fn child(&mut self, name: &str) -> usize {
        self.children.iter().position(|child| *child.name == *name).unwrap_or_else(|| {
            self.children.push(Self { name: name.into(), threads: 1, least_ns: u64::MAX, ..Self::default() });
            self.children.len() - 1
        })
    }

    /// A span ended.
    pub fn count(&mut self, ns: u64, items: u64) {
        self.calls += 1;
        self.total_ns += ns;
        self.least_ns = self.least_ns.min(ns);
        self.most_ns = self.most_ns.max(ns);
        self.items += items;
    }

    /// Adds what another thread counted.
    pub fn add(&mut self, other: &Self) {
        for theirs in &other.children {
            let own = self.child(&theirs.name);
            let own = &mut self.children[own];
            own.threads = if own.calls == 0 { theirs.threads } else { own.threads + theirs.threads };
            own.calls += theirs.calls;
            own.total_ns += theirs.total_ns;
            own.least_ns = own.least_ns.min(theirs.least_ns);
            own.most_ns = own.most_ns.max(theirs.most_ns);
            own.items += theirs.items;
            own.add(theirs);
        }
    }

    fn rows(&self, above: &str, depth: usize, wall_s: f64, rows: &mut Vec<ProfileRow>) {
        let path = if above.is_empty() { self.name.to_string() } else { format!("{above}/{}", self.name) };
        let total_s = self.total_ns as f64 * 1e-9;
        let within: u64 = self.children.iter().map(|child| child.total_ns).sum();
        rows.push(ProfileRow {
            path: path.clone(),
            depth,
            calls: self.calls,
            total_s,
            self_s: self.total_ns.saturating_sub(within) as f64 * 1e-9,
            mean_s: total_s / self.calls.max(1) as f64,
            least_s: if self.calls == 0 { 0.0 } else { self.least_ns as f64 * 1e-9 },
            most_s: self.most_ns as f64 * 1e-9,
            share: if wall_s > 0.0 { total_s / wall_s } else { 0.0 },
            threads: self.threads,
            items: self.items,
            ns_an_item: (self.items > 0).then(|| self.total_ns as f64 / self.items as f64),
        });
        self.children.iter().for_each(|child| child.rows(&path, depth + 1, wall_s, rows));
    }
}
