//! A network with everything there is, for tests that compare runs.

use tessera::lattice::Lattice4;
use tessera::model::{
    ConnectionRule, DelaySpec, DistanceKernel, DistanceRule, Distribution, Edge, KernelShape, NetworkSpec, Selection,
    StaticSynapse, StimulusKind,
};
use tessera::neuron::{
    AdEx, Integrator, Izhikevich, LifCondAlpha, LifCondExp, LifEuler, LifPscAlpha, LifPscDelta, LifPscExp, Parrot,
    Poisson, SpikeTrain,
};

/// Every model, rule and stimulus at once; delays of 1 to 3000 steps; weights of both signs; neurons that differ.
pub fn mixed() -> NetworkSpec {
    let mut lattice = Lattice4::new([6, 5, 3, 2]).unwrap();
    lattice.spacing = [40.0; 4];
    lattice.periodic = [true, false, true, false];
    let bounds = lattice.bounds();
    let mut net = NetworkSpec::new(lattice);
    let exp = LifPscExp { tau_syn_in: 5.0, ..LifPscExp::default() };
    let cortex = net.population("cortex", bounds, exp).unwrap();
    let merged = net.population("merged", 333, LifPscExp::default()).unwrap();
    let delta = net.population("delta", 129, LifPscDelta::default()).unwrap();
    let alpha = LifPscAlpha { tau_syn_in: 4.0, ..LifPscAlpha::default() };
    let alpha = net.population("alpha", 77, alpha).unwrap();
    let euler = net.population("euler", 64, LifEuler::default()).unwrap();
    let conductances = net.population("conductances", 97, LifCondExp::default()).unwrap();
    let rk4 = AdEx { integrator: Integrator::Rk4, ..AdEx::default() };
    let adaptive = net.population("adaptive", 66, rk4).unwrap();
    let slow = net.population("slow", 35, LifCondAlpha::default()).unwrap();
    let simple = net.population("simple", 100, Izhikevich::default()).unwrap();
    let parrots = net.population("parrots", 40, Parrot::default()).unwrap();
    let random = net.population("random", 50, Poisson { rate: 40.0 }).unwrap();
    let trains: Vec<Vec<f64>> =
        (0..10).map(|i| (1..40).map(|k| f64::from(k * (7 + i)) + 0.1 * f64::from(i)).collect()).collect();
    let given = net.population("given", 10, SpikeTrain::from_trains(&trains).unwrap()).unwrap();

    net.vary(cortex, "v_th", Distribution::normal(-55.0, 1.0)).unwrap();
    net.vary(cortex, "t_ref", Distribution::Uniform { low: 1.0, high: 4.0 }).unwrap();
    net.vary(cortex, "v_m", Distribution::Uniform { low: -70.0, high: -60.0 }).unwrap();
    net.vary(merged, "tau_m", Distribution::Lognormal { mean: 12.0, sd: 3.0 }).unwrap();
    net.vary(conductances, "g_l", Distribution::normal(16.0, 1.0)).unwrap();
    net.vary(adaptive, "b", Distribution::Uniform { low: 20.0, high: 90.0 }).unwrap();
    net.vary(simple, "d", Distribution::Uniform { low: 2.0, high: 8.0 }).unwrap();
    net.vary(delta, "v_m", Distribution::Uniform { low: -70.0, high: -56.0 }).unwrap();

    let mut link = |source, target, rule, weight: Distribution, delay: DelaySpec| {
        net.project(source, target, rule, StaticSynapse { weight, delay }).unwrap();
    };
    let long = || DelaySpec::from(Distribution::Uniform { low: 0.1, high: 300.0 });
    let near = ConnectionRule::Distance(DistanceRule {
        kernel: DistanceKernel { shape: KernelShape::Gaussian, extent: 60.0 },
        p_max: 0.4,
        cutoff: 150.0,
        scale: [1.0, 1.0, 1.0, 2.0],
        hop_w: 0.5,
    });
    link(cortex, cortex, near, Distribution::normal(20.0, 60.0), DelaySpec::Distance { velocity: 100.0, offset: 0.3 });
    link(cortex, merged, ConnectionRule::FixedIndegree { n: 30 }, Distribution::normal(25.0, 5.0), long());
    link(merged, cortex, ConnectionRule::Bernoulli { p: 0.1 }, Distribution::normal(-10.0, 30.0), 300.0.into());
    link(merged, merged, ConnectionRule::FixedTotal { n: 8000 }, (-18.0).into(), 0.1.into());
    link(merged, delta, ConnectionRule::FixedOutdegree { n: 12 }, Distribution::normal(0.1, 0.4), long());
    link(
        delta,
        alpha,
        ConnectionRule::AllToAll,
        Distribution::Lognormal { mean: 4.0, sd: 2.0 },
        Distribution::Normal { mean: 20.0, sd: 15.0, low: 0.1, high: 100.0 }.into(),
    );
    link(alpha, delta, ConnectionRule::AllToAll, (-0.25).into(), 1.5.into());
    link(random, euler, ConnectionRule::Bernoulli { p: 0.5 }, 60.0.into(), long());
    link(euler, parrots, ConnectionRule::FixedIndegree { n: 2 }, 1.0.into(), 0.1.into());
    link(parrots, cortex, ConnectionRule::FixedOutdegree { n: 9 }, 80.0.into(), 33.3.into());
    link(random, merged, ConnectionRule::FixedOutdegree { n: 200 }, 30.0.into(), long());
    let edges: Vec<Edge> = (0..400u32)
        .map(|i| Edge {
            source: i % 10,
            target: i * 7 % 77,
            weight: if i % 3 == 0 { f32::NAN } else { 90.0 - i as f32 },
            delay: if i % 5 == 0 { f32::NAN } else { 0.1 * (1 + i) as f32 },
        })
        .collect();
    link(given, alpha, ConnectionRule::Edges(edges.into()), Distribution::normal(40.0, 10.0), long());
    let pairs: Vec<Edge> =
        (0..10u32).map(|i| Edge { source: i, target: 3 * i, weight: f32::NAN, delay: f32::NAN }).collect();
    link(given, parrots, ConnectionRule::Edges(pairs.into()), 1.0.into(), 0.2.into());
    link(merged, conductances, ConnectionRule::FixedIndegree { n: 20 }, Distribution::normal(5.0, 8.0), long());
    link(conductances, adaptive, ConnectionRule::FixedIndegree { n: 15 }, Distribution::normal(9.0, 9.0), long());
    link(adaptive, slow, ConnectionRule::Bernoulli { p: 0.4 }, Distribution::normal(1.0, 2.0), 12.0.into());
    link(slow, simple, ConnectionRule::FixedIndegree { n: 5 }, Distribution::normal(0.5, 1.5), long());
    link(simple, conductances, ConnectionRule::Bernoulli { p: 0.2 }, (-6.0).into(), 1.0.into());
    link(euler, euler, ConnectionRule::OneToOne, (-40.0).into(), 5.0.into());

    let part: Selection = Selection::Indices((0..180).filter(|i| i % 7 < 3).collect());
    net.stimulate("rain", cortex, 7_000.0, StimulusKind::Poisson { weight: 25.0, receptor: None }).unwrap();
    let inhibition = StimulusKind::Poisson { weight: -30.0, receptor: Some("inhibitory".into()) };
    let rain = net.stimulate("thin rain", cortex, 400.0, inhibition).unwrap();
    rain.targets[0].neurons = part.clone();
    (rain.start, rain.stop) = (50.0, 300.0);
    net.stimulate("cond dc", conductances, 300.0, StimulusKind::Dc).unwrap();
    net.stimulate("slow dc", slow, 260.0, StimulusKind::Dc).unwrap();
    net.stimulate("adaptive noise", adaptive, 700.0, StimulusKind::Noise { sd: 300.0, interval: 1.0 }).unwrap();
    net.stimulate("simple noise", simple, 6.0, StimulusKind::OrnsteinUhlenbeck { sd: 4.0, tau: 5.0 }).unwrap();
    net.stimulate("dc", merged, 330.0, StimulusKind::Dc).unwrap();
    let ac = StimulusKind::Ac { frequency: 12.0, phase: 30.0, offset: 380.0 };
    net.stimulate("ac", delta, 120.0, ac).unwrap().start = 20.0;
    let steps = StimulusKind::Steps { times: vec![10.0, 150.0, 300.0], amplitudes: vec![1.0, 0.3, 1.5] };
    net.stimulate("steps", alpha, 330.0, steps).unwrap();
    net.stimulate("noise", merged, 20.0, StimulusKind::Noise { sd: 400.0, interval: 0.5 }).unwrap();
    let ou = net.stimulate("ou", cortex, 30.0, StimulusKind::OrnsteinUhlenbeck { sd: 120.0, tau: 15.0 }).unwrap();
    ou.targets[0].neurons = part;
    let events: Vec<(f64, u32)> = (0..600).map(|k| (0.5 * f64::from(k), (k * 11 % 64) as u32)).collect();
    let spikes = StimulusKind::Spikes { events: events.into(), weight: 3300.0, receptor: None };
    net.stimulate("spikes", euler, 0.0, spikes).unwrap();
    let values: Vec<f32> = (0..100 * 129).map(|i| (i % 97) as f32 - 20.0).collect();
    let matrix = StimulusKind::Matrix { values: values.into(), columns: 129, interval: 4.0 };
    net.stimulate("matrix", delta, 1.2, matrix).unwrap();
    net
}
