//! Products against the three loops in `f64`, and against themselves cut differently.

use proptest::prelude::*;

use super::super::super::Isa;
use super::super::Cpu;
use super::*;

/// Numbers between -1 and 1 that follow from `seed`.
pub(super) fn numbers<T>(len: usize, seed: u64, make: impl Fn(f64) -> T) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            make((state >> 33) as f64 / (1u64 << 30) as f64 - 1.0)
        })
        .collect()
}

/// How a matrix lies in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Columns one after the other.
    pub by_cols: bool,
    /// Elements between the end of a row (column) and the start of the next.
    pub gap: usize,
    /// Elements from one column (row) to the next; 1 for outputs.
    pub spread: usize,
}

impl Layout {
    pub fn strides(self, rows: usize, cols: usize) -> (usize, usize) {
        let line = if self.by_cols { rows } else { cols } * self.spread + self.gap;
        if self.by_cols { (self.spread, line) } else { (line, self.spread) }
    }

    pub fn len(self, rows: usize, cols: usize) -> usize {
        let (r, c) = self.strides(rows, cols);
        rows * r + cols * c + 1
    }

    pub fn view<T>(self, data: &[T], rows: usize, cols: usize) -> Mat<'_, T> {
        let (r, c) = self.strides(rows, cols);
        Mat::new(data, rows, cols, r, c)
    }

    pub fn view_mut<T>(self, data: &mut [T], rows: usize, cols: usize) -> MatMut<'_, T> {
        let (r, c) = self.strides(rows, cols);
        MatMut::new(data, rows, cols, r, c)
    }
}

pub(super) fn input_layout() -> impl Strategy<Value = Layout> {
    (any::<bool>(), 0..5usize, prop_oneof![4 => Just(1usize), 1 => 2..4usize])
        .prop_map(|(by_cols, gap, spread)| Layout { by_cols, gap, spread })
}

pub(super) fn output_layout() -> impl Strategy<Value = Layout> {
    (any::<bool>(), 0..5usize).prop_map(|(by_cols, gap)| Layout { by_cols, gap, spread: 1 })
}

/// Sizes around the edges of tiles, and now and then of blocks.
pub(super) fn size() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 0..=3usize, 4 => 1..=70usize, 1 => 120..=300usize]
}

#[derive(Debug, Clone)]
struct Case {
    m: usize,
    n: usize,
    k: usize,
    a: Layout,
    b: Layout,
    c: Layout,
    add: bool,
    bias: u8,
    activation: Activation,
    keep: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let activation = prop_oneof![Just(Activation::Identity), Just(Activation::Relu), Just(Activation::GeluTanh)];
    (
        size(),
        size(),
        size(),
        input_layout(),
        input_layout(),
        output_layout(),
        any::<bool>(),
        0..3u8,
        activation,
        any::<bool>(),
    )
        .prop_map(|(m, n, k, a, b, c, add, bias, activation, keep)| Case {
            m,
            n,
            k,
            a,
            b,
            c,
            add,
            bias,
            activation,
            keep,
        })
}

/// Runs a case with `T` and returns all of C's and `keep`'s memory.
fn run<T: Real>(case: &Case, cpu: &Cpu, make: impl Fn(f64) -> T + Copy) -> (Vec<T>, Vec<T>) {
    let Case { m, n, k, .. } = *case;
    let a = numbers(case.a.len(m, k), 1, make);
    let b = numbers(case.b.len(k, n), 2, make);
    let mut c = numbers(case.c.len(m, n), 3, make);
    let mut kept = numbers(case.c.len(m, n), 4, make);
    let bias_data = numbers(m.max(n), 5, make);
    let bias = match case.bias {
        0 => Bias::None,
        1 => Bias::PerColumn(&bias_data[..n]),
        _ => Bias::PerRow(&bias_data[..m]),
    };
    let keep = case.keep.then(|| case.c.view_mut(&mut kept, m, n));
    let store = if case.add { Store::Add } else { Store::Set };
    let epilogue = Epilogue { bias, activation: case.activation, keep };
    gemm(cpu, store, case.a.view(&a, m, k), case.b.view(&b, k, n), case.c.view_mut(&mut c, m, n), epilogue);
    (c, kept)
}

/// The same case by definition, in `f64`.
fn reference(case: &Case, make: impl Fn(f64) -> f64 + Copy) -> (Vec<f64>, Vec<f64>) {
    let Case { m, n, k, .. } = *case;
    let a = numbers(case.a.len(m, k), 1, make);
    let b = numbers(case.b.len(k, n), 2, make);
    let mut c = numbers(case.c.len(m, n), 3, make);
    let mut kept = numbers(case.c.len(m, n), 4, make);
    let bias = numbers(m.max(n), 5, make);
    let store = if case.add { Store::Add } else { Store::Set };
    matmul_naive(store, case.a.view(&a, m, k), case.b.view(&b, k, n), case.c.view_mut(&mut c, m, n));
    for i in 0..m {
        for j in 0..n {
            let mut view = case.c.view_mut(&mut c, m, n);
            let x = view.at_mut(i, j);
            *x += [0.0, bias[j], bias[i]][case.bias as usize];
            if case.keep {
                *case.c.view_mut(&mut kept, m, n).at_mut(i, j) = *x;
            }
            *x = match case.activation {
                Activation::Identity => *x,
                Activation::Relu => x.max(0.0),
                Activation::GeluTanh => {
                    0.5 * *x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (*x + 0.044715 * x.powi(3))).tanh())
                }
            };
        }
    }
    (c, kept)
}

#[track_caller]
fn close(got: &[f64], want: &[f64], tolerance: f64, what: &str) {
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance, "{what}: {got} is not {want} within {tolerance} at {i}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// All shapes, layouts and epilogues; every instruction set; what lies between the rows of C stays as it was.
    #[test]
    fn products_are_those_of_the_definition(case in case()) {
        for isa in Isa::all_available() {
            let cpu = Cpu::with_isa(2, isa);
            // |a| and |b| are at most 1, so is every bias: the sum of absolute values is at most k + 2.
            let size = case.k as f64 + 2.0;
            let narrow = |x: f64| x as f32;
            let (c, kept) = run(&case, &cpu, narrow);
            let (want, want_kept) = reference(&case, |x| f64::from(x as f32));
            let wide = |v: Vec<f32>| v.into_iter().map(f64::from).collect::<Vec<_>>();
            let tolerance = size * (size + 2.0) * f64::from(f32::EPSILON);
            close(&wide(c), &want, tolerance, &format!("f32 {isa}"));
            close(&wide(kept), &want_kept, tolerance, &format!("f32 kept {isa}"));
            let (c, kept) = run(&case, &cpu, |x| x);
            let (want, want_kept) = reference(&case, |x| x);
            let tolerance = 2.0 * size * (size + 2.0) * f64::EPSILON;
            close(&c, &want, tolerance, &format!("f64 {isa}"));
            close(&kept, &want_kept, tolerance, &format!("f64 kept {isa}"));
        }
    }

    /// The same bits for any number of workers.
    #[test]
    fn workers_do_not_change_bits(case in case()) {
        let one = run(&case, &Cpu::new(1), |x| x as f32);
        for workers in [2, 3, 5] {
            let other = run(&case, &Cpu::new(workers), |x| x as f32);
            prop_assert_eq!(bits(&one.0), bits(&other.0));
            prop_assert_eq!(bits(&one.1), bits(&other.1));
        }
    }
}

pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// The chain that every element is defined as, with fused steps.
fn chain(a: Mat<'_, f32>, b: Mat<'_, f32>, i: usize, j: usize) -> f32 {
    (0..a.cols()).fold(0.0, |sum, k| a.at(i, k).mul_add(b.at(k, j), sum))
}

/// Large enough for several blocks of k, rows and columns, with and without copied operands: still one chain.
#[test]
fn blocking_does_not_change_bits() {
    for isa in Isa::all_available() {
        if isa == Isa::Portable {
            continue;
        }
        for (m, k, n) in [(300, 700, 530), (150, 1500, 1100), (1, 900, 700), (1100, 600, 1), (7, 2000, 70)] {
            let (a, b) = (numbers(m * k, 1, |x| x as f32), numbers(k * n, 2, |x| x as f32));
            for workers in [1, 3] {
                let cpu = Cpu::with_isa(workers, isa);
                for (a, b) in [
                    (Mat::row_major(&a, m, k), Mat::row_major(&b, k, n)),
                    (Mat::col_major(&a, m, k), Mat::col_major(&b, k, n)),
                ] {
                    let mut c = vec![0.0; m * n];
                    gemm(&cpu, Store::Set, a, b, MatMut::row_major(&mut c, m, n), Epilogue::none());
                    for i in (0..m).step_by(m.div_ceil(13)) {
                        for j in (0..n).step_by(n.div_ceil(17)) {
                            assert_eq!(c[i * n + j], chain(a, b, i, j), "{isa} {m}x{k}x{n} ({i}, {j})");
                        }
                    }
                }
            }
        }
    }
}

/// The same for `f64`, whose vectors are shorter than the tallest tile, with rows of A and B that are packed.
#[test]
fn blocking_of_f64_does_not_change_bits() {
    for isa in Isa::all_available() {
        if isa == Isa::Portable {
            continue;
        }
        let cpu = Cpu::with_isa(2, isa);
        for (m, k, n) in [(60, 512, 600), (100, 1030, 512), (3, 700, 300)] {
            let (a, b) = (numbers(m * k, 1, |x| x), numbers(k * n, 2, |x| x));
            for (a, b) in [
                (Mat::row_major(&a, m, k), Mat::row_major(&b, k, n)),
                (Mat::col_major(&a, m, k), Mat::col_major(&b, k, n)),
            ] {
                let mut c = vec![0.0; m * n];
                gemm(&cpu, Store::Set, a, b, MatMut::row_major(&mut c, m, n), Epilogue::none());
                for i in 0..m {
                    for j in (0..n).step_by(n.div_ceil(17)) {
                        let want = (0..k).fold(0.0, |sum: f64, k| a.at(i, k).mul_add(b.at(k, j), sum));
                        assert_eq!(c[i * n + j], want, "{isa} {m}x{k}x{n} ({i}, {j})");
                    }
                }
            }
        }
    }
}

/// Packing puts lane `l` of step `s` at `s * width + l`, for every width that tiles have.
#[test]
fn packing_orders_every_element() {
    fn check<T: Real>(isa: Isa, make: impl Fn(f64) -> T) {
        let kernels = <T as super::real::Sealed>::kernels(isa);
        let panels = [1, 2, 4, 8].map(|vectors| vectors * kernels.lanes);
        for width in (1..=kernels.most_rows()).chain(panels) {
            for (lanes, steps) in [(width, 37), (width.div_ceil(2), 16), (1, 3)] {
                for (lane_stride, step_stride) in [(1, lanes + 1), (steps + 2, 1), (2, 3 * lanes)] {
                    let from = numbers(lanes * lane_stride + steps * step_stride, 1, &make);
                    let mut to = vec![make(9.0); steps * width + super::kernels::SLACK];
                    // SAFETY: both slices are as long as packing wants, and the instruction set is available.
                    unsafe {
                        (kernels.pack)(to.as_mut_ptr(), width, lanes, steps, from.as_ptr(), lane_stride, step_stride);
                    }
                    for s in 0..steps {
                        for l in 0..lanes {
                            let want = from[l * lane_stride + s * step_stride];
                            assert!(to[s * width + l] == want, "{isa} {width} {lanes} ({l}, {s})");
                        }
                    }
                }
            }
        }
    }
    for isa in Isa::all_available() {
        check(isa, |x| x as f32);
        check(isa, |x| x);
    }
}

/// Each element must be the sum in this order, so the first row of many is the product of that row alone.
#[test]
fn a_row_alone_has_the_bits_it_has_among_many() {
    let (m, k, n) = (64, 300, 100);
    let (a, b) = (numbers(m * k, 1, |x| x as f32), numbers(k * n, 2, |x| x as f32));
    let cpu = Cpu::new(2);
    let (mut all, mut one) = (vec![0.0; m * n], vec![0.0; n]);
    let weights = Mat::row_major(&b, k, n);
    gemm(&cpu, Store::Set, Mat::row_major(&a, m, k), weights, MatMut::row_major(&mut all, m, n), Epilogue::none());
    gemm(&cpu, Store::Set, Mat::row_major(&a, 1, k), weights, MatMut::row_major(&mut one, 1, n), Epilogue::none());
    assert_eq!(bits(&all[..n]), bits(&one));
}

#[test]
fn not_a_number_passes_through_relu_and_zero_times_infinity() {
    for isa in Isa::all_available() {
        let cpu = Cpu::with_isa(1, isa);
        let a = [f32::NAN, 0.0, f32::INFINITY];
        let mut c = [0.0f32; 3];
        let epilogue = Epilogue { activation: Activation::Relu, ..Epilogue::none() };
        gemm(
            &cpu,
            Store::Set,
            Mat::row_major(&a, 3, 1),
            Mat::row_major(&[0.0], 1, 1),
            MatMut::row_major(&mut c, 3, 1),
            epilogue,
        );
        assert!(c[0].is_nan() && c[1] == 0.0 && c[2].is_nan(), "{isa} {c:?}");
    }
}

#[test]
#[should_panic(expected = "cannot multiply a 2 x 3 matrix by a 4 x 1 matrix into a 2 x 1 matrix")]
fn sizes_that_do_not_fit_are_refused() {
    let mut c = [0.0f32; 2];
    gemm(
        &Cpu::new(1),
        Store::Set,
        Mat::row_major(&[0.0; 6], 2, 3),
        Mat::row_major(&[0.0; 4], 4, 1),
        MatMut::row_major(&mut c, 2, 1),
        Epilogue::none(),
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Packed weights give the bits of plain ones.
    #[test]
    fn packed_is_plain((m, n, k) in (size(), size(), size()), b in input_layout(), workers in 1..4usize) {
        for isa in Isa::all_available() {
            let cpu = Cpu::with_isa(workers, isa);
            let a_data = numbers(m * k, 1, |x| x as f32);
            let b_data = numbers(b.len(k, n), 2, |x| x as f32);
            let bias = numbers(n, 3, |x| x as f32);
            let (a, b) = (Mat::row_major(&a_data, m, k), b.view(&b_data, k, n));
            let (mut plain, mut packed) = (vec![0.5; m * n], vec![0.5; m * n]);
            let epilogue = || Epilogue::bias(&bias, Activation::Relu);
            gemm(&cpu, Store::Add, a, b, MatMut::row_major(&mut plain, m, n), epilogue());
            let weights = PackedB::new(isa, b);
            gemm_packed(&cpu, Store::Add, a, &weights, MatMut::row_major(&mut packed, m, n), epilogue());
            prop_assert_eq!(bits(&plain), bits(&packed));
        }
    }

    /// A batch gives the bits of its members, side by side or one after the other, for any number of workers.
    #[test]
    fn a_batch_is_its_members(
        (m, n, k) in (1..40usize, 1..40usize, 0..40usize),
        count in 0..7usize,
        (side_by_side, one_b) in (any::<bool>(), any::<bool>()),
        workers in prop_oneof![Just(1usize), Just(2), Just(3), Just(5)],
    ) {
        let a_data = numbers(count * m * k, 1, |x| x as f32);
        let b_data = numbers((count + 1) * k * n, 2, |x| x as f32);
        let bias = numbers(m, 3, |x| x as f32);
        let a = MatBatch::row_major(&a_data, count, m, k);
        let b = MatBatch::new(&b_data, count, if one_b { 0 } else { k * n }, [k, n, n, 1]);
        let (stride, row) = if side_by_side { (n, count * n) } else { (m * n, n) };
        let mut c = vec![0.25f32; count * m * n];
        let mut want = c.clone();
        let batch = MatBatchMut::new(&mut c, count, stride, [m, n, row, 1]);
        let cpu = Cpu::new(workers);
        gemm_batched(&cpu, Store::Add, a, b, batch, Bias::PerRow(&bias), Activation::Relu);
        for i in 0..count {
            let out = MatMut::new(&mut want[i * stride..], m, n, row, 1);
            let epilogue = Epilogue { bias: Bias::PerRow(&bias), activation: Activation::Relu, keep: None };
            gemm_serial(cpu.isa, Store::Add, a.member(i), b.member(i), out, epilogue);
        }
        prop_assert_eq!(bits(&c), bits(&want));
    }
}

#[test]
fn batches_larger_than_the_threshold_use_all_workers_and_keep_their_bits() {
    let (count, m, k, n) = (3, 70, 90, 50);
    let a = numbers(count * m * k, 1, |x| x as f32);
    let b = numbers(count * k * n, 2, |x| x as f32);
    let results: Vec<_> = [1, 2, 3, 5]
        .map(|workers| {
            let mut c = vec![0.0f32; count * m * n];
            gemm_batched(
                &Cpu::new(workers),
                Store::Set,
                MatBatch::row_major(&a, count, m, k),
                MatBatch::row_major(&b, count, k, n),
                MatBatchMut::row_major(&mut c, count, m, n),
                Bias::None,
                Activation::Identity,
            );
            bits(&c)
        })
        .into();
    assert!(results.iter().all(|c| *c == results[0]));
}

#[test]
#[should_panic(expected = "overlap")]
fn overlapping_members_are_refused() {
    MatBatchMut::new(&mut [0.0f32; 64], 3, 4, [4, 4, 10, 1]);
}
