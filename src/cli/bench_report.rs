//! What every `tessera bench` leaves behind: a report in a folder of its own, baselines, comparison.

use super::{DONE, FAILED, say};
use crate::bench::{Comparison, Kind, Measurements, Reports, Verdict};
use crate::error::Result;
use crate::plot::Picture;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug, Clone)]
pub(super) struct ReportArgs {
    /// Folder of reports and baselines; every report gets a folder of its own in it, named by the time.
    #[arg(long, value_name = "DIR", default_value = "bench-reports")]
    reports: PathBuf,
    /// Write no report.
    #[arg(long)]
    no_report: bool,
    /// Keep the measurements as the baseline of this name.
    #[arg(long, value_name = "NAME")]
    save_baseline: Option<String>,
    /// Compare with the baseline of this name, and tell what changed by more than the noise.
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// With --save-baseline: replace a baseline of that name.
    #[arg(long, requires = "save_baseline")]
    overwrite: bool,
    /// End with exit code 1 if something is slower than the baseline by more than the noise.
    #[arg(long, requires = "baseline")]
    fail_if_slower: bool,
}

/// A benchmark whose arguments were found to be sound before anything was measured.
pub(super) struct Reporting<'a> {
    args: &'a ReportArgs,
    reports: Reports,
    baseline: Option<(&'a str, Measurements)>,
}

impl ReportArgs {
    /// Reads the baseline and refuses names that are taken.
    pub fn begin(&self, kind: Kind) -> Result<Reporting<'_>> {
        let reports = Reports::in_folder(&self.reports);
        if let Some(name) = &self.save_baseline {
            reports.check_new(name, self.overwrite)?;
        }
        let read = |name: &'_ String| reports.baseline(name, kind);
        let baseline = self.baseline.as_ref().map(|name| read(name).map(|found| (&**name, found))).transpose()?;
        Ok(Reporting { args: self, reports, baseline })
    }
}

impl Reporting<'_> {
    /// Compares, writes and tells; the exit code. With `json`, one object on the standard output if `print` is set, and
    /// what people read on the standard error stream.
    pub fn end(
        &self,
        measurements: &Measurements,
        pictures: &[(&str, Picture)],
        json: bool,
        print: bool,
    ) -> Result<u8> {
        let compared = self.baseline.as_ref().map(|(name, before)| Comparison::new(name, before, measurements));
        let tell = |text: String| {
            if json {
                eprintln!("{text}");
            } else {
                say!("{text}");
            }
        };
        if json && print {
            let object = serde_json::json!({ "measurements": measurements, "comparison": compared });
            say!("{object}");
        }
        if let Some(comparison) = &compared {
            tell(format!("\n{comparison}"));
        }
        if let Some(name) = &self.args.save_baseline {
            let file = self.reports.save_baseline(name, measurements, self.args.overwrite)?;
            tell(format!("baseline   {}", file.display()));
        }
        if !self.args.no_report {
            let folder = self.reports.write(measurements, compared.as_ref(), pictures)?;
            tell(format!("report     {}", folder.join("index.html").display()));
        }
        let slower = compared.map_or(0, |comparison| comparison.count(Verdict::Slower));
        if self.args.fail_if_slower && slower > 0 {
            eprintln!("error: {slower} measurements are slower than the baseline by more than the noise");
            return Ok(FAILED);
        }
        Ok(DONE)
    }
}
