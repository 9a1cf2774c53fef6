//! Whether each connection rule makes the synapses it promises: exact counts where they are exact, distributions by
//! chi-square where they are random (fixed seeds, bounds at a probability of about 1e-4), and the same network
//! whatever the crew and the order of calls.

use std::sync::Arc;
use tessera::compute::Crew;
use tessera::error::{Error, Result};
use tessera::lattice::{Box4, Lattice4};
use tessera::model::wiring::{SynapseBuffer, Wiring, expected_synapses, prepare, total_from_probability};
use tessera::model::{
    BrainModel, ConnectionRule, DelaySpec, DistanceKernel, DistanceRule, Distribution, Edge, KernelShape, NetworkSpec,
    Placement, PopulationId, ProjectionSpec, StaticSynapse,
};
use tessera::neuron::{NeuronModel, Prepare, Receptor, Stepper, Variable};
use tessera::neuron::{ParamTable, Parameter, Polarity};

/// A model that can be connected but is never stepped.
#[derive(Debug, Clone)]
struct Probe;

const RECEPTORS: [Receptor; 2] = [
    Receptor { name: "excitatory", unit: "pA", polarity: Polarity::Excitatory },
    Receptor { name: "inhibitory", unit: "pA", polarity: Polarity::Inhibitory },
];
const TAU: Parameter = Parameter {
    name: "tau_m",
    unit: "ms",
    default: 10.0,
    allowed: tessera::neuron::Allowed::Positive,
    doc: "Membrane time constant",
};

impl NeuronModel for Probe {
    fn name(&self) -> &str {
        "probe"
    }
    fn parameters(&self) -> &[Parameter] {
        &[TAU]
    }
    fn variables(&self) -> &[Variable] {
        const V: &[Variable] = &[Variable::new("v_m", "mV", -65.0)];
        V
    }
    fn receptors(&self, _: &ParamTable) -> Vec<Receptor> {
        RECEPTORS.to_vec()
    }
    fn stepper_f32(&self, _: &Prepare<'_>) -> Result<Box<dyn Stepper<f32>>> {
        Err(Error::Unavailable("the probe is not simulated".into()))
    }
}

const DT: f64 = 0.1;

/// Two populations joined by one rule; `change` may alter the projection.
fn network(s: u32, t: u32, rule: ConnectionRule, change: impl FnOnce(&mut ProjectionSpec)) -> NetworkSpec {
    let mut net = NetworkSpec::default();
    let a = net.population("a", s, Probe).unwrap();
    let b = net.population("b", t, Probe).unwrap();
    let synapse = StaticSynapse {
        weight: Distribution::normal(87.8, 8.78),
        delay: Distribution::Normal { mean: 1.5, sd: 0.75, low: 0.05, high: f64::INFINITY },
    };
    change(net.project(a, b, rule, synapse).unwrap());
    net
}

fn within(n: u32, rule: ConnectionRule, change: impl FnOnce(&mut ProjectionSpec)) -> NetworkSpec {
    network(n, 1, rule, |p| {
        p.target = PopulationId(0);
        change(p);
    })
}

/// (target, weight bits, delay) of every source.
type Made = Vec<Vec<(u32, u64, u32)>>;

fn made_by(wiring: &dyn Wiring, sources: u32) -> Made {
    let mut out = SynapseBuffer::default();
    (0..sources)
        .map(|s| {
            out.clear();
            wiring.append(s, &mut out);
            assert!(out.weight.len() == out.len() && out.delay.len() == out.len(), "parallel arrays");
            (0..out.len()).map(|i| (out.target[i], out.weight[i].to_bits(), out.delay[i])).collect()
        })
        .collect()
}

fn make(net: &NetworkSpec, seed: u64) -> Made {
    let model = BrainModel::build(net, seed).unwrap();
    let wiring = prepare(&model, 0, DT, &Crew::new(1)).unwrap();
    let sources = model.populations()[net.projections[0].source.0].size();
    let made = made_by(&*wiring, sources);
    let total: usize = made.iter().map(Vec::len).sum();
    if let Some(exact) = wiring.exact() {
        assert_eq!(exact, total as u64);
    }
    let (bounds, delays) = (wiring.weights(), wiring.delays());
    for (_, weight, delay) in made.iter().flatten() {
        let weight = f64::from_bits(*weight);
        assert!(weight >= bounds.min && weight <= bounds.max, "{weight} outside {bounds:?}");
        assert!((delays.0..=delays.1).contains(delay), "{delay} outside {delays:?}");
    }
    made
}

fn in_degrees(made: &Made, targets: u32) -> Vec<u32> {
    let mut degrees = vec![0; targets as usize];
    made.iter().flatten().for_each(|s| degrees[s.0 as usize] += 1);
    degrees
}

/// Chi-square of counts against their expectations must not be improbable (normal approximation, 4 deviations).
fn assert_chi_square(counts: &[f64], expected: &[f64], lost: usize, what: &str) {
    let chi: f64 = counts.iter().zip(expected).map(|(c, e)| (c - e) * (c - e) / e).sum();
    let freedom = (counts.len() - lost) as f64;
    let z = (chi - freedom) / (2.0 * freedom).sqrt();
    assert!(z.abs() < 4.5, "{what}: chi-square {chi:.1} at {freedom} degrees of freedom");
}

fn assert_uniform(degrees: &[u32], what: &str) {
    let mean = degrees.iter().map(|d| f64::from(*d)).sum::<f64>() / degrees.len() as f64;
    let counts: Vec<f64> = degrees.iter().map(|d| f64::from(*d)).collect();
    assert_chi_square(&counts, &vec![mean; counts.len()], 1, what);
}

fn variance(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let x: Vec<f64> = values.collect();
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (mean, x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (x.len() - 1) as f64)
}

fn assert_no_repeats(made: &Made) {
    for (source, synapses) in made.iter().enumerate() {
        let mut targets: Vec<u32> = synapses.iter().map(|s| s.0).collect();
        targets.sort_unstable();
        assert!(targets.windows(2).all(|w| w[0] < w[1]), "source {source} has a target twice");
    }
}

fn assert_no_self(made: &Made) {
    assert!(made.iter().enumerate().all(|(source, s)| s.iter().all(|s| s.0 != source as u32)));
}

fn every_rule() -> Vec<(&'static str, NetworkSpec)> {
    let mut all = vec![("all_to_all", network(40, 30, ConnectionRule::AllToAll, |_| {}))];
    all.push(("one_to_one", network(40, 40, ConnectionRule::OneToOne, |_| {})));
    all.push(("bernoulli", network(200, 300, ConnectionRule::Bernoulli { p: 0.1 }, |_| {})));
    for multapses in [true, false] {
        let change = move |p: &mut ProjectionSpec| {
            p.multapses = multapses;
            p.autapses = multapses;
        };
        all.push(("fixed_indegree", within(300, ConnectionRule::FixedIndegree { n: 37 }, change)));
        all.push(("fixed_outdegree", within(300, ConnectionRule::FixedOutdegree { n: 300 - 1 }, change)));
        all.push(("fixed_total", within(300, ConnectionRule::FixedTotal { n: 20_000 }, change)));
    }
    all.push(("distance", sheet([30, 20, 1, 2], false, 1.0, gaussian(0.6, 3.0, 9.0))));
    all
}

#[test]
fn the_network_depends_on_neither_crew_nor_order_nor_other_parts() {
    for (name, net) in every_rule() {
        let model = BrainModel::build(&net, 5).unwrap();
        let sources = model.populations()[0].size();
        let reference = made_by(&*prepare(&model, 0, DT, &Crew::new(1)).unwrap(), sources);
        let mut larger = net.clone();
        larger.population("another", 77, Probe).unwrap();
        let larger = BrainModel::build(&larger, 5).unwrap();
        for (workers, model) in [(2, &model), (5, &larger)] {
            let crew = Crew::new(workers);
            let wiring = prepare(model, 0, DT, &crew).unwrap();
            let mut backwards = vec![Vec::new(); sources as usize];
            for source in (0..sources).rev() {
                let mut out = SynapseBuffer::with_capacity(4);
                wiring.append(source, &mut out);
                backwards[source as usize] =
                    (0..out.len()).map(|i| (out.target[i], out.weight[i].to_bits(), out.delay[i])).collect();
            }
            assert!(reference == backwards, "{name} with {workers} workers");
        }
        let threads = std::sync::Mutex::new(vec![Vec::new(); sources as usize]);
        let wiring = prepare(&model, 0, DT, &Crew::new(1)).unwrap();
        Crew::new(3).for_each(sources as usize, &|source| {
            let mut out = SynapseBuffer::default();
            wiring.append(source as u32, &mut out);
            threads.lock().unwrap()[source] =
                (0..out.len()).map(|i| (out.target[i], out.weight[i].to_bits(), out.delay[i])).collect();
        });
        assert!(reference == threads.into_inner().unwrap(), "{name} from three threads");
        let other = BrainModel::build(&net, 6).unwrap();
        let other = made_by(&*prepare(&other, 0, DT, &Crew::new(1)).unwrap(), sources);
        assert!(reference != other, "{name} does not depend on the seed");
    }
}

#[test]
fn all_to_all_and_one_to_one_are_complete() {
    let made = make(&within(50, ConnectionRule::AllToAll, |_| {}), 1);
    assert!(made.iter().all(|s| s.iter().map(|s| s.0).eq(0..50)));
    let made = make(&within(50, ConnectionRule::AllToAll, |p| p.autapses = false), 1);
    assert!(made.iter().enumerate().all(|(i, s)| s.iter().map(|s| s.0).eq((0..50).filter(|t| *t != i as u32))));
    let made = make(&network(50, 50, ConnectionRule::OneToOne, |_| {}), 1);
    assert!(made.iter().enumerate().all(|(i, s)| s.len() == 1 && s[0].0 == i as u32));
}

#[test]
fn lists_give_each_pair_its_value() {
    let weights: Arc<[f64]> = (0..12).map(f64::from).collect();
    let net = network(3, 4, ConnectionRule::AllToAll, |p| {
        p.weight = Distribution::Values(weights.clone());
        p.delay = DelaySpec::Drawn(Distribution::Values(weights.iter().map(|w| 0.1 * (w + 1.0)).collect()));
    });
    for (source, synapses) in make(&net, 1).iter().enumerate() {
        for (target, weight, delay) in synapses {
            let item = source as u32 * 4 + target;
            assert_eq!((f64::from_bits(*weight), *delay), (f64::from(item), item + 1));
        }
    }
}

#[test]
fn bernoulli_pairs_are_independent() {
    for p in [0.02, 0.3, 0.9] {
        let (s, t) = (2000u32, 500u32);
        let made = make(&network(s, t, ConnectionRule::Bernoulli { p }, |_| {}), 3);
        assert_no_repeats(&made);
        let n = f64::from(t);
        let (mean, var) = variance(made.iter().map(|s| s.len() as f64));
        assert!((mean - n * p).abs() < 4.0 * (n * p * (1.0 - p) / f64::from(s)).sqrt(), "p = {p}: {mean}");
        assert!((var / (n * p * (1.0 - p)) - 1.0).abs() < 0.14, "p = {p}: variance {var}");
        // In-degrees are binomial too: their variance tells independence across sources.
        let (mean, var) = variance(in_degrees(&made, t).iter().map(|d| f64::from(*d)));
        let expected = f64::from(s) * p;
        assert!((mean / expected - 1.0).abs() < 0.02);
        assert!((var / (expected * (1.0 - p)) - 1.0).abs() < 0.27, "p = {p}: in-degree variance {var}");
    }
    assert!(make(&network(10, 10, ConnectionRule::Bernoulli { p: 0.0 }, |_| {}), 1).iter().all(Vec::is_empty));
    assert!(make(&network(10, 10, ConnectionRule::Bernoulli { p: 1.0 }, |_| {}), 1).iter().all(|s| s.len() == 10));
}

#[test]
fn fixed_degrees_are_fixed_and_their_partners_uniform() {
    for (autapses, multapses) in [(true, true), (false, true), (true, false), (false, false)] {
        let change = |p: &mut ProjectionSpec| (p.autapses, p.multapses) = (autapses, multapses);
        let made = make(&within(400, ConnectionRule::FixedIndegree { n: 60 }, change), 2);
        assert!(in_degrees(&made, 400).iter().all(|d| *d == 60));
        let out: Vec<u32> = made.iter().map(|s| s.len() as u32).collect();
        let made_out = make(&within(400, ConnectionRule::FixedOutdegree { n: 60 }, change), 2);
        assert!(made_out.iter().all(|s| s.len() == 60));
        let into = in_degrees(&made_out, 400);
        if multapses {
            assert_uniform(&out, "sources of fixed_indegree");
            assert_uniform(&into, "targets of fixed_outdegree");
        } else {
            assert_no_repeats(&made);
            assert_no_repeats(&made_out);
            // Without replacement the variance shrinks by 1 - n / N.
            for degrees in [out, into] {
                let (mean, var) = variance(degrees.iter().map(|d| f64::from(*d)));
                assert!((mean - 60.0).abs() < 1e-9);
                assert!((var / (60.0 * (1.0 - 60.0 / 400.0)) - 1.0).abs() < 0.32, "variance {var}");
            }
        }
        if !autapses {
            assert_no_self(&made);
            assert_no_self(&made_out);
        }
    }
}

#[test]
fn fixed_total_is_exact_and_multinomial() {
    let (s, t, n) = (1000u32, 700u32, 400_000u64);
    let made = make(&network(s, t, ConnectionRule::FixedTotal { n }, |_| {}), 4);
    assert_eq!(made.iter().map(Vec::len).sum::<usize>() as u64, n);
    let out: Vec<u32> = made.iter().map(|s| s.len() as u32).collect();
    assert_uniform(&out, "out-degrees"); // the chi-square is that of a multinomial: too small fails as well
    assert_uniform(&in_degrees(&made, t), "in-degrees");
    // Pairs: the number connected at least once is what the probability asks for.
    let p = 0.1;
    let n = total_from_probability(p, 500, 400);
    let made = make(&network(500, 400, ConnectionRule::FixedTotal { n }, |_| {}), 5);
    let mut pairs: Vec<(usize, u32)> =
        made.iter().enumerate().flat_map(|(i, s)| s.iter().map(move |s| (i, s.0))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    assert!((pairs.len() as f64 / 200_000.0 - p).abs() < 0.001, "{}", pairs.len());
}

#[test]
fn fixed_total_without_repeats_is_a_uniform_set_of_pairs() {
    let n = 60_000u64;
    let change = |p: &mut ProjectionSpec| (p.autapses, p.multapses) = (false, false);
    let made = make(&within(400, ConnectionRule::FixedTotal { n }, change), 4);
    assert_eq!(made.iter().map(Vec::len).sum::<usize>() as u64, n);
    assert_no_repeats(&made);
    assert_no_self(&made);
    let pairs = 400.0 * 399.0;
    let p = n as f64 / pairs;
    // Hypergeometric variance of an out-degree.
    let expected = 399.0 * p * (1.0 - p) * (pairs - 399.0) / (pairs - 1.0);
    for degrees in [made.iter().map(|s| s.len() as u32).collect(), in_degrees(&made, 400)] {
        let (_, var) = variance(degrees.iter().map(|d| f64::from(*d)));
        assert!((var / expected - 1.0).abs() < 0.32, "variance {var}, expected {expected}");
    }
    // All pairs but one can be asked for.
    let made = make(&within(20, ConnectionRule::FixedTotal { n: 379 }, change), 4);
    assert_eq!(made.iter().map(Vec::len).sum::<usize>(), 379);
    assert_no_repeats(&made);
}

#[test]
fn weights_and_delays_follow_their_distributions() {
    let made = make(&network(500, 1000, ConnectionRule::FixedOutdegree { n: 1000 }, |_| {}), 8);
    let synapses: Vec<_> = made.into_iter().flatten().collect();
    let (mean, var) = variance(synapses.iter().map(|s| f64::from_bits(s.1)));
    let n = synapses.len() as f64;
    assert!((mean - 87.8).abs() < 4.0 * 8.78 / n.sqrt(), "{mean}");
    assert!((var.sqrt() / 8.78 - 1.0).abs() < 4.0 / (2.0 * n).sqrt(), "{var}");
    let cdf = |x: f64| 0.5 * libm::erfc(-(x - 1.5) / 0.75 / std::f64::consts::SQRT_2);
    let (mut counts, mut expected) = (vec![0.0; 40], vec![0.0; 40]);
    for (k, e) in expected.iter_mut().enumerate() {
        let step = k as f64 + 1.0;
        let upper = if k == 39 { 1.0 } else { cdf((step + 0.5) * DT) };
        *e = n * (upper - cdf((step - 0.5) * DT)) / (1.0 - cdf(0.05));
    }
    synapses.iter().for_each(|s| counts[(s.2 as usize - 1).min(39)] += 1.0);
    assert_chi_square(&counts, &expected, 1, "delays");
    // Weight and delay of a synapse are independent.
    let delay_mean = synapses.iter().map(|s| f64::from(s.2)).sum::<f64>() / n;
    let covariance: f64 =
        synapses.iter().map(|s| (f64::from_bits(s.1) - mean) * (f64::from(s.2) - delay_mean)).sum::<f64>() / n;
    assert!((covariance / (8.78 * 7.2)).abs() < 4.0 / n.sqrt());
}

#[test]
fn edges_are_taken_verbatim() {
    let edge = |source, target, weight, delay| Edge { source, target, weight, delay };
    let edges: Arc<[Edge]> = Arc::new([
        edge(2, 1, 1.5, 0.3),
        edge(0, 0, -2.0, 1.0),
        edge(2, 1, 1.5, 0.3),
        edge(2, 0, f32::NAN, f32::NAN),
        edge(0, 3, 4.0, 0.04),
    ]);
    let net = network(3, 4, ConnectionRule::Edges(edges), |p| {
        (p.weight, p.delay) = (Distribution::Constant(7.0), 2.0.into());
        (p.autapses, p.multapses) = (false, false);
    });
    let bits = |w: f64| w.to_bits();
    let expected: Made = vec![
        vec![(0, bits(-2.0), 10), (3, bits(4.0), 1)],
        vec![],
        vec![(1, bits(1.5), 3), (1, bits(1.5), 3), (0, bits(7.0), 20)],
    ];
    assert_eq!(make(&net, 1), expected);
}

fn gaussian(p_max: f64, extent: f64, cutoff: f64) -> DistanceRule {
    let kernel = DistanceKernel { shape: KernelShape::Gaussian, extent };
    DistanceRule { kernel, p_max, cutoff, scale: [1.0; 4], hop_w: 1.0 }
}

/// One population on every cell, connected to itself by distance, autapses excluded.
fn sheet(shape: [u32; 4], periodic: bool, density: f64, rule: DistanceRule) -> NetworkSpec {
    let mut lattice = Lattice4::new(shape).unwrap();
    lattice.periodic = [periodic; 4];
    let region = lattice.bounds();
    let mut net = NetworkSpec::new(lattice);
    let a = net.population("a", Placement::Region { region, density }, Probe).unwrap();
    let synapse = StaticSynapse { weight: 1.0, delay: Distribution::Uniform { low: 0.5, high: 2.0 } };
    net.project(a, a, ConnectionRule::Distance(rule), synapse).unwrap().autapses = false;
    net
}

/// Compares the number of synapses in bands of probability with the sum of the pairs' probabilities, every pair
/// looked at.
fn assert_distance_rule(net: &NetworkSpec, seed: u64) {
    let ConnectionRule::Distance(rule) = &net.projections[0].rule else { panic!("a distance rule") };
    let model = BrainModel::build(net, seed).unwrap();
    let (source, target) = (net.projections[0].source, net.projections[0].target);
    let (s, t) = (&model.populations()[source.0], &model.populations()[target.0]);
    let lattice = net.lattice.clone();
    let probability = |a: u32, b: u32| {
        if source == target && a == b && !net.projections[0].autapses {
            return 0.0;
        }
        let (from, to) = (s.position(a).unwrap(), t.position(b).unwrap());
        let (d, hops) = match &lattice {
            Some(l) => {
                let apart = l.cell_of(from)[3].abs_diff(l.cell_of(to)[3]);
                let hops = if l.periodic[3] { apart.min(l.shape[3] - apart) } else { apart };
                (l.displacement(from, to), hops)
            }
            None => (std::array::from_fn(|i| f64::from(to[i]) - f64::from(from[i])), 0),
        };
        rule.probability(d, hops)
    };
    const BANDS: usize = 12;
    let band = |p: f64| ((-p.log2() * 1.5) as usize).min(BANDS - 1);
    let (mut expected, mut spread, mut counts) = ([0.0; BANDS], [0.0; BANDS], [0.0; BANDS]);
    for a in 0..s.size() {
        for b in 0..t.size() {
            let p = probability(a, b);
            if p > 0.0 {
                expected[band(p)] += p;
                spread[band(p)] += p * (1.0 - p);
            }
        }
    }
    let made = make(net, seed);
    assert_no_repeats(&made);
    let mut into = vec![0.0; t.size() as usize];
    for (a, synapses) in made.iter().enumerate() {
        for (b, ..) in synapses {
            let p = probability(a as u32, *b);
            assert!(p > 0.0, "{a} to {b} cannot be connected");
            counts[band(p)] += 1.0;
            into[*b as usize] += 1.0;
        }
    }
    for i in 0..BANDS {
        let z = (counts[i] - expected[i]) / spread[i].max(1.0).sqrt();
        assert!(z.abs() < 4.5, "band {i}: {} synapses, expected {} (z = {z:.1})", counts[i], expected[i]);
    }
    let total: f64 = expected.iter().sum();
    let estimate = expected_synapses(net, 0);
    assert!((estimate / total - 1.0).abs() < 0.15, "estimate {estimate}, mean {total}");
}

#[test]
fn distance_probabilities_hold_on_every_kind_of_lattice() {
    for periodic in [false, true] {
        assert_distance_rule(&sheet([24, 18, 1, 1], periodic, 1.0, gaussian(0.5, 2.5, 8.0)), 1);
        assert_distance_rule(&sheet([9, 8, 5, 3], periodic, 1.0, gaussian(0.3, 2.0, 6.0)), 2);
        assert_distance_rule(&sheet([16, 12, 1, 1], periodic, 2.6, gaussian(1.0, 1.5, 30.0)), 3);
        assert_distance_rule(&sheet([16, 16, 2, 1], periodic, 0.4, gaussian(0.8, 3.0, 7.0)), 4);
    }
}

#[test]
fn distance_rules_scale_axes_and_count_hops() {
    for (shape, extent) in [
        (KernelShape::Exponential, 2.0),
        (KernelShape::Linear, 5.0),
        (KernelShape::Box, 3.0),
        (KernelShape::Gaussian, 2.0),
    ] {
        let kernel = DistanceKernel { shape, extent };
        let rule = DistanceRule { kernel, p_max: 0.4, cutoff: 6.0, scale: [1.0, 2.0, 1.0, 0.5], hop_w: 0.5 };
        let mut net = sheet([12, 14, 2, 6], true, 1.0, rule);
        net.lattice.as_mut().unwrap().periodic = [true, false, false, true];
        net.lattice.as_mut().unwrap().spacing = [1.0, 1.5, 2.0, 0.7];
        assert_distance_rule(&net, 5);
    }
}

#[test]
fn periodic_and_clamped_lattices_differ_at_the_rim_only() {
    let rule = gaussian(1.0, 1000.0, 3.2);
    for (periodic, corner) in [(true, 37 - 1), (false, 13 - 1)] {
        // p is 1 within the cut-off (to 5e-6): degrees are numbers of cells.
        let made = make(&sheet([20, 20, 1, 1], periodic, 1.0, rule.clone()), 1);
        assert_eq!(made[0].len(), corner, "periodic: {periodic}");
        assert!(made.iter().all(|s| s.len() <= 36));
    }
}

#[test]
fn populations_share_cells_and_scattered_points_work() {
    let mut lattice = Lattice4::new([20, 10, 1, 1]).unwrap();
    lattice.spacing = [10.0, 10.0, 10.0, 10.0];
    lattice.periodic = [true, false, false, false];
    let half = Box4 { lo: [5, 0, 0, 0], hi: [20, 10, 1, 1] };
    // Points scattered with a dense clump, so that bins are unevenly full.
    let points: Arc<[_]> = (0..600)
        .map(|i| {
            let w = tessera::rng::Key([9, 9]).words([i, 0, 0, 0]).map(tessera::rng::unit);
            let side = if i % 3 == 0 { 0.1 } else { 1.0 };
            [(w[0] * 200.0 * side) as f32, (w[1] * 100.0 * side) as f32, 5.0, 5.0]
        })
        .collect();
    let region = |density| Placement::Region { region: half, density };
    let placements =
        [region(1.0), region(3.0), Placement::Positions(points.clone()), Placement::Positions(points.clone())];
    for (i, from) in placements.iter().enumerate() {
        for (j, to) in placements.iter().enumerate() {
            let mut net = NetworkSpec::new(lattice.clone());
            let a = net.population("a", from.clone(), Probe).unwrap();
            let b = net.population("b", to.clone(), Probe).unwrap();
            let rule = ConnectionRule::Distance(gaussian(0.4, 25.0, 70.0));
            let delay = DelaySpec::Distance { velocity: 100.0, offset: 0.2 };
            net.project(a, b, rule, StaticSynapse { weight: 1.0, delay }).unwrap();
            assert_distance_rule(&net, (i * 4 + j) as u64);
        }
    }
    // Without a lattice, in plain space.
    let mut net = NetworkSpec::default();
    let a = net.population("a", Placement::Positions(points), Probe).unwrap();
    let rule = ConnectionRule::Distance(gaussian(0.4, 25.0, 70.0));
    net.project(a, a, rule, StaticSynapse { weight: 1.0, delay: 1.0 }).unwrap();
    assert_distance_rule(&net, 77);
}

#[test]
fn delays_grow_with_distance() {
    let mut net = sheet([30, 1, 1, 1], true, 1.0, gaussian(1.0, 1e6, 9.0));
    net.projections[0].delay = DelaySpec::Distance { velocity: 2.0, offset: 0.5 };
    let made = make(&net, 1);
    for (target, _, delay) in &made[0] {
        let cells = f64::from((*target).min(30 - *target));
        // Neuron i is not cell i along the curve, but in one dimension it is.
        assert_eq!(*delay, ((0.5 + cells / 2.0) / DT).round() as u32);
    }
    assert_eq!(made[0].len(), 18);
}

#[test]
fn models_number_place_and_parametrise_their_neurons() {
    let mut net = sheet([8, 8, 1, 1], false, 1.0, gaussian(0.1, 1.0, 3.0));
    let b = net.population("b", 100, Probe).unwrap();
    net.vary(b, "tau_m", Distribution::Uniform { low: 5.0, high: 15.0 }).unwrap();
    net.vary(b, "v_m", Distribution::normal(-58.0, 10.0)).unwrap();
    let model = BrainModel::build(&net, 3).unwrap();
    assert_eq!((model.neurons(), model.populations()[1].first()), (164, 64));
    assert_eq!(model.populations()[0].cell(3), Some([1, 1, 0, 0]));
    let (_, population) = model.population("b").unwrap();
    assert!((0..100).all(|i| (5.0..15.0).contains(&population.params().get(0, i))));
    assert!(!population.params().is_uniform());
    let all = model.initial_column(b, 0, 0..100);
    assert_eq!(all[37..61], model.initial_column(b, 0, 37..61));
    assert!((all.iter().sum::<f64>() / 100.0 + 58.0).abs() < 4.0);
    assert_eq!(model.initial_column(PopulationId(0), 0, 0..2), [-65.0, -65.0]);
}

#[test]
fn every_fault_is_found_at_once() {
    let mut net = network(10, 10, ConnectionRule::Bernoulli { p: 1.5 }, |p| {
        p.weight = Distribution::normal(1.0, -2.0);
        p.delay = (-1.0).into();
    });
    net.populations[0].params.push(("tau_mm".into(), 3.0.into()));
    net.projections.push(net.projections[0].clone());
    net.projections[1].rule = ConnectionRule::FixedIndegree { n: 11 };
    net.projections[1].multapses = false;
    net.projections[1].target = PopulationId(7);
    let edge = Edge { source: 3, target: 12, weight: 1.0, delay: 1.0 };
    net.projections.push(ProjectionSpec {
        name: "list".into(),
        rule: ConnectionRule::Edges(Arc::new([edge])),
        weight: 1.0.into(),
        delay: 1.0.into(),
        ..net.projections[0].clone()
    });
    let Err(Error::Invalid(faults)) = BrainModel::build(&net, 1) else { panic!("faults are refused") };
    let text = Error::Invalid(faults).to_string();
    for part in [
        "population.a.tau_mm: model `probe` has no parameter of this name; it has tau_m; did you mean `tau_m`?",
        "projection.a_to_b.p: 1.5 is not within 0 to 1",
        "projection.a_to_b.weight: sd -2",
        "projection.a_to_b.delay: the longest delay is -1 ms",
        "two projections have this name",
        "population 7 does not exist",
        "projection.list.edges: edge 0: target 12 does not exist; there are 10",
    ] {
        assert!(text.contains(part), "missing `{part}` in\n{text}");
    }
    let mut net = network(10, 10, ConnectionRule::AllToAll, |p| p.receptor = Some("inhibitori".into()));
    assert!(BrainModel::build(&net, 1).unwrap_err().to_string().contains("did you mean `inhibitory`"));
    net.projections[0].receptor = Some("inhibitory".into());
    assert!(BrainModel::build(&net, 1).unwrap_err().to_string().contains("takes weights below 0"));
}
