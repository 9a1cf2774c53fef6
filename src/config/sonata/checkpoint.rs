//! `checkpoint`: not part of SONATA; the table of that name of TOML configurations, mostly given with `--set`.

use super::super::checkpoint::{self, CheckpointSpec};
use super::super::reader::Context;
use super::super::{tree, without_nulls};
use crate::interop::sonata::{Config, Findings};

/// Reads when checkpoints are written, if they are.
pub(super) fn read(config: &Config, dt: f64, findings: &mut Findings) -> Option<CheckpointSpec> {
    let section = config.section("checkpoint")?;
    let table = serde_json::json!({ "checkpoint": section.value });
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
    let read = checkpoint::read(&ctx, &root, &mut serde_json::Map::new());
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
