//! `[lattice]` and `[area.NAME]`.

use super::keys::{AREA, LATTICE};
use super::reader::{Context, Section, unknown};
use super::tree::{Place, Table};
use crate::lattice::{AXES, Box4, Lattice4};
use crate::model::AreaSpec;
use serde_json::{Map, Value};

/// Name of the area that is the whole lattice.
const WHOLE: &str = "lattice";

/// The lattice and its named boxes.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) lattice: Option<Lattice4>,
    pub(super) areas: Vec<AreaSpec>,
    /// Whether `[lattice]` was written, right or wrong: without it, areas are faults of their own.
    written: bool,
    /// Names of all areas that were written, right or wrong.
    names: Vec<String>,
}

impl Space {
    /// Reads both; the values for the resolved configuration go into `resolved`.
    pub(super) fn read(ctx: &Context, root: &Table, resolved: &mut Map<String, Value>) -> Self {
        let mut space = Self { written: root.get("lattice").is_some(), ..Self::default() };
        if space.written {
            let section = Section::top(ctx, root, "lattice", &LATTICE);
            space.lattice = lattice(&section);
            resolved.insert("lattice".into(), section.finish(None).into());
        }
        let mut areas = Map::new();
        for (name, section) in Section::all(ctx, root, "area", &AREA) {
            if name == WHOLE {
                let message = "the name `lattice` is taken: it is the area of all cells; choose another";
                ctx.fault(&section.path, section.place, message);
            }
            if let Some(region) = space.region(&section) {
                space.areas.push(AreaSpec { name: name.clone(), region });
            }
            space.names.push(name.clone());
            areas.insert(name, section.finish(None).into());
        }
        if !areas.is_empty() {
            resolved.insert("area".into(), areas.into());
        }
        space
    }

    /// A box from the keys x, y, z, w; whole axes where they are absent.
    pub(super) fn region(&self, section: &Section<'_>) -> Option<Box4> {
        let ranges: [Option<Option<Vec<i64>>>; 4] = AXES.map(|axis| section.has(axis).then(|| section.integers(axis)));
        let Some(lattice) = &self.lattice else {
            if !self.written {
                section.ctx.fault(&section.path, section.place, "boxes of cells need a lattice; add a [lattice] table");
            }
            for (axis, range) in AXES.iter().zip(ranges) {
                if let Some(Some(range)) = range
                    && range[0] >= range[1]
                {
                    section.fault(
                        axis,
                        format!("[{}, {}] holds no cell; the second is one past the last", range[0], range[1]),
                    );
                }
            }
            return None;
        };
        let mut region = lattice.bounds();
        let mut good = true;
        for (a, range) in ranges.into_iter().enumerate() {
            let Some(range) = range else { continue };
            let Some(range) = range else {
                good = false;
                continue;
            };
            let cells = i64::from(lattice.shape[a]);
            if range[0] >= range[1] || range[1] > cells {
                let message = format!(
                    "[{}, {}] is not a range of cells; along {} there are {cells}, so that 0 <= first < last <= {cells} is allowed",
                    range[0], range[1], AXES[a]
                );
                section.fault(AXES[a], message);
                good = false;
            } else {
                (region.lo[a], region.hi[a]) = (range[0] as u32, range[1] as u32);
            }
        }
        good.then_some(region)
    }

    /// The box of a named area; a fault if there is none of that name.
    pub(super) fn area(&self, ctx: &Context, name: &str, key: &str, place: Place) -> Option<Box4> {
        if name == WHOLE {
            if !self.written {
                ctx.fault(key, place, "this file has no lattice; add a [lattice] table");
            }
            return self.lattice.as_ref().map(Lattice4::bounds);
        }
        if let Some(area) = self.areas.iter().find(|area| area.name == name) {
            return Some(area.region);
        }
        if !self.names.iter().any(|known| known == name) {
            let known = self.names.iter().map(String::as_str).chain(self.written.then_some(WHOLE));
            ctx.fault(key, place, unknown("area", name, known));
        }
        None
    }
}

fn lattice(section: &Section<'_>) -> Option<Lattice4> {
    let shape = section.integers("shape");
    let spacing = section.one_or_each("spacing", 4, "axes");
    let periodic = section.one_or_each_bool("periodic", 4, "axes");
    Some(Lattice4 {
        shape: shape?.iter().map(|n| *n as u32).collect::<Vec<_>>().try_into().ok()?,
        spacing: spacing?.try_into().ok()?,
        periodic: periodic?.try_into().ok()?,
    })
}
