//! Node sets: names for choices of nodes.
//!
//! A set is an object, whose conditions all hold (`population`, `node_id`, or a property; a list means any of its values,
//! `{"$gt": x}` and the like compare numbers), or a list of names of other sets, which means their union. `all` and the
//! names of populations are sets too, and a list of numbers is a list of node ids.

use super::config::{Config, read_object};
use super::findings::Findings;
use super::json::Item;
use super::nodes::NodePopulation;
use crate::error::{Result, did_you_mean};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::path::PathBuf;

/// The node sets of a configuration.
#[derive(Debug)]
pub struct NodeSets {
    file: PathBuf,
    sets: Json,
}

/// Who is chosen: for each population the places of its nodes, ascending.
type Choice = Vec<Vec<u32>>;

/// The sets that were named on the way to a choice.
#[derive(Default)]
struct Seen {
    names: HashSet<String>,
    depth: usize,
}

/// Sets that name sets that name sets: deeper than this they are a trap.
const DEEPEST: usize = 100;

impl NodeSets {
    /// Reads the sets a configuration has in its own `node_sets` or in the file it names with `node_sets_file`.
    ///
    /// # Errors
    /// The file cannot be read or is not JSON.
    pub fn read(config: &Config, findings: &mut Findings) -> Result<Self> {
        if let Some(own) = config.section("node_sets") {
            if !own.value.is_object() {
                own.wrong(findings, "an object of named sets");
            }
            return Ok(Self { file: own.file.to_owned(), sets: own.value.clone() });
        }
        let mut sets = Self { file: config.path().to_owned(), sets: Json::Object(serde_json::Map::new()) };
        if let Some(named) = config.section("node_sets_file")
            && let Some(path) = named.existing_file(findings)
        {
            sets.sets = Json::Object(read_object(&path)?);
            sets.file = path;
        }
        Ok(sets)
    }

    /// The nodes that a query chooses: the name of a set, or a set itself. `None` after a fault.
    pub fn select(
        &self,
        query: &Item<'_>,
        populations: &[NodePopulation],
        findings: &mut Findings,
    ) -> Option<Vec<Vec<u32>>> {
        self.choose(query, populations, findings, &mut Seen::default())
    }

    fn choose(
        &self,
        query: &Item<'_>,
        populations: &[NodePopulation],
        findings: &mut Findings,
        seen: &mut Seen,
    ) -> Option<Choice> {
        match query.value {
            Json::String(name) => self.named(query, name, populations, findings, seen),
            Json::Object(_) => conditions(query, populations, findings),
            Json::Array(items) if items.iter().any(Json::is_string) => {
                let mut union: Choice = vec![Vec::new(); populations.len()];
                for item in query.items(findings) {
                    // A set may be named many times: once is enough.
                    if item.value.as_str().is_some_and(|name| seen.names.contains(name)) {
                        continue;
                    }
                    let more = self.choose(&item, populations, findings, seen)?;
                    for (all, more) in union.iter_mut().zip(more).filter(|(_, more)| !more.is_empty()) {
                        all.extend(more);
                    }
                }
                for all in &mut union {
                    all.sort_unstable();
                    all.dedup();
                }
                Some(union)
            }
            Json::Array(_) => by_id(query, populations, &vec![true; populations.len()], findings),
            _ => {
                query.wrong(findings, "the name of a node set, an object of conditions, or a list");
                None
            }
        }
    }

    fn named(
        &self,
        query: &Item<'_>,
        name: &str,
        populations: &[NodePopulation],
        findings: &mut Findings,
        seen: &mut Seen,
    ) -> Option<Choice> {
        if let Some(set) = self.sets.get(name) {
            // In a union a set counts once, however often and deep it is named; circles end here too.
            if !seen.names.insert(name.to_owned()) {
                return Some(vec![Vec::new(); populations.len()]);
            }
            if seen.depth == DEEPEST {
                query.fault(findings, format!("node sets name each other more than {DEEPEST} deep"));
                return None;
            }
            seen.depth += 1;
            let item = Item { value: set, file: &self.file, key: name.to_owned() };
            let chosen = self.choose(&item, populations, findings, seen);
            seen.depth -= 1;
            return chosen;
        }
        let all = |population: &NodePopulation| (0..population.ids().len() as u32).collect::<Vec<u32>>();
        if name == "all" {
            return Some(populations.iter().map(all).collect());
        }
        if populations.iter().any(|population| population.name() == name) {
            let one = |p: &NodePopulation| if p.name() == name { all(p) } else { Vec::new() };
            return Some(populations.iter().map(one).collect());
        }
        let sets = self.sets.as_object().into_iter().flat_map(|sets| sets.keys().map(String::as_str));
        let known: Vec<&str> = sets.chain(populations.iter().map(NodePopulation::name)).chain(["all"]).collect();
        let hint =
            did_you_mean(name, known.iter().copied()).map_or(String::new(), |near| format!("did you mean `{near}`? "));
        query.fault(findings, format!("there is no node set `{name}`; {hint}there are {}", known.join(", ")));
        None
    }
}

fn conditions(query: &Item<'_>, populations: &[NodePopulation], findings: &mut Findings) -> Option<Choice> {
    let mut asked = vec![true; populations.len()];
    let entries = query.entries(findings);
    let mut good = true;
    for (_, item) in entries.iter().filter(|(name, _)| matches!(*name, "population" | "populations")) {
        asked = vec![false; populations.len()];
        for name in item.one_or_more() {
            let text = name.text(findings)?;
            match populations.iter().position(|p| p.name() == text) {
                Some(place) => asked[place] = true,
                None => {
                    let known: Vec<&str> = populations.iter().map(NodePopulation::name).collect();
                    let hint = did_you_mean(text, known.iter().copied())
                        .map_or(String::new(), |near| format!("did you mean `{near}`? "));
                    name.fault(
                        findings,
                        format!("there is no population `{text}`; {hint}there are {}", known.join(", ")),
                    );
                    good = false;
                }
            }
        }
    }
    let every = |i: usize| if asked[i] { (0..populations[i].ids().len() as u32).collect() } else { Vec::new() };
    let mut choice: Choice = (0..populations.len()).map(every).collect();
    for (name, item) in &entries {
        let narrowed = match *name {
            "population" | "populations" => continue,
            "node_id" | "node_ids" => by_id(item, populations, &asked, findings),
            _ => by_property(name, item, populations, &asked, findings),
        };
        let Some(narrowed) = narrowed else {
            good = false;
            continue;
        };
        for (all, some) in choice.iter_mut().zip(narrowed) {
            all.retain(|node| some.binary_search(node).is_ok());
        }
    }
    good.then_some(choice)
}

fn by_id(item: &Item<'_>, populations: &[NodePopulation], asked: &[bool], findings: &mut Findings) -> Option<Choice> {
    let mut choice: Choice = vec![Vec::new(); populations.len()];
    for id in item.one_or_more() {
        let Some(id) = id.value.as_u64() else {
            id.wrong(findings, "a node id, a whole number from 0 on,");
            return None;
        };
        for ((nodes, population), _) in choice.iter_mut().zip(populations).zip(asked).filter(|(_, asked)| **asked) {
            nodes.extend(population.place_of(id).map(|place| place as u32));
        }
    }
    for nodes in &mut choice {
        nodes.sort_unstable();
        nodes.dedup();
    }
    Some(choice)
}

/// What a property has to be.
enum Test<'a> {
    Text(&'a str),
    Number(f64),
    Compare(&'static str, f64),
}

impl Test<'_> {
    fn holds(&self, value: super::Value<'_>) -> bool {
        match self {
            Self::Text(text) => value.text == Some(text),
            Self::Number(number) => value.number == Some(*number),
            Self::Compare(how, bound) => value.number.is_some_and(|x| match *how {
                "$gt" => x > *bound,
                "$gte" => x >= *bound,
                "$lt" => x < *bound,
                _ => x <= *bound,
            }),
        }
    }
}

fn by_property(
    name: &str,
    item: &Item<'_>,
    populations: &[NodePopulation],
    asked: &[bool],
    findings: &mut Findings,
) -> Option<Choice> {
    // Tests any of which is enough; comparisons of one object must all hold.
    let (mut any, mut all) = (Vec::new(), Vec::new());
    for value in item.one_or_more() {
        match value.value {
            Json::String(text) => any.push(Test::Text(text)),
            Json::Number(_) => any.push(Test::Number(value.number(findings)?)),
            Json::Object(_) => {
                for (how, bound) in value.entries(findings) {
                    let Some(how) = ["$gt", "$gte", "$lt", "$lte"].into_iter().find(|known| *known == how) else {
                        bound.fault(findings, format!("`{how}` is not supported; supported are $gt, $gte, $lt, $lte"));
                        return None;
                    };
                    all.push(Test::Compare(how, bound.number(findings)?));
                }
            }
            _ => {
                value.wrong(findings, "a text, a number, or an object of comparisons");
                return None;
            }
        }
    }
    let mut choice = Vec::new();
    let mut found = false;
    for (population, asked) in populations.iter().zip(asked) {
        let attribute = if *asked { findings.noted(population.attribute(name))? } else { None };
        found |= attribute.is_some();
        let chosen = attribute.map_or_else(Vec::new, |attribute| {
            let holds = |node: &u32| {
                population.value(&attribute, *node as usize).is_some_and(|value| {
                    (any.is_empty() || any.iter().any(|test| test.holds(value)))
                        && all.iter().all(|test| test.holds(value))
                })
            };
            (0..population.ids().len() as u32).filter(holds).collect()
        });
        choice.push(chosen);
    }
    if !found {
        let mut known: Vec<String> = vec!["population".into(), "node_id".into()];
        for (population, _) in populations.iter().zip(asked).filter(|(_, asked)| **asked) {
            known.extend(findings.noted(population.attribute_names())?);
        }
        known.sort();
        known.dedup();
        let hint = did_you_mean(name, known.iter().map(String::as_str))
            .map_or(String::new(), |near| format!("did you mean `{near}`? "));
        item.fault(findings, format!("no node has the property `{name}`; {hint}there are {}", known.join(", ")));
        return None;
    }
    Some(choice)
}
