//! Sources and the parrot: what they send, exactly or statistically, wherever a run or a part begins.

mod neuron_rig;

use neuron_rig::{Rig, shared};
use std::sync::Arc;
use tessera::compute::Isa;
use tessera::neuron::*;

/// Spike words of steps `from..to` of a part of a source.
fn words(
    model: &dyn NeuronModel,
    params: &ParamTable,
    seed: u64,
    first: u32,
    steps: std::ops::Range<u64>,
    isa: Isa,
) -> Vec<u32> {
    let len = params.len;
    let prepare = Prepare { dt: 0.1, seed, population: "source", params, first, len, isa };
    let mut stepper = model.stepper_f32(&prepare).expect("valid");
    let mut all = Vec::new();
    for step in steps {
        let mut spikes = vec![0u32; len / 32];
        stepper.step(&mut Block {
            step,
            offset: 0,
            len,
            inputs: &[],
            current: None,
            columns: &mut [],
            refractory: &mut vec![0; len],
            spikes: &mut spikes,
        });
        all.extend(spikes);
    }
    all
}

#[test]
fn poisson_source_has_its_rate_and_variance() {
    let (neurons, steps) = (1024, 4000u64);
    for rate in [20.0, 500.0, 5000.0] {
        let model = Poisson { rate };
        let params = shared(&model, neurons);
        let words = words(&model, &params, 11, 0, 0..steps, Isa::detect());
        let p = rate * 1e-4;
        let mut counts = vec![0f64; neurons];
        for (i, word) in words.iter().enumerate() {
            for bit in 0..32 {
                counts[i % (neurons / 32) * 32 + bit] += f64::from(word >> bit & 1);
            }
        }
        let n = neurons as f64;
        let mean = counts.iter().sum::<f64>() / n;
        let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let (want_mean, want_variance) = (steps as f64 * p, steps as f64 * p * (1.0 - p));
        // Four standard errors.
        assert!((mean - want_mean).abs() < 4.0 * (want_variance / n).sqrt(), "rate {rate}: mean {mean}");
        assert!((variance / want_variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "rate {rate}: variance {variance}");
        // Neighbouring steps are independent: the chance of two spikes in a row is p squared.
        let pairs: u32 = words.windows(neurons / 32 + 1).map(|w| (w[0] & w[neurons / 32]).count_ones()).sum();
        let want_pairs = n * (steps - 1) as f64 * p * p;
        assert!((f64::from(pairs) - want_pairs).abs() < 5.0 * want_pairs.sqrt().max(1.0), "rate {rate}: {pairs} pairs");
    }
}

#[test]
fn poisson_rates_may_differ_and_extremes_are_exact() {
    let model = Poisson::default();
    let rates: Vec<f64> = (0..64).map(|i| if i % 2 == 0 { 0.0 } else { 10_000.0 }).collect();
    let params = ParamTable { len: 64, columns: vec![ParamColumn::PerNeuron(rates)] };
    let words = words(&model, &params, 5, 0, 0..200, Isa::detect());
    assert!(words.iter().all(|word| *word == 0xAAAA_AAAA), "rate 0 is silent, one spike a step is the largest rate");
    let faults = model.check(&[10_001.0], 0.1);
    assert!(faults[0].0 == "rate" && faults[0].1.contains("10000 Hz"), "{faults:?}");
}

#[test]
fn poisson_draws_belong_to_the_neuron_and_the_step() {
    let model = Poisson { rate: 800.0 };
    let whole = words(&model, &shared(&model, 96), 5, 0, 0..50, Isa::detect());
    let part = words(&model, &shared(&model, 32), 5, 64, 10..50, Isa::detect());
    let expected: Vec<u32> = whole.iter().skip(2).step_by(3).skip(10).copied().collect();
    assert_eq!(part, expected, "a part and a later start see the same draws");
    assert_ne!(whole, words(&model, &shared(&model, 96), 6, 0, 0..50, Isa::detect()), "another seed");
    for isa in Isa::all_available() {
        assert_eq!(whole, words(&model, &shared(&model, 96), 5, 0, 0..50, isa), "{isa}");
    }
}

#[test]
fn spike_train_is_sent_exactly_and_from_any_step() {
    let model = SpikeTrain::new(vec![(0.3, 40), (0.1, 0), (0.3, 2), (0.3, 33), (2.0, 95)]).expect("valid");
    assert_eq!(model.highest_neuron(), Some(95));
    let params = ParamTable { len: 96, columns: Vec::new() };
    let all = words(&model, &params, 0, 0, 0..20, Isa::detect());
    let mut expected = vec![0u32; 60];
    expected[0] = 1;
    expected[2 * 3] = 1 << 2;
    expected[2 * 3 + 1] = 1 << 1 | 1 << 8;
    expected[19 * 3 + 2] = 1 << 31;
    assert_eq!(all, expected);
    assert_eq!(words(&model, &params, 0, 0, 2..20, Isa::detect()), expected[6..]);
    let part = ParamTable { len: 32, columns: Vec::new() };
    let middle: Vec<u32> = expected.iter().skip(1).step_by(3).copied().collect();
    assert_eq!(words(&model, &part, 0, 32, 0..20, Isa::detect()), middle);
    let trains = SpikeTrain::from_trains(&[vec![0.1], vec![], vec![0.3, 0.5]]).expect("valid");
    assert_eq!(trains.events(), [(0.1, 0), (0.3, 2), (0.5, 2)]);
}

#[test]
fn spike_train_may_go_back_in_time() {
    let model: Arc<dyn NeuronModel> = Arc::new(SpikeTrain::from_trains(&[vec![0.2, 0.4, 0.6]]).expect("valid"));
    let mut rig = Rig::<f64>::with(&model, 0.1, ParamTable { len: 32, columns: Vec::new() }, Isa::detect());
    assert_eq!(rig.spike_steps(0, 10, |_, _| {}), [1, 3, 5]);
    rig.now = 2;
    assert_eq!(rig.spike_steps(2, 10, |_, _| {}), [3, 5]);
}

#[test]
fn spike_train_refuses_what_it_cannot_send() {
    let error = SpikeTrain::new(vec![(0.0, 1), (f64::NAN, 2)]).expect_err("two faults").to_string();
    assert!(error.contains("0 ms (neuron 1)") && error.contains("NaN"), "{error}");
    let params = ParamTable { len: 32, columns: Vec::new() };
    let prepare = Prepare { dt: 1.0, seed: 0, population: "s", params: &params, first: 0, len: 32, isa: Isa::Portable };
    let twice = SpikeTrain::new(vec![(5.1, 1), (4.9, 1), (0.2, 3)]).expect("times are fine");
    let error = twice.stepper_f32(&prepare).err().expect("two faults").to_string();
    assert!(
        error.contains("two spikes in the step that ends at 5 ms") && error.contains("neuron 3 at 0.2 ms"),
        "{error}"
    );
}

#[test]
fn parrot_repeats_in_the_same_step() {
    let model: Arc<dyn NeuronModel> = Arc::new(Parrot::default());
    let mut rig = Rig::<f32>::new(&model, 0.1);
    for (step, (input, spikes)) in
        [(0.0, false), (0.5, true), (3.0, true), (-1.0, false), (1e-30, true)].iter().enumerate()
    {
        rig.inputs[0].fill(0.0);
        rig.inputs[0][4] = *input;
        rig.step(None);
        assert_eq!(rig.spikes[0], u32::from(*spikes) << 4, "step {step}");
    }
}
