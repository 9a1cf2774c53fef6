//! Files of other programs are read: spikes by BMTK and NEST, a published connectome.

use std::path::PathBuf;
use tessera::interop::{edge_list, table};
use tessera::storage::read_spikes;

/// A file of the data folder, if that is there.
fn data(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TESSERA_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = folder.join(file);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no data ({})", path.display());
    None
}

#[test]
fn spikes_by_bmtk_and_nest() {
    let Some(path) = data("sonata_300_pointneurons/nest310_reference_spikes_dt0.1.h5") else { return };
    let populations = read_spikes(path).unwrap();
    assert_eq!(populations.len(), 1);
    let spikes = &populations[0];
    assert_eq!((spikes.name.as_str(), spikes.times_ms.len()), ("internal", 18_777));
    assert!(spikes.times_ms.is_sorted() && spikes.times_ms[0] > 0.0 && *spikes.times_ms.last().unwrap() <= 1_500.0);
    let mut ids = spikes.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), ids.last()), (299, Some(&299)));
}

#[test]
fn external_spike_trains() {
    let path = "sonata_300_pointneurons/examples/300_pointneurons/inputs/external_spike_trains.h5";
    let Some(path) = data(path) else { return };
    let populations = read_spikes(path).unwrap();
    let [spikes] = populations.as_slice() else { panic!("{} populations", populations.len()) };
    assert_eq!((spikes.name.as_str(), spikes.times_ms.len(), spikes.ids.len()), ("", 4_334, 4_334));
    assert!(spikes.times_ms.is_sorted(), "the file has them by neuron");
}

#[test]
fn larva_connectome() {
    let (Some(edges), Some(cells)) = (data("larva/G_edgelist.txt"), data("larva/meta_data.csv")) else { return };
    let edges = edge_list::read(edges).unwrap();
    assert_eq!(edges.len(), 119_010);
    assert_eq!((edges[0].source, edges[0].target, edges[0].weight, edges[0].delay), (29, 8_419_602, Some(9.0), None));
    let synapses: f64 = edges.iter().filter_map(|e| e.weight).sum();
    assert_eq!(synapses, 376_091.0);
    let cells = table::read_columns(cells).unwrap();
    let ids = cells.indices("").unwrap(); // the index column has no name
    assert_eq!((ids[0], ids.len()), (29, cells.rows()));
    assert_eq!(cells.text("class1").unwrap()[0], "KC");
    let known: std::collections::HashSet<u64> = ids.into_iter().collect();
    let unknown = edges.iter().filter(|e| !known.contains(&e.source) || !known.contains(&e.target)).count();
    assert_eq!(unknown, 0);
}
