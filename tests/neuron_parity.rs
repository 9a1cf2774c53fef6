//! Neuron models against themselves: single against double precision, one instruction set against another, one block
//! size against another, neurons of their own against populations that share their parameters. And what is refused.

mod neuron_rig;

use neuron_rig::{Bits, Rig, all_models, differing, inputs_of, shared};
use std::sync::Arc;
use tessera::compute::Isa;
use tessera::neuron::*;

const DT: f64 = 0.1;

#[test]
fn single_precision_stays_near_double() {
    for (name, model) in all_models() {
        if model.is_source() || model.variables().is_empty() {
            continue;
        }
        let (mut single, mut double) = (Rig::<f32>::new(&model, DT), Rig::<f64>::new(&model, DT));
        for step in 0..1000 {
            for (receptor, (a, b)) in single.inputs.iter_mut().zip(&mut double.inputs).enumerate() {
                let values = inputs_of(&*model, receptor, step, 0.1);
                a.iter_mut().zip(&values).for_each(|(a, x)| *a = *x as f32);
                b.copy_from_slice(&values);
            }
            single.step(None);
            double.step(None);
            assert!(single.spikes == double.spikes, "{name}: spikes in step {step}");
            for (a, b) in single.columns[0].iter().zip(&double.columns[0]) {
                assert!((f64::from(*a) - b).abs() < 2e-2, "{name}: {a} in single, {b} in double precision");
            }
        }
    }
}

/// All state and spikes of 400 steps with lively input, injected current and, if asked, differing parameters.
fn fingerprint<T: Bits>(model: &Arc<dyn NeuronModel>, isa: Isa, differ: bool, block: usize) -> Vec<u64> {
    let params = if differ { differing(&**model, 96) } else { shared(&**model, 96) };
    let mut rig = Rig::<T>::with(model, DT, params, isa);
    let mut print = Vec::new();
    let current = vec![T::of(2.0); rig.len];
    for step in 0..400 {
        for receptor in 0..rig.inputs.len() {
            let values = inputs_of(&**model, receptor, step, 1.0);
            rig.inputs[receptor].iter_mut().zip(values.iter().cycle()).for_each(|(a, x)| *a = T::of(*x));
        }
        rig.step_in_blocks((!model.is_source() && step % 2 == 0).then_some(&current), block);
        print.extend(rig.spikes.iter().map(|word| u64::from(*word)));
    }
    assert!(print.iter().any(|word| *word != 0), "{}: the input must cause spikes", model.name());
    print.extend(rig.columns.iter().flatten().map(|x| x.bits()));
    print
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for (name, model) in all_models() {
        for differ in [false, true] {
            let single = fingerprint::<f32>(&model, Isa::Portable, differ, 96);
            let double = fingerprint::<f64>(&model, Isa::Portable, differ, 96);
            for isa in Isa::all_available() {
                assert!(fingerprint::<f32>(&model, isa, differ, 96) == single, "{name} f32 {isa} differ {differ}");
                assert!(fingerprint::<f64>(&model, isa, differ, 96) == double, "{name} f64 {isa} differ {differ}");
            }
        }
    }
}

#[test]
fn blocks_of_any_size_give_the_same_bits() {
    for (name, model) in all_models() {
        for differ in [false, true] {
            let whole = fingerprint::<f32>(&model, Isa::detect(), differ, 96);
            for block in [32, 64] {
                assert!(fingerprint::<f32>(&model, Isa::detect(), differ, block) == whole, "{name} blocks of {block}");
            }
        }
    }
}

#[test]
fn neurons_with_their_own_parameters_equal_populations_that_share_them() {
    let chosen = [0, 13, 31];
    for (name, model) in all_models().into_iter().filter(|(_, model)| !model.is_source()) {
        let table = differing(&*model, 32);
        let drive = |rig: &mut Rig<f32>, step: usize| {
            for receptor in 0..rig.inputs.len() {
                let values = inputs_of(&*model, receptor, step, 1.0);
                rig.inputs[receptor].iter_mut().zip(&values).for_each(|(a, x)| *a = *x as f32);
            }
            rig.step(None);
        };
        let mut together = Rig::<f32>::with(&model, DT, table.clone(), Isa::detect());
        let mut alone = chosen.map(|neuron| {
            let columns = table.row(neuron).into_iter().map(ParamColumn::Uniform).collect();
            Rig::<f32>::with(&model, DT, ParamTable { len: 32, columns }, Isa::detect())
        });
        for step in 0..300 {
            drive(&mut together, step);
            for (rig, neuron) in alone.iter_mut().zip(chosen) {
                drive(rig, step);
                assert_eq!(rig.spikes[0] >> neuron & 1, together.spikes[0] >> neuron & 1, "{name} neuron {neuron}");
                for (a, b) in rig.columns.iter().zip(&together.columns) {
                    assert_eq!(a[neuron].to_bits(), b[neuron].to_bits(), "{name} neuron {neuron} step {step}");
                }
            }
        }
    }
}

#[test]
fn faults_name_the_parameter_and_all_are_listed() {
    let model = LifPscExp { v_reset: -50.0, t_ref: 1e5, ..LifPscExp::default() };
    let faults = model.check(&model.values(), DT);
    assert_eq!(faults.iter().map(|f| f.0).collect::<Vec<_>>(), ["v_reset", "t_ref"]);
    let params = shared(&model, 32);
    let prepare = Prepare { dt: DT, seed: 1, population: "p", params: &params, first: 0, len: 32, isa: Isa::Portable };
    let error = model.stepper_f32(&prepare).err().expect("refused").to_string();
    assert!(error.contains("population.p.v_reset: -50 mV") && error.contains("population.p.t_ref"), "{error}");
    assert_eq!(LifEuler::default().check(&[0.05, -65.0, -50.0, -65.0, 2.0], DT).len(), 1);
    assert_eq!(AdEx { v_peak: -52.0, v_reset: -51.0, ..AdEx::default() }.values().len(), AdEx::PARAMETERS.len());
}

#[test]
fn merged_currents_refuse_neurons_whose_time_constants_differ() {
    let merged = LifPscExp::default();
    let mut params = shared(&merged, 32);
    params.columns[6] = ParamColumn::PerNeuron((0..32).map(|i| 2.0 + f64::from(i) * 0.1).collect());
    let prepare = Prepare { dt: DT, seed: 1, population: "p", params: &params, first: 0, len: 32, isa: Isa::Portable };
    let error = merged.stepper_f64(&prepare).err().expect("refused").to_string();
    assert!(error.contains("separate") && error.contains("neuron 1"), "{error}");
    let separate = LifPscExp { currents: Currents::Separate, ..merged };
    assert!(separate.stepper_f64(&prepare).is_ok());
    assert_eq!(separate.variables().len(), 3);
    assert_eq!(separate.receptors(&params).len(), 2);
}
