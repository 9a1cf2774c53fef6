//! Sparse matrices: invariants, assembly, products, and the engine's synapses as one.

use proptest::prelude::*;
use tessera::compute::cpu::Cpu;
use tessera::compute::{DType, Device, Isa};
use tessera::engine::{Connectivity, SimOptions, SynapseSelection};
use tessera::model::{BrainModel, ConnectionRule, Distribution, NetworkSpec, StaticSynapse};
use tessera::neuron::{LifPscDelta, LifPscExp};
use tessera::nn::{Module, SparseLinear};
use tessera::rng::Key;
use tessera::sparse::{Csr, Events, Pattern};
use tessera::tensor::{SparseMatrix, Tensor};

/// A matrix with about `density` of its elements, drawn from a counter.
fn random(rows: usize, cols: usize, density: f64, seed: u32) -> Csr<f64> {
    let key = Key([seed, 11]);
    let mut dense = vec![0.0; rows * cols];
    for (i, value) in dense.iter_mut().enumerate() {
        let [a, b, ..] = key.words([i as u32, 0, 0, 0]);
        if tessera::rng::unit(a) < density {
            *value = tessera::rng::unit(b) * 2.0 - 1.0;
        }
    }
    Csr::from_dense(&Cpu::new(1), &dense, rows, cols).unwrap()
}

fn numbers(len: usize, seed: u32) -> Vec<f64> {
    let key = Key([seed, 12]);
    (0..len).map(|i| tessera::rng::unit(key.words([i as u32, 0, 0, 0])[0]) * 2.0 - 1.0).collect()
}

fn naive(a: &Csr<f64>, b: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; a.rows() * n];
    for (row, column, value) in a.iter() {
        for j in 0..n {
            out[row * n + j] += value * b[column * n + j];
        }
    }
    out
}

#[test]
fn faults_are_said() {
    let message = |r: Result<Csr<f32>, tessera::error::Error>| r.unwrap_err().to_string();
    assert!(message(Csr::new(3, vec![], vec![], vec![])).contains("begin with 0"));
    assert!(message(Csr::new(3, vec![0, 2, 1], vec![0], vec![1.0])).contains("row 1"));
    assert!(message(Csr::new(3, vec![0, 2], vec![0], vec![1.0])).contains("ends at element"));
    assert!(message(Csr::new(3, vec![0, 2], vec![1, 1], vec![1.0, 1.0])).contains("1 is followed by 1"));
    assert!(message(Csr::new(3, vec![0, 2], vec![1, 3], vec![1.0, 1.0])).contains("column 3 of 3"));
    assert!(message(Csr::new(3, vec![0, 1], vec![1], vec![])).contains("0 values"));
    let cpu = Cpu::new(1);
    assert!(message(Csr::from_triplets(&cpu, 2, 2, &[0, 2], &[0, 0], &[1.0, 1.0])).contains("row 2 of 2"));
    assert!(message(Csr::from_triplets(&cpu, 2, 2, &[0, 1], &[0, 2], &[1.0, 1.0])).contains("column 2 of 2"));
    assert!(message(Csr::from_triplets(&cpu, 2, 2, &[0], &[0, 2], &[1.0, 1.0])).contains("1 rows"));
    assert!(message(Csr::from_dense(&cpu, &[1.0], 2, 2)).contains("2 x 2"));
    let a = Csr::new(3, vec![0, 1], vec![1], vec![2.0f32]).unwrap();
    assert!(a.times(&cpu, &[0.0; 2], 1).unwrap_err().to_string().contains("3 x 1"));
    assert!(a.add_rows(&cpu, &Events::of_spikes(&[0], 2)).unwrap_err().to_string().contains("2 inputs"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn triplets_in_any_order_make_the_matrix(
        rows in 1usize..40, cols in 1usize..40,
        places in prop::collection::vec((any::<u32>(), any::<u32>(), -8i32..8), 0..300),
    ) {
        let row_of: Vec<u32> = places.iter().map(|p| p.0 % rows as u32).collect();
        let col_of: Vec<u32> = places.iter().map(|p| p.1 % cols as u32).collect();
        let values: Vec<f64> = places.iter().map(|p| f64::from(p.2)).collect();
        let mut dense = vec![0.0; rows * cols];
        for ((row, col), value) in row_of.iter().zip(&col_of).zip(&values) {
            dense[*row as usize * cols + *col as usize] += value;
        }
        let cpu = Cpu::new(2);
        let a = Csr::from_triplets(&cpu, rows, cols, &row_of, &col_of, &values).unwrap();
        prop_assert_eq!(a.to_dense(), dense.clone());
        // The invariants hold: checked anew.
        let pattern = a.pattern();
        Pattern::new(cols, pattern.starts().to_vec(), pattern.columns().to_vec()).unwrap();
        let turned = a.transposed(&cpu);
        Pattern::new(rows, turned.pattern().starts().to_vec(), turned.pattern().columns().to_vec()).unwrap();
        prop_assert!(turned.iter().all(|(row, col, value)| dense[col * cols + row] == value));
        prop_assert_eq!(turned.transposed(&cpu), a.clone());
        let (half, view) = (rows / 2, a.view_rows(rows / 2..rows));
        for row in 0..view.rows() {
            prop_assert_eq!(view.row(row), a.row(half + row));
            for col in 0..cols {
                prop_assert_eq!(view.get(row, col).unwrap_or(0.0), dense[(half + row) * cols + col]);
            }
        }
        prop_assert_eq!(view.len() + a.view_rows(0..half).len(), a.len());
    }

    #[test]
    fn products_are_sums_in_order(
        rows in 0usize..30, cols in 1usize..50, n in 1usize..150, seed in any::<u32>(), density in 0.0..0.6,
    ) {
        let cpu = Cpu::new(2);
        let a = random(rows, cols, density, seed);
        let b = numbers(cols * n, seed ^ 1);
        let expected = naive(&a, &b, n);
        let got = a.times(&cpu, &b, n).unwrap();
        if n > 1 {
            prop_assert_eq!(&got, &expected);
        }
        prop_assert!(got.iter().zip(&expected).all(|(g, e)| (g - e).abs() < 1e-12));
        // Events: the rows of active inputs, summed in order.
        let x: Vec<f64> = numbers(3 * rows, seed ^ 2).iter().map(|x| if *x > 0.5 { 1.0 } else { 0.0 }).collect();
        if rows > 0 {
            let events = Events::of_dense(&cpu, &x, rows);
            let sums = a.add_rows(&cpu, &events).unwrap();
            let mut expected = vec![0.0; 3 * cols];
            for sample in 0..3 {
                for (row, column, value) in a.iter().filter(|(row, ..)| x[sample * rows + row] != 0.0) {
                    let _ = row;
                    expected[sample * cols + column] += value;
                }
            }
            prop_assert_eq!(sums, expected);
        }
    }
}

#[test]
fn the_same_bits_for_any_workers_and_instruction_set() {
    let a64 = random(700, 900, 0.1, 5);
    let a32 = a64.map(|v| v as f32);
    let b32 = |n: usize| -> Vec<f32> { numbers(900 * n, 6).iter().map(|v| *v as f32).collect() };
    let spikes: Vec<f32> = numbers(5 * 700, 7).iter().map(|v| if *v > 0.8 { *v as f32 } else { 0.0 }).collect();
    let all = |cpu: &Cpu| {
        let events = Events::of_dense(cpu, &spikes, 700);
        let one = Events::of_dense(cpu, &spikes[..700], 700);
        let mut out: Vec<Vec<f32>> = [1, 7, 40, 131].iter().map(|n| a32.times(cpu, &b32(*n), *n).unwrap()).collect();
        out.push(a32.add_rows(cpu, &events).unwrap());
        out.push(a32.add_rows(cpu, &one).unwrap());
        out.push(a32.transposed(cpu).values().to_vec());
        out.push(gradients(Device::of_cpu(Cpu::with_isa(cpu.crew.size(), cpu.isa)), &a32, &spikes));
        out
    };
    let reference = all(&Cpu::new(1));
    assert!(reference.iter().all(|part| part.iter().any(|v| *v != 0.0)));
    for isa in Isa::all_available() {
        for workers in [1, 2, 3, 5] {
            assert!(all(&Cpu::with_isa(workers, isa)) == reference, "{isa}, {workers} workers");
        }
    }
}

fn gradients(device: Device, a: &Csr<f32>, spikes: &[f32]) -> Vec<f32> {
    let values = Tensor::new(a.values(), [a.len()], &device).unwrap().requires_grad();
    let matrix = SparseMatrix::new(a.pattern(), &values).unwrap();
    let x = Tensor::new(spikes, [5, a.rows()], &device).unwrap().requires_grad();
    let y = x.add_rows(&matrix).unwrap();
    let b = y.t().unwrap();
    let z = matrix.times(&b).unwrap().square().unwrap().sum_all().unwrap();
    let gradients = z.backward().unwrap();
    let mut all: Vec<f32> = gradients.get(&values).unwrap().to_vec().unwrap();
    all.extend(gradients.get(&x).unwrap().to_vec::<f32>().unwrap());
    all
}

/// Gradients against central differences.
fn check(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> tessera::error::Result<Tensor>) {
    let scalar = |inputs: &[Tensor]| {
        let y = f(inputs).unwrap();
        let weights = Tensor::new(&numbers(y.len(), 77), y.shape(), y.device()).unwrap();
        y.mul(&weights).unwrap().sum_all().unwrap()
    };
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::requires_grad).collect();
    let gradients = scalar(&leaves).backward().unwrap();
    for (n, leaf) in leaves.iter().enumerate() {
        let got: Vec<f64> = gradients.get(leaf).unwrap().to_vec().unwrap();
        let base: Vec<f64> = leaf.to_vec().unwrap();
        for i in 0..base.len() {
            let at = |x: f64| {
                let mut moved = base.clone();
                moved[i] = x;
                let mut all = inputs.to_vec();
                all[n] = Tensor::new(&moved, leaf.shape(), leaf.device()).unwrap();
                scalar(&all).item().unwrap()
            };
            let expected = (at(base[i] + 1e-6) - at(base[i] - 1e-6)) / 2e-6;
            assert!((got[i] - expected).abs() < 1e-7, "input {n} element {i}: {} against {expected}", got[i]);
        }
    }
}

#[test]
fn gradients_of_products() {
    let device = Device::cpu_threads(2);
    let a = random(6, 9, 0.4, 3);
    let values = Tensor::new(a.values(), [a.len()], &device).unwrap();
    let tensor = |dims: &[usize], seed| Tensor::new(&numbers(dims.iter().product(), seed), dims, &device).unwrap();
    let matrix = |values: &Tensor| SparseMatrix::new(a.pattern(), values);
    for dense in [tensor(&[9, 4], 1), tensor(&[9], 2), tensor(&[5, 9], 3).t().unwrap()] {
        check(&[values.clone(), dense.detach()], |x| matrix(&x[0])?.times(&x[1]));
    }
    // Activations that are exactly zero get gradients as well; differences around zero are smooth.
    let x = tensor(&[2, 3, 6], 4).relu().unwrap();
    check(&[values.clone(), x.clone()], |x| x[1].add_rows(&matrix(&x[0])?));
    check(&[values.clone(), tensor(&[6], 5)], |x| x[1].add_rows(&matrix(&x[0])?));
    let layer = SparseLinear::new(&a, true, &device).unwrap();
    assert_eq!(layer.forward(&x).unwrap().dims(), [2, 3, 9]);
    let names: Vec<String> = layer.named_parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["values", "bias"]);
    assert_eq!(layer.matrix().unwrap().to_csr::<f64>().unwrap(), a);
    let message = x.to_dtype(DType::F32).unwrap().add_rows(&matrix(&values).unwrap()).unwrap_err().to_string();
    assert!(message.contains("f32") && message.contains("f64"), "{message}");
    let message = matrix(&values).unwrap().times(&x).unwrap_err().to_string();
    assert!(message.contains("[6, 9]") && message.contains("[2, 3, 6]"), "{message}");
    assert!(SparseMatrix::new(a.pattern(), &x).unwrap_err().to_string().contains("takes"));
}

#[test]
fn few_and_many_active_inputs_give_the_same_sums() {
    let device = Device::cpu_threads(2);
    let a = random(60, 90, 0.3, 3).map(|v| v as f32);
    let matrix = SparseMatrix::from_csr(&a, &device).unwrap();
    for (samples, bound) in [(40, -0.5), (40, 0.9), (300, 0.0), (15, 0.0)] {
        let x: Vec<f32> = numbers(samples * 60, 8).iter().map(|v| if *v > bound { *v as f32 } else { 0.0 }).collect();
        let one_by_one = a.add_rows(device.as_cpu(), &Events::of_dense(device.as_cpu(), &x, 60)).unwrap();
        let x = Tensor::new(&x, [samples, 60], &device).unwrap();
        assert_eq!(x.add_rows(&matrix).unwrap().to_vec::<f32>().unwrap(), one_by_one, "{samples} samples");
    }
}

#[test]
fn empty_matrices() {
    let (cpu, device) = (Cpu::new(2), Device::cpu_threads(2));
    for (rows, cols) in [(0, 0), (0, 4), (4, 0), (3, 4)] {
        let a = Csr::<f32>::from_triplets(&cpu, rows, cols, &[], &[], &[]).unwrap();
        assert_eq!(a.transposed(&cpu).cols(), rows);
        assert_eq!(a.times(&cpu, &vec![1.0; cols * 2], 2).unwrap(), vec![0.0; rows * 2]);
        let matrix = SparseMatrix::from_csr(&a, &device).unwrap();
        let x = Tensor::ones([20, rows], DType::F32, &device).unwrap().requires_grad();
        let y = x.add_rows(&matrix).unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap(), vec![0.0; 20 * cols]);
        assert_eq!(
            y.sum_all().unwrap().backward().unwrap().get(&x).unwrap().to_vec::<f32>().unwrap(),
            vec![0.0; 20 * rows]
        );
    }
}

#[test]
fn the_engines_synapses_are_a_matrix() {
    let mut net = NetworkSpec::default();
    let a = net.population("a", 300, LifPscDelta::default()).unwrap();
    let b = net.population("b", 130, LifPscExp::default()).unwrap();
    let varied = StaticSynapse {
        weight: Distribution::normal(40.0, 10.0),
        delay: Distribution::Uniform { low: 0.1, high: 0.5 },
    };
    net.project(a, b, ConnectionRule::FixedIndegree { n: 60 }, varied).unwrap();
    net.project(a, b, ConnectionRule::Bernoulli { p: 0.05 }, StaticSynapse { weight: -30.0, delay: 0.2 }).unwrap();
    let model = BrainModel::build(&net, 7).unwrap();
    let mut all: Option<Csr<f64>> = None;
    for threads in [1, 2, 3] {
        let options = SimOptions { dt: 0.1, threads, ..Default::default() };
        let connectivity = Connectivity::build(&model, &options).unwrap();
        let cpu = Cpu::new(threads);
        let csr = connectivity.to_csr(&model, a, b, SynapseSelection::default(), &cpu).unwrap();
        assert_eq!((csr.rows(), csr.cols()), (300, 130));
        let mut dense = vec![0.0; 300 * 130];
        let mut count = 0;
        for source in 0..300 {
            let mut synapses = Vec::new();
            connectivity.synapses_of(&model, source, &mut synapses).unwrap();
            count += synapses.len();
            for synapse in synapses {
                dense[source as usize * 130 + (synapse.target - 300) as usize] += synapse.weight;
            }
        }
        assert!(count > 8_000 && csr.len() < count, "{count} synapses, some between the same neurons");
        assert!(csr.to_dense().iter().zip(&dense).all(|(got, sum)| (got - sum).abs() < 1e-9));
        // Delay by delay, the parts add up to the whole.
        let mut sum = vec![0.0; 300 * 130];
        for delay in 1..=connectivity.longest_delay() {
            let which = SynapseSelection { delay: Some(delay), receptor: None };
            let part = connectivity.to_csr(&model, a, b, which, &cpu).unwrap();
            part.iter().for_each(|(row, col, value)| sum[row * 130 + col] += value);
        }
        assert!(sum.iter().zip(&dense).all(|(got, sum)| (got - sum).abs() < 1e-9));
        let none = SynapseSelection { receptor: Some(9), delay: None };
        assert!(connectivity.to_csr(&model, a, b, none, &cpu).unwrap().is_empty());
        assert!(connectivity.to_csr(&model, b, a, SynapseSelection::default(), &cpu).unwrap().is_empty());
        assert_eq!(all.get_or_insert_with(|| csr.clone()), &csr, "{threads} threads");
    }
}

#[cfg(feature = "sprs")]
#[test]
fn to_and_from_sprs() {
    let cpu = Cpu::new(2);
    let a = random(20, 31, 0.2, 9);
    assert_eq!(Csr::from_sprs(&a.to_sprs()).unwrap(), a);
    assert_eq!(Csr::from_sprs(&a.to_sprs().to_csc()).unwrap(), a);
    assert_eq!(Csr::from_sprs(&a.to_sprs().transpose_into()).unwrap(), a.transposed(&cpu));
    let b = numbers(31, 4);
    let theirs = &a.to_sprs() * &sprs::CsVec::new(31, (0..31).collect(), b.clone());
    let mut dense = vec![0.0; 20];
    theirs.iter().for_each(|(row, value)| dense[row] = *value);
    assert!(a.times(&cpu, &b, 1).unwrap().iter().zip(dense).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[cfg(feature = "nalgebra-sparse")]
#[test]
fn to_and_from_nalgebra() {
    let a = random(20, 31, 0.2, 9);
    assert_eq!(Csr::from_nalgebra(&a.to_nalgebra().unwrap()).unwrap(), a);
    let theirs = nalgebra_sparse::na::DMatrix::from(&a.to_nalgebra().unwrap());
    assert!(a.iter().all(|(row, col, value)| theirs[(row, col)] == value));
}
