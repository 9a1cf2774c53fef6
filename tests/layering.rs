//! Imports point down: a module names only modules of a lower rank, or itself. New modules need a rank.

use std::fs;
use std::path::Path;

/// Every top module with its rank; see ARCHITECTURE.md.
const RANKS: &[(&str, u8)] = &[
    ("error", 0),
    ("rng", 0),
    ("metrics", 0),
    ("claims", 1),
    ("compute", 1),
    ("lattice", 1),
    ("sparse", 2),
    ("precision", 2),
    ("neuron", 3),
    ("tensor", 3),
    ("nn", 4),
    ("synapse", 4),
    ("model", 5),
    ("quant", 5),
    ("optim", 5),
    ("engine", 6),
    ("storage", 7),
    ("interop", 7),
    ("config", 8),
    ("plot", 8),
    ("bench", 9),
    ("op_bench", 9),
    ("scaling", 9),
    ("cli", 10),
];

fn rank(module: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}

/// The names that follow `crate::` on a line of code; empty for a group such as `crate::{a, b}`.
fn named_modules(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("crate::").filter(move |(at, _)| !code[..*at].ends_with('$')).map(move |(at, found)| {
        let rest = &code[at + found.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn visit(folder: &Path, top: Option<&str>, faults: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the source folder is readable") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|s| s.to_str()).expect("a UTF-8 name").to_owned();
        let module = top.unwrap_or(&stem);
        if path.is_dir() {
            visit(&path, Some(module), faults);
            continue;
        }
        if path.extension().is_none_or(|e| e != "rs") || (top.is_none() && ["lib", "main"].contains(&module)) {
            continue;
        }
        let Some(own) = rank(module) else {
            faults.push(format!("{}: module `{module}` has no rank in tests/layering.rs", path.display()));
            continue;
        };
        let text = fs::read_to_string(&path).expect("a UTF-8 source file");
        for (number, line) in text.lines().enumerate() {
            for used in named_modules(line) {
                let place = format!("{}:{}", path.display(), number + 1);
                if used.is_empty() {
                    faults.push(format!("{place}: name one module in each `use crate::`"));
                } else if used != module && rank(used).is_some_and(|rank| rank >= own) {
                    faults.push(format!("{place}: `{module}` (rank {own}) must not use `{used}`"));
                }
            }
        }
    }
}

#[test]
fn imports_point_down() {
    let mut faults = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, &mut faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_has_a_folder_or_file() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (module, _) in RANKS.iter().filter(|(m, _)| !["metrics", "scaling"].contains(m)) {
        let there = source.join(module).is_dir() || source.join(format!("{module}.rs")).is_file();
        assert!(there, "tests/layering.rs ranks `{module}`, which does not exist");
    }
}
