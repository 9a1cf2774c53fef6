//! Whole simulations against closed forms: when input arrives, what it does, and when neurons answer.

use std::collections::BTreeMap;
use tessera::engine::{
    Layout, Precision, Recorder, SimOptions, Simulation, Spike, SpikeRecorder, StateRecording, StateSample,
};
use tessera::error::{Error, Result};
use tessera::model::{
    BrainModel, ConnectionRule, Distribution, Edge, NetworkSpec, PopulationId, Selection, StaticSynapse, StimulusKind,
    StimulusTarget,
};
use tessera::neuron::{Currents, LifEuler, LifPscAlpha, LifPscDelta, LifPscExp, NeuronModel, Parrot, SpikeTrain};

const DT: f64 = 0.1;

fn simulate(net: &NetworkSpec, precision: Precision) -> Simulation {
    let options = SimOptions { threads: 1, precision, ..SimOptions::default() };
    Simulation::new(BrainModel::build(net, 17).unwrap(), options).unwrap()
}

/// Steps in `time`, which is on the grid.
fn steps(time: f64) -> u64 {
    (time / DT).round() as u64
}

/// Everything an observer is told, in order.
#[derive(Debug, Default)]
struct Log {
    layout: Option<Layout>,
    stretches: Vec<(u64, u64)>,
    spikes: Vec<Spike>,
    /// Recording, step, values.
    samples: Vec<(usize, u64, Vec<f32>)>,
    finished: u32,
}

impl Recorder for Log {
    fn start(&mut self, layout: &Layout) -> Result<()> {
        self.layout = Some(layout.clone());
        Ok(())
    }

    fn spikes(&mut self, from: u64, to: u64, spikes: &[Spike]) -> Result<()> {
        assert!(spikes.iter().all(|s| (from..to).contains(&s.step)));
        self.stretches.push((from, to));
        self.spikes.extend(spikes);
        Ok(())
    }

    fn state(&mut self, sample: &StateSample<'_>) -> Result<()> {
        self.samples.push((sample.recording, sample.step, sample.values.to_vec()));
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.finished += 1;
        Ok(())
    }
}

fn recording(population: PopulationId, variables: &[&str], every: u64) -> StateRecording {
    StateRecording {
        name: format!("state {population:?} {every}"),
        population: population.0,
        variables: variables.iter().map(|v| (*v).to_owned()).collect(),
        units: Vec::new(),
        neurons: Selection::All,
        every,
        start: 0.0,
        stop: f64::INFINITY,
    }
}

/// The value of a variable at the end of every step, for each neuron: `trace[step][neuron]`.
fn traced(net: &NetworkSpec, population: PopulationId, variable: &str, duration: f64) -> Vec<Vec<f64>> {
    let mut sim = simulate(net, Precision::F64);
    let size = sim.model().populations()[population.0].size();
    (0..steps(duration))
        .map(|_| {
            sim.step().unwrap();
            (0..size).map(|i| sim.state(population, variable, i).unwrap()).collect()
        })
        .collect()
}

/// Potential measured from rest, out of reach of the threshold.
fn delta(tau_m: f64) -> LifPscDelta {
    LifPscDelta { e_l: 0.0, v_reset: -1.0, v_th: 1e9, tau_m, ..LifPscDelta::default() }
}

/// A neuron that shows the current of each step as its potential (1 mV for 1 pA), to the last bits.
fn ammeter() -> LifEuler {
    LifEuler { tau_m: DT, v_rest: 0.0, v_reset: -1.0, v_th: 1e9, ..LifEuler::default() }
}

/// A source with one neuron that spikes at `times`.
fn source(net: &mut NetworkSpec, times: &[f64]) -> PopulationId {
    net.population("source", 1, SpikeTrain::from_trains(&[times.to_vec()]).unwrap()).unwrap()
}

fn close(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!((got - want).abs() <= tolerance, "{what}: {got} is not {want} within {tolerance}");
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let m = mean(values);
    values.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / (values.len() - 1) as f64
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let (ma, mb) = (mean(a), mean(b));
    a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum::<f64>() / (a.len() - 1) as f64
}

// --- Synapses -------------------------------------------------------------------------------------------------------

#[test]
fn input_arrives_exactly_one_delay_after_the_spike() {
    let delays = [1u64, 2, 15, 300, 70_000];
    let mut net = NetworkSpec::default();
    let source = source(&mut net, &[0.5]);
    let targets = net.population("targets", delays.len() as u32, delta(1e30)).unwrap();
    for (i, delay) in delays.iter().enumerate() {
        let edge = Edge { source: 0, target: i as u32, weight: f32::NAN, delay: f32::NAN };
        let synapse = StaticSynapse { weight: 2.5, delay: *delay as f64 * DT };
        net.project(source, targets, ConnectionRule::Edges([edge].into()), synapse).unwrap();
    }
    let mut sim = simulate(&net, Precision::F32);
    sim.record_state(recording(targets, &["v_m"], 1)).unwrap();
    let log = sim.record(Log::default()).unwrap();
    sim.run(7_001.0).unwrap();
    let log = sim.recorder(&log);
    // The spike is at 0.5 ms, which step 4 ends.
    assert_eq!(log.spikes, [Spike { step: 4, neuron: 0 }]);
    assert_eq!(log.samples.len(), 70_010);
    for (_, step, values) in &log.samples {
        for (value, delay) in values.iter().zip(delays) {
            let expected = if *step >= 4 + delay { 2.5 } else { 0.0 };
            assert_eq!(*value, expected, "delay {delay}, step {step}");
        }
    }
}

#[test]
fn delays_are_rounded_to_the_nearest_step() {
    let mut net = NetworkSpec::default();
    let source = source(&mut net, &[0.5]);
    let given = [(0.1, 1), (0.14, 1), (0.16, 2), (0.34, 3), (0.36, 4)];
    let targets = net.population("targets", given.len() as u32, delta(1e30)).unwrap();
    for (i, (delay, _)) in given.iter().enumerate() {
        let edge = Edge { source: 0, target: i as u32, weight: f32::NAN, delay: f32::NAN };
        let synapse = StaticSynapse { weight: 1.0, delay: *delay };
        net.project(source, targets, ConnectionRule::Edges([edge].into()), synapse).unwrap();
    }
    let trace = traced(&net, targets, "v_m", 2.0);
    for (i, (delay, expected)) in given.iter().enumerate() {
        let onset = trace.iter().position(|v| v[i] != 0.0).unwrap();
        assert_eq!(onset, 4 + expected, "{delay} ms");
    }
}

/// Potential at time `s` after the arrival of a current of weight 1 pA.
fn exponential_psp(s: f64, tau_m: f64, tau_syn: f64, c_m: f64) -> f64 {
    if tau_m == tau_syn {
        return s / c_m * libm::exp(-s / tau_m);
    }
    tau_m * tau_syn / (tau_m - tau_syn) / c_m * (libm::exp(-s / tau_m) - libm::exp(-s / tau_syn))
}

fn alpha_psp(s: f64, tau_m: f64, tau_syn: f64, c_m: f64) -> f64 {
    let peak = std::f64::consts::E / (tau_syn * c_m);
    if tau_m == tau_syn {
        return peak * s * s / 2.0 * libm::exp(-s / tau_m);
    }
    let a = 1.0 / tau_syn - 1.0 / tau_m;
    peak * (libm::exp(-s / tau_m) - libm::exp(-s / tau_syn) * (1.0 + a * s)) / (a * a)
}

/// The potential after one spike at 0.5 ms through a synapse with a delay of 1.5 ms: zero up to 2 ms, then `psp`.
fn check_psp(model: impl NeuronModel + 'static, weight: f64, psp: impl Fn(f64) -> f64) {
    let name = format!("{model:?}");
    let mut net = NetworkSpec::default();
    let source = source(&mut net, &[0.5]);
    let target = net.population("target", 1, model).unwrap();
    net.project(source, target, ConnectionRule::AllToAll, StaticSynapse { weight, delay: 1.5 }).unwrap();
    let trace = traced(&net, target, "v_m", 60.0);
    let mut peak = (0.0, 0.0f64);
    for (step, v) in trace.iter().enumerate() {
        let since = (step + 1) as f64 * DT - 2.0;
        let expected = if since > -1e-9 { weight * psp(since.max(0.0)) } else { 0.0 };
        close(v[0], expected, 1e-11 * weight.abs() + 1e-9 * expected.abs(), &format!("{name} {since} ms"));
        if v[0].abs() > peak.1.abs() {
            peak = (since, v[0]);
        }
    }
    // The largest value of the closed form, searched between the steps.
    let fine = (0..600_000).map(|i| f64::from(i) * 1e-4).max_by(|a, b| psp(*a).total_cmp(&psp(*b))).unwrap();
    close(peak.0, fine, DT, &format!("{name}: time of the peak"));
    close(peak.1, weight * psp(fine), 2e-3 * (weight * psp(fine)).abs(), &format!("{name}: value of the peak"));
}

#[test]
fn potentials_after_a_spike_follow_their_closed_forms() {
    check_psp(delta(10.0), 0.7, |s| libm::exp(-s / 10.0));
    check_psp(delta(10.0), -0.7, |s| libm::exp(-s / 10.0));
    for (tau_syn_ex, tau_syn_in) in [(2.0, 2.0), (0.5, 5.0), (10.0, 3.0), (10.0, 10.0), (30.0, 10.0)] {
        let exp = LifPscExp {
            e_l: 0.0,
            v_reset: -1.0,
            v_th: 1e9,
            c_m: 200.0,
            tau_m: 10.0,
            tau_syn_ex,
            tau_syn_in,
            ..LifPscExp::default()
        };
        check_psp(exp.clone(), 87.8, |s| exponential_psp(s, 10.0, tau_syn_ex, 200.0));
        check_psp(exp.clone(), -351.0, |s| exponential_psp(s, 10.0, tau_syn_in, 200.0));
        check_psp(LifPscExp { currents: Currents::Separate, ..exp }, -351.0, |s| {
            exponential_psp(s, 10.0, tau_syn_in, 200.0)
        });
        let alpha = LifPscAlpha {
            e_l: 0.0,
            v_reset: -1.0,
            v_th: 1e9,
            c_m: 200.0,
            tau_m: 10.0,
            tau_syn_ex,
            tau_syn_in,
            ..LifPscAlpha::default()
        };
        check_psp(alpha.clone(), 87.8, |s| alpha_psp(s, 10.0, tau_syn_ex, 200.0));
        check_psp(alpha, -351.0, |s| alpha_psp(s, 10.0, tau_syn_in, 200.0));
    }
}

#[test]
fn coincident_spikes_and_repeated_synapses_add_up() {
    let mut net = NetworkSpec::default();
    let trains = [vec![1.0, 2.0], vec![1.0, 2.3], vec![1.0]];
    let sources = net.population("sources", 3, SpikeTrain::from_trains(&trains).unwrap()).unwrap();
    let target = net.population("target", 1, delta(1e30)).unwrap();
    let edge = |source, weight| Edge { source, target: 0, weight, delay: f32::NAN };
    let edges = [edge(0, 1.0), edge(0, 0.25), edge(1, -0.5), edge(2, 4.0)];
    let synapse = StaticSynapse { weight: 0.0, delay: 0.5 };
    net.project(sources, target, ConnectionRule::Edges(edges.into()), synapse).unwrap();
    let trace = traced(&net, target, "v_m", 4.0);
    // At 1.5 ms all four, at 2.5 ms the pair, at 2.8 ms the negative one.
    let at = |time: f64| trace[steps(time) as usize - 1][0];
    assert_eq!([at(1.4), at(1.5), at(2.4), at(2.5), at(2.7), at(2.8), at(4.0)], [0.0, 4.75, 4.75, 6.0, 6.0, 5.5, 5.5]);
}

/// A source has more synapses onto one shard with one delay than a stretch of records holds.
#[test]
fn no_synapse_of_a_large_source_is_lost() {
    let n = 170_000;
    for (targets, threads) in [(1_000, 1), (1_000, 3), (100_000, 1), (100_000, 2)] {
        let mut net = NetworkSpec::default();
        let source = source(&mut net, &[0.5, 1.5]);
        let target = net.population("target", targets, delta(1e30)).unwrap();
        let rule = ConnectionRule::FixedOutdegree { n };
        net.project(source, target, rule, StaticSynapse { weight: 0.5, delay: 3.0 }).unwrap();
        let options = SimOptions { threads, precision: Precision::F64, ..SimOptions::default() };
        let mut sim = Simulation::new(BrainModel::build(&net, 1).unwrap(), options).unwrap();
        sim.run(3.5).unwrap();
        let sum = |sim: &Simulation| (0..targets).map(|i| sim.state(target, "v_m", i).unwrap()).sum::<f64>();
        assert_eq!(sum(&sim), 0.5 * f64::from(n), "{targets} targets on {threads} threads");
        sim.run(1.0).unwrap();
        assert_eq!(sum(&sim), f64::from(n));
        assert_eq!(sim.figures().synaptic_events, 2 * u64::from(n));
    }
}

// --- Neurons --------------------------------------------------------------------------------------------------------

/// A stimulus with another level for each neuron of a population.
fn one_level_each(net: &mut NetworkSpec, population: PopulationId, kind: StimulusKind, levels: &[f64]) {
    let stimulus = net.stimulate("levels", population, 0.0, kind).unwrap();
    stimulus.targets = levels
        .iter()
        .enumerate()
        .map(|(i, level)| StimulusTarget { population, neurons: Selection::Indices([i as u32].into()), level: *level })
        .collect();
}

/// Spike steps of each neuron of a population.
fn spike_steps(net: &NetworkSpec, population: PopulationId, duration: f64) -> Vec<Vec<u64>> {
    let mut sim = simulate(net, Precision::F64);
    let log = sim.record(SpikeRecorder::all()).unwrap();
    sim.run(duration).unwrap();
    let own = sim.layout().populations[population.0].clone();
    let mut trains = vec![Vec::new(); own.size as usize];
    for spike in &sim.recorder(&log).spikes {
        if (own.first..own.first + own.size).contains(&spike.neuron) {
            trains[(spike.neuron - own.first) as usize].push(spike.step);
        }
    }
    trains
}

/// With a constant current, a neuron takes `n` steps from reset to threshold and is held `t_ref` between.
#[test]
fn f_i_curves_are_exact_to_the_step() {
    let (tau_m, c_m, v_th, t_ref) = (20.0, 200.0, 15.0, 3.0);
    let levels: Vec<f64> = (0..40).map(|i| 100.3 + 21.7 * f64::from(i)).collect();
    let exact = |current: f64| -tau_m / DT * libm::log(1.0 - v_th / (current * tau_m / c_m));
    let euler = |current: f64| libm::log(1.0 - v_th / current) / libm::log(1.0 - DT / tau_m);
    let exp = LifPscExp { tau_m, c_m, e_l: 0.0, v_reset: 0.0, v_th, t_ref, ..LifPscExp::default() };
    let alpha = LifPscAlpha { tau_m, c_m, e_l: 0.0, v_reset: 0.0, v_th, t_ref, ..LifPscAlpha::default() };
    let jumps = LifPscDelta { tau_m, c_m, e_l: 0.0, v_reset: 0.0, v_th, t_ref, ..LifPscDelta::default() };
    let plain = LifEuler { tau_m, v_rest: 0.0, v_reset: 0.0, v_th, t_ref };
    type Case<'a> = (std::sync::Arc<dyn NeuronModel>, &'a dyn Fn(f64) -> f64, f64);
    let cases: [Case<'_>; 4] = [
        (std::sync::Arc::new(exp), &exact, 1.0),
        (std::sync::Arc::new(alpha), &exact, 1.0),
        (std::sync::Arc::new(jumps), &exact, 1.0),
        // The current of this model is in mV.
        (std::sync::Arc::new(plain), &euler, tau_m / c_m),
    ];
    for (model, to_threshold, scale) in cases {
        let name = model.name().to_owned();
        let mut net = NetworkSpec::default();
        let population = net.population("neurons", levels.len() as u32, Parrot::default()).unwrap();
        net.populations[population.0].model = model;
        let levels: Vec<f64> = levels.iter().map(|level| level * scale).collect();
        one_level_each(&mut net, population, StimulusKind::Dc, &levels);
        for (train, level) in spike_steps(&net, population, 400.0).iter().zip(&levels) {
            let n = to_threshold(*level);
            if n.is_nan() {
                assert!(train.is_empty(), "{name} {level}: below the rheobase there is no spike");
                continue;
            }
            let n = n.ceil() as u64;
            assert_eq!(train.first(), Some(&(n - 1)), "{name} {level}: first spike");
            let period = n + steps(t_ref);
            assert!(train.windows(2).all(|w| w[1] - w[0] == period), "{name} {level}: every {period} steps");
            assert_eq!(train.len() as u64, (steps(400.0) - n) / period + 1, "{name} {level}");
        }
    }
}

#[test]
fn refractory_times_hold_and_may_differ_or_be_zero() {
    let times = [0.0, 0.1, 0.5, 2.0, 17.3];
    let mut net = NetworkSpec::default();
    let population = net.population("neurons", 5, LifPscDelta::default()).unwrap();
    net.vary(population, "t_ref", Distribution::Values(times.to_vec().into())).unwrap();
    // So strong that the first free step reaches the threshold.
    net.stimulate("push", population, 1e6, StimulusKind::Dc).unwrap();
    for (train, t_ref) in spike_steps(&net, population, 100.0).iter().zip(times) {
        let expected: Vec<u64> = (0..1000).step_by(1 + steps(t_ref) as usize).collect();
        assert_eq!(*train, expected, "t_ref {t_ref} ms");
    }
}

#[test]
fn input_to_a_refractory_neuron_is_dropped_by_delta_synapses_and_kept_by_currents() {
    let mut net = NetworkSpec::default();
    let source = source(&mut net, &[1.0, 2.0, 4.0, 4.1]);
    let jumps = LifPscDelta { e_l: 0.0, v_reset: 0.0, v_th: 5.0, t_ref: 2.0, tau_m: 1e30, ..LifPscDelta::default() };
    let jumps = net.population("jumps", 1, jumps).unwrap();
    let kept = LifPscExp { e_l: 0.0, v_reset: 0.0, v_th: 5.0, t_ref: 2.0, ..LifPscExp::default() };
    let kept = net.population("kept", 1, kept).unwrap();
    let strong = ConnectionRule::AllToAll;
    // The first spike arrives at 2 ms and fires the neuron, which is held in the steps that end at 2.1 to 4.0 ms.
    net.project(source, jumps, strong.clone(), StaticSynapse { weight: 6.0, delay: 1.0 }).unwrap();
    net.project(source, kept, strong, StaticSynapse { weight: 1e5, delay: 1.0 }).unwrap();
    assert_eq!(spike_steps(&net, jumps, 8.0)[0], [steps(2.0) - 1, steps(5.0) - 1]);
    // The current of the second spike is still there when the neuron wakes.
    let train = &spike_steps(&net, kept, 8.0)[0];
    assert_eq!(train[..2], [steps(2.1) - 1, steps(2.1) - 1 + 21]);
}

// --- Stimuli --------------------------------------------------------------------------------------------------------

#[test]
fn poisson_counts_have_the_mean_and_variance_of_their_rate() {
    let n = 4_000u32;
    for rate in [5.0, 300.0, 8_000.0, 250_000.0] {
        let mut net = NetworkSpec::default();
        let counters = net.population("counters", n, delta(1e30)).unwrap();
        net.stimulate("rain", counters, rate, StimulusKind::Poisson { weight: 1.0, receptor: None }).unwrap();
        let mut sim = simulate(&net, Precision::F64);
        let counts =
            |sim: &Simulation| -> Vec<f64> { (0..n).map(|i| sim.state(counters, "v_m", i).unwrap()).collect() };
        sim.run(50.0).unwrap();
        let half = counts(&sim);
        sim.run(50.0).unwrap();
        let whole = counts(&sim);
        let later: Vec<f64> = whole.iter().zip(&half).map(|(a, b)| a - b).collect();
        let expected = rate * 0.1;
        let samples = f64::from(n);
        close(mean(&whole), expected, 4.5 * (expected / samples).sqrt(), &format!("{rate} Hz: mean"));
        // Variance of the sample variance of a Poisson variable: (mean + 2 mean^2) / n.
        let spread = ((expected + 2.0 * expected * expected) / samples).sqrt();
        close(variance(&whole), expected, 4.5 * spread, &format!("{rate} Hz: variance"));
        // Independent in time and between neurons.
        let bound = 4.5 * expected / 2.0 / samples.sqrt();
        close(covariance(&half, &later), 0.0, bound, &format!("{rate} Hz: first and second half"));
        close(covariance(&whole[1..], &whole[..n as usize - 1]), 0.0, 2.0 * bound, &format!("{rate} Hz: neighbours"));
        assert!(whole.iter().all(|c| c.fract() == 0.0));
    }
}

#[test]
fn parrots_repeat_a_poisson_stimulus_between_start_and_stop_only() {
    let mut net = NetworkSpec::default();
    let parrots = net.population("parrots", 200, Parrot::default()).unwrap();
    let rain = StimulusKind::Poisson { weight: 1.0, receptor: None };
    let rain = net.stimulate("rain", parrots, 2_000.0, rain).unwrap();
    (rain.start, rain.stop) = (12.3, 80.0);
    rain.targets[0].neurons = Selection::Indices((0..200).filter(|i| i % 3 == 0).collect());
    let trains = spike_steps(&net, parrots, 100.0);
    let all: Vec<u64> = trains.iter().flatten().copied().collect();
    // It acts in the steps that begin at `start` up to the one that ends at `stop`; 0.2 events a step and neuron.
    assert_eq!((all.iter().min(), all.iter().max()), (Some(&123), Some(&799)));
    assert!(trains.iter().enumerate().all(|(i, train)| (i % 3 == 0) != train.is_empty()));
    let p = 1.0 - libm::exp(-0.2);
    let trials = 67.0 * 677.0;
    close(all.len() as f64, trials * p, 4.5 * (trials * p * (1.0 - p)).sqrt(), "steps with an event");
}

#[test]
fn currents_start_stop_and_select_to_the_step() {
    let mut net = NetworkSpec::default();
    let meters = net.population("meters", 70, ammeter()).unwrap();
    let some: Vec<u32> = vec![0, 3, 31, 32, 69];
    let dc = net.stimulate("dc", meters, 7.0, StimulusKind::Dc).unwrap();
    (dc.start, dc.stop) = (1.0, 2.5);
    dc.targets[0].neurons = Selection::Indices(some.clone().into());
    let changes = StimulusKind::Steps { times: vec![0.5, 2.0, 3.0], amplitudes: vec![1.0, -2.0, 0.0] };
    net.stimulate("steps", meters, 10.0, changes).unwrap();
    for (step, v) in traced(&net, meters, "v_m", 4.0).iter().enumerate() {
        let steps = match step {
            0..5 => 0.0,
            5..20 => 10.0,
            20..30 => -20.0,
            _ => 0.0,
        };
        for (i, v) in v.iter().enumerate() {
            let dc = if (10..25).contains(&step) && some.contains(&(i as u32)) { 7.0 } else { 0.0 };
            close(*v, steps + dc, 1e-12, &format!("step {step}, neuron {i}"));
        }
    }
}

#[test]
fn alternating_currents_follow_the_sine() {
    let mut net = NetworkSpec::default();
    let meters = net.population("meters", 2, ammeter()).unwrap();
    one_level_each(&mut net, meters, StimulusKind::Ac { frequency: 40.0, phase: 30.0, offset: 5.0 }, &[20.0, -3.0]);
    for (step, v) in traced(&net, meters, "v_m", 60.0).iter().enumerate() {
        let angle = std::f64::consts::TAU * 0.040 * step as f64 * DT + std::f64::consts::PI / 6.0;
        for (v, level) in v.iter().zip([20.0, -3.0]) {
            close(*v, 5.0 + level * libm::sin(angle), 1e-10, &format!("step {step}"));
        }
    }
}

#[test]
fn noise_has_its_mean_deviation_and_interval() {
    let mut net = NetworkSpec::default();
    let meters = net.population("meters", 500, ammeter()).unwrap();
    let noise = net.stimulate("noise", meters, 12.0, StimulusKind::Noise { sd: 30.0, interval: 0.5 }).unwrap();
    noise.start = 0.3;
    let trace = traced(&net, meters, "v_m", 40.3);
    assert!(trace[..3].iter().flatten().all(|v| *v == 0.0));
    let rows: Vec<&Vec<f64>> = trace[3..].iter().step_by(5).collect();
    for (k, row) in trace[3..].iter().enumerate() {
        assert!(row.iter().zip(rows[k / 5]).all(|(a, b)| (a - b).abs() < 1e-9), "it holds for the interval");
    }
    let all: Vec<f64> = rows.iter().copied().flatten().copied().collect();
    let n = all.len() as f64;
    close(mean(&all), 12.0, 4.5 * 30.0 / n.sqrt(), "mean");
    close(variance(&all), 900.0, 4.5 * 900.0 * (2.0 / n).sqrt(), "variance");
    let next: Vec<f64> = rows[1..].iter().copied().flatten().copied().collect();
    close(covariance(&all[..next.len()], &next), 0.0, 4.5 * 900.0 / n.sqrt(), "successive values");
    close(covariance(&all[1..], &all[..all.len() - 1]), 0.0, 4.5 * 900.0 / n.sqrt(), "neighbours");
    // A normal distribution has 15.87 % beyond one standard deviation above the mean, and 0.135 % beyond three.
    for (sds, share) in [(1.0, 0.158_655), (3.0, 0.001_35)] {
        let beyond = all.iter().filter(|x| **x > 12.0 + sds * 30.0).count() as f64;
        close(beyond, n * share, 4.5 * (n * share).sqrt(), "the tail");
    }
}

#[test]
fn ornstein_uhlenbeck_currents_have_their_deviation_and_correlation_time() {
    let (sd, tau) = (25.0, 8.0);
    let mut net = NetworkSpec::default();
    let meters = net.population("meters", 2_000, ammeter()).unwrap();
    net.stimulate("ou", meters, -4.0, StimulusKind::OrnsteinUhlenbeck { sd, tau }).unwrap();
    let trace = traced(&net, meters, "v_m", 20.0);
    let samples = 2_000f64;
    // At one time over all neurons, from the first step on: stationary.
    for time in [0.1, 5.0, 20.0] {
        let row = &trace[steps(time) as usize - 1];
        close(mean(row), -4.0, 4.5 * sd / samples.sqrt(), &format!("mean at {time} ms"));
        close(variance(row), sd * sd, 4.5 * sd * sd * (2.0 / samples).sqrt(), &format!("variance at {time} ms"));
    }
    for lag in [1usize, 10, 40, 80, 160] {
        let expected = sd * sd * libm::exp(-(lag as f64) * DT / tau);
        let got = covariance(&trace[19], &trace[19 + lag]);
        close(got, expected, 4.5 * sd * sd * (2.0 / samples).sqrt(), &format!("covariance at a lag of {lag} steps"));
    }
    // The step from one value to the next has the variance the exact solution gives it.
    let change: Vec<f64> = (50..150).flat_map(|s| trace[s + 1].iter().zip(&trace[s]).map(|(b, a)| b - a)).collect();
    let expected = 2.0 * sd * sd * -libm::expm1(-DT / tau);
    close(variance(&change), expected, 4.5 * expected * (2.0 / change.len() as f64).sqrt(), "single steps");
    let last = trace.last().unwrap();
    close(covariance(&last[1..], &last[..1_999]), 0.0, 4.5 * sd * sd / samples.sqrt(), "neighbours");
}

#[test]
fn a_current_matrix_gives_each_neuron_its_own_row() {
    let mut net = NetworkSpec::default();
    let meters = net.population("meters", 40, ammeter()).unwrap();
    let chosen = vec![2u32, 33, 39];
    let values: Vec<f32> = (0..12).map(|i| i as f32 + 1.0).collect();
    let matrix = StimulusKind::Matrix { values: values.into(), columns: 3, interval: 0.3 };
    let matrix = net.stimulate("matrix", meters, 2.0, matrix).unwrap();
    matrix.targets[0].neurons = Selection::Indices(chosen.clone().into());
    matrix.start = 0.4;
    for (step, v) in traced(&net, meters, "v_m", 3.0).iter().enumerate() {
        for (i, v) in v.iter().enumerate() {
            let expected = match (chosen.iter().position(|c| *c == i as u32), step.checked_sub(4)) {
                (Some(column), Some(since)) if since / 3 < 4 => 2.0 * ((since / 3) * 3 + column + 1) as f64,
                _ => 0.0,
            };
            close(*v, expected, 1e-12, &format!("step {step}, neuron {i}"));
        }
    }
}

#[test]
fn given_spikes_arrive_at_their_times_and_only_while_the_stimulus_acts() {
    let mut net = NetworkSpec::default();
    let counters = net.population("counters", 50, delta(1e30)).unwrap();
    let events = vec![(0.1, 0), (0.5, 1), (1.0, 1), (1.0, 2), (1.0, 2), (1.04, 0), (2.0, 0), (2.1, 0), (9.0, 2)];
    let kind = StimulusKind::Spikes { events: events.into(), weight: 1.5, receptor: None };
    let spikes = net.stimulate("spikes", counters, 0.0, kind).unwrap();
    spikes.targets[0].neurons = Selection::Indices([4u32, 31, 47].into());
    (spikes.start, spikes.stop) = (0.5, 2.0);
    let mut expected: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    // The step that ends at 0.5 ms begins before the start; that which ends at 2 ms is the last.
    for (time, neuron) in [(1.0, 31), (1.0, 47), (1.0, 47), (1.0, 4), (2.0, 4)] {
        *expected.entry((steps(time) as usize - 1, neuron)).or_default() += 1.5;
    }
    let trace = traced(&net, counters, "v_m", 10.0);
    for neuron in 0..50 {
        let mut value = 0.0;
        for (step, v) in trace.iter().enumerate() {
            value += expected.get(&(step, neuron)).copied().unwrap_or_default();
            assert_eq!(v[neuron], value, "step {step}, neuron {neuron}");
        }
    }
}

// --- Recorders ------------------------------------------------------------------------------------------------------

#[test]
fn states_are_sampled_at_multiples_of_the_interval_within_their_window() {
    let mut net = NetworkSpec::default();
    let neurons = net.population("neurons", 100, LifPscExp { i_e: 300.0, ..LifPscExp::default() }).unwrap();
    net.vary(neurons, "v_m", Distribution::Uniform { low: -70.0, high: -60.0 }).unwrap();
    net.stimulate("rain", neurons, 5_000.0, StimulusKind::Poisson { weight: 20.0, receptor: None }).unwrap();
    let chosen = [1u32, 40, 99];
    let windows = [(3, 0.0, f64::INFINITY), (3, 1.2, 2.1), (7, 1.0, 5.0), (1, 5.95, 6.05), (50, 0.0, f64::INFINITY)];
    let mut sim = simulate(&net, Precision::F32);
    for (every, start, stop) in windows {
        let chosen = Selection::Indices(chosen.into());
        let part = StateRecording { neurons: chosen, start, stop, ..recording(neurons, &["i_syn", "v_m"], every) };
        sim.record_state(part).unwrap();
    }
    let log = sim.record(Log::default()).unwrap();
    let mut truth = Vec::new();
    for _ in 0..100 {
        sim.step().unwrap();
        let of = |variable| chosen.map(|i| sim.state(neurons, variable, i).unwrap() as f32);
        truth.push([of("i_syn"), of("v_m")].concat());
    }
    sim.finish().unwrap();
    let log = sim.recorder(&log);
    assert_eq!(log.finished, 1);
    assert_eq!(log.layout.as_ref().unwrap().states[0].units, ["pA", "mV"]);
    for (number, (every, start, stop)) in windows.into_iter().enumerate() {
        let samples: Vec<_> = log.samples.iter().filter(|(recording, ..)| *recording == number).collect();
        // Times on the grid of the interval, from `start` on, before `stop`.
        let expected: Vec<u64> = (0..100u64)
            .filter(|s| (s + 1) % every == 0)
            .filter(|s| (s + 1) as f64 * DT > start - 1e-9 && ((s + 1) as f64 * DT) < stop - 1e-9)
            .collect();
        assert_eq!(
            samples.iter().map(|(_, step, _)| *step).collect::<Vec<_>>(),
            expected,
            "every {every} from {start}"
        );
        for (_, step, values) in samples {
            assert_eq!(*values, truth[*step as usize], "step {step}");
        }
    }
}

#[test]
fn recorders_are_told_every_step_once_in_order() {
    let mut net = NetworkSpec::default();
    let a = net.population("a", 100, LifPscDelta::default()).unwrap();
    let b = net.population("b", 33, LifPscExp::default()).unwrap();
    net.stimulate("rain", a, 3_000.0, StimulusKind::Poisson { weight: 2.0, receptor: None }).unwrap();
    net.project(a, b, ConnectionRule::FixedIndegree { n: 20 }, StaticSynapse { weight: 90.0, delay: 0.7 }).unwrap();
    for threads in [1, 2, 3] {
        let options = SimOptions { threads, ..SimOptions::default() };
        let mut sim = Simulation::new(BrainModel::build(&net, 2).unwrap(), options).unwrap();
        let log = sim.record(Log::default()).unwrap();
        let only_b = sim.record(SpikeRecorder::of(["b"])).unwrap();
        for duration in [0.1, 50.0, 0.0, 149.9] {
            sim.run(duration).unwrap();
        }
        sim.finish().unwrap();
        let figures = sim.figures();
        let (log, only_b) = (sim.recorder(&log), sim.recorder(&only_b));
        let mut next = 0;
        for (from, to) in &log.stretches {
            assert_eq!(*from, next);
            assert!(to > from);
            next = *to;
        }
        assert_eq!(next, 2_000);
        assert!(log.spikes.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(log.spikes.len() as u64, figures.spikes);
        let layout = log.layout.as_ref().unwrap();
        assert_eq!((layout.locate(99), layout.locate(100), layout.neurons()), ((0, 99), (1, 0), 133));
        let of_b: Vec<Spike> = log.spikes.iter().filter(|s| s.neuron >= 100).copied().collect();
        assert!(
            of_b.len() > 50 && figures.population_spikes == [figures.spikes - of_b.len() as u64, of_b.len() as u64]
        );
        assert_eq!(only_b.spikes, of_b);
        let first = only_b.of_population("b")[0];
        assert_eq!(first, ((of_b[0].step + 1) as f64 * DT, of_b[0].neuron - 100));
        close(only_b.mean_rate_hz(), of_b.len() as f64 / 33.0 / 0.2, 1e-9, "mean rate");
    }
}

#[test]
fn a_run_after_the_end_and_late_recorders_are_refused() {
    let mut net = NetworkSpec::default();
    let population = net.population("p", 10, LifPscExp::default()).unwrap();
    let mut sim = simulate(&net, Precision::F32);
    let unknown = sim.record_state(recording(population, &["w"], 1)).unwrap_err().to_string();
    assert!(unknown.contains("`w`") && unknown.contains("v_m, i_syn"), "{unknown}");
    sim.run(1.0).unwrap();
    assert!(matches!(sim.record(Log::default()), Err(Error::Usage(_))));
    assert!(matches!(sim.record_state(recording(population, &["v_m"], 1)), Err(Error::Usage(_))));
    assert!(matches!(sim.run(f64::NAN), Err(Error::Usage(_))));
    sim.finish().unwrap();
    sim.finish().unwrap();
    assert!(matches!(sim.step(), Err(Error::Usage(_))));
}

/// A state that leaves the numbers stops the run and is named; what was recorded until then is whole.
#[test]
fn a_state_that_is_not_a_number_stops_the_run_and_is_named() {
    for threads in [1, 2, 3] {
        let mut net = NetworkSpec::default();
        let calm = net.population("calm", 200, LifPscDelta::default()).unwrap();
        let wild = net.population("wild", 100, delta(1e30)).unwrap();
        net.stimulate("rain", calm, 20_000.0, StimulusKind::Poisson { weight: 0.4, receptor: None }).unwrap();
        // A million times the lowest number of single precision: neuron 70, in the step that ends at 30.1 ms.
        let values: Vec<f32> = (0..100 * 400).map(|i| if i == 300 * 100 + 70 { f32::MIN } else { 0.0 }).collect();
        let matrix = StimulusKind::Matrix { values: values.into(), columns: 100, interval: DT };
        net.stimulate("burst", wild, 1e6, matrix).unwrap();
        let options = SimOptions { threads, ..SimOptions::default() };
        let mut sim = Simulation::new(BrainModel::build(&net, 2).unwrap(), options).unwrap();
        sim.record_state(recording(wild, &["v_m"], 1)).unwrap();
        let log = sim.record(Log::default()).unwrap();
        let Err(Error::NonFinite { population, neuron, variable, step, time_ms, .. }) = sim.run(100.0) else {
            panic!("the run is to fail")
        };
        assert_eq!((population.as_str(), neuron, variable.as_str(), step), ("wild", 70, "v_m", 300));
        close(time_ms, 30.1, 1e-9, "time");
        sim.finish().unwrap();
        assert_eq!(sim.steps(), 301);
        let log = sim.recorder(&log);
        assert_eq!((log.stretches.last().unwrap().1, log.finished, log.samples.len()), (301, 1, 301));
        assert!(log.samples[..300].iter().all(|(_, _, values)| values.iter().all(|v| *v == 0.0)));
        assert!(!log.spikes.is_empty() && log.spikes.iter().all(|s| s.step <= 300));
    }
}
