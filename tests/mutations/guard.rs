//! What holds a mutation test together: a count of memory, limits of the process, and a process of its own for the cases,
//! so that a crash or a hang is told with the case it happened in.

#![allow(unsafe_code)] // Counting allocations and setting limits takes it; see each block.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Most memory a case may take at a time, bytes.
const MOST: usize = 512 << 20;
/// An allocation beyond this is refused, so that a machine of little memory survives the test.
const REFUSED: usize = 3 << 30;
/// Address space of the process, bytes: this bounds what is mapped rather than allocated.
const ADDRESSES: u64 = 12 << 30;
/// A process that takes so long hangs. It takes under a minute; nothing else depends on the clock.
const PATIENCE: Duration = Duration::from_secs(900);

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator with a count of what is live.
pub struct Counting;

fn grown(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
}

/// Says who asked for that much, which the abort that may follow does not.
fn refuse(bytes: usize) -> *mut u8 {
    PEAK.fetch_max(bytes, Relaxed);
    eprintln!("{bytes} bytes were asked for by:\n{}", std::backtrace::Backtrace::force_capture());
    std::ptr::null_mut()
}

// SAFETY: every call is passed on unchanged; only numbers are kept beside it. Null is what an allocator returns for what
// it does not have.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > REFUSED {
            return refuse(layout.size());
        }
        grown(layout.size());
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > REFUSED {
            return refuse(layout.size());
        }
        grown(layout.size());
        // SAFETY: promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > REFUSED {
            return refuse(size);
        }
        grown(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: promised by the caller.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Limits the address space of this process.
fn limit_addresses() {
    #[cfg(target_os = "linux")]
    {
        let limit = libc::rlimit { rlim_cur: ADDRESSES, rlim_max: ADDRESSES };
        // SAFETY: the call reads the limit it is given.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
        assert_eq!(set, 0, "the limit is set");
    }
}

const CHILD: &str = "TESSERA_MUTATIONS_OF";
const LATEST: &str = "TESSERA_MUTATIONS_LATEST";

/// Runs the cases of a test in a process of its own, which is the same program with this one test.
pub fn apart(name: &str, cases: impl FnOnce(&mut Cases)) {
    if std::env::var(CHILD).is_ok_and(|of| of == name) {
        limit_addresses();
        let mut all = Cases::new(name, std::env::var_os(LATEST).map(PathBuf::from));
        cases(&mut all);
        return all.finish();
    }
    let folder = scratch();
    let latest = folder.path().join("latest");
    let output = std::fs::File::create(folder.path().join("output")).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .env(LATEST, &latest)
        .env("RUST_BACKTRACE", "0")
        .env("RUST_MIN_STACK", (2 << 20).to_string())
        .stdout(Stdio::from(output.try_clone().unwrap()))
        .stderr(Stdio::from(output))
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = String::from_utf8_lossy(&std::fs::read(folder.path().join("output")).unwrap()).into_owned();
    let last = std::fs::read_to_string(&latest).unwrap_or_default();
    match status {
        Some(status) if status.success() => println!("{said}"),
        Some(status) => panic!("{name}: {status}; the last case was `{last}`\n{said}"),
        None => panic!("{name}: it hangs in the case `{last}`\n{said}"),
    }
}

/// A folder for files that are written anew all the time: in memory where there is such a place.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = tempfile::tempdir_in(memory)
    {
        return folder;
    }
    tempfile::tempdir().unwrap()
}

static PANIC: Mutex<String> = Mutex::new(String::new());
/// Whether a case is under way, whose panics are kept rather than printed.
static WITHIN: AtomicBool = AtomicBool::new(false);

/// The cases of one test: counts them and keeps what is wrong.
pub struct Cases {
    name: String,
    latest: Option<PathBuf>,
    /// Cases, of which so many gave something and so many were refused at some point.
    pub number: usize,
    read: usize,
    refused: usize,
    most: usize,
    failures: Vec<String>,
}

impl Cases {
    fn new(name: &str, latest: Option<PathBuf>) -> Self {
        std::panic::set_hook(Box::new(|info| {
            if WITHIN.load(Relaxed) {
                *PANIC.lock().unwrap_or_else(|e| e.into_inner()) = info.to_string();
            } else {
                eprintln!("{info}");
            }
        }));
        Self { name: name.to_owned(), latest, number: 0, read: 0, refused: 0, most: 0, failures: Vec::new() }
    }

    /// Runs a case. `label` says what was damaged and how; `folder` is where the files are that errors must name.
    /// Gives what was said against the files.
    pub fn case(&mut self, label: &str, folder: &Path, case: impl FnOnce() -> super::readers::Outcome) -> Vec<String> {
        if let Some(latest) = &self.latest {
            std::fs::write(latest, label).unwrap();
        }
        self.number += 1;
        PEAK.store(LIVE.load(Relaxed), Relaxed);
        let before = LIVE.load(Relaxed);
        WITHIN.store(true, Relaxed);
        let outcome = catch_unwind(AssertUnwindSafe(case));
        WITHIN.store(false, Relaxed);
        let taken = PEAK.load(Relaxed).saturating_sub(before);
        self.most = self.most.max(taken);
        if taken > MOST {
            self.fail(label, &format!("{} MB were taken", taken >> 20));
        }
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(_) => {
                let panic = PANIC.lock().unwrap_or_else(|e| e.into_inner()).clone();
                self.fail(label, &panic);
                return Vec::new();
            }
        };
        self.read += usize::from(outcome.read > 0);
        self.refused += usize::from(!outcome.refusals.is_empty() || !outcome.later.is_empty());
        let folder = folder.display().to_string();
        for refusal in &outcome.refusals {
            if !refusal.contains(&folder) {
                self.fail(label, &format!("this names no file: {refusal}"));
            }
        }
        let mut said = outcome.refusals;
        said.extend(outcome.later);
        said
    }

    /// Notes that a case did not end as it must.
    pub fn fail(&mut self, label: &str, why: &str) {
        self.failures.push(format!("{label}: {why}"));
    }

    /// Fails unless something that was said against the files contains `part`.
    pub fn expect(&mut self, label: &str, said: &[String], part: &str) {
        if !said.iter().any(|text| text.contains(part)) {
            self.fail(label, &format!("`{part}` is not told, but {said:?}"));
        }
    }

    fn finish(self) {
        let Self { name, number, read, refused, most, failures, .. } = self;
        let _ = std::panic::take_hook();
        println!("{name}: {number} cases, {read} read, {refused} refused, {} MB at most", most >> 20);
        let told: Vec<&str> = failures.iter().take(40).map(String::as_str).collect();
        assert!(failures.is_empty(), "{} of {number} cases failed:\n{}", failures.len(), told.join("\n"));
    }
}
