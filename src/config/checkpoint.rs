//! `[checkpoint]`: when the state of a run is written, so that it can go on after a kill.

use super::keys::CHECKPOINT;
use super::reader::{Context, Section};
use super::record::on_grid;
use super::tree::Table;
use serde_json::{Map, Value};
use std::time::Duration;

/// When checkpoints are written, and how many are kept. None of it changes a result.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointSpec {
    /// Steps between two, counted from the beginning of the run.
    pub every: Option<u64>,
    /// Wall-clock time between two.
    pub every_wall: Option<Duration>,
    /// How many of the newest are kept.
    pub keep: usize,
    /// Whether signals call for one: SIGINT and SIGTERM before the run ends, SIGUSR1 before it goes on.
    pub on_signal: bool,
}

/// Longest time between two checkpoints, s: a duration of the system holds it.
const LONGEST_WALL: f64 = 1e9;

/// Reads `[checkpoint]`, if there is one.
pub(super) fn read(ctx: &Context, root: &Table, resolved: &mut Map<String, Value>) -> Option<CheckpointSpec> {
    root.get("checkpoint")?;
    let section = Section::top(ctx, root, "checkpoint", &CHECKPOINT);
    let every = if section.has("every") { section.quantity("every") } else { None };
    let every = every.map(|time| (on_grid(&section, "every", time) / ctx.dt).round() as u64);
    let every_wall = if section.has("every_wall") { section.quantity("every_wall") } else { None };
    let keep = section.integer("keep");
    let on_signal = section.boolean("on_signal");
    if !section.has("every") && !section.has("every_wall") && on_signal == Some(false) {
        let message = "no checkpoint would ever be written; give `every` or `every_wall`, or set on_signal = true";
        section.fault("on_signal", message);
    }
    section.mark("every");
    section.mark("every_wall");
    resolved.insert("checkpoint".into(), section.finish(None).into());
    Some(CheckpointSpec {
        every,
        every_wall: every_wall.map(|s| Duration::from_secs_f64(s.min(LONGEST_WALL))),
        keep: keep? as usize,
        on_signal: on_signal?,
    })
}
