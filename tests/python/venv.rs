//! Python with the packages that read result files, for the tests that need it.
//!
//! The packages are installed once into a virtual environment under `target`. Without Python or a package registry a
//! test says that it is skipped, and why; with `TESSERA_REQUIRE_PYTHON=1` it fails instead.

use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 3] = ["h5py>=3.10", "libsonata>=0.2,<0.3", "numpy"];

/// Python with the packages; where there is none, says so and returns nothing.
pub fn python() -> Option<PathBuf> {
    match install() {
        Ok(python) => Some(python),
        Err(reason) if std::env::var_os("TESSERA_REQUIRE_PYTHON").is_some() => panic!("{reason}"),
        Err(reason) => {
            println!("skipped: no Python with h5py and libsonata: {reason}");
            None
        }
    }
}

/// Compares the files in a folder with its `expected.json`.
pub fn compare(python: &Path, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_results.py");
    match run(Command::new(python).arg(script).arg(folder)) {
        Ok(versions) => print!("{versions}"),
        Err(error) => panic!("{error}"),
    }
}

fn install() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let venv = folder.join("python-readers");
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // Test programs may run side by side; one of them installs.
    let lock = std::fs::File::create(folder.join("python-readers.lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    let import = |python: &Path| run(Command::new(python).args(["-c", "import h5py, libsonata, numpy"]));
    if import(&python).is_err() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
        import(&python)?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
