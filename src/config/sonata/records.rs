//! `output` and `reports`: what is recorded, and where it goes.

use super::super::record::{RecordKind, RecordSpec};
use super::super::run::{OutputSpec, SpikesFormat, off_grid};
use super::Building;
use super::inputs::{chosen, selection};
use super::run::time;
use crate::engine::StateRecording;
use crate::error::did_you_mean;
use crate::interop::sonata::{Config, Findings, Item, NodeSets};
use std::path::{Path, PathBuf};

/// Reads where results go. The folder is relative to that of the configuration.
pub(super) fn output(config: &Config, findings: &mut Findings) -> OutputSpec {
    let stem = config.path().file_stem().map_or_else(|| "run".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let mut output = OutputSpec {
        dir: PathBuf::from(format!("results/{stem}")),
        spikes_format: SpikesFormat::Sonata,
        pictures: false,
        overwrite: false,
    };
    let mut overwrite = config.section("run").and_then(|run| run.get("overwrite_output_dir"));
    if let Some(section) = config.section("output") {
        section.warn_unknown(
            findings,
            &[
                "output_dir",
                "overwrite_output_dir",
                "spikes_file",
                "spikes_file_csv",
                "spikes_file_nwb",
                "spikes_sort_order",
                "log_file",
                "log_level",
                "log_format",
                "log_to_console",
                "quiet_simulator",
                "compression",
                "cache_to_disk",
                "pictures",
            ],
        );
        if let Some(dir) = section.get("output_dir").and_then(|dir| dir.path(findings)) {
            output.dir = dir;
        }
        overwrite = section.get("overwrite_output_dir").or(overwrite);
        output.pictures = section.get("pictures").and_then(|pictures| pictures.boolean(findings)).unwrap_or(false);
        if let Some(order) = section.get("spikes_sort_order")
            && !matches!(order.value.as_str(), Some("time" | "by_time" | "none" | ""))
        {
            order.warn(findings, format!("spikes are always in order of time; `{}` has no effect", order.shown()));
        }
        if let Some(nwb) = section.get("spikes_file_nwb") {
            nwb.warn(findings, "NWB files are not written; spikes go to a SONATA file");
        }
    }
    output.overwrite = overwrite.and_then(|item| item.boolean(findings)).unwrap_or(false);
    output
}

/// Reads what is recorded: the spikes of all neurons, and the reports.
pub(super) fn build(ctx: &mut Building<'_>, config: &Config, sets: &NodeSets, duration: f64) -> Vec<RecordSpec> {
    let mut records = spikes(ctx, config);
    let entries = config.section("reports").map(|section| section.entries(&mut ctx.findings)).unwrap_or_default();
    for (name, item) in entries {
        if !item.value.is_object() {
            item.wrong(&mut ctx.findings, "an object");
            continue;
        }
        if item.get("enabled").and_then(|enabled| enabled.boolean(&mut ctx.findings)) == Some(false) {
            continue;
        }
        let Some(recordings) = report(ctx, name, &item, sets, duration) else { continue };
        let stem =
            item.get("file_name").and_then(|file| file.text(&mut ctx.findings)).map_or(name, file_stem).to_owned();
        let taken = |name: &str| records.iter().any(|record| record.name == name);
        let mut unique = stem.clone();
        let mut number = 1;
        while taken(&unique) {
            number += 1;
            unique = format!("{stem}_{number}");
        }
        let single = recordings.len() == 1;
        let recordings = recordings
            .into_iter()
            .map(|mut recording| {
                let population = &ctx.parts[recording.population].name;
                recording.name = if single { unique.clone() } else { format!("{unique}.{population}") };
                recording.population = ctx.parts[recording.population].id.0;
                recording
            })
            .collect();
        records.push(RecordSpec { name: unique, kind: RecordKind::State(recordings) });
    }
    records
}

fn file_stem(name: &str) -> &str {
    Path::new(name).file_stem().and_then(|stem| stem.to_str()).filter(|stem| !stem.is_empty()).unwrap_or("report")
}

fn spikes(ctx: &mut Building<'_>, config: &Config) -> Vec<RecordSpec> {
    let populations: Vec<String> =
        ctx.parts.iter().filter(|part| part.template.is_some()).map(|part| part.name.clone()).collect();
    let section = config.section("output");
    let mut named = |key: &str| {
        let item = section.as_ref()?.get(key)?;
        item.text(&mut ctx.findings).map(|text| file_stem(text).to_owned())
    };
    let (sonata, csv) = (named("spikes_file"), named("spikes_file_csv"));
    let record = |name: String, format| RecordSpec {
        name,
        kind: RecordKind::Spikes { populations: populations.clone(), format },
    };
    match (sonata, csv) {
        (None, Some(csv)) => vec![record(csv, SpikesFormat::Csv)],
        (sonata, csv) => {
            let mut records = vec![record(sonata.unwrap_or_else(|| "spikes".to_owned()), SpikesFormat::Sonata)];
            records.extend(csv.map(|csv| record(csv, SpikesFormat::Csv)));
            records
        }
    }
}

const KEYS: [&str; 20] = [
    "module",
    "type",
    "cells",
    "variable_name",
    "file_name",
    "start_time",
    "end_time",
    "tstart",
    "tstop",
    "dt",
    "interval",
    "enabled",
    "sections",
    "unit",
    "buffer",
    "buffer_data",
    "transform",
    "compression",
    "to_h5",
    "delete_dat",
];

/// One report: a recording for each part of the network, with the part's index in place of the population's.
fn report(
    ctx: &mut Building<'_>,
    name: &str,
    item: &Item<'_>,
    sets: &NodeSets,
    duration: f64,
) -> Option<Vec<StateRecording>> {
    item.warn_unknown(&mut ctx.findings, &KEYS);
    let before = ctx.findings.count();
    let modules = ["membrane_report", "multimeter", "multimeter_report"];
    match (item.get("module"), item.get("type")) {
        (Some(module), _) => {
            let text = module.text(&mut ctx.findings)?;
            if !modules.contains(&text) {
                let hint =
                    did_you_mean(text, modules).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                let message = format!("module `{text}` is not supported; {} are{hint}", modules.join(", "));
                module.fault(&mut ctx.findings, message);
            }
        }
        (None, Some(kind)) => {
            if kind.text(&mut ctx.findings)? != "compartment" {
                kind.fault(&mut ctx.findings, format!("type `{}` is not supported; compartment is", kind.shown()));
            }
        }
        (None, None) => item.missing(&mut ctx.findings, "module", "membrane_report or multimeter_report"),
    }
    if let Some(transform) = item.get("transform").filter(|t| t.value.as_object().is_none_or(|map| !map.is_empty())) {
        transform.fault(&mut ctx.findings, "transformations of recorded values are not supported");
    }
    let of_parts = match item.get("cells") {
        Some(query) => chosen(ctx, &query, sets, false),
        None => {
            let all = serde_json::Value::String("all".to_owned());
            chosen(ctx, &Item { value: &all, file: item.file, key: format!("{}.cells", item.key) }, sets, false)
        }
    };
    let variables = match item.get("variable_name") {
        Some(names) => names.one_or_more(),
        None => {
            item.missing(&mut ctx.findings, "variable_name", "a state variable such as V_m, or a list");
            Vec::new()
        }
    };
    let start = first_of(item, ["start_time", "tstart"], &mut ctx.findings).unwrap_or(0.0);
    let stop = first_of(item, ["end_time", "tstop"], &mut ctx.findings);
    let interval = first_of(item, ["dt", "interval"], &mut ctx.findings).unwrap_or(ctx.dt);
    if start < 0.0 || interval <= 0.0 || stop.is_some_and(|stop| stop <= start) {
        let message =
            format!("samples from {start} ms to {} ms every {interval} ms are not possible", stop.unwrap_or(duration));
        item.fault(&mut ctx.findings, message);
    }
    let of_parts = of_parts?;
    if ctx.findings.count() > before {
        return None;
    }
    if let Some(rounded) = off_grid(interval, ctx.dt) {
        let message =
            format!("{interval} ms is not a multiple of dt = {} ms; it becomes {} ms", ctx.dt, rounded.max(ctx.dt));
        item.warn(&mut ctx.findings, message);
    }
    let mut recordings = Vec::new();
    for (part, neurons) in of_parts {
        let template = ctx.parts[part].template?;
        let mut own = Vec::new();
        for variable in &variables {
            let Some(text) = variable.text(&mut ctx.findings) else { continue };
            match template.variable(text) {
                Some(found) => own.push(found.to_owned()),
                None => {
                    let known = || template.recordables.iter().map(|(nest, _)| *nest);
                    let hint =
                        did_you_mean(text, known()).map_or(String::new(), |near| format!("did you mean `{near}`? "));
                    let message = format!(
                        "`nest:{}` has no variable `{text}`; {hint}it has {}",
                        template.nest,
                        known().collect::<Vec<_>>().join(", ")
                    );
                    variable.fault(&mut ctx.findings, message);
                }
            }
        }
        recordings.push(StateRecording {
            name: name.to_owned(),
            population: part,
            variables: own,
            units: Vec::new(),
            neurons: selection(ctx, part, neurons),
            every: (interval / ctx.dt).round().max(1.0) as u64,
            start,
            stop: stop.unwrap_or(f64::INFINITY),
        });
    }
    (ctx.findings.count() == before).then_some(recordings)
}

fn first_of(item: &Item<'_>, keys: [&str; 2], findings: &mut Findings) -> Option<f64> {
    keys.into_iter().find_map(|key| time(item, key, findings))
}
