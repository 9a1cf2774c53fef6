//! Edge files: synapses from one population to others, with an index from either end.
//!
//! Edges are ordered by source and, within a source, by target, delay and weight, so that a file depends on the network
//! alone. Synapses are asked for source by source and several times over rather than kept: memory stays bounded however
//! many there are.

use super::write_hdf5::{Column, NewFile};
use super::write_spikes::end_of;
use crate::error::Result;
use std::path::{Path, PathBuf};

/// A synapse of a known source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Link {
    /// The target's number in the whole network.
    pub(super) target: u32,
    /// Delay, steps.
    pub(super) delay: u32,
    /// Weight, in the unit of the target's receptor, with its sign.
    pub(super) weight: f64,
}

/// Appends the synapses of a source (index within its population), in any order.
pub(super) type LinksOf<'a> = dyn Fn(u32, &mut Vec<Link>) -> Result<()> + 'a;

/// A population at either end.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<'a> {
    pub(super) name: &'a str,
    /// Number of its first neuron in the whole network.
    pub(super) first: u32,
    pub(super) size: u32,
}

/// An edge population that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EdgesWritten {
    /// Its name.
    pub(super) name: String,
    /// Index of the target among the ends.
    pub(super) target: usize,
    /// Number of edges.
    pub(super) edges: u64,
}

/// Ranges of the index by target that are kept at once (16 bytes each).
const WINDOW: u64 = 1 << 23;

/// Writes all synapses of a source population, a file for each target population that has some.
pub(super) struct EdgeWriter<'a> {
    /// The source.
    pub(super) source: End<'a>,
    /// All populations with targets, in the order of their numbers.
    pub(super) targets: &'a [End<'a>],
    /// The synapses.
    pub(super) links: &'a LinksOf<'a>,
    /// Time step, ms.
    pub(super) dt: f64,
}

impl EdgeWriter<'_> {
    /// Writes the files. `place` says, for a target, the name of the edge population and its file.
    pub(super) fn write(&self, place: impl FnMut(usize) -> Result<(String, PathBuf)>) -> Result<Vec<EdgesWritten>> {
        self.write_with_window(WINDOW, place)
    }

    fn write_with_window(
        &self,
        window: u64,
        mut place: impl FnMut(usize) -> Result<(String, PathBuf)>,
    ) -> Result<Vec<EdgesWritten>> {
        let counts = self.count()?;
        let mut files: Vec<Option<EdgeFile>> = Vec::new();
        let mut written = Vec::new();
        for (index, (target, count)) in self.targets.iter().zip(&counts.of).enumerate() {
            if count.edges == 0 {
                files.push(None);
                continue;
            }
            let (name, path) = place(index)?;
            let ranges = counts.ranges_of(target).iter().map(|n| u64::from(*n)).sum();
            let mut file = EdgeFile::create(&path, &name, self.source, *target, *count, ranges)?;
            file.index_targets(counts.ranges_of(target))?;
            files.push(Some(file));
            written.push(EdgesWritten { name, target: index, edges: count.edges });
        }
        self.each(|source, index, links| {
            let (file, first) = (files[index].as_mut().expect("counted"), self.targets[index].first);
            file.source(source, links, first, self.dt)
        })?;
        for file in files.iter_mut().flatten() {
            file.end_of_sources(self.source.size)?;
        }
        self.index(window, &counts, &mut files)?;
        files.into_iter().flatten().try_for_each(EdgeFile::finish)?;
        Ok(written)
    }

    /// Visits the synapses of every source onto every population that it has some onto, in the order of the file.
    fn each(&self, mut visit: impl FnMut(u32, usize, &[Link]) -> Result<()>) -> Result<()> {
        let mut links = Vec::new();
        for source in 0..self.source.size {
            links.clear();
            (self.links)(source, &mut links)?;
            links.sort_unstable_by(|a, b| {
                (a.target, a.delay).cmp(&(b.target, b.delay)).then_with(|| a.weight.total_cmp(&b.weight))
            });
            let mut rest = links.as_slice();
            for (index, target) in self.targets.iter().enumerate() {
                let here = rest.partition_point(|link| link.target - target.first < target.size);
                if here > 0 {
                    visit(source, index, &rest[..here])?;
                    rest = &rest[here..];
                }
                if rest.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn count(&self) -> Result<Counts> {
        let neurons = self.targets.last().map_or(0, |t| t.first + t.size);
        let mut counts = Counts { of: vec![Count::default(); self.targets.len()], ranges: vec![0; neurons as usize] };
        self.each(|_, index, links| {
            counts.of[index].edges += links.len() as u64;
            counts.of[index].sources += 1;
            runs(links).for_each(|run| counts.ranges[run[0].target as usize] += 1);
            Ok(())
        })?;
        Ok(counts)
    }

    /// Writes, for every target, where its edges are: so many targets at a time that `window` ranges suffice.
    fn index(&self, window: u64, counts: &Counts, files: &mut [Option<EdgeFile>]) -> Result<()> {
        let neurons = counts.ranges.len();
        let mut from = 0;
        while from < neurons {
            let (mut to, mut rows) = (from, 0);
            while to < neurons && (to == from || rows + u64::from(counts.ranges[to]) <= window) {
                rows += u64::from(counts.ranges[to]);
                to += 1;
            }
            if rows > 0 {
                self.index_window(from..to, rows as usize, counts, files)?;
            }
            from = to;
        }
        Ok(())
    }

    fn index_window(
        &self,
        targets: std::ops::Range<usize>,
        rows: usize,
        counts: &Counts,
        files: &mut [Option<EdgeFile>],
    ) -> Result<()> {
        let mut ranges = vec![[0_u64; 2]; rows];
        // Where the next range of each target goes.
        let mut next: Vec<u32> = Vec::with_capacity(targets.len());
        let mut place = 0;
        for count in &counts.ranges[targets.clone()] {
            next.push(place);
            place += count;
        }
        let mut edge = vec![0_u64; self.targets.len()];
        self.each(|_, index, links| {
            for run in runs(links) {
                let begin = edge[index];
                edge[index] += run.len() as u64;
                let target = run[0].target as usize;
                if targets.contains(&target) {
                    let place = &mut next[target - targets.start];
                    ranges[*place as usize] = [begin, edge[index]];
                    *place += 1;
                }
            }
            Ok(())
        })?;
        let mut rest = ranges.as_slice();
        for (target, file) in self.targets.iter().zip(files) {
            let begin = targets.start.max(target.first as usize);
            let end = targets.end.min((target.first + target.size) as usize);
            let here: usize = counts.ranges.get(begin..end).unwrap_or(&[]).iter().map(|n| *n as usize).sum();
            if let Some(file) = file {
                file.by_target.ranges.extend(rest[..here].as_flattened())?;
            }
            rest = &rest[here..];
        }
        Ok(())
    }
}

/// Consecutive synapses with the same target.
fn runs(links: &[Link]) -> impl Iterator<Item = &[Link]> {
    links.chunk_by(|a, b| a.target == b.target)
}

/// How much there is for one file.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    edges: u64,
    /// Sources that have edges.
    sources: u64,
}

struct Counts {
    /// For each target population.
    of: Vec<Count>,
    /// For each neuron of the network, the ranges of edges onto it.
    ranges: Vec<u32>,
}

impl Counts {
    fn ranges_of(&self, target: &End<'_>) -> &[u32] {
        &self.ranges[target.first as usize..(target.first + target.size) as usize]
    }
}

/// An index: for every node a range of ranges of edges.
struct Index {
    nodes: Column<u64, 2>,
    ranges: Column<u64, 2>,
}

impl Index {
    /// Both spellings: libsonata wants `node_id_to_ranges`, BMTK `node_id_to_range`.
    fn create(file: &NewFile, group: &str, nodes: u32, ranges: u64) -> Result<Self> {
        file.group(group)?;
        let nodes = file.column(&format!("{group}/node_id_to_ranges"), u64::from(nodes), &[])?;
        file.also_named(group, "node_id_to_ranges", "node_id_to_range")?;
        let ranges = file.column(&format!("{group}/range_to_edge_id"), ranges, &[])?;
        Ok(Self { nodes, ranges })
    }

    fn finish(self) -> Result<()> {
        self.nodes.finish()?;
        self.ranges.finish()
    }
}

/// An edge file being written.
struct EdgeFile {
    file: NewFile,
    sources: Column<u64>,
    targets: Column<u64>,
    types: Column<u32>,
    groups: Column<u16>,
    places: Column<u64>,
    weights: Column<f64>,
    delays: Column<f64>,
    synapses: Column<u8>,
    by_source: Index,
    by_target: Index,
    /// Edges so far.
    edges: u64,
    /// Sources indexed so far, and how many of them have edges.
    indexed: u32,
    ranges: u64,
}

impl EdgeFile {
    fn create(path: &Path, name: &str, source: End<'_>, target: End<'_>, count: Count, ranges: u64) -> Result<Self> {
        let file = NewFile::create(path)?;
        let population = format!("edges/{name}");
        let (group, indices) = (format!("{population}/0"), format!("{population}/indices"));
        file.group("edges")?;
        file.group(&population)?;
        file.group(&group)?;
        file.group(&indices)?;
        let edges = count.edges;
        Ok(Self {
            sources: file.column(
                &format!("{population}/source_node_id"),
                edges,
                &[("node_population", source.name)],
            )?,
            targets: file.column(
                &format!("{population}/target_node_id"),
                edges,
                &[("node_population", target.name)],
            )?,
            types: file.column(&format!("{population}/edge_type_id"), edges, &[])?,
            groups: file.column(&format!("{population}/edge_group_id"), edges, &[])?,
            places: file.column(&format!("{population}/edge_group_index"), edges, &[])?,
            weights: file.column(&format!("{group}/syn_weight"), edges, &[])?,
            delays: file.column(&format!("{group}/delay"), edges, &[("units", "ms")])?,
            synapses: file.column(&format!("{group}/nsyns"), edges, &[])?,
            by_source: Index::create(&file, &format!("{indices}/source_to_target"), source.size, count.sources)?,
            by_target: Index::create(&file, &format!("{indices}/target_to_source"), target.size, ranges)?,
            file,
            edges: 0,
            indexed: 0,
            ranges: 0,
        })
    }

    /// Adds the edges of a source, which comes after all before it.
    fn source(&mut self, source: u32, links: &[Link], first: u32, dt: f64) -> Result<()> {
        self.end_of_sources(source)?;
        let begin = self.edges;
        for link in links {
            self.sources.push([u64::from(source)])?;
            self.targets.push([u64::from(link.target - first)])?;
            self.types.push([0])?;
            self.groups.push([0])?;
            self.places.push([self.edges])?;
            self.weights.push([link.weight])?;
            self.delays.push([end_of(u64::from(link.delay), dt)])?;
            self.synapses.push([1])?;
            self.edges += 1;
        }
        self.by_source.nodes.push([self.ranges, self.ranges + 1])?;
        self.by_source.ranges.push([begin, self.edges])?;
        self.ranges += 1;
        self.indexed = source + 1;
        Ok(())
    }

    /// Sources before this one that were not added have no edges.
    fn end_of_sources(&mut self, source: u32) -> Result<()> {
        (self.indexed..source).try_for_each(|_| self.by_source.nodes.push([self.ranges; 2]))?;
        self.indexed = source;
        Ok(())
    }

    fn index_targets(&mut self, ranges: &[u32]) -> Result<()> {
        let mut begin = 0;
        for count in ranges {
            let end = begin + u64::from(*count);
            self.by_target.nodes.push([begin, end])?;
            begin = end;
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.sources.finish()?;
        self.targets.finish()?;
        self.types.finish()?;
        self.groups.finish()?;
        self.places.finish()?;
        self.weights.finish()?;
        self.delays.finish()?;
        self.synapses.finish()?;
        self.by_source.finish()?;
        self.by_target.finish()?;
        self.file.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_hdf5::H5File;

    /// The files do not depend on how many ranges are kept at once, and the indices say what the columns say.
    #[test]
    fn indices_agree_with_the_columns_for_any_window() {
        let end = |name, first, size| End { name, first, size };
        let targets = [end("a", 0, 5), end("empty", 5, 0), end("b", 5, 7), end("c", 12, 3)];
        let links = |source: u32, out: &mut Vec<Link>| -> Result<()> {
            // Some sources have none; some pairs have several; none goes to `c`.
            for k in 0..(source * 7 % 5) * 4 {
                let target = (source * 3 + k * k) % 12;
                out.push(Link { target, delay: 1 + k % 3, weight: f64::from(k) - 2.5 });
            }
            Ok(())
        };
        let write = |window: u64| {
            let folder = tempfile::tempdir().unwrap();
            let writer = EdgeWriter { source: end("s", 0, 9), targets: &targets, links: &links, dt: 0.1 };
            let place = |index: usize| Ok((format!("to_{index}"), folder.path().join(format!("{index}.h5"))));
            let written = writer.write_with_window(window, place).unwrap();
            let bytes: Vec<Vec<u8>> = written
                .iter()
                .map(|w| std::fs::read(folder.path().join(format!("{}.h5", w.target))).unwrap())
                .collect();
            (folder, written, bytes)
        };
        let (folder, written, bytes) = write(WINDOW);
        assert_eq!(written.iter().map(|w| w.target).collect::<Vec<_>>(), [0, 2]);
        for window in [1, 3, 10] {
            assert!(write(window).2 == bytes, "window of {window}");
        }
        for edges in &written {
            let file = H5File::open(folder.path().join(format!("{}.h5", edges.target))).unwrap();
            let population = format!("edges/{}", edges.name);
            let column = |path: &str| file.dataset(&format!("{population}/{path}")).unwrap().read_raw::<u64>().unwrap();
            for (own, other, direction) in [
                ("source_node_id", "target_node_id", "source_to_target"),
                ("target_node_id", "source_node_id", "target_to_source"),
            ] {
                let (own, other) = (column(own), column(other));
                assert_eq!((own.len() as u64, other.len() as u64), (edges.edges, edges.edges));
                let nodes = column(&format!("indices/{direction}/node_id_to_ranges"));
                assert_eq!(nodes, column(&format!("indices/{direction}/node_id_to_range")));
                let ranges = column(&format!("indices/{direction}/range_to_edge_id"));
                let mut seen = 0;
                for (node, rows) in nodes.as_chunks::<2>().0.iter().enumerate() {
                    for row in rows[0]..rows[1] {
                        let (begin, end) = (ranges[row as usize * 2], ranges[row as usize * 2 + 1]);
                        assert!(begin < end);
                        seen += end - begin;
                        assert!(own[begin as usize..end as usize].iter().all(|n| *n == node as u64));
                    }
                }
                assert_eq!(seen, edges.edges);
            }
        }
    }
}
