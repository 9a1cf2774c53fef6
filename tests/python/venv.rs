//! Python with the packages that read result files, for the tests that need it.
//!
//! The packages are installed once into a virtual environment under `target`. Without Python or a package registry a
//! test says that it is skipped, and why; with `TESSERA_REQUIRE_PYTHON=1` it fails instead.

use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 3] = ["h5py>=3.10", "libsonata>=0.2,<0.3", "numpy"];

/// Python with the packages; where there is none, says so and returns nothing.
#[allow(dead_code)]
pub fn python() -> Option<PathBuf> {
    found(install("python-readers", &[&PACKAGES], "import h5py, libsonata, numpy"))
}

/// The same with BMTK's readers of networks, without the many packages that BMTK asks for and its readers do not use.
#[allow(dead_code)]
pub fn python_with_bmtk() -> Option<PathBuf> {
    let (with, bmtk) = ([PACKAGES.as_slice(), &["pandas", "six"]].concat(), ["--no-deps", "bmtk>=1.2,<1.3"]);
    found(install("python-bmtk", &[&with, &bmtk], "import h5py, libsonata, bmtk.utils.sonata"))
}

/// Python with `safetensors` and NumPy.
#[allow(dead_code)]
pub fn python_with_safetensors() -> Option<PathBuf> {
    found(install("python-tensors", &[&["safetensors>=0.4", "numpy"]], "import safetensors.numpy, numpy"))
}

fn found(installed: Result<PathBuf, String>) -> Option<PathBuf> {
    match installed {
        Ok(python) => Some(python),
        Err(reason) if std::env::var_os("TESSERA_REQUIRE_PYTHON").is_some() => panic!("{reason}"),
        Err(reason) => {
            println!("skipped: no Python with the packages this test reads with: {reason}");
            None
        }
    }
}

/// Compares the files in a folder with its `expected.json`.
#[allow(dead_code)]
pub fn compare(python: &Path, folder: &Path) {
    run_script(python, "read_results.py", folder);
}

/// Runs a script of `tests/python` on a folder; what it finds wrong fails the test.
#[allow(dead_code)]
pub fn run_script(python: &Path, script: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    match run(Command::new(python).arg(script).arg(folder)) {
        Ok(versions) => print!("{versions}"),
        Err(error) => panic!("{error}"),
    }
}

/// Installs groups of packages, one after the other, into a virtual environment of that name.
fn install(name: &str, groups: &[&[&str]], import: &str) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let venv = folder.join(name);
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // Test programs may run side by side; one of them installs.
    let lock = std::fs::File::create(folder.join(format!("{name}.lock"))).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    let imported = |python: &Path| run(Command::new(python).args(["-c", import]));
    if imported(&python).is_err() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        for packages in groups {
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(*packages))?;
        }
        imported(&python)?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
