//! Damaged SONATA files give a network or errors: no panic, no hang, no allocation by a size that a file claims.

mod sonata_rig;

use sonata_rig::mixed;
use std::path::{Path, PathBuf};
use tessera::config::RunSpec;

/// A generator of test cases: the same in every run.
struct Cases(u64);

impl Cases {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// Most memory this process had so far, bytes; none where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Damages a file in one way, and puts it back afterwards.
fn damage(path: &Path, cases: &mut Cases) -> Vec<u8> {
    let whole = std::fs::read(path).unwrap();
    let mut bytes = whole.clone();
    // Headers stand at the beginning of most files; the rest is values.
    let reach = if cases.below(3) == 0 { bytes.len() } else { bytes.len().min(8192) };
    let at = cases.below(reach);
    match cases.below(6) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << cases.below(8),
        2 => bytes[at] = [0, 0xff, 0x7f, 0x80, b'-', b'"', b'{', b','][cases.below(8)],
        3 => {
            // Sizes and addresses are 8 bytes on boundaries of 8.
            let at = at & !7;
            let value = [u64::MAX, 1 << 40, 1 << 62, u64::from(u32::MAX), 0, whole.len() as u64][cases.below(6)];
            let end = (at + 8).min(bytes.len());
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        4 => {
            let end = (at + 1 + cases.below(64)).min(bytes.len());
            bytes[at..end].fill([0, 0xff][cases.below(2)]);
        }
        _ => {
            let from = cases.below(bytes.len());
            let length = (1 + cases.below(64)).min(bytes.len() - from.max(at));
            bytes.copy_within(from..from + length, at);
        }
    }
    std::fs::write(path, bytes).unwrap();
    whole
}

/// Damages each file `rounds` times and reads the configuration each time.
fn read_damaged(config: &Path, files: &[&str], rounds: usize) {
    let folder = config.parent().unwrap();
    assert_eq!(RunSpec::check(config, &[]).faults, []);
    let rounds = std::env::var("TESSERA_DAMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(rounds);
    let before = peak();
    let mut cases = Cases(1);
    for file in files {
        let path = folder.join(file);
        let mut refused = 0;
        for _ in 0..rounds {
            let whole = damage(&path, &mut cases);
            let check = RunSpec::check(config, &[]);
            refused += usize::from(check.spec.is_none());
            assert_eq!(check.spec.is_none(), !check.faults.is_empty());
            std::fs::write(&path, whole).unwrap();
        }
        println!("{file}: {refused} of {rounds} refused");
    }
    assert_eq!(RunSpec::check(config, &[]).faults, []);
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < 512 << 20, "{} MB were taken", (after - before) >> 20);
    }
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let config = mixed(folder.path());
    let files = [
        "net_nodes.h5",
        "ext_nodes.h5",
        "edges.h5",
        "spikes.h5",
        "net_node_types.csv",
        "edge_types.csv",
        "models/exp.json",
        "node_sets.json",
        "circuit/circuit_config.json",
        "simulation_config.json",
    ];
    read_damaged(&config, &files, 30);
}

/// Files of h5py's older layout have no checksums, so that damage reaches deeper.
#[test]
fn damaged_files_of_other_programs_are_errors() {
    let data = std::env::var_os("TESSERA_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let examples = data.join("sonata_300_pointneurons/examples");
    if !examples.exists() {
        println!("skipped: no data ({})", examples.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&examples, folder.path());
    let config = folder.path().join("300_pointneurons/simulation_config.json");
    let files = [
        "network/internal_nodes.h5",
        "network/external_nodes.h5",
        "network/internal_internal_edges.h5",
        "network/external_internal_edges.h5",
        "inputs/external_spike_trains.h5",
    ];
    read_damaged(&config, &files, 30);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            // Not with its permissions: the data may be read-only.
            std::fs::write(target, std::fs::read(&path).unwrap()).unwrap();
        }
    }
}
