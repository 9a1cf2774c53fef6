//! The folder of reports: one folder for each benchmark, and baselines by name.

use super::compare::Comparison;
use super::measurements::{Kind, Measurements};
use super::page;
use crate::error::{Error, Result, did_you_mean};
use crate::plot::{Picture, TimingRow, Timings};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Folder of the baselines, within that of the reports.
const BASELINES: &str = "baselines";

/// Where reports and baselines are kept.
#[derive(Debug, Clone)]
pub struct Reports {
    folder: PathBuf,
}

impl Reports {
    /// Reports in this folder, which is made when the first is written.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn baseline_file(&self, name: &str) -> Result<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
            return Err(Error::Usage(format!(
                "`{name}` is no name for a baseline; allowed are letters, digits, `-`, `_` and `.`, not in first place"
            )));
        }
        Ok(self.folder.join(BASELINES).join(format!("{name}.json")))
    }

    /// Names of the baselines, sorted.
    pub fn baselines(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.join(BASELINES)).into_iter().flatten().flatten();
        let name =
            |entry: std::fs::DirEntry| entry.file_name().into_string().ok()?.strip_suffix(".json").map(str::to_owned);
        let mut names: Vec<String> = entries.filter_map(name).collect();
        names.sort();
        names
    }

    /// Reads the baseline of that name, which has to be of measurements of this kind.
    ///
    /// # Errors
    /// There is none of the name, it is of another kind, or the file is damaged.
    pub fn baseline(&self, name: &str, kind: Kind) -> Result<Measurements> {
        let file = self.baseline_file(name)?;
        let text = std::fs::read(&file).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                let known = self.baselines();
                let near = did_you_mean(name, known.iter().map(String::as_str));
                let hint = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Error::Usage(format!(
                    "there is no baseline `{name}` in {}{hint}; there are {known}; --save-baseline {name} makes it",
                    self.folder.display()
                ))
            }
            _ => Error::io(&file, "read", e),
        })?;
        let wrong = |message: String| Error::format(&file, message);
        let baseline: Measurements =
            serde_json::from_slice(&text).map_err(|e| wrong(format!("it holds no measurements: {e}")))?;
        if baseline.kind != kind {
            return Err(Error::Usage(format!(
                "baseline `{name}` is of `tessera bench {}`, not of `tessera bench {}`",
                baseline.kind.name(),
                kind.name()
            )));
        }
        let sound = |s: &f64| s.is_finite() && *s > 0.0;
        match baseline.items.iter().find(|item| item.samples_s.is_empty() || !item.samples_s.iter().all(sound)) {
            Some(item) => Err(wrong(format!("the samples of `{}` are not times above 0", item.name))),
            None => Ok(baseline),
        }
    }

    /// Refuses to make a baseline of a name that is taken, unless `overwrite` is set.
    ///
    /// # Errors
    /// The name is taken, or is none.
    pub fn check_new(&self, name: &str, overwrite: bool) -> Result<()> {
        let file = self.baseline_file(name)?;
        if !overwrite && file.exists() {
            return Err(Error::Usage(format!(
                "there is a baseline `{name}` already ({}); --overwrite replaces it",
                file.display()
            )));
        }
        Ok(())
    }

    /// Keeps measurements as the baseline of that name; gives the file.
    ///
    /// # Errors
    /// The name is taken and `overwrite` is not set, or the file cannot be written.
    pub fn save_baseline(&self, name: &str, measurements: &Measurements, overwrite: bool) -> Result<PathBuf> {
        self.check_new(name, overwrite)?;
        let file = self.baseline_file(name)?;
        let folder = self.folder.join(BASELINES);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "create", e))?;
        write_new(&file, &to_json(&file, measurements)?, overwrite)?;
        Ok(file)
    }

    /// Writes a report into a folder of its own, named by the time and kind of the measurements: `report.json`,
    /// `times.svg`, the `pictures` given with their names, and `index.html`, which holds all of it. Gives the folder.
    ///
    /// # Errors
    /// The folder or a file cannot be written.
    pub fn write(
        &self,
        measurements: &Measurements,
        comparison: Option<&Comparison>,
        pictures: &[(&str, Picture)],
    ) -> Result<PathBuf> {
        let folder = self.new_folder(measurements)?;
        let report = serde_json::json!({ "measurements": measurements, "comparison": comparison });
        let file = folder.join("report.json");
        let json = to_json(&file, &report)?;
        write_new(&file, &json, false)?;
        let times = timings(measurements, comparison)?.to_svg();
        let mut drawn = vec![("times", times)];
        drawn.extend(pictures.iter().map(|(name, picture)| (*name, picture.to_svg())));
        for (name, svg) in &drawn {
            write_new(&folder.join(format!("{name}.svg")), svg.as_bytes(), false)?;
        }
        let page = page::html(measurements, comparison, &drawn, &String::from_utf8_lossy(&json));
        write_new(&folder.join("index.html"), page.as_bytes(), false)?;
        Ok(folder)
    }

    /// A folder that did not exist before.
    fn new_folder(&self, measurements: &Measurements) -> Result<PathBuf> {
        std::fs::create_dir_all(&self.folder).map_err(|e| Error::io(&self.folder, "create", e))?;
        // Colons are not allowed in the names of files everywhere.
        let name = format!("{}_{}", measurements.made.replace(':', "-"), measurements.kind.name());
        for number in 1.. {
            let folder = self.folder.join(if number == 1 { name.clone() } else { format!("{name}_{number}") });
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(folder),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(&folder, "create", e)),
            }
        }
        unreachable!("numbers do not end")
    }
}

/// Every item's samples over the median of its baseline, or over its own.
fn timings(measurements: &Measurements, comparison: Option<&Comparison>) -> Result<Picture> {
    let row = |item: &super::Item| {
        let change = comparison.and_then(|c| c.change(&item.name));
        let reference = change.and_then(|change| change.before_s);
        TimingRow {
            name: item.name.clone(),
            seconds: item.samples_s.clone(),
            reference: reference.unwrap_or_else(|| item.median_s()),
            bound: if reference.is_some() { change.map_or(0.0, |change| change.bound) } else { 0.0 },
        }
    };
    let rows: Vec<TimingRow> = measurements.items.iter().map(row).collect();
    let title = format!("tessera bench {}", measurements.kind.name());
    let against = comparison.map_or_else(
        || "every repeat over the median".to_owned(),
        |c| format!("every repeat over the median of baseline {}; the band is noise", c.baseline),
    );
    Timings { rows: &rows, title, subtitle: against }.picture()
}

fn to_json(file: &Path, value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| Error::format(file, e.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

fn write_new(file: &Path, bytes: &[u8], overwrite: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    let options = if overwrite { options.create(true).truncate(true) } else { options.create_new(true) };
    let written = options.open(file).and_then(|mut to| to.write_all(bytes));
    written.map_err(|e| Error::io(file, "write", e))
}

#[cfg(test)]
mod tests {
    use super::super::Item;
    use super::*;

    fn measured() -> Measurements {
        let items = vec![Item::new("a <b>", vec![0.1, 0.11, 0.12]).with("threads", 2), Item::new("c", vec![2.0])];
        Measurements { items, ..Measurements::now(Kind::Run, "avx2") }
    }

    #[test]
    fn reports_get_folders_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let reports = Reports::in_folder(dir.path().join("reports"));
        let now = measured();
        let first = reports.write(&now, None, &[]).unwrap();
        let comparison = Comparison::new("base", &now, &now);
        let second = reports.write(&now, Some(&comparison), &[]).unwrap();
        assert_ne!(first, second);
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(second.join("report.json")).unwrap()).unwrap();
        assert_eq!(json["measurements"]["items"][1]["samples_s"][0], 2.0);
        assert_eq!(json["comparison"]["changes"][0]["verdict"], "same");
        let page = std::fs::read_to_string(second.join("index.html")).unwrap();
        assert!(page.contains("<svg") && page.contains("a &lt;b&gt;") && !page.contains("a <b>"), "{page}");
        // Nothing is fetched from elsewhere.
        assert!(!page.contains("src="), "{page}");
        assert_eq!(page.matches("href=").count(), page.matches("href=\"#").count(), "{page}");
        assert!(std::fs::read_to_string(second.join("times.svg")).unwrap().contains("<svg"));
    }

    #[test]
    fn baselines_are_kept_by_name_and_not_replaced_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let reports = Reports::in_folder(dir.path());
        let now = measured();
        let error = |found: Result<Measurements>| found.unwrap_err().to_string();
        assert!(error(reports.baseline("main", Kind::Run)).contains("there are none"));
        reports.save_baseline("main", &now, false).unwrap();
        assert_eq!(reports.baseline("main", Kind::Run).unwrap(), now);
        assert!(error(reports.baseline("mian", Kind::Run)).contains("did you mean `main`?"));
        assert!(
            error(reports.baseline("main", Kind::Ops))
                .contains("is of `tessera bench run`, not of `tessera bench ops`")
        );
        let taken = reports.save_baseline("main", &now, false).unwrap_err().to_string();
        assert!(taken.contains("there is a baseline `main` already"), "{taken}");
        reports.save_baseline("main", &now, true).unwrap();
        assert!(reports.save_baseline("../x", &now, false).is_err() && reports.baselines() == ["main"]);
        std::fs::write(dir.path().join("baselines/bad.json"), "{}").unwrap();
        assert!(error(reports.baseline("bad", Kind::Run)).contains("it holds no measurements"));
    }
}
