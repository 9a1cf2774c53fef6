//! `[inactive]`: what is done about neurons at rest.

use super::keys::INACTIVE;
use super::reader::{Context, Section};
use super::tree::Table;
use crate::engine::Inactive;
use serde_json::{Map, Value};

/// Reads `[inactive]`, if there is one that counts.
pub(super) fn read(ctx: &Context, root: &Table, resolved: &mut Map<String, Value>) -> Option<Inactive> {
    root.get("inactive")?;
    let section = Section::top(ctx, root, "inactive", &INACTIVE);
    let after = section.quantity("after");
    let synapses = section.boolean("synapses");
    let tolerance = if section.has("tolerance") { section.quantity("tolerance") } else { None };
    let enabled = section.boolean("enabled");
    section.mark("tolerance");
    resolved.insert("inactive".into(), section.finish(None).into());
    enabled?.then_some(())?;
    Some(Inactive { after: after?, synapses: synapses?, tolerance })
}
