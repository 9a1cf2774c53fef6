//! Neuron models against closed forms and against finely stepped references.

mod neuron_rig;

use neuron_rig::Rig;
use std::sync::Arc;
use tessera::neuron::*;

const DT: f64 = 0.1;

fn close(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!((got - want).abs() <= tolerance, "{what}: {got} instead of {want}");
}

/// The three exact models at the same membrane parameters.
fn exact_models(i_e: f64) -> Vec<Arc<dyn NeuronModel>> {
    vec![
        Arc::new(LifPscDelta { i_e, ..LifPscDelta::default() }),
        Arc::new(LifPscExp { i_e, ..LifPscExp::default() }),
        Arc::new(LifPscExp { i_e, currents: Currents::Separate, ..LifPscExp::default() }),
        Arc::new(LifPscExp { i_e, tau_syn_in: 7.0, ..LifPscExp::default() }),
        Arc::new(LifPscAlpha { i_e, ..LifPscAlpha::default() }),
        Arc::new(LifPscAlpha { i_e, currents: Currents::Separate, ..LifPscAlpha::default() }),
    ]
}

#[test]
fn free_decay_is_exponential() {
    for model in exact_models(0.0) {
        let mut rig = Rig::<f64>::new(&model, DT);
        rig.columns[0].fill(-58.0);
        for step in 0..500 {
            rig.step(None);
            let t = f64::from(step + 1) * DT;
            close(rig.columns[0][5], -70.0 + 12.0 * (-t / 10.0).exp(), 1e-10, model.name());
        }
    }
}

#[test]
fn constant_current_charges_the_membrane_whether_parameter_or_injected() {
    // 250 pA through 40 MOhm: 10 mV, below the threshold.
    let own = exact_models(250.0).into_iter().map(|model| (model, None));
    let injected = exact_models(0.0).into_iter().map(|model| (model, Some(vec![250.0; 32])));
    for (model, current) in own.chain(injected) {
        let mut rig = Rig::<f64>::new(&model, DT);
        for step in 0..400 {
            rig.step(current.as_ref());
            let t = f64::from(step + 1) * DT;
            close(rig.columns[0][0], -70.0 + 10.0 * (1.0 - (-t / 10.0).exp()), 1e-10, model.name());
        }
    }
}

#[test]
fn delta_input_jumps_at_the_end_of_its_step() {
    let model: Arc<dyn NeuronModel> = Arc::new(LifPscDelta::default());
    let mut rig = Rig::<f64>::new(&model, DT);
    rig.inputs[0][3] = 1.5;
    rig.step(None);
    close(rig.columns[0][3], -68.5, 1e-12, "jump");
    close(rig.columns[0][2], -70.0, 1e-12, "neighbour");
    rig.clear_inputs();
    rig.step(None);
    close(rig.columns[0][3], -70.0 + 1.5 * (-DT / 10.0).exp(), 1e-12, "decay after the jump");
}

/// Postsynaptic potential of an exponential current of 1 pA, mV.
fn psp_exponential(t: f64, tau_m: f64, tau_syn: f64, c_m: f64) -> f64 {
    if tau_m == tau_syn {
        return t / c_m * (-t / tau_m).exp();
    }
    tau_m * tau_syn / (c_m * (tau_m - tau_syn)) * ((-t / tau_m).exp() - (-t / tau_syn).exp())
}

/// Postsynaptic potential of an alpha current with a peak of 1 pA, mV.
fn psp_alpha(t: f64, tau_m: f64, tau_syn: f64, c_m: f64) -> f64 {
    let factor = std::f64::consts::E / (tau_syn * c_m) * (-t / tau_m).exp();
    if tau_m == tau_syn {
        return factor * t * t / 2.0;
    }
    let a = 1.0 / tau_syn - 1.0 / tau_m;
    factor * (1.0 - (1.0 + a * t) * (-a * t).exp()) / (a * a)
}

#[test]
fn postsynaptic_potentials_follow_their_expressions() {
    type Psp = fn(f64, f64, f64, f64) -> f64;
    for tau_syn in [0.5, 2.0, 10.0, 25.0] {
        for currents in [Currents::Merged, Currents::Separate] {
            let exponential = LifPscExp { tau_syn_ex: tau_syn, tau_syn_in: tau_syn, currents, ..LifPscExp::default() };
            let alpha = LifPscAlpha { tau_syn_ex: tau_syn, tau_syn_in: tau_syn, currents, ..LifPscAlpha::default() };
            let models: [(Arc<dyn NeuronModel>, Psp); 2] =
                [(Arc::new(exponential), psp_exponential), (Arc::new(alpha), psp_alpha)];
            for (model, psp) in models {
                let mut rig = Rig::<f64>::new(&model, DT);
                // The only receptor takes either sign; the second of two is the inhibitory one.
                let receptor = rig.inputs.len() - 1;
                let weight = if receptor == 0 { 100.0 } else { -100.0 };
                rig.inputs[receptor][7] = weight;
                rig.step(None);
                rig.clear_inputs();
                for step in 1..2000 {
                    rig.step(None);
                    let t = f64::from(step) * DT;
                    let want = -70.0 + weight * psp(t, 10.0, tau_syn, 250.0);
                    close(rig.columns[0][7], want, 1e-9, &format!("{} tau_syn {tau_syn} t {t}", model.name()));
                }
            }
        }
    }
}

#[test]
fn exponential_psp_peaks_where_and_as_high_as_it_should() {
    let (tau_m, tau_s, c_m, dt) = (10.0f64, 0.5f64, 250.0, 0.01);
    let model: Arc<dyn NeuronModel> =
        Arc::new(LifPscExp { tau_syn_ex: tau_s, tau_syn_in: tau_s, ..LifPscExp::default() });
    let mut rig = Rig::<f64>::new(&model, dt);
    rig.inputs[0][0] = 87.8;
    rig.step(None);
    rig.clear_inputs();
    let trace: Vec<f64> = (0..1000)
        .map(|_| {
            rig.step(None);
            rig.columns[0][0]
        })
        .collect();
    let (peak_step, peak) = trace.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).expect("not empty");
    let peak_time = tau_m * tau_s / (tau_m - tau_s) * (tau_m / tau_s).ln();
    close((peak_step + 1) as f64 * dt, peak_time, dt, "time of the peak");
    close(*peak, -70.0 + 87.8 * psp_exponential(peak_time, tau_m, tau_s, c_m), 1e-5, "height of the peak");
}

#[test]
fn firing_rate_follows_the_current_curve() {
    for i_e in [380.0, 400.0, 500.0, 700.0, 1500.0] {
        for t_ref in [0.0, 0.5, 2.0] {
            let rise: f64 = i_e * 10.0 / 250.0;
            let charging = 10.0 * (rise / (rise - 15.0)).ln();
            let period = (charging / DT).ceil() as u64 + (t_ref / DT).round() as u64;
            let models: [Arc<dyn NeuronModel>; 3] = [
                Arc::new(LifPscDelta { i_e, t_ref, ..LifPscDelta::default() }),
                Arc::new(LifPscExp { i_e, t_ref, ..LifPscExp::default() }),
                Arc::new(LifPscAlpha { i_e, t_ref, ..LifPscAlpha::default() }),
            ];
            for model in models {
                let spikes = Rig::<f64>::new(&model, DT).spike_steps(0, 5000, |_, _| {});
                assert_eq!(spikes[0] + 1, (charging / DT).ceil() as u64, "{} first spike", model.name());
                assert!(spikes.len() > 10);
                assert!(spikes.windows(2).all(|w| w[1] - w[0] == period), "{} i_e {i_e} t_ref {t_ref}", model.name());
            }
        }
    }
}

#[test]
fn refractoriness_lasts_its_steps_exactly() {
    let (i_e, t_ref) = (1e6, 1.3);
    let models: [Arc<dyn NeuronModel>; 6] = [
        Arc::new(LifPscDelta { i_e, t_ref, ..LifPscDelta::default() }),
        Arc::new(LifPscExp { i_e, t_ref, ..LifPscExp::default() }),
        Arc::new(LifPscAlpha { i_e, t_ref, ..LifPscAlpha::default() }),
        Arc::new(LifCondExp { i_e, t_ref, ..LifCondExp::default() }),
        Arc::new(LifCondAlpha { i_e, t_ref, integrator: Integrator::Rk4, ..LifCondAlpha::default() }),
        Arc::new(AdEx { i_e, t_ref, b: 0.0, ..AdEx::default() }),
    ];
    for model in models {
        let mut rig = Rig::<f32>::new(&model, DT);
        let reset = model.values()[model.parameters().iter().position(|p| p.name == "v_reset").expect("has it")];
        let mut spikes = Vec::new();
        for step in 0..100 {
            rig.step(None);
            if rig.spikes[0] & 1 == 1 {
                spikes.push(step);
            }
            // With this current every step that is not held ends in a spike: the potential is always that of a reset.
            assert_eq!(rig.columns[0][0], reset as f32, "{} step {step}", model.name());
        }
        assert!(spikes.windows(2).all(|w| w[1] - w[0] == 14), "{}: {spikes:?}", model.name());
        assert_eq!(spikes[0], 0, "{}", model.name());
    }
}

#[test]
fn delta_input_is_dropped_and_currents_persist_during_refractoriness() {
    let delta: Arc<dyn NeuronModel> = Arc::new(LifPscDelta::default());
    let euler: Arc<dyn NeuronModel> = Arc::new(LifEuler::default());
    for (model, kick) in [(delta, 20.0), (euler, 20.0 * 200.0)] {
        let rest = model.initial(0, &model.values());
        let mut rig = Rig::<f64>::new(&model, DT);
        let spikes = rig.spike_steps(0, 21, |_, inputs| inputs[0][0] = kick);
        assert_eq!(spikes, [0], "{}: the input of the 20 steps after the spike is dropped", model.name());
        assert_eq!(rig.columns[0][0], rest);
        assert_eq!(rig.spike_steps(21, 22, |_, inputs| inputs[0][0] = kick), [21]);
    }
    let exponential: Arc<dyn NeuronModel> = Arc::new(LifPscExp::default());
    let mut rig = Rig::<f64>::new(&exponential, DT);
    rig.columns[1].fill(1e5);
    rig.step(None);
    assert_eq!(rig.spikes[0], u32::MAX);
    rig.inputs[0].fill(3.0);
    rig.step(None);
    close(rig.columns[1][0], 1e5 * (-2.0 * DT / 2.0f64).exp() + 3.0, 1e-9, "current during refractoriness");
    assert_eq!(rig.columns[0][0], -70.0);
}

#[test]
fn euler_neuron_is_the_recurrence() {
    let model: Arc<dyn NeuronModel> = Arc::new(LifEuler::default());
    let mut rig = Rig::<f64>::new(&model, 1.0);
    let current = vec![4.0; rig.len];
    let mut v = -65.0;
    for step in 0..50 {
        let input = f64::from(step % 7);
        rig.inputs[0].fill(input);
        rig.step(Some(&current));
        v += (-(v + 65.0) + input + 4.0) / 20.0;
        close(rig.columns[0][9], v, 1e-11, "potential");
    }
}

/// `v` and `w` at the end of every step of a neuron with two conductances, all stepped finely by Runge-Kutta.
/// `slope` gives dv/dt and dw/dt from v, w and the conductances.
fn conductance_reference(
    steps: usize,
    alpha: bool,
    slope: impl Fn(f64, f64, f64, f64) -> (f64, f64),
    (tau_ex, tau_in): (f64, f64),
    v0: f64,
) -> Vec<[f64; 2]> {
    let fine = 50;
    let h = DT / f64::from(fine);
    // v, w, then value and slope of each conductance.
    let mut y = [v0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let f = |y: [f64; 6]| {
        let (dv, dw) = slope(y[0], y[1], y[2], y[4]);
        [dv, dw, y[3] - y[2] / tau_ex, -y[3] / tau_ex, y[5] - y[4] / tau_in, -y[5] / tau_in]
    };
    let along = |y: [f64; 6], k: [f64; 6], h: f64| std::array::from_fn::<f64, 6, _>(|i| y[i] + h * k[i]);
    let mut trace = Vec::new();
    for step in 0..steps {
        for _ in 0..fine {
            let k1 = f(y);
            let k2 = f(along(y, k1, h / 2.0));
            let k3 = f(along(y, k2, h / 2.0));
            let k4 = f(along(y, k3, h));
            y = std::array::from_fn(|i| y[i] + h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]));
        }
        let (ex, inh) = conductance_input(step);
        if alpha {
            y[3] += ex * std::f64::consts::E / tau_ex;
            y[5] += inh * std::f64::consts::E / tau_in;
        } else {
            y[2] += ex;
            y[4] += inh;
        }
        trace.push([y[0], y[1]]);
    }
    trace
}

fn conductance_input(step: usize) -> (f64, f64) {
    (if step % 37 == 3 { 12.0 } else { 0.0 }, if step % 53 == 20 { 9.0 } else { 0.0 })
}

/// Largest deviation of the first columns from the reference.
fn deviation(model: &Arc<dyn NeuronModel>, columns: usize, reference: &[[f64; 2]]) -> f64 {
    let mut rig = Rig::<f64>::new(model, DT);
    let mut worst = 0f64;
    for (step, want) in reference.iter().enumerate() {
        let (ex, inh) = conductance_input(step);
        rig.inputs[0].fill(ex);
        rig.inputs[1].fill(inh);
        rig.step(None);
        assert_eq!(rig.spikes[0], 0, "{} must stay below threshold here", model.name());
        for (column, want) in want.iter().take(columns).enumerate() {
            worst = worst.max((rig.columns[column][11] - want).abs());
        }
    }
    worst
}

#[test]
fn conductance_models_follow_a_fine_reference() {
    let p = LifCondExp { tau_syn_ex: 1.0, ..LifCondExp::default() };
    let slope = |v: f64, _w: f64, ex: f64, inh: f64| {
        ((-p.g_l * (v - p.e_l) - ex * (v - p.e_ex) - inh * (v - p.e_in)) / p.c_m, 0.0)
    };
    for alpha in [false, true] {
        let reference = conductance_reference(600, alpha, slope, (p.tau_syn_ex, p.tau_syn_in), p.e_l);
        let with = |integrator| -> Arc<dyn NeuronModel> {
            if alpha {
                Arc::new(LifCondAlpha { tau_syn_ex: 1.0, integrator, ..LifCondAlpha::default() })
            } else {
                Arc::new(LifCondExp { tau_syn_ex: 1.0, integrator, ..LifCondExp::default() })
            }
        };
        let rk4 = deviation(&with(Integrator::Rk4), 1, &reference);
        assert!(rk4 < 3e-6, "rk4, alpha {alpha}: {rk4:e} mV");
        let exponential = deviation(&with(Integrator::ExponentialEuler), 1, &reference);
        assert!(exponential < 0.02, "exponential Euler, alpha {alpha}: {exponential:e} mV");
        assert!(exponential > rk4, "the second-order method is the less exact one");
    }
}

#[test]
fn adex_follows_a_fine_reference_below_threshold() {
    let p = AdEx { tau_syn_ex: 1.0, i_e: 200.0, ..AdEx::default() };
    let slope = |v: f64, w: f64, ex: f64, inh: f64| {
        let initiation = p.g_l * p.delta_t * ((v - p.v_th) / p.delta_t).exp();
        let dv = -p.g_l * (v - p.e_l) + initiation - ex * (v - p.e_ex) - inh * (v - p.e_in) - w + p.i_e;
        (dv / p.c_m, (p.a * (v - p.e_l) - w) / p.tau_w)
    };
    // Exponential conductances: their second variable stays zero.
    let reference = conductance_reference(1500, false, slope, (1.0, 2.0), p.e_l);
    let with = |integrator| -> Arc<dyn NeuronModel> { Arc::new(AdEx { integrator, ..p.clone() }) };
    let rk4 = deviation(&with(Integrator::Rk4), 2, &reference);
    assert!(rk4 < 1e-5, "rk4: {rk4:e}");
    let exponential = deviation(&with(Integrator::ExponentialEuler), 2, &reference);
    assert!(exponential < 0.1, "exponential Euler: {exponential:e}");
}

#[test]
fn adex_adapts_and_its_spikes_converge() {
    let spikes = |integrator, dt: f64| {
        let model: Arc<dyn NeuronModel> = Arc::new(AdEx { i_e: 800.0, integrator, ..AdEx::default() });
        let steps = (400.0 / dt).round() as u64;
        let spikes = Rig::<f64>::new(&model, dt).spike_steps(0, steps, |_, _| {});
        spikes.iter().map(|step| (step + 1) as f64 * dt).collect::<Vec<f64>>()
    };
    let fine = spikes(Integrator::Rk4, 0.001);
    let intervals: Vec<f64> = fine.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(fine.len() > 5 && intervals[0] < intervals[intervals.len() - 1], "adaptation lengthens intervals");
    for (integrator, tolerance) in [(Integrator::Rk4, 2.0), (Integrator::ExponentialEuler, 8.0)] {
        let coarse = spikes(integrator, DT);
        assert_eq!(coarse.len(), fine.len(), "{integrator:?}");
        for (got, want) in coarse.iter().zip(&fine) {
            close(*got, *want, tolerance, &format!("{integrator:?}"));
        }
    }
}

#[test]
fn adex_survives_the_strongest_drive_in_single_precision() {
    for integrator in [Integrator::ExponentialEuler, Integrator::Rk4] {
        let model: Arc<dyn NeuronModel> = Arc::new(AdEx { i_e: 5e4, delta_t: 0.05, integrator, ..AdEx::default() });
        let mut rig = Rig::<f32>::new(&model, 1.0);
        for _ in 0..2000 {
            rig.step(None);
            assert!(rig.columns.iter().flatten().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn izhikevich_neuron_is_the_recurrence() {
    let model: Arc<dyn NeuronModel> = Arc::new(Izhikevich { i_e: 10.0, ..Izhikevich::default() });
    let mut rig = Rig::<f64>::new(&model, DT);
    let (mut v, mut u) = (-65.0f64, -13.0f64);
    let mut count = 0;
    for step in 0..10_000u32 {
        let input = if step % 100 == 50 { 0.5 } else { 0.0 };
        rig.inputs[0].fill(input);
        rig.step(None);
        let (dv, du) = (0.04 * v * v + 5.0 * v + 140.0 - u + 10.0, 0.02 * (0.2 * v - u));
        v += DT * dv + input;
        u += DT * du;
        if v >= 30.0 {
            v = -65.0;
            u += 8.0;
            count += 1;
            assert_eq!(rig.spikes[0], u32::MAX, "step {step}");
        }
        close(rig.columns[0][1], v, 1e-5, "v");
        close(rig.columns[1][1], u, 1e-5, "u");
    }
    assert!((15..=35).contains(&count), "a regular spiking neuron at 10 fires some 20 to 30 Hz, not {count}");
}
