//! `checkpoint` and `inactive`: not part of SONATA; the tables of these names of TOML configurations, mostly given with
//! `--set`.

use super::super::checkpoint::{self, CheckpointSpec};
use super::super::reader::Context;
use super::super::{inactive, tree, without_nulls};
use crate::engine::Inactive;
use crate::interop::sonata::{Config, Findings};

/// Reads when checkpoints are written, if they are.
pub(super) fn checkpoint(config: &Config, dt: f64, findings: &mut Findings) -> Option<CheckpointSpec> {
    table(config, "checkpoint", dt, findings, checkpoint::read)
}

/// Reads what is done about neurons at rest, if anything.
pub(super) fn inactive(config: &Config, dt: f64, findings: &mut Findings) -> Option<Inactive> {
    table(config, "inactive", dt, findings, inactive::read)
}

fn table<R>(
    config: &Config,
    name: &str,
    dt: f64,
    findings: &mut Findings,
    read: impl FnOnce(&Context, &tree::Table, &mut serde_json::Map<String, serde_json::Value>) -> Option<R>,
) -> Option<R> {
    let section = config.section(name)?;
    let table = serde_json::json!({ name: section.value });
    let text = match toml::to_string(&without_nulls(&table)) {
        Ok(text) => text,
        Err(error) => {
            section.fault(findings, error.to_string());
            return None;
        }
    };
    let mut faults = Vec::new();
    let root = tree::parse(&text, section.file, &mut faults);
    let mut ctx = Context::new(section.file, faults);
    ctx.dt = dt;
    let read = read(&ctx, &root, &mut serde_json::Map::new());
    // Lines are those of no file the user has.
    let (faults, warnings) = ctx.into_findings();
    for fault in faults {
        findings.fault(section.file, &fault.key, fault.message);
    }
    for warning in warnings {
        findings.warn(section.file, &warning.key, warning.message);
    }
    read
}
